// The objects that exist by the reports of an informer, and by nothing else.
// Used by the tests that compare it with what the server has.
import { Option } from "effect"

export const tell = <A>(objects: Map<string, A>, key: string, seen: Option.Option<A>): void =>
  Option.match(seen, { onNone: () => void objects.delete(key), onSome: (object) => void objects.set(key, object) })
