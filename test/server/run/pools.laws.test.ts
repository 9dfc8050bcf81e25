// Who takes a stage, wherever its workspace is moved while it is offered, taken and ended.
import { expect, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Speaker } from "../../../src/core/run/standing.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { tokenHash } from "../../../src/server/access/tokens.ts"
import { stores } from "../../../src/server/lifecycle/server.ts"
import { Assignments, type Offered } from "../../../src/server/run/assignments.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Stages } from "../../../src/server/run/stages.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { directory, failed, optionsIn, plainRun } from "../live-server.ts"

const pool = Schema.Literals(["one", "two"])
const Step = Schema.Union([
  Schema.TaggedStruct("Move", { to: Schema.NullOr(pool) }),
  Schema.TaggedStruct("Move", { to: pool }),
  Schema.TaggedStruct("Ask", { by: pool }),
  Schema.TaggedStruct("Acknowledge", { by: pool }),
  Schema.TaggedStruct("Enter", { by: pool }),
  Schema.TaggedStruct("End", { by: pool, hasTask: Schema.Boolean })
])
/** Both pools begin with a token of the stage. */
const offeredToBoth = (["one", "two"] as const).flatMap((pool) => [{ _tag: "Move", to: pool }, { _tag: "Ask", by: pool }] as const)
const Steps = Schema.Array(Step).check(Schema.isMinLength(8), Schema.isMaxLength(20))

const tokenOf = { one: "one-token-0123456789", two: "two-token-0123456789" }

const stored = Layer.unwrap(Effect.map(directory, (made) => {
  writeFileSync(join(made, "pool.token"), `${tokenOf.one} one\n${tokenOf.two} two\n`)
  return stores(optionsIn(made))
}))

let count = 0

layer(stored)("a stage", (it) => {
  it.effect.prop(
    "is taken by an agent of its workspace's pool, or by any if there is none, and from then on the task that took it is heard whatever moves",
    { steps: Steps },
    ({ steps }) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const [assignments, runs, stages, workspaces] = [yield* Assignments, yield* Runs, yield* Stages, yield* Workspaces]
        const blobs = yield* Blobs
        const { id: workspaceId } = yield* workspaces.ensure(WorkspaceName.make(`w${count++}`))
        const version = yield* Effect.flatMap(Configurations, (configurations) => configurations.create(workspaceId, false))
        const { sha256: archiveSha256 } = yield* Effect.scoped(
          Effect.tap(blobs.receive(Stream.empty, { limitBytes: 0 }), blobs.store)
        )
        const { id: runId } = yield* runs.create({ workspaceId, configurationVersionId: version.id, archiveSha256, ...plainRun })
        const id = `${runId}.plan.1`
        const tokens = new Map<string, Offered>()
        let bound: string | null = null

        for (const step of [...offeredToBoth, ...steps]) {
          if (step._tag === "Move") {
            bound = step.to
            yield* workspaces.update(workspaceId, { pool: bound })
            continue
          }
          const before = yield* stages.get(id)
          const [taskUid, may] = [`uid-${step.by}`, bound === null || bound === step.by]
          const isOwn = before.taskUid === null ? may : before.taskUid === taskUid
          if (step._tag === "Ask") {
            yield* sql`UPDATE stages SET offeredAt = NULL WHERE id = ${id}`
            const offered = yield* assignments.acquire(
              { name: `agent-${step.by}`, pool: step.by, tokenHash: tokenHash(tokenOf[step.by]) },
              0,
              100
            )
            expect(offered.length === 0 || isOwn).toBe(true)
            for (const { taskToken } of offered) {
              const known = yield* assignments.byToken(taskToken)
              if (known === undefined) return expect.fail("the token of an offer is not known")
              tokens.set(step.by, known)
            }
          }
          const by = Speaker.Agent({ pool: step.by, taskUid: Option.some(taskUid) })
          if (step._tag === "Acknowledge") expect(Exit.isSuccess(yield* Effect.exit(assignments.acknowledge(id, by)))).toBe(isOwn)
          const offered = tokens.get(step.by)
          if (step._tag === "Enter" && offered !== undefined && before.endedAt === null) {
            const entered = yield* Effect.exit(assignments.enter({ ...offered, stage: before }, by.taskUid))
            expect(Exit.isSuccess(entered)).toBe(isOwn)
          }
          if (step._tag === "End") {
            const told = yield* Effect.exit(
              assignments.end(id, step.hasTask ? by : Speaker.Agent({ pool: step.by, taskUid: Option.none() }), failed())
            )
            expect(Exit.isSuccess(told)).toBe(step.hasTask ? isOwn : before.taskUid === null && may)
          }
          const after = yield* stages.get(id)
          if (before.taskUid !== null) expect(after.taskUid).toBe(before.taskUid)
          else if (after.taskUid !== null) expect([after.taskUid, may]).toEqual([taskUid, true])
        }
        yield* Effect.ignore(
          assignments.end(id, Speaker.Worker({ taskUid: Option.some((yield* stages.get(id)).taskUid ?? "nobody") }), failed())
        )
      }),
    { arbitrary: { runs: 80 } }
  )
})
