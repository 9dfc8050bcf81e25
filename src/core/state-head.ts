// What a state says of itself in its first bytes, for one that has too much in it to be parsed.
// Used by server/state-versions.
import { Option } from "effect"

interface StateHead {
  readonly serial: number
  readonly lineage: string
}

const headBytes = 1024
/** As the engines begin a state. A serial anywhere else may be another one. */
const beginning =
  /^\s*\{\s*(?:"(?:version|terraform_version)"\s*:\s*(?:\d+|"[^"\\]*")\s*,\s*)*"serial"\s*:\s*(?<serial>\d{1,15})\s*,\s*"lineage"\s*:\s*"(?<lineage>[^"\\]*)"/u

const blanks = new Set([0x20, 0x09, 0x0a, 0x0d])
const isNoBlank = (byte: number): boolean => !blanks.has(byte)
const [opening, closing] = [0x7b, 0x7d] // { }

/** Nothing of what is no JSON object. One that does not begin as the engines' do has the serial 0 and no lineage. */
export const stateHead = (json: Uint8Array): Option.Option<StateHead> => {
  if (json.find(isNoBlank) !== opening || json.findLast(isNoBlank) !== closing) return Option.none()
  const { lineage = "", serial = "0" } = beginning.exec(new TextDecoder().decode(json.subarray(0, headBytes)))?.groups ?? {}
  return Option.some({ serial: Number(serial), lineage })
}
