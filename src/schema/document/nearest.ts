// Finds the known word that was most likely meant by an unknown one.
// Used by schema/document/explain.ts and schema/document/unknown-keys.ts, and for the paths and flags that a person types.

/** Returns how many letters to change, add or leave out to get from `a` to `b` (Levenshtein). */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/**
 * Reports whether one word is the beginning of the other, as `timeout` is of `timeoutSeconds`. Words of one or two letters do not count.
 */
const isStart = (a: string, b: string): boolean => Math.min(a.length, b.length) > 2 && (a.startsWith(b) || b.startsWith(a))

/**
 * Returns the known word that was most likely meant, if any is near: a third of its letters may differ, two in a short word, or its end may
 * be missing.
 */
export const nearest = (word: string, known: ReadonlyArray<string>): string | undefined => {
  const near = (name: string): ReadonlyArray<{ readonly name: string; readonly letters: number }> => {
    const [a, b] = [word.toLowerCase(), name.toLowerCase()]
    const most = Math.max(2, name.length / 3)
    if (Math.abs(a.length - b.length) > most && !isStart(a, b)) return [] // too many letters are missing, wherever they are
    const letters = distance(a, b)
    return letters <= most || isStart(a, b) ? [{ name, letters }] : []
  }
  return known.flatMap(near).sort((a, b) => a.letters - b.letters)[0]?.name
}
