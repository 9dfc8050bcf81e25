// Trees that a hostile runner left, with links to everywhere: the worker reads, writes and removes nothing outside of them.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isFolder, makeFolder, openFolder, readFile, removeFile, writeFile } from "../../src/worker/volume/folder.ts"
import { tell } from "./figures.ts"
import { Chance } from "./random.ts"

const trees = Math.min(20_000, Number(process.env.FUZZ_INPUTS ?? 1000))
const seed = Number(process.env.PROPERTY_SEED ?? 1)
const names = ["a", "b", "c"]
const secret = "the worker's own"

/** Fills the folder with files, folders and links, under the few names that the test asks for later. */
const grow = (chance: Chance, folder: string, outside: string, depth: number): void => {
  for (const name of names.filter(() => chance.often(0.7))) {
    const path = join(folder, name)
    const kind = chance.below(depth > 2 ? 3 : 5)
    if (kind === 0) writeFileSync(path, "the runner's")
    else if (kind <= 2) {
      symlinkSync(
        chance.one([
          outside,
          join(outside, "token"),
          "../../outside",
          "../outside/token",
          "../../../outside/token",
          ".",
          "..",
          name,
          "a",
          "b/c",
          "/",
          "/proc/self/fd/0",
          "/dev/zero",
          "x".repeat(200)
        ]),
        path
      )
    } else {
      mkdirSync(path)
      grow(chance, path, outside, depth + 1)
    }
  }
}

describe("a tree of links", () => {
  it.live("lets nothing out and nothing in", () =>
    Effect.gen(function*() {
      const chance = new Chance(seed)
      const crashes: Array<string> = []
      for (let tree = 0; tree < trees; tree++) {
        const place = mkdtempSync(join(tmpdir(), "agent-job-tree-"))
        const outside = join(place, "outside")
        for (const folder of ["root", "outside"]) mkdirSync(join(place, folder))
        writeFileSync(join(outside, "token"), secret)
        grow(chance, join(place, "root"), outside, 0)
        const read = yield* Effect.scoped(Effect.gen(function*() {
          const root = yield* openFolder(join(place, "root"))
          const asked = Array.from({ length: 8 }, () => Array.from({ length: 1 + chance.below(3) }, () => chance.one([...names, "token"])))
          const found = yield* Effect.forEach(asked, (segments) => Effect.option(readFile(root, segments, 1000)))
          for (const segments of asked.slice(0, 4)) {
            isFolder(root, segments)
            yield* Effect.ignore(Effect.try(() => makeFolder(root, segments)))
            yield* Effect.ignore(writeFile(root, segments, "written"))
            if (chance.often(0.3)) yield* Effect.ignore(removeFile(root, segments))
          }
          return found.map((bytes) => bytes._tag === "Some" && bytes.value._tag === "Some" ? Buffer.from(bytes.value.value).toString() : "")
            .join()
        }))
        const left = readdirSync(outside)
        if (
          read.includes(secret) || left.length !== 1 || readFileSync(join(outside, "token"), "utf8") !== secret ||
          !lstatSync(join(outside, "token")).isFile()
        ) crashes.push(`tree ${tree}: it holds ${left.join()}`)
        rmSync(place, { recursive: true })
      }
      tell("folders", seed, { of: "decoderInputs", inputs: trees, failures: crashes.length })
      expect(crashes).toEqual([])
    }))
})
