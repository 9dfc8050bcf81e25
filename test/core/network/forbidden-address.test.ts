// Addresses to which no URL of a user may lead, in every form that hides one.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { isForbiddenAddress } from "../../../src/core/network/forbidden-address.ts"

const Byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
const hex = (high: number, low: number) => ((high << 8) | low).toString(16)

/** Returns the IPv6 forms that some network stack or translator takes for this IPv4 address. */
const hidden = ([a, b, c, d]: readonly [number, number, number, number]) => {
  const [dotted, words] = [`${a}.${b}.${c}.${d}`, `${hex(a, b)}:${hex(c, d)}`]
  return [
    `::ffff:${dotted}`,
    `::ffff:${words}`,
    `::ffff:0:${words}`,
    `64:ff9b::${words}`,
    `64:ff9b::${dotted}`,
    `2002:${words}::1`,
    `fd12::5efe:${words}`,
    `fd12::200:5efe:${words}`
  ]
}

describe("isForbiddenAddress", () => {
  it.prop("says of an IPv4 address and of all its IPv6 forms the same", [Byte, Byte, Byte, Byte], ([a, b, c, d]) => {
    const plain = isForbiddenAddress(`${a}.${b}.${c}.${d}`)
    expect(hidden([a, b, c, d]).map(isForbiddenAddress)).toEqual(hidden([a, b, c, d]).map(() => plain))
  })

  it.each([[169, 254, 169, 254], [168, 63, 129, 16], [100, 100, 100, 200]] as const)(
    "forbids each of the forms of a cloud's own %i.%i.%i.%i",
    (...bytes) => expect(hidden(bytes).filter((address) => !isForbiddenAddress(address))).toEqual([])
  )

  it.prop("never lets loopback or a link through, zone or not", [Byte, Byte, Byte], ([b, c, d]) => {
    for (
      const address of [`127.${b}.${c}.${d}`, `169.254.${c}.${d}`, `fe80::${hex(b, c)}:${d}%eth0`, `febf::${d}`, `fec0::${d}`, `ff02::${d}`]
    ) expect([address, isForbiddenAddress(address)]).toEqual([address, true])
  })

  it.each(["0.0.0.0", "100.100.100.200", "168.63.129.16", "192.0.0.1", "192.0.0.192", "192.0.0.255"])(
    "forbids %s, where a machine or a cloud has a service for itself",
    (address) => expect(isForbiddenAddress(address)).toBe(true)
  )

  it.each(["224.0.0.1", "239.255.255.255", "255.255.255.255"])(
    "forbids %s, which is no one machine's",
    (address) => expect(isForbiddenAddress(address)).toBe(true)
  )

  it.each(["64:ff9b:1::808:808", "64:ff9b:1:a9fe:a9:fe00::", "2001::1", "fd00:ec2::254", "fd20:ce::254"])(
    "forbids %s, behind which is another machine than it says, or a cloud's service",
    (address) => expect(isForbiddenAddress(address)).toBe(true)
  )

  it.each(["", "localhost", "1.2.3", "1.2.3.4.5", "01.2.3.4", "266.0.0.1", "::1::", "12345::", "[::1]", "1.2.3.4:80", " 1.2.3.4"])(
    "takes what is no address for forbidden: %s",
    (text) => expect(isForbiddenAddress(text)).toBe(true)
  )

  it.each([
    "1.1.1.1",
    "10.0.0.1",
    "1.0.0.0",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.201",
    "168.63.129.17",
    "192.0.1.0",
    "169.253.255.255",
    "169.255.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "223.255.255.255",
    "240.0.0.1",
    "255.255.255.254",
    "2606:4700:4700::1111",
    "64:1::1",
    "fd00:ec3::1",
    "fd01:ec2::1",
    "fd20:cf::1",
    "fd21:ce::1",
    "2001:1::1",
    "2001:db8::1",
    "fe00::1"
  ])(
    "lets %s through",
    (text) => expect(isForbiddenAddress(text)).toBe(false)
  )
})
