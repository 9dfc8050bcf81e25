// Every component alone and every two of them over the base, built once and checked in several ways.
// What was built is what the values in the ConfigMap render: a component's layer and its patches never disagree, nor do two components.
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { components } from "../../src/generate/components.ts"
import { substitute } from "../gitops/substitute.ts"
import { begin, dryRun, end } from "./api-server.ts"
import { type Built, idOf } from "./build.ts"
import { builtOver, type Chosen, expected, toCompare } from "./chosen-components.ts"

const names = components.map(({ name }) => name)
const pairs = names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other]))
const combinations: ReadonlyArray<Chosen> = [[], ...names.map((name) => [name]), ...pairs, ["mtls", "admission"]]

let results: Awaited<ReturnType<typeof builtOver>> = new Map()

beforeAll(async () => {
  await begin()
  results = await builtOver(combinations)
})
afterAll(end)

const builtOf = (chosen: Chosen): ReadonlyArray<Built> => {
  const found = results.get(chosen.join())
  if (found === undefined || found instanceof Error) throw found ?? new Error("not built")
  return found
}

describe("what its values render, and what its components bring, is built of", () => {
  it.each(combinations.map((chosen) => ({ of: ["the base", ...chosen].join(" and "), chosen })))("$of", ({ chosen }) => {
    const objects = builtOf(chosen)
    expect(toCompare(objects)).toEqual(expected(chosen, objects))
  })
})

describe("Flux, which takes ${…} for a variable and refuses one without a value,", () => {
  it.each(names)("leaves whatever is built of the base and %s as it is", (name) => {
    const objects = builtOf([name])
    expect(objects.map(substitute({}))).toEqual(objects)
  })
})

describe("a real API server", () => {
  it("takes whatever is built, field for field", async () => {
    const distinct = new Map(
      [...results.values()].flatMap((_) => _ instanceof Error ? [] : _).map((object) => [JSON.stringify(object), object])
    )
    const objects = [...distinct.values()].sort((a, b) => idOf(a) < idOf(b) ? -1 : 1)
    expect(await dryRun(objects)).toHaveLength(objects.length)
  })
})
