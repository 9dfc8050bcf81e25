// IP addresses as numbers: the 32 bits of IPv4, and eight words of 16 bits of IPv6; and networks, of which one may be part of another.
// Invariant: an address has the same numbers however a resolver, a URL or the kernel spells it.
// Used by schema/values/value-rules and core/network.

/** Returns the 32 bits of four decimal numbers, or undefined for any other spelling. */
export const parse4 = (text: string): number | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4 || parts.some((part) => !/^(?:0|[1-9]\d{0,2})$/u.test(part) || Number(part) > 255)) return undefined
  return parts.reduce((bits, part) => bits * 256 + Number(part), 0)
}

/** Returns eight numbers of 16 bits, or undefined if the text is no IPv6 address. The zone is ignored. */
export const parse6 = (text: string): ReadonlyArray<number> | undefined => {
  const [plain = ""] = text.split("%")
  const url = `http://[${plain}]/`
  if (!plain.includes(":") || !URL.canParse(url)) return undefined
  const [head = "", tail] = new URL(url).hostname.slice(1, -1).split("::") // in its shortest spelling, without dots
  const words = (part: string) => part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16))
  const [first, last] = [words(head), words(tail ?? "")]
  return [...first, ...Array.from({ length: tail === undefined ? 0 : 8 - first.length - last.length }, () => 0), ...last]
}

const binary = (number: number, length: number): string => number.toString(2).padStart(length, "0")

/** Returns the bits that all addresses of a network have in common, behind its family, or undefined if the text is no CIDR. */
const prefixOf = (cidr: string): string | undefined => {
  const [, address = "", length = ""] = /^([^/%]+)\/(0|[1-9]\d{0,2})$/u.exec(cidr) ?? []
  const [four, six] = [parse4(address), parse6(address)]
  const bits = four === undefined ? six?.map((word) => binary(word, 16)).join("") : binary(four, 32)
  return bits === undefined || Number(length) > bits.length ? undefined : `${bits.length}:${bits.slice(0, Number(length))}`
}

export const isCidr = (text: string): boolean => prefixOf(text) !== undefined

/** Reports whether a network is the other one or a part of it. An address alone is a network too. Both have to be CIDRs. */
export const isWithin = (inner: string, outer: string): boolean => (prefixOf(inner) ?? "").startsWith(prefixOf(outer) ?? "none")

/** Returns the network of one address. */
export const alone = (address: string): string => `${address}/${address.includes(":") ? 128 : 32}`
