// Addresses that no URL of a user may lead to: this machine, its link, clouds' metadata services, and IPv6 forms that hide one of these.
// Private ranges are allowed: Flux and most artifact stores are there, and the NetworkPolicy says what may be reached of them.
// Used by worker/network/archive-url.ts.
import { alone, isWithin, parse4, parse6 } from "../../schema/ip-address.ts"
import { metadata4 } from "./network-addresses.ts"

const forbidden4 = [
  ...metadata4,
  "0.0.0.0/8", // this host
  "127.0.0.0/8", // loopback, where the state gateway listens
  "192.0.0.0/24", // special purposes
  "224.0.0.0/4", // multicast
  "255.255.255.255/32" // broadcast
]

const isForbidden4 = (address: string): boolean => forbidden4.some((cidr) => isWithin(alone(address), cidr))

const isForbidden6 = (words: ReadonlyArray<number>): boolean => {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = words
  const embedded = (...words: ReadonlyArray<number>) => isForbidden4(words.flatMap((word) => [word >> 8, word & 0xff]).join("."))
  if (a === 0 && b === 0 && c === 0 && d === 0) return embedded(g, h) // mapped, translated and compatible IPv4; :: and ::1 are in 0.0.0.0/8
  if (a === 0x64 && b === 0xff9b) return c !== 0 || embedded(g, h) // NAT64; where a local prefix has the IPv4 address is unknown
  if (a === 0x2002) return embedded(b, c) // 6to4
  if (a === 0x2001 && b === 0) return true // Teredo
  if (a === 0xfd00 && b === 0x0ec2) return true // AWS
  if (a === 0xfd20 && b === 0x00ce) return true // Google
  if ((e & 0xfdff) === 0 && f === 0x5efe) return embedded(g, h) // ISATAP
  return (a & 0xff80) === 0xfe80 || (a & 0xff00) === 0xff00 // link, site, multicast
}

/** Reports whether an IP address, as a resolver or a URL spells it, is forbidden. A text that is no address is forbidden too. */
export const isForbiddenAddress = (text: string): boolean => {
  if (parse4(text) !== undefined) return isForbidden4(text)
  const six = parse6(text)
  return six === undefined || isForbidden6(six)
}
