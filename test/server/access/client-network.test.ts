// Whose requests and connections are counted together: those of one IPv4 address, or of the /64 that a client has of IPv6.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { HttpServerRequest } from "effect/http"
import { clientNetwork } from "../../../src/server/access/client-network.ts"
import { Limits, Rates } from "../../../src/server/access/limits.ts"

describe("the network of a client", () => {
  it.each([
    { address: "192.0.2.7", is: "192.0.2.7" },
    { address: "::ffff:192.0.2.7", is: "::ffff:192.0.2.7" }, // IPv4, at a socket for both
    { address: "::1", is: "::1" },
    { address: "2001:db8:1:2:3:4:5:6", is: "2001:db8:1:2::/64" },
    { address: "2001:db8:1:2::9", is: "2001:db8:1:2::/64" },
    { address: "2001:db8::9", is: "2001:db8:0:0::/64" },
    { address: "fe80::1%eth0", is: "fe80:0:0:0::/64" },
    { address: "", is: "" }
  ])("$address is $is", ({ address, is }) => expect(clientNetwork(address)).toBe(is))
})

it.effect("a limit for addresses counts all that a client has of IPv6 as one, and leaves its neighbour's alone", () =>
  Effect.gen(function*() {
    const limits = yield* Limits
    const request = HttpServerRequest.fromWeb(new Request("http://server/"))
    const isAdmitted = (address: string) =>
      limits.admit(Option.none(), request.modify({ remoteAddress: Option.some(address) })).pipe(
        Effect.match({ onFailure: () => false, onSuccess: () => true })
      )
    const admitted = yield* Effect.forEach(
      ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.7", "::ffff:192.0.2.8", "::ffff:192.0.2.8"],
      isAdmitted
    )
    expect(admitted).toEqual([true, false, true, true, true, false])
  }).pipe(
    Effect.provide(Limits.layer),
    Effect.provideServiceEffect(Rates, Effect.map(Rates, (rates) => ({ ...rates, address: { perSecond: 0.1, burst: 1 } })))
  ))
