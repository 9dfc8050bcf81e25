// Whether a value is long as JSON, found without writing it: it is looked at no further than the limit, so that a value of many megabytes takes no more memory than it has.
// Used by server/tfe-state-routes.
import { Predicate } from "effect"

/** Counts no quotes, escapes and brackets, so what is no longer may be somewhat longer as it is written. */
export const isLongerThan = (characters: number, value: unknown): boolean => {
  let seen = 0
  const left: Array<unknown> = [value]
  while (left.length > 0) {
    const next = left.pop()
    seen += typeof next === "string" ? next.length : 1
    if (Predicate.isObjectOrArray(next)) {
      for (const key in next) {
        if (seen + left.length > characters) return true
        seen += Array.isArray(next) ? 0 : key.length
        left.push(Reflect.get(next, key))
      }
    }
    if (seen > characters) return true
  }
  return false
}
