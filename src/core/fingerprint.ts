// A short hash of a text, to tell names apart that were cut or cleaned; not for security.
// Stable for ever: names of live objects are made of it.
// Used by whatever makes such names, such as core/job-name and core/workspace-lease, and for the hash of a configuration.

/** 32-bit FNV-1a. */
const hash = (text: string): number => {
  let hash = 0x811c9dc5
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return hash
}

/** In base 36, at most seven characters. */
export const fingerprint = (text: string): string => hash(text).toString(36)

/**
 * Milliseconds below a second, the same for a text each time. Kubernetes' times are whole seconds: what is due at one of them together is
 * spread over the next.
 */
export const spreadMillis = (text: string): number => hash(text) % 1000
