import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeDirectory } from "../../../src/server/store/make-directory.ts"
import { directory } from "../live-server.ts"

const failure = (path: string) => Effect.map(Effect.flip(Effect.tryPromise(() => makeDirectory(path))), ({ cause }) => String(cause))

describe("a directory", () => {
  it.effect("is made with those above it, for its owner alone, and is left as it is where it is there", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "a", "b")
      yield* Effect.promise(() => makeDirectory(path))
      yield* Effect.promise(() => makeDirectory(path))
      expect([path, join(path, "..")].map((made) => statSync(made).mode & 0o777)).toEqual([0o700, 0o700])
    }))

  it.effect("is not made where a file is in its place or above it", () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "file")
      writeFileSync(file, "")
      expect(yield* failure(file)).toContain(`mkdir '${file}'`)
      expect(yield* failure(join(file, "a"))).toContain(`mkdir '${file}'`)
    }))

  it.effect("is not made where nothing can be made, and that is found out in time", () =>
    Effect.gen(function*() {
      expect(yield* failure("/proc/a/b")).toContain("mkdir '/proc/a'")
    }))
})
