import { expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { RunEvent } from "../../../src/core/run/run-machine.ts"
import { auditPath } from "../../../src/schema/api/audit.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { stores } from "../../../src/server/lifecycle/server.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Rescues } from "../../../src/server/workspace/rescues.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { agent, ask, directory, optionsIn, person, plainRun, serve, userToken } from "../live-server.ts"

/** The events that lead a run to each status. */
const ways = {
  pending: [],
  planning: [RunEvent.Started({ step: "plan" })],
  planned: [RunEvent.Planned({ hasChanges: true })],
  confirmed: [RunEvent.Planned({ hasChanges: true }), RunEvent.Confirm({})]
} as const

/**
 * An import with this status, for a rescue of its own. With `isSettled`, the rescue is settled and its import left alone, as earlier
 * versions of the server did it.
 */
const importing = Effect.fnUntraced(function*(status: keyof typeof ways, isSettled: boolean) {
  const [blobs, configurations, rescues, runs, workspaces] = [
    yield* Blobs,
    yield* Configurations,
    yield* Rescues,
    yield* Runs,
    yield* Workspaces
  ]
  const { id: workspaceId } = yield* workspaces.ensure(WorkspaceName.make(`${status}${isSettled ? "-settled" : ""}`))
  const { id: configurationVersionId } = yield* configurations.create(workspaceId, false)
  const { sha256: archiveSha256 } = yield* Effect.scoped(Effect.tap(blobs.receive(Stream.empty, { limitBytes: 0 }), blobs.store))
  const made = { workspaceId, configurationVersionId, archiveSha256, ...plainRun }
  const lost = yield* runs.create(made)
  yield* rescues.open({ workspaceId, stageId: `${lost.id}.plan.1`, reason: "Lost", message: "lost" })
  const rescueId = (yield* rescues.pending(workspaceId))[0]?.id ?? expect.fail("it is open")
  const { id } = yield* runs.create({ ...made, rescueId })
  for (const event of ways[status]) yield* runs.step(id, event)
  if (isSettled) yield* rescues.settle(rescueId, "me", "the stored state is kept")
  return id
})

it.live("the imports of rescues that are settled end with the start of the server, since no agent is offered them any more; those of others go on", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const { ended, planning, waiting } = yield* Effect.scoped(
      Effect.flatMap(Layer.build(stores(optionsIn(made))), (context) =>
        Effect.provide(
          Effect.all({
            ended: Effect.forEach(["pending", "planned", "confirmed"] as const, (status) => importing(status, true)),
            planning: importing("planning", true),
            waiting: importing("confirmed", false)
          }),
          context
        ))
    )
    const url = yield* serve(made)
    const endedAs = (id: string) =>
      Effect.repeat(person(url).view(id), { until: ({ final }) => final }).pipe(
        Effect.timeout("30 seconds"),
        Effect.map(({ status }) => status)
      )
    expect(yield* Effect.forEach(ended, endedAs)).toEqual(["canceled", "canceled", "canceled"])
    expect(yield* Effect.repeat(person(url).view(planning), { until: ({ cancelAsked }) => cancelAsked }).pipe(Effect.timeout("30 seconds")))
      .toMatchObject({ status: "planning" }) // until its agent ends it
    expect((yield* agent(url).acquire()).map(({ runId }) => runId)).toContain(waiting)
  }))

it.live("an import that ends with its rescue was stopped by whose token settled it, as in the audit trail", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const id = yield* Effect.scoped(
      Effect.flatMap(Layer.build(stores(optionsIn(made))), (context) => Effect.provide(importing("pending", false), context))
    )
    const url = yield* serve(made)
    yield* person(url).settle("pending")
    const [settled] = (yield* ask(url + auditPath.all, userToken)).json.entries
    expect(yield* person(url).view(id)).toMatchObject({ status: "canceled", stoppedBy: settled.name })
  }))
