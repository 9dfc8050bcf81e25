// What `agent-job logs` prints for whoever reads its stdout, and what beside that.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { directory, person, serve, userToken } from "../../server/live-server.ts"
import { playing, quickstart } from "../fake-agent.ts"
import { ran } from "../typed.ts"

it.live("the log alone is on stdout, and what is said of it on stderr", () =>
  Effect.gen(function*() {
    const url = yield* Effect.flatMap(directory, serve)
    const logs = (...args: ReadonlyArray<string>) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "logs", "--no-color", ...args)
    const id = yield* person(url).start("demo", { "plan-only": true })
    expect(yield* logs(id)).toEqual({ code: 0, out: "", error: expect.stringContaining(`${id} has no plan log yet. `) })
    yield* playing(url, quickstart)
    const followed = yield* logs("-f", id)
    expect([followed.code, followed.out]).toEqual([0, "Initializing…\n+ card.ada\n"])
    expect(yield* logs(id)).toEqual({ code: 0, out: followed.out, error: "" })
  }))
