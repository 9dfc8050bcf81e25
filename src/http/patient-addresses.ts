// Gives each address of a host time to be connected to: Node gives up on one after 250 ms, even where no other one can be reached, so that a
// slow line, or a lost packet, which is sent again after a second, is "no answer" of a host that has an IPv6 address too.
// Imported by cli/agent-job.ts, for all programs.
import { setDefaultAutoSelectFamilyAttemptTimeout } from "node:net"

setDefaultAutoSelectFamilyAttemptTimeout(1500)
