// Writes a word of a printed command, such as a path with blanks, as a shell reads it.
// Used by core/migration and core/text/make-secret, cli/cluster/cluster.ts, cli/run/summary.ts, cli/values/write-overlay.ts,
// cli/commands/overlay.ts and worker/backing/saved-by-hand.ts.

export const shellWord = (word: string): string => /^[\w./:=,@-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
