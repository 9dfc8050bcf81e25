// A state's text with another serial: what a refused state needs to follow the stored one.
// Always holds: nothing but the number of the serial changes, byte for byte, so that no large number of a resource loses its digits.
// Used by server/state-rescue.
import { Equal, Option, Predicate } from "effect"

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** The engines write the serial near the start, before anything that could be called so too; nothing where it is elsewhere. */
export const withSerial = (text: string, serial: number): Option.Option<string> => {
  const changed = text.replace(/("serial"\s*:\s*)\d+/u, `$1${serial}`)
  return Option.flatMap(
    parse(text),
    (before) =>
      Option.flatMap(
        parse(changed),
        (after) => Predicate.isObject(before) && Equal.equals({ ...before, serial }, after) ? Option.some(changed) : Option.none()
      )
  )
}
