// IP addresses as numbers: the 32 bits of IPv4, and eight words of 16 bits of IPv6.
// Invariant: an address has the same numbers however a resolver, a URL or the kernel spells it.
// Used by core/network/forbidden-address and server/access/client-network.

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
