// Values files made from their JSON Schema: most of its keys, of what it allows, and some with a mistake in them.
// Used by the tests of this folder.
import { Schema } from "effect"
import { isTree, type Tree } from "../../../src/schema/document/layers.ts"
import { type Node, valuesFileDocument } from "../../../src/schema/values/values-document.ts"

const texts = [
  "",
  "a",
  "b",
  "other-1",
  "A_b",
  "/data",
  "/data:x",
  "https://example.com",
  "http://proxy.example.com:3128",
  "1.2",
  "50%",
  "5Gi",
  "5GB",
  "has spaces",
  "192.0.2.1",
  "hashicorp/aws",
  "-",
  "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
]
const numbers = [0, 1, -1, 1.5, 59, 600, 2147483647, 2147483648]
const names = ["a", "example.com/b", "b.c", "1A", "has space", "scalr.io/task", "cpu"]
const anything: ReadonlyArray<unknown> = [
  ...texts,
  ...numbers,
  true,
  null,
  {},
  [],
  [{}],
  { a: null },
  { name: "a" },
  [{ name: "a" }],
  [null]
]

/** The JSON Schema that the files are made from. */
export const document = valuesFileDocument()
const fitting = (all: ReadonlyArray<string>, pattern: unknown): ReadonlyArray<string> =>
  typeof pattern === "string" ? all.filter((_) => new RegExp(pattern, "u").test(_)) : all
const inRange = ({ maximum, minimum, type }: Node, value: number): boolean =>
  (typeof minimum !== "number" || value >= minimum) && (typeof maximum !== "number" || value <= maximum) &&
  (type === "number" || Number.isInteger(value))

/**
 * Makes a file from a tape of numbers, each of which decides a choice. Where the tape ends, every choice is the plainest one. `isRight`:
 * nothing that the schema does not allow.
 */
export const made = (tape: ReadonlyArray<number>, isRight = false): Tree => {
  let position = 0
  const below = (limit: number): number => (tape[position++] ?? 0) % limit
  const mistaken = below(4) !== 0 && !isRight
  const seldom = (every: number): boolean => mistaken && below(every) === 1
  const one = <A>(all: ReadonlyArray<A>): A | undefined => all[below(all.length)]
  const some = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
    Array.from({ length: below(4) }, () => one(all)).filter((_) => _ !== undefined)

  const text = ({ enum: allowed, pattern }: Node): unknown => {
    if (Array.isArray(allowed)) return one(allowed)
    return one(fitting(texts, pattern))
  }
  const map = (node: Node): Record<string, unknown> => {
    const { additionalProperties: entries, properties, required } = node
    const known = Object.entries(isTree(properties) ? properties : {})
    const needed = known.filter(([key]) => Array.isArray(required) && required.includes(key) && !seldom(12))
    const values = [...needed, ...some(known)].map(([key, inner]): [string, unknown] => [seldom(40) ? `${key}x` : key, value(inner)])
    return Object.fromEntries([
      ...values,
      ...(isTree(entries)
        ? some(seldom(20) ? names : fitting(names, isTree(node["propertyNames"]) ? node["propertyNames"]["pattern"] : undefined)).map((
          name
        ): [string, unknown] => [name, value(entries)])
        : [])
    ])
  }
  const value = (node: unknown): unknown => {
    if (seldom(24)) return one(anything)
    if (!isTree(node)) return one(anything)
    if (Array.isArray(node["anyOf"])) return value(one<unknown>(node["anyOf"]))
    if (Array.isArray(node["type"]) && below(8) === 7) return null
    switch (Array.isArray(node["type"]) ? node["type"][0] : node["type"]) {
      case "object":
        return map(node)
      case "array":
        return Array.from({ length: below(3) }, () => value(node["items"]))
      case "boolean":
        return below(2) === 1
      case "integer":
      case "number":
        return one(seldom(10) ? numbers : numbers.filter((_) => inRange(node, _)))
      case "string":
        return text(node)
      default:
        return null
    }
  }
  return map(document)
}
export const Tape = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))).check(
  Schema.isMinLength(40),
  Schema.isMaxLength(160)
)
