// The command that makes a Secret of files, as it is told to a person.
// Pure. No value of a Secret is in it.
// Used by core/migration/hand-over, cli/values/write-overlay and cli/commands/overlay.
import { shellWord } from "./shell-word.ts"

/** `files` has the file of each key; one that is called as its key needs no more than that. */
export const makeSecret = (namespace: string, name: string, files: Readonly<Record<string, string>>): string =>
  [
    `kubectl -n ${namespace} create secret generic ${name}`,
    ...Object.entries(files).map(([key, file]) => `--from-file=${shellWord(file === key ? key : `${key}=${file}`)}`)
  ].join(" ")
