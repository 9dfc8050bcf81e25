// Which texts are networks, and which networks are part of others. How addresses are read is tested in core/network/forbidden-address.test.ts.
import { describe, expect, it } from "@effect/vitest"
import { alone, isCidr, isWithin } from "../../src/schema/ip-address.ts"

describe("a network", () => {
  it.each([
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.9/8",
    "192.0.2.1/32",
    "::/0",
    "2001:DB8::/32",
    "1:2:3:4:5:6:7:8/128",
    "64:ff9b::10.0.0.0/104"
  ])(
    "may be %s",
    (text) => expect(isCidr(text)).toBe(true)
  )

  it.each([
    "",
    "10.0.0.0",
    "10.0.0.0/",
    "10.0.0.0/33",
    "256.0.0.0/8",
    "10.0.0.256/32",
    "10.0.0.0/08",
    "10.0.0/8",
    "::/129",
    "fe80::1%eth0/64",
    "1::2::/8",
    "a/8",
    "10.0.0.0/8/8"
  ])(
    "is not %s",
    (text) => expect(isCidr(text)).toBe(false)
  )

  it.each([
    { inner: "10.1.0.0/16", outer: "10.0.0.0/8", is: true },
    { inner: "10.0.0.0/8", outer: "10.0.0.0/8", is: true },
    { inner: "10.0.0.0/8", outer: "10.1.0.0/16", is: false },
    { inner: "11.0.0.0/16", outer: "10.0.0.0/8", is: false },
    { inner: "10.0.0.0/8", outer: "0.0.0.0/0", is: true },
    { inner: "10.0.0.0/8", outer: "::/0", is: false },
    { inner: "fd00:ec2::254/128", outer: "fc00::/7", is: true },
    { inner: alone("fd00::1"), outer: "fd00::/64", is: true },
    { inner: alone("10.0.0.1"), outer: "10.0.0.1/32", is: true },
    { inner: "a/8", outer: "0.0.0.0/0", is: false },
    { inner: "10.0.0.0/8", outer: "a/8", is: false }
  ])("$inner is part of $outer: $is", ({ inner, is, outer }) => expect(isWithin(inner, outer)).toBe(is))
})
