// The flag of V8 by which the controller takes less memory. The figure is one of `make bench`.
import { expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { laterOptimized } from "../../../src/cli/commands/controller.ts"

/** The last words of a Node that was started with the flag. Within a program V8 would only print them, and go on without. */
const saysOf = (flag: string) => spawnSync(process.execPath, [flag, "--eval", "0"], { encoding: "utf8" }).stderr

it("sets a flag of V8 that this version of Node has", () => {
  expect(saysOf(laterOptimized)).toBe("")
  expect(saysOf(laterOptimized.replace("maglev", "other"))).toContain("bad option")
})
