// The form of the address of a resource's instance, as both engines write one: `module.m["x"].time_sleep.a[0]`.
// Invariant: blanks are only inside a quoted key, and to HCL the text is an address and nothing else.
// Used by core/stage/engine-events.ts and core/state/import-blocks.ts.

const step = String.raw`[\p{L}_][\p{L}\p{M}\p{N}_-]*(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\])?`

/** The source of a regular expression, to be used with the `u` flag. */
export const addressPattern = String.raw`${step}(?:\.${step})*`

const whole = new RegExp(`^${addressPattern}$`, "u")

/** Reports whether the engine itself could have written the address. It would have escaped a template in a key. */
export const isAddress = (text: string): boolean => whole.test(text) && !/[$%]\{/u.test(text.replaceAll("$${", "").replaceAll("%%{", ""))
