// Which files an engine reads as configuration, and what a stage says where there is none.
// Invariant: the file that we add does not count, though with it alone an engine plans to destroy all that the state has.
// Used by worker/stage/preparation.ts, worker/backing/root-module.ts and cli/run/archive.ts.
import { backendFileName } from "./added-files.ts"

/** Reports whether the engine reads a file of this name as configuration, and it is not the one that we add. `tofu`: see `readsTofuFiles`. */
export const isConfiguration = (name: string, tofu = true): boolean =>
  name !== backendFileName && !name.startsWith(".") && (tofu ? /\.(?:tf|tofu)(?:\.json)?$/u : /\.tf(?:\.json)?$/u).test(name)

/** Says how configuration ends. */
export const endings = (tofu: boolean): string => tofu ? ".tf or .tofu" : ".tf"

/** Returns why nothing is planned in a directory of the source. */
export const noConfiguration = (directory: string, engine: string, tofu: boolean): string =>
  `There is no configuration in ${
    directory === "" ? "the top directory" : `the directory ${directory}`
  } of the source: no file there ends in ${
    endings(tofu)
  }, which is all that ${engine} reads, and to plan nothing is to destroy all that the state has; name the directory that has it as the working directory, or ask for a destroy; where a wrapper of the engine in the runner image makes it, add an empty .tf file.`
