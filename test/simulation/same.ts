// Whether two values are the same as JSON: quicker than anything that also knows classes, and asked hundreds of times a schedule.
// An absent field and one that is undefined are the same, as on the wire.
// Used by the model of the API server.
const isFields = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null

export const same = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (!isFields(a) || !isFields(b) || Array.isArray(a) !== Array.isArray(b)) return false
  for (const key in a) if (!same(a[key], b[key])) return false
  for (const key in b) if (b[key] !== undefined && a[key] === undefined) return false
  return true
}
