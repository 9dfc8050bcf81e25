// Each deliberate bug can still be planted, and the test that has to catch it exists. `make mutants` takes too long for every change.
import { expect, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { mutants } from "./mutants.ts"

it.each(mutants)("$name has its place, once", ({ file, from, test }) => {
  expect(readFileSync(file, "utf8").split(from)).toHaveLength(2)
  expect(existsSync(`test/${test}`)).toBe(true)
})
