// Reads serial and lineage from the first bytes of a state without parsing the rest, and writes another serial there.
// Invariant: another serial changes nothing but that number, byte for byte, so that no large number of a resource loses its digits.
// Used by server/workspace/state-body (incoming states), server/rescue/settlements (serials of refused states) and worker/state/state-delivery.
import { Option } from "effect"
import { joined } from "../../schema/joined.ts"
import type { StateMark } from "../../schema/task/seal.ts"

const headBytes = 1024
/** The beginning of a state as the engines write it. A serial anywhere else may be another one. */
const beginning =
  /^(?<before>\s*\{\s*(?:"(?:version|terraform_version)"\s*:\s*(?:\d+|"[^"\\]*")\s*,\s*)*"serial"\s*:\s*)(?<serial>\d{1,16})\s*,\s*"lineage"\s*:\s*"(?<lineage>[^"\\]*)"/u

const blanks = new Set([0x20, 0x09, 0x0a, 0x0d])
const isNoBlank = (byte: number): boolean => !blanks.has(byte)
const [opening, closing] = [0x7b, 0x7d] // { }

const begun = (json: Uint8Array, encoding: "utf-8" | "latin1") =>
  beginning.exec(new TextDecoder(encoding).decode(json.subarray(0, headBytes)))?.groups

const isObject = (json: Uint8Array): boolean => json.find(isNoBlank) === opening && json.findLast(isNoBlank) === closing

/** Returns the serial and lineage; none if this is no JSON object, or does not begin as the engines' states do. */
export const engineHead = (json: Uint8Array): Option.Option<StateMark> => {
  const { lineage, serial } = (isObject(json) ? begun(json, "utf-8") : undefined) ?? {}
  return lineage === undefined || !Number.isSafeInteger(Number(serial)) ? Option.none() : Option.some({ serial: Number(serial), lineage })
}

/**
 * Returns the serial and lineage of a JSON object, which are 0 and empty if it does not begin as the engines' states do; none for anything
 * else.
 */
export const stateHead = (json: Uint8Array): Option.Option<StateMark> =>
  Option.orElse(engineHead(json), () => isObject(json) ? Option.some({ serial: 0, lineage: "" }) : Option.none())

/** Returns the state with that serial; none if it does not begin as the engines' states do. The rest of it is not looked at. */
export const withHeadSerial = (json: Uint8Array, serial: number): Option.Option<Uint8Array> => {
  const { before, serial: old } = begun(json, "latin1") ?? {} // latin1 has one character for each byte
  if (before === undefined || old === undefined) return Option.none()
  const [number, rest] = [new TextEncoder().encode(String(serial)), json.subarray(before.length + old.length)]
  return Option.some(joined([json.subarray(0, before.length), number, rest]))
}
