// Gives each address of a host time to be connected to. Node gives up on one after 250 ms, even if no other one can be reached: a slow line,
// or a lost packet, which is sent again after a second, is then "no answer" of a host that has an IPv6 address too.
// Used by cli/agent-job, for all programs.
import { setDefaultAutoSelectFamilyAttemptTimeout } from "node:net"

setDefaultAutoSelectFamilyAttemptTimeout(1500)
