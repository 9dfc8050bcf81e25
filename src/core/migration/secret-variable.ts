// Which variables of a container are secrets: the values do not say it, so it is recognised by the name or by the form of the value.
// Used by core/migration/inline-secrets.ts.
export interface Variable {
  readonly name: string
  readonly value: unknown
}

const namesPassword = /passw|passphrase|(^|[-_.])(pass|pin)([-_.]|$)|pwd|secret/iu
const namesSecret = new RegExp(
  `${namesPassword.source}|token|credential|(private|api|access)[-_.]?key|[-_.]key$|dsn$|(^|[-_.])(pat|jwt|auth(orization)?)$` +
    "|auth[-_]?config$|connection[-_.]?string|webhook([-_.]?ur[il])?$|^TF_ENCRYPTION$",
  "iu"
)
/** Names of where a secret is, or how long it holds. */
const namesOther = /[-_.](file|dir|path|ttl)$/iu

const holdsSecret = new RegExp(
  [
    /:\/\/([^/\s:@]*:[^/\s@]+|[^/?#\s:@]{16,}:?)@/u, // a URL with a password, or with a user so long that it is a token
    /-----BEGIN [A-Z ]*PRIVATE KEY-----/u,
    /(account|access|secret)[-_]?key=["']?[^\s;,&"']/u,
    /passw(or)?d=["']?[^\s;,&"']/u,
    /\bauthorization:\s*\w+\s+\S|\bbearer\s+\S/u
  ].map(({ source }) => source).join("|"),
  "iu"
)
/** A truth value, or the path of a file. Its parts are short, because a random secret may begin with a slash. */
const noSecret = /^(true|false|yes|no|on|off|(\/[\w.@-]{1,32})+\/?)$/iu
/** An amount, such as of tokens. A password may be such a number, and what is longer is none. */
const isAmount = /^-?\d{1,9}(\.\d+)?$/u

const isNamedSecret = (name: string, text: string): boolean =>
  !namesOther.test(name) && !noSecret.test(text) && (isAmount.test(text) ? namesPassword : namesSecret).test(name)

/**
 * What Kubernetes replaces, but not in a text that comes from a Secret: an escaped `$`, which begins no reference, and a reference to another
 * variable, by the value of that variable.
 */
const replaced = /\$\$|\$\([^)]*\)/gu
/** A reference that stands where the secret of a text would: in a URL, as in `password=$(NAME)`, or as in `Bearer $(NAME)`. */
const refersToSecret = new RegExp(
  [
    /:\/\/[^/\s]*\$\([^)]*\)@/u,
    /(passw(or)?d|pwd|passphrase|secret|token|key|auth)["']?\s*[:=]\s*["']?\$\(/u,
    /^(basic|bearer)\s+\$\([^)]*\)$/u
  ].map(({ source }) => source).join("|"),
  "iu"
)

const textOf = (value: unknown): string => typeof value === "string" ? value : typeof value === "number" ? String(value) : ""
const ownText = (text: string): string => text.replace(replaced, (found) => found === "$$" ? found : "")

/** Reports whether a variable is a secret that a Secret can give. One with a reference is not, and may be named after what it refers to. */
export const isSecret = ({ name, value }: Variable): boolean => {
  const text = textOf(value)
  return text !== "" && ownText(text) === text && (holdsSecret.test(text) || isNamedSecret(name, text))
}

/** Reports whether a Secret has to give another text than stands in the values, with a `$` for each `$$`. */
export const isEscaped = ({ value }: Variable): boolean => textOf(value).includes("$$")

/** Reports whether the value of a variable has a secret beside a reference, so that no Secret can give it as it is. */
export const isSecretBesideReference = ({ name, value }: Variable): boolean => {
  const text = textOf(value)
  const own = ownText(text)
  const isNamed = /[\p{L}\p{N}]/u.test(own) && !refersToSecret.test(text) && isNamedSecret(name, own)
  return own !== text && (holdsSecret.test(own) || isNamed)
}
