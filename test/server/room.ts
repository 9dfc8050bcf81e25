// Lets the disk of the servers in this process show as much room as a test says.
// Used by the tests of what a server does while little room is left, and of what its metrics say of it.
import { vi } from "@effect/vitest"
import { Effect } from "effect"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

/** Returns a disk that shows so much room until the scope closes, and counts how often it was asked. `files` and `blocks`: what it has in all. */
export const diskWith = (freeBytes: number, freeFiles = 1e6, files = 1e6, blocks = 1e6) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const disk = { freeBytes, freeFiles, files, asked: 0 }
      const { statfsSync } = fs
      const told = (path: fs.PathLike) => {
        disk.asked++
        return { ...statfsSync(path), bavail: disk.freeBytes / 1000, blocks, bsize: 1000, ffree: disk.freeFiles, files: disk.files }
      }
      const spies = [
        vi.spyOn(fs, "statfsSync").mockImplementation(told),
        vi.spyOn(fs.promises, "statfs").mockImplementation((path) => Promise.resolve(told(path)))
      ]
      syncBuiltinESMExports()
      return { disk, spies }
    }),
    ({ spies }) =>
      Effect.sync(() => {
        for (const spy of spies) spy.mockRestore()
        syncBuiltinESMExports()
      })
  ).pipe(Effect.map(({ disk }) => disk))
