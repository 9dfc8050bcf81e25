// A reason that only a newer worker or controller knows: the server takes it, shows it as it came, and stops at nothing because of it.
// So also after a way back to an older server, whose database has such reasons.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { runPath } from "../../src/schema/api/run.ts"
import { agent, applying, failed, person, planWith, succeeded, withChanges } from "./live-server.ts"

const fromTomorrow = "FromTomorrow" as "Completed"

it.live("is taken, listed and settled, and the same result told in today's words is the same", () =>
  Effect.gen(function*() {
    const { applier, apply, id, url } = yield* applying
    yield* applier.lock("a")
    const result = { ...failed(), reason: fromTomorrow }
    expect((yield* applier.result(result)).status).toBe(204)
    expect((yield* agent(url).report(apply.id, failed())).status).toBe(204) // as an older controller tells it
    expect((yield* agent(url).report(apply.id, failed("Another one."))).json.error).toBe("result-exists")
    const { json } = yield* person(url).as("GET", runPath.list)
    expect(json.runs).toMatchObject([{ id, status: "errored", stages: [{}, { reason: fromTomorrow, result }] }])
    expect(yield* person(url).state("demo")).toMatchObject({ pending: [{ stage: apply.id, reason: fromTomorrow }] })
    expect((yield* person(url).settle("demo")).json).toMatchObject({ pending: [], settled: [{ reason: fromTomorrow }] })
  }))

it.live("keeps nobody from cancelling the run that has it", () =>
  Effect.gen(function*() {
    const { url } = yield* applying
    const id = yield* person(url).start("other")
    yield* planWith(url, "the plan", succeeded({ ...withChanges, reason: fromTomorrow }))
    expect(yield* person(url).view(id)).toMatchObject({ status: "planned", stages: [{ reason: fromTomorrow }] })
    expect((yield* person(url).act(id, "cancel")).status).toBe(202)
    expect(yield* person(url).view(id)).toMatchObject({ status: "discarded", final: true })
  }))
