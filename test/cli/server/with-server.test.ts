// What a person is told by a command while the server accepts the request and never answers.
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { agentJob } from "../program.ts"

it.live("each command says for whose answer it waits", () =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.otherwise = "silence"
    const commands = [["get", "runs"], ["logs", "run-a1"], ["cancel", "run-a1"]]
    yield* Effect.forEach(
      commands,
      Effect.fnUntraced(function*(args) {
        const { until } = yield* agentJob(args, { AGENT_JOB_URL: url, AGENT_JOB_TOKEN: "t" })
        yield* until(`Waiting for an answer from the server at ${url}\n`)
      }),
      { concurrency: "unbounded" }
    )
  }).pipe(Effect.scoped))
