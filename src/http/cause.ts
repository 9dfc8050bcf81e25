// Why a request of our own failed: the errors around the innermost cause say only that it failed.
// Invariant: no reason quotes an answer, since an answer may hold a token.
// Used by controller/pool/pool, worker/network/task-api, worker/network/archive-url and http/failure-words.
import { Predicate } from "effect"
import { codeOf } from "../schema/system-error.ts"

/** Returns an error and the causes under it, the innermost last. */
export const causesOf = (error: unknown): ReadonlyArray<unknown> =>
  Predicate.hasProperty(error, "cause") && error.cause !== undefined ? [error, ...causesOf(error.cause)] : [error]

/** Returns the innermost cause of an error on one line: its code if it has one, such as ECONNREFUSED, else its message. */
export const reasonOf = (error: unknown): string => {
  const innermost = causesOf(error).at(-1)
  if (innermost instanceof SyntaxError) return "it answers what is not JSON"
  const code = codeOf(innermost)
  if (code !== "") return code
  return innermost instanceof Error && innermost.message !== "" ? innermost.message.replace(/\s+/gu, " ") : "the connection broke"
}
