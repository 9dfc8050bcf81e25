// A number with the word for what it counts, in singular or plural.
// Used by draining, run-directory, bundle and commands/config-validate.

/** Returns `1 file`, `2 files` or, with a plural of its own, `2 applies or destroys`. */
export const counted = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`
