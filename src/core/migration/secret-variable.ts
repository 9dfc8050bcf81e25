// Which variables of a container are secrets: the values do not say it, so it is recognised by the name or by the form of the value.
// Used by core/migration/inline-secrets.ts.
export interface Variable {
  readonly name: string
  readonly value: unknown
}

const namesSecret = new RegExp(
  "token|passw|passphrase|pass$|(^|[-_.])pass[-_.]|pwd|secret|credential|(private|api|access)[-_.]?key|[-_.]key$|dsn$" +
    "|(^|[-_.])pat$|auth[-_.]?config$|^TF_ENCRYPTION$",
  "iu"
)
const holdsSecret = /:\/\/([^/\s:@]*:[^/\s@]+|[^/?#\s:@]{16,}:?)@|-----BEGIN [A-Z ]*PRIVATE KEY-----/u

/** A reference to another variable. Kubernetes replaces it by the value of that variable, but not in a text that comes from a Secret. */
const reference = /\$\([^)]*\)/gu

const textOf = (value: unknown): string => typeof value === "string" ? value : typeof value === "number" ? String(value) : ""
const ownText = (text: string): string => text.replace(reference, "")

/** Reports whether a variable is a secret that a Secret can give. One with a reference is not, and may be named after what it refers to. */
export const isSecret = ({ name, value }: Variable): boolean => {
  const text = textOf(value)
  return text !== "" && ownText(text) === text && (holdsSecret.test(text) || namesSecret.test(name))
}

/** Reports whether the value of a variable has a secret beside a reference, so that no Secret can give it as it is. */
export const isSecretBesideReference = ({ value }: Variable): boolean => {
  const text = textOf(value)
  return ownText(text) !== text && holdsSecret.test(ownText(text))
}
