// Random choices from a seed, and values made by a JSON Schema: some that it allows, and some that it should refuse.
// Used by the fuzz tests; the same seed gives the same requests.

type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

export interface JsonSchema {
  readonly type?: string
  readonly enum?: ReadonlyArray<Json>
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: ReadonlyArray<string>
  readonly items?: JsonSchema
  readonly anyOf?: ReadonlyArray<JsonSchema>
  readonly allOf?: ReadonlyArray<JsonSchema>
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly $ref?: string
}

export class Chance {
  private state: number
  constructor(seed: number) {
    this.state = seed >>> 0
  }
  /** Returns a number from 0 up to but not including 1, by mulberry32. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  below(end: number): number {
    return Math.floor(this.next() * end)
  }
  often(share: number): boolean {
    return this.next() < share
  }
  one<A>(all: ReadonlyArray<A>): A {
    const chosen = all[this.below(all.length)]
    if (chosen === undefined) throw new Error("nothing to choose from")
    return chosen
  }
}

/** Texts that programs have stumbled over; the first is the empty text. */
export const hostileTexts: ReadonlyArray<string> = [
  "",
  " ",
  ".",
  "..",
  "../../etc/passwd",
  "%2e%2e%2f",
  "%00",
  "%",
  "%zz",
  "a".repeat(300),
  "a".repeat(5000),
  "__proto__",
  "constructor",
  "toString",
  "null",
  "undefined",
  "NaN",
  "-1",
  "0",
  "1e309",
  "9007199254740993",
  "'; DROP TABLE runs; --",
  "\" OR 1=1",
  "${jndi:ldap://x}",
  "{{7*7}}",
  "<script>alert(1)</script>",
  "\r\nset-cookie: a=b",
  "\u0000",
  "\u001b[2J",
  "\ud800",
  "𝒳",
  "é",
  "e\u0301",
  "\u202e",
  "\ufeff",
  "run-",
  "run-x.plan.1",
  "[",
  "{\"a\":",
  "true"
]

const hostile: ReadonlyArray<Json> = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  -1e308,
  2 ** 53,
  2 ** 31,
  [],
  {},
  [[]],
  { "": "" },
  JSON.parse("{\"__proto__\":{\"a\":1}}"),
  ...hostileTexts
]

const text = (chance: Chance, { pattern }: JsonSchema): string => {
  if (pattern === undefined) return chance.often(0.3) ? chance.one(hostileTexts) : `text ${chance.below(1000)}`
  if (pattern.includes("a-f0-9") || pattern.includes("0-9a-f")) return "0123456789abcdef".repeat(4)
  if (pattern.startsWith("^run-")) return `run-${chance.below(1e6)}`
  if (pattern.includes("\\d{4}") || pattern.includes("T")) return "2026-01-31T12:00:00Z"
  return chance.one(["demo", "a", "plan", "x1", "name"])
}

/** Returns a value that the schema most likely allows; texts are often chosen from `names`, if there are any. */
export const valid = (chance: Chance, schema: JsonSchema, names: ReadonlyArray<string> = []): Json => {
  if (schema.allOf?.[0] !== undefined) {
    return valid(chance, Object.assign({}, schema, ...schema.allOf, { allOf: undefined }) as JsonSchema, names)
  }
  if (schema.enum !== undefined) return chance.one(schema.enum)
  if (schema.anyOf !== undefined) return valid(chance, chance.one(schema.anyOf), names)
  switch (schema.type) {
    case "string":
      return names.length > 0 && chance.often(0.4) ? chance.one(names) : text(chance, schema)
    case "integer":
    case "number":
      return chance.one([Math.max(schema.minimum ?? 0, 0), Math.max(schema.minimum ?? 1, 1), Math.min(schema.maximum ?? 100, 100)])
    case "boolean":
      return chance.often(0.5)
    case "null":
      return null
    case "array":
      return Array.from({ length: chance.below(3) }, () => valid(chance, schema.items ?? {}, names))
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([key]) => schema.required?.includes(key) === true || chance.often(0.5))
          .map(([key, property]) => [key, key === "waitSeconds" ? 0 : valid(chance, property, names)])
      )
    default:
      return chance.one(hostile)
  }
}

/** Returns the value with one place changed or removed, or with something added in one place. */
export const damaged = (chance: Chance, value: Json): Json => {
  if (typeof value !== "object" || value === null || chance.often(0.2)) return chance.one(hostile)
  if (Array.isArray(value)) {
    return value.length === 0 || chance.often(0.3)
      ? [...value, chance.one(hostile)]
      : value.with(chance.below(value.length), damaged(chance, value[0] as Json)) as ReadonlyArray<Json>
  }
  const entries = Object.entries(value as { readonly [key: string]: Json })
  if (entries.length === 0 || chance.often(0.2)) return { ...value, [chance.one(hostileTexts)]: chance.one(hostile) }
  const at = chance.below(entries.length)
  return Object.fromEntries(
    chance.often(0.3)
      ? entries.toSpliced(at, 1)
      : entries.map(([key, inner], index) => [key, index === at ? damaged(chance, inner) : inner])
  )
}
