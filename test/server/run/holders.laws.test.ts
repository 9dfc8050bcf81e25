// Who holds a workspace, whatever people start, approve, discard and cancel, and whatever becomes of the stages.
import { expect, layer } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { isFinal, RunEvent } from "../../../src/core/run/run-machine.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { stores } from "../../../src/server/lifecycle/server.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { type Run, Runs } from "../../../src/server/run/runs.ts"
import { StageEnds } from "../../../src/server/run/stage-ends.ts"
import { Stages } from "../../../src/server/run/stages.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { directory, failed, optionsIn, succeeded, withChanges } from "../live-server.ts"

const wishes = { Confirm: RunEvent.Confirm({}), Discard: RunEvent.Discard(), Cancel: RunEvent.Cancel() }

const nth = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 }))
const Step = Schema.Union([
  Schema.TaggedStruct("Start", { kind: Schema.Literals(["ordinary", "saved", "saved", "planOnly"]), autoApply: Schema.Boolean }),
  Schema.TaggedStruct("End", { nth, well: Schema.Literals([true, true, true, false]) }),
  Schema.TaggedStruct("Wish", { nth, event: Schema.Literals(["Confirm", "Confirm", "Discard", "Cancel"]) })
])
const Steps = Schema.Array(Step).check(Schema.isMinLength(8), Schema.isMaxLength(16))

const stored = Layer.unwrap(Effect.map(directory, (made) => stores(optionsIn(made))))

let count = 0

layer(stored)("a workspace", (it) => {
  it.effect.prop(
    "has at most one run that may change it, which holds it; nobody waits for a free one, and no saved plan outlives an apply",
    { steps: Steps },
    ({ steps }) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const [blobs, ends, runs, stages, workspaces] = [yield* Blobs, yield* StageEnds, yield* Runs, yield* Stages, yield* Workspaces]
        const { id: workspaceId } = yield* workspaces.ensure(WorkspaceName.make(`w${count++}`))
        const version = yield* Effect.flatMap(Configurations, (configurations) => configurations.create(workspaceId, false))
        const received = <A, E, R>(
          use: (one: { readonly sha256: Run["archiveSha256"] } & Parameters<typeof blobs.store>[0]) => Effect.Effect<A, E, R>
        ) => Effect.scoped(Effect.flatMap(blobs.receive(Stream.empty, { limitBytes: 0 }), use))
        const archiveSha256 = yield* received((one) => Effect.as(blobs.store(one), one.sha256))
        const openOf = (run: Run) => Effect.map(stages.ofRun(run.id), (all) => all.find(({ endedAt }) => endedAt === null))

        for (const step of steps) {
          const before = (yield* runs.list(workspaceId, 50, 0)).toReversed()
          if (step._tag === "Start") {
            yield* runs.create({
              workspaceId,
              configurationVersionId: version.id,
              archiveSha256,
              planOnly: step.kind === "planOnly",
              saved: step.kind === "saved",
              autoApply: step.autoApply && step.kind === "ordinary",
              destroy: false,
              message: "",
              engine: undefined,
              options: {},
              variables: []
            })
          } else {
            const live = before.filter(({ status }) => !isFinal(status))
            const run = live[step.nth % Math.max(live.length, 1)]
            if (run === undefined) continue
            const open = yield* openOf(run)
            if (step._tag === "Wish") yield* Effect.ignore(runs.step(run.id, wishes[step.event]))
            else if (open !== undefined) {
              yield* sql`UPDATE stages SET startedAt = '2026-01-31T12:00:00Z' WHERE id = ${open.id}`
              if (open.stage === "plan") yield* received((plan) => runs.savePlan(run.id, open.id, plan))
              yield* ends.conclude(open, step.well ? succeeded(withChanges) : failed())
              if (open.stage === "apply") {
                const left = (yield* runs.list(workspaceId, 50, 0)).filter(({ saved, status }) => saved && status === "planned")
                expect(left).toEqual([])
              }
            }
          }
          const { currentRunId } = yield* workspaces.get(workspaceId)
          const now = yield* runs.list(workspaceId, 50, 0)
          const changing = now.filter(({ status }) => status === "confirmed" || status === "applying").map(({ id }) => id)
          const waits = now.filter(({ planOnly, saved, status }) => status === "pending" && !planOnly && !saved)
          const holder = now.find(({ id }) => id === currentRunId)
          expect(changing.filter((id) => id !== currentRunId)).toEqual([])
          expect(holder === undefined || !isFinal(holder.status)).toBe(true)
          expect(holder === undefined ? waits : []).toEqual([])
          for (const run of waits) expect((yield* openOf(run)) !== undefined).toBe(run.id === currentRunId)
        }
      }),
    { arbitrary: { runs: 25 } }
  )
})
