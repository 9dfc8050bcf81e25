import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { install } from "../../../src/core/manifest/installation/install.ts"
import { changesBetween } from "../../../src/core/overlay/patch.ts"
import { isTree } from "../../../src/schema/document/layers.ts"
import { buildOf, type Built, meaningOf, unordered } from "../../kustomize/build.ts"
import { configOf } from "../configs.ts"

const few = <S extends Schema.Top>(schema: S) => Schema.Array(schema).check(Schema.isMaxLength(4))
const maybe = Schema.optionalKey
const Name = Schema.Literals(["a", "b", "c", "d"])
const Text = Schema.Literals(["", "x", "yes", "0755", "null", "1e3", "two\nlines", " \n"])
const Labels = Schema.Struct({ a: maybe(Text), b: maybe(Text), c: maybe(Text), d: maybe(Text) }) // a record of literals has all of them

const Variable = Schema.Union([
  Schema.Struct({ name: Name, value: Text }),
  Schema.Struct({ name: Name, valueFrom: Schema.Struct({ secretKeyRef: Schema.Struct({ name: Name, key: Name }) }) })
])
const Volume = Schema.Union([
  Schema.Struct({ name: Name, emptyDir: Schema.Struct({ sizeLimit: maybe(Text) }) }),
  Schema.Struct({ name: Name, configMap: Schema.Struct({ name: Name, items: maybe(few(Schema.Struct({ key: Name, path: Name }))) }) })
])
const Container = Schema.Struct({
  name: Name,
  image: Text,
  args: maybe(few(Text)),
  env: maybe(few(Variable)),
  envFrom: maybe(few(Schema.Struct({ secretRef: Schema.Struct({ name: Name }) }))),
  ports: maybe(few(Schema.Struct({ containerPort: Schema.Literals([80, 81]), protocol: maybe(Schema.Literals(["TCP", "UDP"])) }))),
  resources: maybe(Schema.Struct({ limits: maybe(Labels) })),
  volumeMounts: maybe(few(Schema.Struct({ name: Name, mountPath: Schema.Literals(["/a", "/b", "/c"]), readOnly: maybe(Schema.Boolean) })))
})
const Workload = Schema.Struct({
  labels: maybe(Labels),
  annotations: maybe(Labels),
  replicas: maybe(Schema.Literals([0, 1, 2])),
  containers: few(Container),
  initContainers: maybe(few(Container)),
  hostAliases: maybe(few(Schema.Struct({ ip: Name, hostnames: few(Name) }))),
  imagePullSecrets: maybe(few(Schema.Struct({ name: Name }))),
  nodeSelector: maybe(Labels),
  tolerations: maybe(few(Schema.Struct({ key: maybe(Name), operator: Schema.Literals(["Exists", "Equal"]) }))),
  topologySpreadConstraints: maybe(few(Schema.Struct({ topologyKey: Name, maxSkew: Schema.Literals([1, 2]), whenUnsatisfiable: Name }))),
  volumes: maybe(few(Volume))
})

/** How the API server tells the elements of a list apart. */
const keys: Readonly<Record<string, (element: Readonly<Record<string, unknown>>) => unknown>> = {
  containers: ({ name }) => name,
  env: ({ name }) => name,
  hostAliases: ({ ip }) => ip,
  imagePullSecrets: ({ name }) => name,
  initContainers: ({ name }) => name,
  ports: ({ containerPort }) => containerPort, // kustomize loses one of two with the same number if its protocol is left out
  topologySpreadConstraints: ({ topologyKey, whenUnsatisfiable }) => `${topologyKey} ${whenUnsatisfiable}`,
  volumeMounts: ({ mountPath }) => mountPath,
  volumes: ({ name }) => name
}

/** Removes elements whose key an earlier element of the list has. */
const valid = (data: unknown, field = ""): unknown => {
  if (Array.isArray(data)) {
    const key = keys[field]
    const elements = data.map((_) => valid(_) as Readonly<Record<string, unknown>>)
    return key === undefined ? elements : elements.filter((element, index) => elements.findIndex((_) => key(_) === key(element)) === index)
  }
  return typeof data === "object" && data !== null
    ? Object.fromEntries(Object.entries(data).map(([name, value]) => [name, valid(value, name)]))
    : data
}

/** Mixes two versions of an object: in lists with keys, the elements of `before` stay, between new ones that come first and last. */
const among = (before: unknown, after: unknown, field = ""): unknown => {
  if (Array.isArray(before) && Array.isArray(after)) {
    return keys[field] === undefined
      ? after
      : [...after.slice(0, 1), ...before, ...after.slice(1)]
  }
  if (!isTree(before) || !isTree(after)) return after
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, among(before[name], value, name)]))
}

const workload = (name: string, { annotations, labels, replicas, ...pod }: typeof Workload.Type): Built => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace: "a", ...(labels && { labels }), ...(annotations && { annotations }) },
  spec: { ...(replicas !== undefined && { replicas }), template: { spec: valid(pod) as object } }
})

/** An object that every build has, because kustomize refuses to build nothing. */
const anchor: Built = { apiVersion: "v1", kind: "Namespace", metadata: { name: "anchor" } }

const patched = async (from: ReadonlyArray<Built>, to: ReadonlyArray<Built>) => {
  const { added, patches } = changesBetween(from, to)
  const files = { "from.yaml": [...from, anchor], ...(added.length > 0 && { "added.yaml": added }) }
  const built = await buildOf(
    () => ({ resources: Object.keys(files), patches: patches.map((patch) => ({ patch: JSON.stringify(patch) })) }),
    files
  )
  return meaningOf(built.filter(({ kind }) => kind !== "Namespace"), unordered)
}

describe("the difference between objects", () => {
  const Pairs = Schema.Array(Schema.Struct({ before: maybe(Workload), after: maybe(Workload), among: Schema.Boolean })).check(
    Schema.isMaxLength(30)
  )
  const sides = (pairs: typeof Pairs.Type) => ({
    before: pairs.flatMap(({ before }, index) => before === undefined ? [] : [workload(`w${index}`, before)]),
    after: pairs.flatMap(({ after, among: mixed, before }, index) =>
      after === undefined ? [] : [workload(`w${index}`, mixed ? among(before, after) as typeof after : after)]
    )
  })

  it.effect.prop("applied by kustomize, makes one into the other", [Pairs], ([pairs]) =>
    Effect.promise(async () => {
      const { after, before } = sides(pairs)
      expect(await patched(before, after)).toEqual(meaningOf(after, unordered))
    }), { arbitrary: { runs: 25 } })

  it.each([
    { agent: { token: "t", url: "https://example.com", extraEnv: { PATH_OF_A: "$(POD_NAME)", B: 1 } } },
    { persistence: { enabled: true }, restrictMetadataService: true, serviceAccount: { create: false, name: "theirs" } },
    {
      controller: {
        nodeSelector: { a: "b" },
        tolerations: [{ operator: "Exists" }],
        securityContext: { runAsUser: 7 },
        resources: { limits: null }
      },
      global: { imagePullSecrets: [{ name: "p" }] }
    }
  ])("of installations gives the one from the other, there and back: %j", async (values) => {
    const objects = (given: object) => JSON.parse(JSON.stringify(install(configOf(given)))) as ReadonlyArray<Built>
    expect(await patched(objects({}), objects(values))).toEqual(meaningOf(objects(values), unordered))
    expect(await patched(objects(values), objects({}))).toEqual(meaningOf(objects({}), unordered))
  })
})
