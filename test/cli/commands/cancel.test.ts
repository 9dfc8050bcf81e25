import { expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Patience } from "../../../src/cli/server/patiently.ts"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { agent, directory, person, serve, userToken } from "../../server/live-server.ts"
import { run } from "../run-views.ts"
import { ran } from "../typed.ts"

it.live("a run that its cancel does not end says what does, and is ended by force after its cancel alone", () =>
  Effect.gen(function*() {
    const url = yield* Effect.flatMap(directory, serve)
    const agentJob = (...args: ReadonlyArray<string>) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, ...args)
    const id = yield* person(url).start("demo")
    yield* agent(url).take
    expect(yield* agentJob("cancel", id, "--force")).toMatchObject({
      out: "",
      error: `error: The run ${id} is planning, and nobody has asked it to stop; ask first: agent-job cancel ${id}\n`
    })
    expect(yield* agentJob("cancel", id)).toMatchObject({
      code: 0,
      out: `${id} is asked to stop; see how it ends with: agent-job get ${id}\n`
    })
    expect((yield* agentJob("get", id)).out).toContain(`agent-job cancel ${id} --force`)
    expect(yield* agentJob("cancel", id, "--force")).toMatchObject({
      code: 0,
      out: `${id} is ended; see what is known of it with: agent-job get ${id}\n`
    })
    expect((yield* person(url).view(id)).status).toBe("canceled")
    expect(yield* agentJob("cancel", id)).toEqual({
      code: 1,
      out: "",
      error: `error: ${id} is canceled already; there is nothing to cancel.\n`
    })
  }))

it.live("a cancel outlives a server that has no room, or is away, for a moment", () =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.script.push({ status: 429 }, { body: run({}) }, { status: 429 }, "reset", { status: 202 })
    const { code, out } = yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "cancel", "run-a1").pipe(
      Effect.provideService(Patience, { every: Duration.millis(1), times: 2 })
    )
    expect([code, out]).toEqual([0, "run-a1 is asked to stop; see how it ends with: agent-job get run-a1\n"])
    expect(server.asked.map(({ method }) => method)).toEqual(["GET", "GET", "POST", "POST", "POST"])
  }))
