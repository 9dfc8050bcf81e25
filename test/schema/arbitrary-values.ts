// Values of every key, a few of them at once: for each key whatever of a common stock the schema takes there, so that a new key needs no word here.
// Invariant: what is given is valid as a whole, and has no text that only a parser's author would write.
// Used by the property tests of whatever values become.
import { Arbitrary, Result, Schema, type SchemaAST } from "effect"
import { merge, type Tree } from "../../src/schema/layers.ts"
import { parseValues, Values } from "../../src/schema/values.ts"

const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

const stock: ReadonlyArray<unknown> = [
  true, false, 0, 1, 2, 600, 3000,
  "", "a", "other-1", "/data", "https://example.com", "http://proxy.example.com:3128", "1.2", "50%", "5Gi", "Always", "Never", "IfNotPresent", "Default", "OnRootMismatch", "ReadWriteOnce", "DirectoryOrCreate", "Directory", certificate,
  {}, { a: "1" }, { "example.com/team": "x", b: "true" }, { type: "Unconfined" }, { drop: ["ALL"], add: ["CHOWN"] }, { level: "s0:c1" }, { runAsUser: 2000 }, { limits: { cpu: "1" } }, { requests: { memory: "1Gi", cpu: 2 }, limits: { memory: "2Gi" } },
  { nameservers: ["192.0.2.1"] }, { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "Exists" }] }] } } },
  [], [4000], [{ name: "a" }, { name: "b" }], [{ name: "a", emptyDir: {} }], [{ name: "a", image: "busybox" }], [{ name: "a", mountPath: "/a", readOnly: true }], [{ name: "net.core.somaxconn", value: "1" }], [{ key: "k", operator: "Exists" }, { operator: "Exists" }],
  [{ ip: "192.0.2.1", hostnames: ["a"] }], [{ secretRef: { name: "a" } }, { configMapRef: { name: "b" } }], [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway" }],
  [{ url: "https://mirror.example.com/" }], [{ path: "/mirror" }], [{ action: "FailJob", onExitCodes: { operator: "In", values: [3] } }]
]

interface Key { readonly path: ReadonlyArray<string>; readonly allowed: ReadonlyArray<unknown> }

const accepts = (ast: SchemaAST.AST) => {
  const decode = Schema.decodeUnknownResult(Schema.make<Schema.Codec<unknown>>(ast), { onExcessProperty: "error" })
  return (input: unknown): boolean => Result.isSuccess(decode(input))
}

const isSection = (ast: SchemaAST.AST): ast is SchemaAST.Objects => ast._tag === "Objects" && ast.indexSignatures.length === 0 && ast.annotations?.["default"] === undefined && !hasDefault(ast)
const hasDefault = ({ checks }: SchemaAST.AST): boolean => checks?.some((check) => check.annotations?.["default"] !== undefined) ?? false

const keysOf = (ast: SchemaAST.AST, path: ReadonlyArray<string>): ReadonlyArray<Key> =>
  isSection(ast) ? ast.propertySignatures.flatMap(({ name, type }) => keysOf(type, [...path, String(name)])) : [{ path, allowed: stock.filter(accepts(ast)).filter((_) => !path[0]?.endsWith("Override") || isName(_)) }]

/** Names are made of it. */
const isName = (input: unknown): boolean => typeof input === "string" && /^([a-z][-a-z0-9]*)?$/u.test(input)

/** All keys that have a default of their own, with what may stand there. */
export const keys: ReadonlyArray<Key> = keysOf(Values.ast, [])

const nested = ([first = "", ...rest]: ReadonlyArray<string>, value: unknown): Tree => ({ [first]: rest.length === 0 ? value : nested(rest, value) })

const Choice = Schema.Struct({ key: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: keys.length - 1 })), value: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 59 })) })
const Choices = Schema.Array(Choice).check(Schema.isMaxLength(16))

const chosen = ({ key, value }: typeof Choice.Type): Tree => {
  const { allowed, path } = keys[key] ?? { allowed: [], path: [] }
  return nested(path, allowed[value % allowed.length])
}

/** A values file: often with a token, since little is valid without. */
export const valuesFiles: Arbitrary.Arbitrary<Tree> = Arbitrary.schema(Choices).pipe(
  Arbitrary.map((choices) => choices.map(chosen).reduce(merge, choices.length % 3 === 0 ? {} : { agent: { token: "t" } })),
  Arbitrary.filter((file) => Result.isSuccess(parseValues(file)))
)
