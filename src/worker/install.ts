// Puts the exec loop on the volume that the runner shares, before the runner's container starts it.
// Invariant: the file appears complete; the directory admits the runner's user by its group.
// Run by the Pod's init container as `agent-job install <directory>`.
import { Effect } from "effect"
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { execDir } from "../core/task/places.ts"
import { fileTrouble, type StageFailed } from "./stage-failed.ts"

const script = "exec-loop.sh"

/** Returns the path of the script: beside the bundle, or where the sources have it. */
const found = (): string =>
  [join(import.meta.dirname, script), join(import.meta.dirname, "..", "runner", script)].find(existsSync) ?? script

/** Copies the exec loop to `exec` below the directory. */
export const install = (dataDirectory: string): Effect.Effect<void, StageFailed> => {
  const directory = execDir(dataDirectory)
  return Effect.try({
    try: () => {
      mkdirSync(directory, { recursive: true })
      chmodSync(directory, 0o2770) // the runner may be another user of the worker's group
      const hidden = join(directory, `.${script}`)
      copyFileSync(found(), hidden)
      chmodSync(hidden, 0o750)
      renameSync(hidden, join(directory, script))
    },
    catch: fileTrouble(directory)
  })
}
