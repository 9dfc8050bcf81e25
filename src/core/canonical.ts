// The same text for the same data, in whatever order its keys were written: JSON without spaces, keys in order at every depth.
// Stable for ever: hashes of configurations and seals of plans are made of it.
// Used by core/resolve and core/seal.

export const canonical = (data: unknown): string =>
  JSON.stringify(
    data,
    (_, value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
        : value
  )
