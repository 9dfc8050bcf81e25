// What is on the disk after a file was stored as a whole, or could not be stored.
import { execFileSync } from "node:child_process"
import fs, {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it, vi } from "vitest"
import { putWhole, storeWhole, sync } from "../../../src/worker/volume/whole-file.ts"

const inFolder = (use: (folder: string) => void): void => {
  const folder = mkdtempSync(join(tmpdir(), "agent-job-kept-"))
  try {
    use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Returns the paths of what `use` flushes to the disk, with what was in the folder then. */
const flushedIn = (folder: string, use: () => void) => {
  const flushed: Array<readonly [path: string, there: ReadonlyArray<string>]> = []
  const spy = vi.spyOn(fs, "fsyncSync").mockImplementation((descriptor) =>
    void flushed.push([readlinkSync(`/proc/self/fd/${descriptor}`), readdirSync(folder)])
  )
  syncBuiltinESMExports()
  try {
    use()
    return flushed
  } finally {
    spy.mockRestore()
    syncBuiltinESMExports()
  }
}

describe("a file that is stored as a whole", () => {
  it("is there, alone, and only the worker's to read", () =>
    inFolder((folder) => {
      storeWhole(join(folder, "state"), Buffer.from("one"))
      storeWhole(join(folder, "state"), Buffer.from("two"))
      expect([readdirSync(folder), readFileSync(join(folder, "state"), "utf8")]).toEqual([["state"], "two"])
      expect(statSync(join(folder, "state")).mode & 0o777).toBe(0o600)
    }))

  it("is on the disk before it has its name, and then its name is", () =>
    inFolder((made) => {
      const folder = realpathSync(made)
      expect(flushedIn(folder, () => storeWhole(join(folder, "state"), Buffer.from("one")))).toEqual([
        [join(folder, "state.new"), ["state.new"]],
        [folder, ["state"]]
      ])
    }))

  it("leaves nothing beside it when the disk is full", () =>
    inFolder((folder) => {
      const fillsUp = (fd: number) => {
        writeFileSync(fd, "half")
        throw new Error("ENOSPC")
      }
      expect(() => putWhole(join(folder, "state"), fillsUp)).toThrow("ENOSPC")
      expect(readdirSync(folder)).toEqual([])
    }))

  it("is written nowhere else by a link that somebody has put beside its place", () =>
    inFolder((folder) => {
      writeFileSync(join(folder, "other"), "another's")
      symlinkSync("other", join(folder, "state.new"))
      storeWhole(join(folder, "state"), Buffer.from("one"))
      expect(["other", "state"].map((name) => readFileSync(join(folder, name), "utf8"))).toEqual(["another's", "one"])
      expect(readdirSync(folder)).toEqual(["other", "state"])
    }))

  it("is written nowhere else by a link that somebody puts there meanwhile", () =>
    inFolder((folder) => {
      writeFileSync(join(folder, "other"), "another's")
      putWhole(join(folder, "state"), (fd) => {
        rmSync(join(folder, "state.new"))
        symlinkSync("other", join(folder, "state.new"))
        writeFileSync(fd, "one")
      })
      expect(readFileSync(join(folder, "other"), "utf8")).toBe("another's")
    }))

  it("leaves nothing beside it when it cannot take its place", () =>
    inFolder((folder) => {
      mkdirSync(join(folder, "state"))
      expect(() => storeWhole(join(folder, "state"), Buffer.from("one"))).toThrow()
      expect(readdirSync(folder)).toEqual(["state"])
    }))
})

describe("a file that is flushed", () => {
  it("holds up no worker when somebody has put a named pipe in its place", () =>
    inFolder((folder) => {
      execFileSync("mkfifo", [join(folder, "key")])
      expect(() => sync(join(folder, "key"))).toThrow("EINVAL")
    }))
})
