// Words of others as a sentence: what Kubernetes and Flux say often lacks its full stop, and may be of any length.
// Used wherever such words become part of a message or an event: in core, by controller/event and controller/pool, by cli, and for names in worker/archive.
export const sentence = (words: string): string => words.trimEnd().replace(/[^.!?]$/u, "$&.")

/** No longer than that, in UTF-16 as in characters, and whole ones: the last is "…" where something is left out. */
export const shortened = (words: string, most: number): string =>
  words.length <= most ? words : `${words.slice(0, most - 1).replace(/[\uD800-\uDFFF]$/u, "")}…`

const longestName = 100

/** A name that others chose: on one line, without what a terminal would heed, and short. */
export const shortName = (name: string): string => shortened(name.replace(/\p{C}|[\u2028\u2029]/gu, ""), longestName)

/** No longer than that in UTF-8, and whole characters: the last is "…" where something is left out. */
export const shortenedInBytes = (words: string, most: number): string => {
  const bytes = new TextEncoder().encode(words)
  return bytes.length <= most ? words : `${new TextDecoder().decode(bytes.subarray(0, most - 3), { stream: true })}…`
}
