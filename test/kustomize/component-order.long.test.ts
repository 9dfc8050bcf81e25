// Every two components over the base in the other order than that of their names, which components.cluster.test.ts has.
import { expect, it } from "@effect/vitest"
import { isDeepStrictEqual } from "node:util"
import { components } from "../../src/generate/components.ts"
import { builtOver, type Chosen, expected, toCompare } from "./chosen-components.ts"

const names = components.map(({ name }) => name)
const reversed: ReadonlyArray<Chosen> = names.flatMap((one, index) => names.slice(index + 1).map((other) => [other, one]))

it("means the same in any order but for what the README says to list after another, since it changes that one's objects", async () => {
  const results = await builtOver(reversed)
  const differs = reversed.filter((chosen) => {
    const objects = results.get(chosen.join()) ?? new Error("not built")
    if (objects instanceof Error) throw objects
    return !isDeepStrictEqual(toCompare(objects), expected(chosen, objects))
  })
  expect(differs.map(([first, second]) => `${first} before ${second}`)).toEqual([
    "node-cache before admission",
    "node-cache before namespaces",
    "restricted-egress before restrict-metadata",
    "server-tls before server"
  ])
}, 900_000)
