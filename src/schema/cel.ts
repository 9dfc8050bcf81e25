// Rules that two enforcers share: the decoder runs the predicate, the API server runs the CEL expression.
// Transition rules compare with `oldSelf`, which only the API server knows.
// Used by schema/agent-task.ts.
import { Schema } from "effect"

/** One rule, enforced here by `holds` and in the cluster by `rule`; `message` is what both say. */
export const cel = <T>(rule: string, message: string, holds: (value: T) => boolean) =>
  Schema.makeFilter<T>(holds, { message, toJsonSchema: () => ({ "x-kubernetes-validations": [{ rule, message }] }) })

/**
 * Rules that an API server alone checks: they speak of the object before the change, or are younger than objects that are stored and must
 * still be read.
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
