// The files that a person names: their paths as people read them, and their content, which may come from standard input.
// Used by the flags for files, by cli/values, and by the commands vars, state, overlay and migrate.
import { readFile } from "node:fs/promises"
import { relative } from "node:path"
import { buffer } from "node:stream/consumers"

/** The path that means standard input. It is never opened by this name, because that fails if it is a socket. */
export const standardInput = "/dev/stdin"

/** Returns a path for people: relative to the working directory if it is that or below it, else unchanged. */
export const shownPath = (path: string): string => {
  const below = relative(process.cwd(), path)
  return below.startsWith("..") ? path : below || "."
}

/** Reads without holding up the program, which Ctrl-C could not end before a pipe has its writer. */
export const readInput = (path: string): Promise<Buffer> => path === standardInput ? buffer(process.stdin) : readFile(path)
