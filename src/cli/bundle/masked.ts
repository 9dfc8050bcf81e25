// Takes out of an object of the cluster what may be secret in it, so that it can be given to somebody else.
// Invariant: no value of a variable, no argument of a command, no setting of a backend and no file of a task is left.
// Used by bundle.
import { isTree } from "../../schema/document/layers.ts"

const mask = "(masked)"

/** Annotations in which kubectl, kapp, k3s, RKE2 and others keep the whole object, values of variables included, also packed. */
const wholeObject = /\/(?:last-applied|last-handled|original|applied$)/u

/** Keys below which every text is masked: what a container runs, the files of a task, and the settings of its backend. */
const maskedKeys: ReadonlyArray<string> = ["args", "command", "inline", "config"]

/**
 * A user with a password or a token in a URL, and its query, which may have a signature. Neither looks at what is before "://", nor past the
 * next one, so that no text is gone through again and again.
 */
const login = /(:\/\/)[^\s/?#@"']+@/gu
const query = /(:\/\/(?:(?!:\/\/)[^\s?"'])*\?)[^\s"']+/gu

const withoutUrlSecrets = (text: string): string => text.replace(login, `$1${mask}@`).replace(query, `$1${mask}`)

const maskedWhole = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(maskedWhole)
  return isTree(value) ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, maskedWhole(inner)])) : mask
}

/** Returns the object without what may be secret, and without the bookkeeping of the API server. */
export const masked = (value: unknown): unknown => {
  if (typeof value === "string") return withoutUrlSecrets(value)
  if (Array.isArray(value)) return value.map(masked)
  if (!isTree(value)) return value
  const isVariable = "name" in value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "managedFields" && !wholeObject.test(key))
      .map(([key, inner]) => [key, (isVariable && key === "value") || maskedKeys.includes(key) ? maskedWhole(inner) : masked(inner)])
  )
}
