// What somebody types at a real terminal before the question and after it, and which of the two is the answer.
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Schedule } from "effect"
import { directory, person, serve, userToken } from "../../server/live-server.ts"
import { playing, quickstart } from "../fake-agent.ts"
import { main, start } from "../program.ts"

const program = `"${process.execPath}" --disable-warning=ExperimentalWarning "${main}" run examples/quickstart --workspace demo --no-color`
const inTerminal = (command: string, url: string) =>
  start("script", ["--quiet", "--command", command, "/dev/null"], { AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken, TERM: "xterm" })

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
      const { child, ended, out, until } = yield* inTerminal(`exec ${program}`, url)
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

it.live("a run of the background waits for the terminal, shows what is typed then, and ends also in the background", () =>
  Effect.gen(function*() {
    const url = yield* Effect.flatMap(directory, serve)
    const planning = yield* Deferred.make<void>()
    const applying = yield* Deferred.make<void>()
    const { apply, plan } = quickstart
    yield* playing(url, { ...quickstart, plan: { ...plan, until: planning }, ...(apply && { apply: { ...apply, until: applying } }) })
    const { child, until } = yield* inTerminal("exec bash --norc --noprofile -i", url)
    const type = (text: string) => Effect.sync(() => child.stdin?.write(text))
    const untilJob = (state: RegExp) => Effect.raceFirst(until(state), Effect.repeat(type("jobs\n"), Schedule.spaced("100 millis")))
    yield* type(`${program} &\n`)
    yield* until("Initializing…")
    yield* Deferred.succeed(planning, undefined)
    yield* untilJob(/Stopped/u)
    yield* type("fg\n")
    yield* until("  > ")
    yield* type("yes\n")
    yield* until("  > yes")
    yield* until("Creating...")
    yield* type("\u001a")
    yield* until(/Stopped[^]*> yes[^]*Stopped/u)
    yield* type("bg\n")
    yield* Deferred.succeed(applying, undefined)
    yield* untilJob(/Done/u)
  }))
