// Spans of time as people read them: tenths of a second while something goes on, one or two units for an age.
// Pure: the times are arguments.
// Used by the screen, in cli/run, and by cli/cluster/draining.

/** "0.4s", "59.9s", "1m05s", "1h02m": how long something takes. */
export const elapsed = (milliseconds: number): string => {
  const tenths = Math.max(0, Math.round(milliseconds / 100))
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`
  return `${Math.floor(seconds / 3600)}h${two(Math.floor(seconds / 60) % 60)}m`
}

const two = (number: number) => String(number).padStart(2, "0")

const units = [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]] as const

/** "5s", "3m20s", "4h", "12d": how long ago, with a second unit while the first is below 10, as kubectl shows ages. */
export const age = (since: string, now: number): string => {
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000))
  const at = units.findIndex(([, size]) => seconds >= size)
  const [name, size] = units[at] ?? ["s", 1]
  const count = Math.floor(seconds / size)
  const next = units[at + 1]
  const rest = next === undefined ? 0 : Math.floor((seconds % size) / next[1])
  return `${count}${name}${next !== undefined && count < 10 && rest > 0 ? `${rest}${next[0]}` : ""}`
}
