// A field that a table lacks is lost on the way to the core, and nothing else says so.
import { describe, expect, it } from "@effect/vitest"
import type { SchemaAST } from "effect"
import { jobs, pods } from "../../src/kubernetes/kinds.ts"
import type { Fields } from "../../src/kubernetes/protobuf.ts"
import { Job, Pod } from "../../src/schema/kubernetes/kubernetes.ts"

const keysOf = (ast: SchemaAST.AST): ReadonlyMap<string, SchemaAST.AST> =>
  ast._tag === "Arrays" && ast.rest[0] !== undefined
    ? keysOf(ast.rest[0])
    : new Map(ast._tag === "Objects" ? ast.propertySignatures.map(({ name, type }) => [String(name), type]) : [])

/** Says which fields the table or the schema alone has. A field without a table of its own is read whole. */
const differences = (table: Fields, schema: SchemaAST.AST, at = ""): ReadonlyArray<string> => {
  const read = new Map(Object.values(table).map(({ fields, name }) => [name, fields]))
  const asked = keysOf(schema)
  return [
    ...[...asked.keys()].filter((key) => !read.has(key)).map((key) => `the table lacks ${at}${key}`),
    ...[...read.keys()].filter((key) => !asked.has(key)).map((key) => `no schema asks for ${at}${key}`),
    ...[...asked].flatMap(([key, type]) => {
      const fields = read.get(key)
      return fields === undefined ? [] : differences(fields, type, `${at}${key}.`)
    })
  ]
}

describe("the fields that a watch reads", () => {
  const forInformers = "no schema asks for metadata.namespace"
  it.each([
    { watch: "Jobs", kind: jobs, schema: Job, but: [forInformers] },
    { watch: "Pods", kind: pods, schema: Pod, but: [forInformers, "no schema asks for metadata.annotations"] }
  ])(
    "of $watch are those that their schema asks for",
    ({ but, kind, schema }) => expect(differences(kind.watched ?? {}, schema.ast)).toEqual(but)
  )
})
