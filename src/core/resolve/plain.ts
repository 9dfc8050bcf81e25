// Small answers about plain data that several parts of resolve ask for.
// Used by the files beside it and core/resolve.

/** A number as it was meant: 1000000, never 1e+06. */
export const text = (value: string | number | boolean): string =>
  typeof value === "number" && Number.isInteger(value) ? BigInt(value).toString() : String(value)

/** No keys, or no items. */
export const isEmpty = (value: unknown): boolean => typeof value === "object" && value !== null && Object.keys(value).length === 0
