// What is on the disk after a file was stored as a whole, or could not be stored.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { storeWhole } from "../../../src/worker/volume/whole-file.ts"

const inFolder = (use: (folder: string) => void): void => {
  const folder = mkdtempSync(join(tmpdir(), "agent-job-kept-"))
  try {
    use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe("a file that is stored as a whole", () => {
  it("is there, alone", () =>
    inFolder((folder) => {
      storeWhole(join(folder, "state"), Buffer.from("one"))
      storeWhole(join(folder, "state"), Buffer.from("two"))
      expect([readdirSync(folder), readFileSync(join(folder, "state"), "utf8")]).toEqual([["state"], "two"])
    }))

  it("leaves nothing beside it when the disk is full", () =>
    inFolder((folder) => {
      symlinkSync("/dev/full", join(folder, "state.new"))
      expect(() => storeWhole(join(folder, "state"), Buffer.from("one"))).toThrow("ENOSPC")
      expect(readdirSync(folder)).toEqual([])
    }))

  it("leaves nothing beside it when it cannot take its place", () =>
    inFolder((folder) => {
      mkdirSync(join(folder, "state"))
      expect(() => storeWhole(join(folder, "state"), Buffer.from("one"))).toThrow()
      expect(readdirSync(folder)).toEqual(["state"])
    }))
})
