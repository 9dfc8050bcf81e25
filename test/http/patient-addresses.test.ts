// How long an address of a host may take: long enough for the second try of a connection whose first packet was lost.
import { expect, it } from "@effect/vitest"
import { getDefaultAutoSelectFamilyAttemptTimeout } from "node:net"
import "../../src/http/patient-addresses.ts"

/** After how many milliseconds the system sends the first packet of a connection again. */
const sentAgainAfter = 1000

it("an address is given up only once a packet that was lost has been sent again", () =>
  expect(getDefaultAutoSelectFamilyAttemptTimeout()).toBeGreaterThan(sentAgainAfter))
