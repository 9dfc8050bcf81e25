// What the address of a resource's instance looks like, as both engines write one: `module.m["x"].time_sleep.a[0]`.
// Always holds: blanks are only inside a quoted key, and nothing of it is more than an address to HCL.
// Used by core/engine-events.ts and core/import-blocks.ts.

const step = String.raw`[\p{L}_][\p{L}\p{M}\p{N}_-]*(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\])?`

/** Source of a pattern, to be used with the `u` flag. */
export const addressPattern = String.raw`${step}(?:\.${step})*`

const whole = new RegExp(`^${addressPattern}$`, "u")

/** One that the engine itself could have written: a template in a key would be escaped. */
export const isAddress = (text: string): boolean => whole.test(text) && !/[$%]\{/u.test(text.replaceAll("$${", "").replaceAll("%%{", ""))
