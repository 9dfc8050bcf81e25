// Writes equal data as the same text, whatever the order of its keys: JSON without spaces, with its keys sorted at every depth.
// The text must never change: hashes of configurations and seals of plans are computed from it.
// Used by core/resolve/resolve, core/stage/seal, core/state/state-place and core/scheduling/isolation.

export const canonical = (data: unknown): string =>
  JSON.stringify(
    data,
    (_, value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
        : value
  )
