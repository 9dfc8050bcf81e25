// Reads the files that an engine takes for the configuration of the root module, one after the other.
// Invariant: nothing outside of the configuration is read, nor a file that is larger than a person writes.
// Used by worker/backing/encryption-commands.ts and worker/backing/unused-backend.ts.
import { Effect, Option } from "effect"
import { backendFileName } from "../../core/stage/added-files.ts"
import { isConfiguration } from "../../core/stage/configuration-files.ts"
import { linkedTo, namesIn, readFile } from "../volume/folder.ts"
import type { Provisioned } from "./backing.ts"

const limitBytes = 1024 * 1024

/**
 * Returns the first that `look` finds, also in a file that a link leads to: some choose their backend by one. Of a file that is not read
 * there is no text. The file that we add is among them, since without a backend of ours it came with the configuration.
 */
export const inRootModule = Effect.fnUntraced(
  function*<A>({ directory, root }: Provisioned, look: (name: string, text: string | undefined) => A | undefined) {
    for (const name of yield* namesIn(root, directory)) {
      if (name !== backendFileName && !isConfiguration(name)) continue
      const here = [...directory, name]
      const content = yield* readFile(root, Option.getOrElse(yield* linkedTo(root, here), () => here), limitBytes)
      const found = look(name, Option.getOrUndefined(Option.map(content, (bytes) => new TextDecoder().decode(bytes))))
      if (found !== undefined) return Option.some(found)
      yield* Effect.yieldNow // the runner may make many files, as large as they may be
    }
    return Option.none<A>()
  }
)
