// Rules that two enforcers share: the decoder runs the predicate, the API server runs the CEL expression.
// Transition rules compare with `oldSelf`, which only the API server knows.
// Used by the schemas of AgentTasks beside it.
import { Schema } from "effect"

/** One rule, enforced here by `holds` and in the cluster by `rule`; `message` is what both say. */
export const cel = <T>(rule: string, message: string, holds: (value: T) => boolean) =>
  Schema.makeFilter<T>(holds, { message, toJsonSchema: () => ({ "x-kubernetes-validations": [{ rule, message }] }) })

/**
 * Rules that only the API server checks, because they compare with the object before the change, or are newer than stored objects that must
 * still be readable.
 */
export const transitions = (...rules: ReadonlyArray<readonly [rule: string, message: string]>) => ({
  "x-kubernetes-validations": rules.map(([rule, message]) => ({ rule, message }))
})

/** The structural stand-in for a union of objects: exactly one of the optional keys is there. */
export const exactlyOneOf = <F extends Schema.Struct.Fields>(fields: F) => {
  const keys = Object.keys(fields)
  return cel<object>(
    `[${keys.map((key) => `has(self.${key})`).join(", ")}].filter(x, x).size() == 1`,
    `exactly one of ${keys.join(", ")} is required`,
    (value) => keys.filter((key) => key in value).length === 1
  )
}
