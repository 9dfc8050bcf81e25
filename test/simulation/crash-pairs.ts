// Crashes in pairs: the second one strikes the run that has the first, so that it strikes what recovers from that, at each of its requests
// and at each commit of the pool's server. Run by test/simulation/crash-pairs.test.ts, which tries a small part of them, and by
// test/simulation/soak-crashes, which tries all; test/simulation/crash-points counts them.
import { type Crash, play, tryWith, waysOf } from "./crashes.ts"
import type { Fault } from "./one-thread.ts"
import type { ScenarioName } from "./pinned-points.ts"

type Part = "all" | "small"

/** Those in which each way of the first crash meets each of the second one. */
const core: ReadonlyArray<ScenarioName> = ["a plan", "an apply", "a cancel in an apply"]
/** Leaves the most half done. It is the only way in the other scenarios, where all would take hours. */
const dies: ReadonlyArray<Fault> = ["killed after"]

/**
 * What may neither be lost nor done twice: a task or Job is made, a state pushed, and stored by the server; and, where runs are short, a claim
 * or result written.
 */
const isDelicate = (name: ScenarioName, request: string): boolean =>
  /^(?:create (?:AgentTask|Job) |push the state$|(?:the server's commit of )?a new state$)/u.test(request) ||
  (core.includes(name) && request.startsWith("update the status of AgentTask "))
/** Within how many requests after the first crash the second one comes in the small part. */
const soon = 14

const waysIn = (name: ScenarioName, part: Part, request: string): ReadonlyArray<Fault> =>
  core.includes(name) && part === "all" ? waysOf(request) : dies

/** Returns the crashes that come second, each with this one, in a run that has it and these requests. */
const secondsOf = (name: ScenarioName, first: Crash, requests: ReadonlyArray<string>, part: Part): ReadonlyArray<Crash> =>
  requests.slice(0, part === "small" ? first.at + 1 + soon : undefined).flatMap((request, at) =>
    at > first.at ? waysIn(name, part, request).map((mode) => ({ at, mode })) : []
  )

/** Counts all pairs that have this crash of a request first, in a run that has it and these requests. */
export const countPairs = (name: ScenarioName, first: Crash, request: string, requests: ReadonlyArray<string>): number =>
  waysIn(name, "all", request).includes(first.mode) ? secondsOf(name, first, requests, "all").length : 0

/**
 * Makes the pairs of a scenario whose first crash is one of mine; each is a function that plays it, and returns what went wrong or "". A crash
 * that breaks an invariant alone has no second one. The small part has those in which a process dies after something delicate, and soon again
 * one does.
 */
export const pairsOf = function*(
  name: ScenarioName,
  part: Part = "all",
  isMine: (at: number) => boolean = () => true
): Generator<() => string> {
  const clean = play(name)
  for (const [at, request] of clean.requests.entries()) {
    if (!isMine(at) || (part === "small" && !isDelicate(name, request))) continue
    for (const mode of waysIn(name, part, request)) {
      const first: Crash = { at, mode }
      const { requests } = tryWith(name, clean, [first])
      for (const second of secondsOf(name, first, requests, part)) yield () => tryWith(name, clean, [first, second]).wrong
    }
  }
}
