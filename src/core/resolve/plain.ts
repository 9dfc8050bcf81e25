// Small functions over plain data that several parts of resolve need.
// Used by the files beside it and core/resolve/resolve.

/** Texts by name, as labels, annotations and variables are. */
export type Texts = Readonly<Record<string, string>>

/** Returns a value as text. A whole number is written out: 1000000, never 1e+06. */
export const text = (value: string | number | boolean): string =>
  typeof value === "number" && Number.isInteger(value) ? BigInt(value).toString() : String(value)

/** Reports whether a value is a map without keys or a list without items. */
export const isEmpty = (value: unknown): boolean => typeof value === "object" && value !== null && Object.keys(value).length === 0
