// What an error of the operating system says, as Node hands it on: its code for a program, its words for a person.
// Used where a file cannot be read or written: by the command line, the controller, the server and the worker, and where a connection fails.
import { Predicate } from "effect"

/** Returns the error code of the operating system or zlib, such as ENOSPC; an empty string if the error has none. */
export const codeOf = (cause: unknown): string => Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : ""

/** Returns an error's message: of the operating system's its words alone, since the sentence around them names the file and what was done. */
export const errorInWords = (cause: unknown): string =>
  cause instanceof Error ? cause.message.replace(/^E[A-Z0-9]+: ([^,]+), .*$/su, "$1") : String(cause)

/** Returns why a file cannot be read, in a few words. */
export const whyUnreadable = (cause: unknown): string => codeOf(cause) === "ENOENT" ? "it is not there" : errorInWords(cause)
