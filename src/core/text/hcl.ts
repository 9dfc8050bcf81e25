// Writes text as HCL.
// Invariant: a plain value is a quoted string in which nothing is evaluated.
// Used by core/stage/added-files.ts, by cli/run/run-directory.ts for values that a person types, and by what else writes HCL.
import { unicodeEscape } from "./unicode-escape.ts"

const escapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\"": "\\\"",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "${": "$${",
  "%{": "%%{"
}

/** Returns an HCL string literal of exactly this text. */
export const quoted = (text: string): string =>
  `"${text.replace(/[\\"\n\r\t]|[$%]\{|[\u0000-\u001f\u007f]/gu, (found) => escapes[found] ?? unicodeEscape(found))}"`

/**
 * Returns a typed value as HCL: a value that begins with `[`, `{` or `"` is an expression already. Anything else is text, which the engine
 * converts to the variable's type.
 */
export const expressionOf = (typed: string): string => /^\s*[[{"]/u.test(typed) ? typed : quoted(typed)
