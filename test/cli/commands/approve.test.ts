// What the server is asked for by approve and discard; what they say of runs of every kind is in test/cli/agent-job.test.ts.
import { expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Patience } from "../../../src/cli/server/patiently.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { agent, directory, person, planWith, serve, userToken } from "../../server/live-server.ts"
import { sealed } from "../run-views.ts"
import { ran } from "../typed.ts"

it.live("an approval is of the plan that was looked at, by its seal, because the run may have another by then", () =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.script.push({ body: sealed }, { status: 202 })
    expect(yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "approve", sealed.id)).toMatchObject({ code: 0 })
    expect(server.asked.at(-1)).toMatchObject({
      method: "POST",
      url: tfePath.action(sealed.id, "apply"),
      body: JSON.stringify({ seal: sealed.planSha256 })
    })
  }))

it.live.each([
  { command: "approve", away: [{ status: 503 }, { body: sealed }, { status: 429 }, { status: 202 }], code: 0, asked: "GET GET POST POST" },
  { command: "discard", away: [{ status: 503 }, { body: sealed }, { status: 429 }, { status: 202 }], code: 0, asked: "GET GET POST POST" },
  { command: "approve", away: [{ body: sealed }, { status: 503 }], code: 4, asked: "GET POST" },
  { command: "discard", away: ["reset" as const], code: 4, asked: "GET" }
])(
  "$command waits for a server that is away, but neither at a wrong address nor by sending twice what may have arrived: $asked",
  (_) =>
    Effect.gen(function*() {
      const { server, url } = yield* ScriptedServer.make
      server.script.push(..._.away)
      const { code } = yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, _.command, sealed.id).pipe(
        Effect.provideService(Patience, { every: Duration.millis(1), times: 2 })
      )
      expect([code, server.asked.map(({ method }) => method).join(" ")]).toEqual([_.code, _.asked])
    })
)

it.live("a discard ends a run whose plan waits, and is refused of what is no run, or no longer waits", () =>
  Effect.gen(function*() {
    const url = yield* Effect.flatMap(directory, serve)
    const waits = yield* person(url).start("demo")
    yield* planWith(url)
    const applies = yield* person(url).start("other", { "auto-apply": true })
    yield* planWith(url)
    const discard = (run: string) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "discard", run)
    expect(yield* discard("a-task")).toMatchObject({ code: 2, error: expect.stringContaining("\"a-task\" is not the id of a run") })
    expect(yield* discard(waits)).toEqual({ code: 0, out: `${waits} is discarded; nothing was changed.\n`, error: "" })
    expect(yield* discard(applies)).toMatchObject({ code: 1, out: "" })
    const statuses = yield* Effect.forEach([waits, applies], (id) => Effect.map(person(url).view(id), ({ status }) => status))
    expect([statuses, (yield* agent(url).take).runId]).toEqual([["discarded", "confirmed"], applies])
  }))
