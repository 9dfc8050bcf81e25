// Numbers, sizes and spans of time as people read them.
// Pure: the times are arguments.
// Used by the screen, by cli/bundle, cli/cluster/draining and cli/run, and by commands/config-validate.

/** Returns `1 file`, `2 files` or, with a plural of its own, `2 applies or destroys`. */
export const counted = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`

/** "3.1 kB": sizes as people read them. From 999,950 bytes on, kilobytes would be rounded to 1000.0. */
export const size = (bytes: number): string =>
  bytes < 1000 ? `${bytes} B` : bytes < 999_950 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`

/** "0.4s", "59.9s", "1m05s", "1h02m": how long something takes. */
export const elapsed = (milliseconds: number): string => {
  const tenths = Math.max(0, Math.round(milliseconds / 100))
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`
  return `${Math.floor(seconds / 3600)}h${two(Math.floor(seconds / 60) % 60)}m`
}

const two = (number: number) => String(number).padStart(2, "0")

/** In seconds. */
const units = [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]] as const

/** "5s", "3m20s", "4h", "12d": how long ago, with a second unit while the first is below 10, as kubectl shows ages. */
export const age = (since: string, now: number): string => {
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000))
  const at = units.findIndex(([, unit]) => seconds >= unit)
  const [name, unit] = units[at] ?? ["s", 1]
  const count = Math.floor(seconds / unit)
  const next = units[at + 1]
  const rest = next === undefined ? 0 : Math.floor((seconds % unit) / next[1])
  return `${count}${name}${next !== undefined && count < 10 && rest > 0 ? `${rest}${next[0]}` : ""}`
}
