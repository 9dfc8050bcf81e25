// Quotes a word of a command for a shell.
// Used by core/migration/hand-over.ts, core/migration/trial.ts and core/migration/way-back.ts.

export const quoted = (word: string): string => /^[\w./:=,@-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
