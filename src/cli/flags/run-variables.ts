// Parses the names of variables, and `--var key=value`.
// Invariant: a key is the name of a variable; a value is all that follows the first "=", and no message repeats one: it may be a secret.
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

export const noVariableName = (given: string): string =>
  `${JSON.stringify(given)} cannot be the name of a variable; use letters, digits, "-" and "_", beginning with a letter or "_".`

export const givenVariable = (given: string): Result.Result<GivenVariable, string> => {
  if (given.includes("\uFFFD")) return Result.fail(notUtf8)
  const at = given.indexOf("=")
  if (at === -1) return Result.fail("A --var has no \"=\"; give it as key=value, such as --var region=eu-west-1.")
  const key = given.slice(0, at)
  return isVariableName(key) ? Result.succeed({ key, value: given.slice(at + 1) }) : Result.fail(noVariableName(key))
}
