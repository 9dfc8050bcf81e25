// A short hash of a text, to tell names apart that were cut or cleaned; not for security.
// Stable for ever: names of live objects are made of it.
// Used by core/job-name, core/workspace-lease and core/action.

/** 32-bit FNV-1a in base 36, at most seven characters. */
export const fingerprint = (text: string): string => {
  let hash = 0x811c9dc5
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return hash.toString(36)
}
