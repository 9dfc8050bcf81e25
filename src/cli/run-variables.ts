// `--var key=value` as the run variables of the TFE API, whose values are HCL expressions.
// Invariant: a plain value reaches the engine as that very text, whatever quotes, backslashes or ${…} are in it.
// Used by run.
import { Result } from "effect"
import { quoted } from "../core/hcl.ts"

export interface RunVariable { readonly key: string; readonly value: string }

/** A value that begins with `[`, `{` or `"` is an HCL expression; anything else is text, which the engine converts to the variable's type. */
export const runVariable = (given: string): Result.Result<RunVariable, string> => {
  const at = given.indexOf("=")
  const key = given.slice(0, at)
  if (at < 1) return Result.fail(`--var takes key=value, not ${JSON.stringify(given)}`)
  if (!/^[A-Za-z_][-A-Za-z0-9_]*$/u.test(key)) return Result.fail(`--var ${key}: a variable's name has letters, digits, "-" and "_" only`)
  const value = given.slice(at + 1)
  return Result.succeed({ key, value: /^\s*[[{"]/u.test(value) ? value : quoted(value) })
}
