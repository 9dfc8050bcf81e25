// How layers of values are laid over each other, and which layer is answerable for the result.
import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { answerable, difference, type Layer, merge, saying, type Tree, union, valueAt } from "../../../src/schema/document/layers.ts"

/** Returns maps of few keys, so that layers meet, each of which may be missing. */
const mapOf = <S extends Schema.Top>(value: S) =>
  Schema.Struct({ a: Schema.optionalKey(value), b: Schema.optionalKey(value), c: Schema.optionalKey(value) })
const Leaf = Schema.Union([Schema.Literals([1, 2]), Schema.Literals(["x", ""]), Schema.Boolean, Schema.Array(Schema.Literals([1, 2]))])
const Map1 = mapOf(Leaf)
const AnyTree = mapOf(Schema.Union([Leaf, Map1, mapOf(Schema.Union([Leaf, Map1]))]))
const WithNull = mapOf(Schema.Union([Leaf, Schema.Null, mapOf(Schema.Union([Leaf, Schema.Null, Map1]))]))

const leaves = (node: unknown, path: ReadonlyArray<string> = []): ReadonlyArray<readonly [path: ReadonlyArray<string>, value: unknown]> =>
  typeof node === "object" && node !== null && !Array.isArray(node)
    ? Object.entries(node).flatMap(([key, value]) => leaves(value, [...path, key]))
    : [[path, node]]

const layer = (name: string, tree: Tree): Layer => ({ name, tree, place: (path) => ({ line: path.length + 1, column: 1 }) })

describe("merge", () => {
  it.each([
    { given: "maps, key by key", below: { a: { b: 1, c: 2 } }, above: { a: { c: 3 } }, gives: { a: { b: 1, c: 3 } } },
    { given: "a list, as a whole", below: { a: [1, 2] }, above: { a: [3] }, gives: { a: [3] } },
    { given: "a single value over a map", below: { a: { b: 1 } }, above: { a: "" }, gives: { a: "" } },
    { given: "a map over a single value", below: { a: 1 }, above: { a: { b: 1, c: null } }, gives: { a: { b: 1 } } },
    { given: "null, which takes away", below: { a: { b: 1, c: 2 }, d: 1 }, above: { a: { b: null }, d: null }, gives: { a: { c: 2 } } }
  ])("lays $given", ({ above, below, gives }) => expect(merge(below, above)).toEqual(gives))

  it.prop(
    "lets the later layer win wherever it sets something",
    [Arbitrary.schema(AnyTree), Arbitrary.schema(WithNull)],
    ([below, above]) => {
      const both = merge(below, above)
      for (const [path, value] of leaves(above)) {
        const said = saying(both, path)
        if (value === null) expect(said.says).not.toBe("this")
        else expect(said).toEqual({ says: "this", value })
      }
    }
  )

  it.prop("undoes what difference finds", [Arbitrary.schema(AnyTree), Arbitrary.schema(AnyTree)], ([below, above]) => {
    expect(merge(below, difference(below, above))).toEqual(above)
  })
})

describe("union", () => {
  it.prop("says all that the later layer says, null too, and besides it what the other one says", [
    Arbitrary.schema(WithNull),
    Arbitrary.schema(WithNull)
  ], ([below, above]) => {
    const both = union(below, above)
    for (const [path, value] of leaves(above)) expect(saying(both, path)).toEqual({ says: "this", value })
    for (const [path, value] of leaves(below)) {
      if (saying(above, path).says === "nothing") expect(saying(both, path)).toEqual({ says: "this", value })
    }
  })
})

describe("a value at a path", () => {
  it.each([
    { path: ["a", 1, "b"], value: 2 },
    { path: ["a", 2], value: undefined },
    { path: ["a", "length"], value: undefined },
    { path: ["toString"], value: undefined },
    { path: ["constructor", "name"], value: undefined }
  ])("is what the data itself has: $path", ({ path, value }) => expect(valueAt({ a: [1, { b: 2 }] }, path)).toEqual(value))

  it("is nothing that a map has by itself, nor an item past the end of a list", () =>
    expect([["toString"], ["list", 1]].map((path) => saying({ list: [1] }, path).says)).toEqual(["nothing", "instead"]))
})

describe("answerable", () => {
  const layers = [
    layer("low", { a: { b: 1, c: 2 }, list: [{ name: "x" }, { name: "y" }] }),
    layer("middle", { a: { b: 3 }, list: [{ size: 1 }] }),
    layer("high", { a: { d: 4 } })
  ]
  it.each([
    { path: ["a", "b"], name: "middle", line: 3, because: "set it last" },
    { path: ["a", "c"], name: "low", line: 3, because: "alone set it" },
    { path: ["a", "missing"], name: "high", line: 2, because: "set what is around it last" },
    { path: ["list", 0, "name"], name: "middle", line: 4, because: "replaced the list, in which it is missing" },
    { path: ["nowhere"], name: "high", line: 1, because: "is the last one" }
  ])("is for $path the layer that $because", ({ line, name, path }) => {
    const by = answerable(layers, path)
    expect([by.name, by.place?.line]).toEqual([name, line])
  })
  it("is nobody where there are no layers", () => expect(answerable([], ["a"])).toEqual({ index: -1, name: "the values" }))
})
