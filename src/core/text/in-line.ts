// Words from elsewhere, such as those of a container runtime or a webhook, on one line.
// Used by core/reconcile/flux-source, core/reconcile/pod-end, core/reconcile/start-trouble, cli/run/summary, cli/server/own-answer and cli/terminal/screen.

/** Returns the words with one blank for each white space between them, and none around them. */
export const inLine = (words: string): string => words.trim().replace(/\s+/gu, " ")
