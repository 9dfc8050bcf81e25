// Crashes in pairs: the second one strikes the run that has the first, so that it strikes what recovers from that, at each of its requests.
// Run by test/simulation/crash-pairs.test.ts, which tries a small part of them, and by test/simulation/soak-crashes, which tries all.
import { type Crash, modes, play, tryWith } from "./crashes.ts"
import type { Fault } from "./one-thread.ts"
import type { ScenarioName } from "./pinned-points.ts"

/** Those in which each way of the first crash meets each of the second one. */
const core: ReadonlyArray<ScenarioName> = ["a plan", "an apply", "a cancel in an apply"]
/** Leaves the most half done. It is the only way in the other scenarios, where all would take hours. */
const dies: ReadonlyArray<Fault> = ["killed after"]

/** What may neither be lost nor done twice: a task or Job is made, a state pushed; and, where runs are short, a claim or result written. */
const isDelicate = (name: ScenarioName, request: string): boolean =>
  /^(?:create (?:AgentTask|Job) |push the state$|a new state$)/u.test(request) ||
  (core.includes(name) && request.startsWith("update the status of AgentTask "))
/** Within how many requests after the first crash the second one comes in the small part. */
const soon = 10

/**
 * Makes the pairs of a scenario; each is a function that plays it, and returns what went wrong or "". A crash that breaks an invariant alone
 * has no second one. The small part has those in which a process dies after something delicate, and soon again one does.
 */
export const pairsOf = function*(name: ScenarioName, part: "all" | "small" = "all"): Generator<() => string> {
  const clean = play(name)
  const isSmall = part === "small"
  const ways = core.includes(name) && !isSmall ? modes : dies
  for (const [at, request] of clean.requests.entries()) {
    if (isSmall && !isDelicate(name, request)) continue
    for (const mode of ways) {
      const first: Crash = { at, mode }
      const { requests } = tryWith(name, clean, [first])
      const end = isSmall ? Math.min(requests, at + 1 + soon) : requests
      for (let next = at + 1; next < end; next++) {
        for (const way of ways) yield () => tryWith(name, clean, [first, { at: next, mode: way }]).wrong
      }
    }
  }
}
