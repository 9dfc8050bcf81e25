// Makes sentences of messages from elsewhere: those of Kubernetes and Flux often lack the full stop, and may be of any length.
// Used where such a message becomes part of ours or of an event: in core, cli/cluster and cli/run, by controller/reconcile/event, controller/pool/pool, server/run/stage-ends, server/workspace/state-locks, worker/engine/log-shipper, worker/stage/stage, worker/volume/archive and worker/task/report.
export const sentence = (words: string): string => words.trimEnd().replace(/[^.!?]$/u, "$&.")

/**
 * Returns at most `most` UTF-16 units of the words, with no half character at the end. The last character is "…" if something is left out.
 */
export const shortened = (words: string, most: number): string =>
  words.length <= most ? words : `${words.slice(0, most - 1).replace(/[\uD800-\uDFFF]$/u, "")}…`

/**
 * Returns words from elsewhere on one line, with a blank for line breaks, and without what a terminal obeys: control characters, and those
 * that turn the reading order.
 */
export const harmless = (words: string): string => words.replace(/[\t-\r\u2028\u2029]+/gu, " ").replace(/\p{C}/gu, "")

const longestName = 100

/** Returns a name from elsewhere so that it can be printed: on one line, without control characters, and short. */
export const shortName = (name: string): string => shortened(harmless(name), longestName)

/**
 * Returns at most `most` bytes of the words in UTF-8, with no half character at the end. The last character is "…" if something is left
 * out.
 */
export const shortenedInBytes = (words: string, most: number): string => {
  const bytes = new TextEncoder().encode(words)
  return bytes.length <= most ? words : `${new TextDecoder().decode(bytes.subarray(0, most - 3), { stream: true })}…`
}
