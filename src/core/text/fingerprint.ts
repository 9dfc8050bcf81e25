// A short hash of a text, which tells apart names that were cut or cleaned. It is not for security.
// The hash must never change: names of live objects contain it.
// Used by modules that derive such names, such as core/task/job-name and core/scheduling/workspace-lease, and for the hash of a configuration.

/** 32-bit FNV-1a, but over the code points of the text, where FNV takes bytes. */
const hash = (text: string, before = 0x811c9dc5): number => {
  let hash = before
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return hash
}

/** Returns the hash in base 36, at most seven characters. */
export const fingerprint = (text: string): string => hash(text).toString(36)

/** Returns the fingerprints of texts that begin so by the rest of them, for which the beginning is gone through once. */
export const fingerprintAfter = (beginning: string): (rest: string) => string => {
  const before = hash(beginning)
  return (rest) => hash(rest, before).toString(36)
}

/**
 * Returns 0 to 999 milliseconds, always the same for a text. Kubernetes' times are whole seconds, so work that is due at the same second is
 * spread over the next one.
 */
export const spreadMillis = (text: string): number => hash(text) % 1000
