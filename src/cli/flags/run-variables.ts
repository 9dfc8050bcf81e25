// Parses the names of variables, and `--var key=value`.
// Invariant: a key is the name of a variable; a value is all that follows the first "=".
// Used by run and vars.
import { Result } from "effect"

/** A variable as it was typed. core/text/hcl decides whether its value is text or an HCL expression. */
export interface GivenVariable {
  readonly key: string
  readonly value: string
}

const name = /^[A-Za-z_][-A-Za-z0-9_]*$/u

/** Node has U+FFFD in the place of what is not UTF-8, so that another value would be sent. */
const notUtf8 = "A --var is not UTF-8, or has U+FFFD in it; give it as UTF-8, or in base64 where what reads it can take that."

export const isVariableName = (given: string): boolean => name.test(given)

export const givenVariable = (given: string): Result.Result<GivenVariable, string> => {
  if (given.includes("\uFFFD")) return Result.fail(notUtf8)
  const at = given.indexOf("=")
  const key = given.slice(0, at)
  if (at < 1) return Result.fail(`--var takes key=value, not ${JSON.stringify(given)}`)
  if (!isVariableName(key)) return Result.fail(`--var ${key}: a variable's name has letters, digits, "-" and "_" only`)
  return Result.succeed({ key, value: given.slice(at + 1) })
}
