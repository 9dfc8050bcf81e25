import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Result, type Scope, Stream } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { RunEvent } from "../../src/core/run/run-machine.ts"
import { Speaker } from "../../src/core/run/standing.ts"
import type { JournalEntry } from "../../src/schema/api/effects.ts"
import { Sha256, WorkspaceName } from "../../src/schema/names.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { stores } from "../../src/server/lifecycle/server.ts"
import { ImportRuns } from "../../src/server/rescue/import-runs.ts"
import { Settlements } from "../../src/server/rescue/settlements.ts"
import { Assignments } from "../../src/server/run/assignments.ts"
import { Configurations } from "../../src/server/run/configurations.ts"
import { type NewRun, Runs } from "../../src/server/run/runs.ts"
import { StageEnds } from "../../src/server/run/stage-ends.ts"
import { Stages } from "../../src/server/run/stages.ts"
import { Blobs } from "../../src/server/store/blobs.ts"
import { Evidence } from "../../src/server/workspace/evidence.ts"
import { Rescues } from "../../src/server/workspace/rescues.ts"
import { StateLocks } from "../../src/server/workspace/state-locks.ts"
import { StateVersions } from "../../src/server/workspace/state-versions.ts"
import { Workspaces } from "../../src/server/workspace/workspaces.ts"
import {
  ada,
  archiveOf,
  directory,
  evicted,
  failed,
  inStores,
  optionsIn,
  plainRun,
  sha256,
  state,
  succeeded,
  withChanges
} from "./live-server.ts"
import { entry, lost } from "./run/applying.ts"

type Stores = Layer.Success<ReturnType<typeof stores>>
type Storing<A> = Effect.Effect<A, unknown, Stores | Scope.Scope>
interface Written {
  readonly word: string
  /** Brings the server to where the word comes, and returns what writes it. */
  readonly ready: Storing<Storing<unknown>>
}

const demo = WorkspaceName.make("demo")
const task = "task-uid"
const pool = "west"
const by = Speaker.Agent({ pool, taskUid: Option.some(task) })
const plan = "the plan"
const bytesOf = (serial: number) => Buffer.from(JSON.stringify(state(serial)))

const creating = Effect.fnUntraced(function*(more: Partial<NewRun> = {}) {
  const { id: workspaceId } = yield* (yield* Workspaces).ensure(demo)
  const configurations = yield* Configurations
  const { id: configurationVersionId } = yield* configurations.create(workspaceId, false)
  yield* configurations.upload(configurationVersionId, Stream.succeed(archiveOf({ "main.tf": "" })))
  const archiveSha256 = (yield* configurations.get(configurationVersionId)).sha256 ?? expect.fail("it was uploaded")
  return (yield* Runs).create({ ...plainRun, ...more, workspaceId, configurationVersionId, archiveSha256 })
})
const created = (more: Partial<NewRun> = {}) => Effect.flatten(creating(more))

const offered = Effect.flatMap(Assignments, (assignments) => assignments.acquire({ name: "agent-1", pool, tokenHash: "" }, 0, 1)).pipe(
  Effect.flatMap(([one]) => Effect.flatMap(Stages, (stages) => stages.get(one?.id ?? expect.fail("there is work"))))
)
const enter = Effect.flatMap(
  offered,
  (stage) => Effect.flatMap(Assignments, (assignments) => assignments.enter({ stage, pool }, Option.some(task)))
)
const end = (id: string, result: StageResult) => Effect.flatMap(Assignments, (assignments) => assignments.end(id, by, result))
const ending = (id: string, result: StageResult) => Effect.succeed(end(id, result))

const received = (text: string) => Effect.flatMap(Blobs, (blobs) => blobs.receive(Stream.succeed(Buffer.from(text)), { limitBytes: 100 }))

/** The plan stage of a run, begun, with its plan on the disk. */
const planning = Effect.fnUntraced(function*(more: Partial<NewRun> = {}) {
  const { id } = yield* created(more)
  const stage = yield* enter
  yield* (yield* Runs).savePlan(id, stage.id, yield* received(plan))
  return stage
})
const planned = succeeded({ ...withChanges, planDigest: Sha256.make(sha256(plan)) })

/** The apply stage of a run, begun, with the lock `a`; the run is the first of two. */
const applying = Effect.gen(function*() {
  const { id, runId } = yield* planning({ autoApply: true })
  yield* created()
  yield* end(id, planned)
  const stage = yield* enter
  const { workspaceId } = yield* (yield* Runs).get(runId)
  const epoch = yield* (yield* StateLocks).lock(workspaceId, { ID: "a" }, { stage: stage.id })
  const push = (serial: number, lockId = "a") =>
    Effect.flatMap(
      StateVersions,
      (states) => states.accept(workspaceId, { bytes: bytesOf(serial), lockId, by: { holder: stage.id, epoch: Option.some(epoch), runId } })
    )
  return { id: stage.id, runId, workspaceId, push }
})
const doubted = Effect.tap(applying, ({ id, push }) => Effect.andThen(push(1), end(id, lost)))

const settling = Effect.fnUntraced(function*(workspaceId: string, isUsed: boolean) {
  const [evidence] = yield* (yield* Evidence).list(workspaceId)
  const version = yield* (yield* StateVersions).current(workspaceId)
  const settlements = yield* Settlements
  return settlements.settle(demo, { caller: ada, shown: "me" }, {
    pending: (yield* (yield* Rescues).pending(workspaceId)).map(({ id }) => id),
    ...(version !== undefined && { version: version.id }),
    ...(evidence !== undefined && { evidence: evidence.id, ...(isUsed && { use: evidence.id }) })
  })
})

const append = (id: string, entries: ReadonlyArray<JournalEntry>) => Effect.flatMap(StageEnds, (ends) => ends.journal(id, entries))
const madeThing = [entry(1, "started", "time_sleep.a"), entry(2, "done", "time_sleep.a", "1")]

const words: ReadonlyArray<Written> = [
  { word: "a run begins", ready: creating() },
  {
    word: "a run is cancelled, and the next one has its turn",
    ready: Effect.gen(function*() {
      const [first, runs] = [yield* created(), yield* Runs]
      yield* created()
      yield* offered
      return runs.step(first.id, RunEvent.Cancel(), { stoppedBy: "me" })
    })
  },
  {
    word: "a saved plan is approved",
    ready: Effect.gen(function*() {
      const { id, runId } = yield* planning({ saved: true })
      yield* end(id, planned)
      return (yield* Runs).step(runId, RunEvent.Confirm({}), { approvedBy: "me" })
    })
  },
  {
    word: "a task has a stage",
    ready: Effect.andThen(
      created(),
      Effect.flatMap(Assignments, (assignments) => Effect.map(offered, ({ id }) => assignments.acknowledge(id, by)))
    )
  },
  {
    word: "a worker begins",
    ready: Effect.andThen(
      created(),
      Effect.flatMap(Assignments, (assignments) => Effect.map(offered, (stage) => assignments.enter({ stage, pool }, Option.some(task))))
    )
  },
  { word: "a plan is made, and its apply waits", ready: Effect.flatMap(planning({ autoApply: true }), ({ id }) => ending(id, planned)) },
  { word: "a plan is disrupted, and is made again", ready: Effect.flatMap(planning(), ({ id }) => ending(id, evicted)) },
  { word: "an apply ends, and leaves the state in doubt", ready: Effect.flatMap(applying, ({ id }) => ending(id, lost)) },
  {
    word: "an apply is ended by force",
    ready: Effect.gen(function*() {
      const { runId } = yield* applying
      yield* (yield* Runs).step(runId, RunEvent.Cancel())
      return (yield* StageEnds).forceCancel(runId, "me")
    })
  },
  {
    word: "a journal comes after its stage's end, and tells of what the state lacks",
    ready: Effect.gen(function*() {
      const { id, workspaceId } = yield* applying
      yield* (yield* StateLocks).unlock(workspaceId, "a", { stage: id })
      yield* end(id, failed())
      return append(id, madeThing)
    })
  },
  {
    word: "a lock is opened by force",
    ready: Effect.flatMap(applying, ({ workspaceId }) => Effect.map(StateLocks, (locks) => locks.forceUnlock(workspaceId, "a", "me")))
  },
  { word: "a stage stores a state", ready: Effect.map(applying, ({ push }) => push(1)) },
  {
    word: "a state comes after its stage's end, and leaves a doubt",
    ready: Effect.gen(function*() {
      const { id, push, workspaceId } = yield* applying
      yield* push(1)
      yield* end(id, succeeded({ statePushed: true }))
      return (yield* StateVersions).keepAsEvidence(id, workspaceId, { bytes: bytesOf(2), why: "It came late." })
    })
  },
  {
    word: "a person brings the first state of a workspace",
    ready: Effect.map(StateVersions, (states) => states.push(demo, { bytes: bytesOf(1), replace: undefined }))
  },
  { word: "a doubt is settled with the stored state", ready: Effect.flatMap(doubted, ({ workspaceId }) => settling(workspaceId, false)) },
  {
    word: "a doubt is settled with a refused state",
    ready: Effect.gen(function*() {
      const { id, push, workspaceId } = yield* applying
      yield* push(1)
      yield* Effect.ignore(push(2, "another"))
      yield* end(id, lost)
      return yield* settling(workspaceId, true)
    })
  },
  {
    word: "a doubt is settled, and its import ends",
    ready: Effect.gen(function*() {
      const { id, workspaceId } = yield* applying
      yield* append(id, madeThing)
      yield* end(id, lost)
      yield* (yield* ImportRuns).start(demo, ada)
      yield* offered
      return yield* settling(workspaceId, false)
    })
  },
  {
    word: "an import begins",
    ready: Effect.gen(function*() {
      const { id } = yield* applying
      yield* append(id, madeThing)
      yield* end(id, lost)
      return (yield* ImportRuns).start(demo, ada)
    })
  }
]

interface Pair {
  readonly words: string
  /** Brings the server to where both come, and returns what writes each. */
  readonly ready: Storing<readonly [Storing<unknown>, Storing<unknown>]>
  /** The refusal of the one that comes second. */
  readonly refusal: string
}

const pairs: ReadonlyArray<Pair> = [
  {
    words: "two people lock a state",
    ready: Effect.gen(function*() {
      const { id } = yield* (yield* Workspaces).ensure(demo)
      const locks = yield* StateLocks
      return [locks.lock(id, { ID: "a" }, { person: "ada" }), locks.lock(id, { ID: "b" }, { person: "bob" })]
    }),
    refusal: "locked"
  },
  {
    words: "two people bring the first state of a workspace",
    ready: Effect.map(StateVersions, (states) => {
      const push = (lineage: string) => states.push(demo, { bytes: Buffer.from(JSON.stringify(state(1, lineage))), replace: undefined })
      return [push("one"), push("another")]
    }),
    refusal: "other-lineage"
  },
  {
    words: "a plan is approved and discarded",
    ready: Effect.gen(function*() {
      const { id, runId } = yield* planning()
      yield* end(id, planned)
      const runs = yield* Runs
      return [runs.step(runId, RunEvent.Confirm({})), runs.step(runId, RunEvent.Discard())]
    }),
    refusal: "wrong-moment"
  },
  {
    words: "two results of a stage come",
    ready: Effect.map(applying, ({ id }) => [end(id, succeeded()), end(id, lost)]),
    refusal: "result-exists"
  },
  {
    words: "two plans of a run come",
    ready: Effect.gen(function*() {
      const { id } = yield* created()
      const [stage, runs] = [yield* enter, yield* Runs]
      const [one, another] = [yield* received(plan), yield* received("another plan")]
      return [runs.savePlan(id, stage.id, one), runs.savePlan(id, stage.id, another)]
    }),
    refusal: "plan-exists"
  },
  {
    words: "a doubt is settled by two people",
    ready: Effect.flatMap(doubted, ({ workspaceId }) => Effect.map(settling(workspaceId, false), (settle) => [settle, settle])),
    refusal: "nothing-pending"
  }
]

/** All rows, and whether each file is there that they name. */
const storedIn = Effect.fnUntraced(function*(made: string) {
  const sql = yield* SqlClient.SqlClient
  const tables = yield* sql<{ readonly name: string }>`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`
  const all = yield* Effect.forEach(tables, ({ name }) => Effect.map(sql`SELECT * FROM ${sql(name)}`, (rows) => ({ name, rows })))
  const named = new Set(JSON.stringify(all).match(/\b[0-9a-f]{64}\b/gu))
  return { all, files: [...named].filter((digest) => existsSync(join(made, "data", "blobs", digest))) }
})

describe("a server that dies while it writes", () =>
  it.effect.each(words)("has written all of it or nothing: $word", ({ ready }) =>
    Effect.gen(function*() {
      const made = yield* directory
      const context = yield* Layer.build(stores(optionsIn(made)))
      yield* Effect.gen(function*() {
        const write = yield* ready
        /** Writes, and dies before the next statement that changes a row after so many; returns whether it did. */
        const diesAfter = Effect.fnUntraced(function*(most: number) {
          let changes = 0
          const end = yield* write.pipe(
            Effect.provideService(Statement.CurrentTransformer, (statement) =>
              /^\s*(?:INSERT|UPDATE|DELETE)/u.test(statement.compile()[0]) && ++changes > most
                ? Effect.die("killed")
                : Effect.succeed(statement)),
            Effect.exit
          )
          if (changes <= most) {
            yield* end
          }
          return changes > most
        })
        const before = yield* storedIn(made)
        let changes = 0
        for (; yield* diesAfter(changes); changes++) {
          expect(yield* storedIn(made)).toEqual(before)
        }
        expect([changes > 1, yield* storedIn(made)]).toEqual([true, expect.not.objectContaining({ all: before.all })])
      }).pipe(Effect.provide(context))
    })))

describe("two words that come at the same moment", () =>
  it.effect.each(pairs)(
    "are taken one after the other, and the second one hears of the first: $words",
    ({ ready, refusal }) =>
      inStores(Effect.gen(function*() {
        const ends = yield* Effect.all((yield* ready).map((one) => Effect.result(one)), { concurrency: "unbounded" }).pipe(
          Effect.provideService(Statement.CurrentTransformer, (statement) => Effect.as(Effect.yieldNow, statement))
        )
        expect(ends.filter(Result.isSuccess)).toHaveLength(1)
        expect(ends.filter(Result.isFailure).map(({ failure }) => failure)).toMatchObject([{ error: refusal }])
      }))
  ))

describe("a stage that has begun", () =>
  it.effect("has begun for good, also for a request that came before and is let in after its workspace came into doubt", () =>
    inStores(Effect.gen(function*() {
      const plan = yield* planning({ autoApply: true })
      yield* end(plan.id, planned)
      const stage = yield* offered
      const enter = Effect.flatMap(Assignments, (assignments) => assignments.enter({ stage, pool }, Option.some(task)))
      const begun = yield* enter
      const { workspaceId } = yield* (yield* Runs).get(stage.runId)
      yield* (yield* Rescues).open({ workspaceId, stageId: plan.id, reason: "StateNotSaved", message: "A doubt." })
      expect(yield* enter).toEqual(begun)
    }))))
