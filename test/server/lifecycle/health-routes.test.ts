import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ask, directory, person, planWith, serve } from "../live-server.ts"

/** Returns the runs of each status that has any. */
const runsOf = (url: string) =>
  Effect.map(ask(`${url}/metrics`, undefined), ({ text }) =>
    Object.fromEntries(
      [...text.matchAll(/^agent_job_server_runs\{status="(\w+)"\} ([1-9]\d*)$/gmu)].map(([, status = "", n]) => [status, Number(n)])
    ))

it.live("the metrics count runs by the status that each has now, also after a restart", () =>
  Effect.gen(function*() {
    const made = yield* directory
    yield* Effect.scoped(Effect.gen(function*() {
      const url = yield* serve(made)
      yield* person(url).start("one")
      yield* planWith(url)
      yield* person(url).act(yield* person(url).start("another"), "cancel")
      expect(yield* runsOf(url)).toEqual({ planned: 1, canceled: 1 })
    }))
    const url = yield* serve(made)
    yield* person(url).start("a_third")
    expect(yield* runsOf(url)).toEqual({ planned: 1, canceled: 1, pending: 1 })
  }))
