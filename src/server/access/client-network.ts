// Whose requests and connections are counted together where no token tells clients apart.
// Invariant: nobody gets another share by another address of their own.
// Used by server/access/limits and server/lifecycle/listen.
import { parse6 } from "../../schema/ip-address.ts"

/** Returns an IPv4 address as it is, and of IPv6 the /64, which is the least that a client has (RFC 6177) and can choose from at will. */
export const clientNetwork = (address: string): string => {
  const subnet = parse6(address)?.slice(0, 4) ?? []
  if (subnet.every((word) => word === 0)) return address // IPv4, also as a socket for both families has it, or loopback
  return `${subnet.map((word) => word.toString(16)).join(":")}::/64`
}
