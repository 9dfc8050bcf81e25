// Whether a value would be long as JSON, found without writing it.
// Invariant: it is looked at no further than the limit, so that a value of many megabytes takes no more memory than it has already.
// Used by server/routes/outputs.
import { Predicate } from "effect"

/**
 * Reports whether the value is longer than `characters`. Quotes, escapes and brackets are not counted, so a value within the limit may be
 * somewhat longer once it is written.
 */
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
