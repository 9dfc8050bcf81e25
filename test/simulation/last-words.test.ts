// That a simulation leaves no folder behind, however its process ends.
import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { forgetLastWords, lastWordsOf } from "./last-words.ts"

const module = new URL("./last-words.ts", import.meta.url).href

/** Returns the folder of a process that runs this, after the process has ended. */
const folderAfter = (script: string): string =>
  dirname(
    spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).stdout.trim()
  )
const told = `const words = await import(${JSON.stringify(module)}); const path = words.lastWordsOf("one"); console.log(path);`

describe("the folder of last words", () => {
  it.each([
    { end: "ends by itself", script: told },
    { end: "fails", script: `${told} throw new Error("a violation")` },
    {
      end: "is ended by a signal while it waits for its threads",
      script:
        `${told} setInterval(() => {}, 60_000); void words.untilThreads(new Promise(() => {}), async () => {}); process.kill(process.pid, "SIGTERM")`
    }
  ])("is gone when its process $end", ({ script }) => {
    const folder = folderAfter(script)
    expect(folder).toMatch(/\/simulation-\d+$/u)
    expect(existsSync(folder)).toBe(false)
  })

  it("is gone after each file of tests, and there again for the next", () => {
    for (const name of ["one", "two"]) {
      const folder = dirname(lastWordsOf(name))
      expect(existsSync(folder)).toBe(true)
      forgetLastWords()
      expect(existsSync(folder)).toBe(false)
    }
  })
})
