// Checks a custom resource as an API server does, by the schema in its CRD: types, bounds and CEL rules.
// A rule that names `oldSelf` is evaluated only where both the old and the new value are there.
// Used by test/simulation/api-server.
import { Predicate } from "effect"
import type { Structural } from "../../src/schema/task/structural.ts"
import { rule } from "./cel.ts"

/** Returns what is wrong with a value, in the API server's words where the product matches them; empty if it may be stored. */
export type Check = (value: unknown, old: unknown) => ReadonlyArray<string>

const typeOf = (value: unknown): string => Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value

const limits = (schema: Structural, path: string): Check => {
  const { enum: allowed, maxLength, maximum, minLength, minimum, pattern } = schema
  const expression = typeof pattern === "string" ? new RegExp(pattern, "u") : undefined
  return (value) => [
    ...(Array.isArray(allowed) && !allowed.includes(value) ? [`${path}: Unsupported value`] : []),
    ...(typeof value === "string" && typeof maxLength === "number" && value.length > maxLength ? [`${path}: Too long`] : []),
    ...(typeof value === "string" && typeof minLength === "number" && value.length < minLength ? [`${path}: should be longer`] : []),
    ...(typeof value === "string" && expression?.test(value) === false ? [`${path}: should match`] : []),
    ...(typeof value === "number" && minimum !== undefined && value < minimum ? [`${path}: should be greater`] : []),
    ...(typeof value === "number" && maximum !== undefined && value > maximum ? [`${path}: should be less`] : [])
  ]
}

/** Makes the check of a schema; a check is made once and used for every write. */
export const checkOf = (schema: Structural, path = ""): Check => {
  const { additionalProperties, items, properties = {}, required = [], type } = schema
  const rules = (schema["x-kubernetes-validations"] ?? []).map(({ message, rule: text }) => ({
    message,
    holds: rule(text),
    transition: text.includes("oldSelf")
  }))
  const fields = Object.entries(properties).map(([key, field]) => [key, checkOf(field, path === "" ? key : `${path}.${key}`)] as const)
  const known = new Map(fields)
  const each = items !== undefined
    ? checkOf(items, `${path}[]`)
    : additionalProperties !== undefined
    ? checkOf(additionalProperties, `${path}.*`)
    : undefined
  const within = limits(schema, path)
  return (value, old) => {
    if (value === old) {
      return rules.some(({ transition }) => transition)
        ? rules.filter(({ holds, transition }) => transition && !holds({ self: value, oldSelf: old })).map(({ message }) => message)
        : []
    }
    const actual = typeOf(value)
    if (type !== undefined && actual !== type && !(type === "number" && actual === "integer")) return [`${path}: must be of type ${type}`]
    const problems = [...within(value, old)]
    if (Predicate.isObject(value)) {
      for (const key of required) if (!(key in value)) problems.push(`${path}.${key}: Required value`)
      for (const [key, check] of fields) {
        if (Predicate.hasProperty(value, key)) problems.push(...check(value[key], Predicate.hasProperty(old, key) ? old[key] : undefined))
      }
      for (const [key, inner] of Object.entries(value)) {
        if (known.has(key) || (path === "" && key === "metadata")) continue
        if (each !== undefined) problems.push(...each(inner, Predicate.hasProperty(old, key) ? old[key] : undefined))
        else if (fields.length > 0 && path !== "metadata") problems.push(`unknown field "${path}.${key}"`)
      }
    }
    if (Array.isArray(value) && each !== undefined) { for (const item of value) problems.push(...each(item, undefined)) }
    if (problems.length > 0) return problems // rules are not evaluated for a value of the wrong shape
    return rules.filter(({ holds, transition }) => (!transition || old !== undefined) && !holds({ self: value, oldSelf: old })).map((
      { message }
    ) => message)
  }
}
