// What somebody types at a real terminal before the question and after it, and which of the two is the answer.
import { expect, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { directory, person, serve, userToken } from "../../server/live-server.ts"
import { playing, quickstart } from "../fake-agent.ts"
import { main, start } from "../program.ts"

it.live.each([
  { given: "yes", before: "yes\n", answer: "no\n", becomes: "discarded" },
  { given: "an empty line and the beginning of another", before: "\nnot a whole line", answer: "yes\n", becomes: "applied" },
  { given: "no", before: "no\n", answer: "\u0003", becomes: "planned" }
])(
  "$given, typed before the question, is no answer: the run is $becomes by what is typed after it",
  ({ answer, becomes, before }) =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const planning = yield* Deferred.make<void>()
      yield* playing(url, { ...quickstart, plan: { ...quickstart.plan, until: planning } })
      const { child, ended, out, until } = yield* start("script", [
        "--quiet",
        "--command",
        `exec "${process.execPath}" --disable-warning=ExperimentalWarning "${main}" run examples/quickstart --workspace demo --no-color`,
        "/dev/null"
      ], { AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken, TERM: "xterm" })
      yield* until("Initializing…")
      child.stdin?.write(before)
      yield* until(before.replaceAll("\n", "\r\n")) // the terminal shows it once it has it
      yield* Deferred.succeed(planning, undefined)
      yield* until("  > ")
      child.stdin?.end(answer)
      yield* ended
      expect((yield* person(url).view(/run-\w+/u.exec(out())?.[0] ?? "")).status).toBe(becomes)
    })
)
