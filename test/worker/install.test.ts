// The exec loop on the shared volume, before the runner starts it.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { install } from "../../src/worker/install.ts"
import { temporaryFolder } from "../temporary-folder.ts"

const place = temporaryFolder("install")

describe("install", () => {
  it.effect("puts the exec loop where the runner's command looks for it, readable for its group", () =>
    Effect.gen(function*() {
      const directory = yield* place
      yield* install(directory)
      expect(readFileSync(join(directory, "exec/exec-loop.sh"), "utf8")).toBe(readFileSync("src/runner/exec-loop.sh", "utf8"))
      expect(readdirSync(join(directory, "exec"))).toEqual(["exec-loop.sh"])
      expect(lstatSync(join(directory, "exec/exec-loop.sh")).mode & 0o777).toBe(0o750)
      expect(lstatSync(join(directory, "exec")).mode & 0o7777).toBe(0o2770)
    }))

  it.effect("may be done again", () =>
    Effect.gen(function*() {
      const directory = yield* place
      yield* install(directory)
      yield* install(directory)
      expect(readdirSync(join(directory, "exec"))).toEqual(["exec-loop.sh"])
    }))

  it.effect("says what is in the way", () =>
    Effect.gen(function*() {
      const directory = yield* place
      writeFileSync(join(directory, "exec"), "")
      expect(yield* Effect.flip(install(directory))).toMatchObject({ message: expect.stringContaining("/exec") })
    }))
})
