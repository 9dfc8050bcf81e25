// Words of others as a sentence: what Kubernetes and Flux say often lacks its full stop.
// Used by core/response and core/flux-source.
export const sentence = (words: string): string => words.trimEnd().replace(/[^.!?]$/u, "$&.")
