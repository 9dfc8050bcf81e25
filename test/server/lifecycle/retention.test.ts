import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Layer, Logger, Option, Stream } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { TestClock } from "effect/testing"
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { Speaker } from "../../../src/core/run/standing.ts"
import type { Keep } from "../../../src/schema/api/keep.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { Retention } from "../../../src/server/lifecycle/retention.ts"
import { stores } from "../../../src/server/lifecycle/server.ts"
import { ImportRuns } from "../../../src/server/rescue/import-runs.ts"
import { Assignments } from "../../../src/server/run/assignments.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Logs } from "../../../src/server/run/logs.ts"
import { type NewRun, Runs } from "../../../src/server/run/runs.ts"
import { Stages } from "../../../src/server/run/stages.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { NamedBlobs } from "../../../src/server/store/named-blobs.ts"
import { Rescues } from "../../../src/server/workspace/rescues.ts"
import { StateLocks } from "../../../src/server/workspace/state-locks.ts"
import { StateVersions } from "../../../src/server/workspace/state-versions.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { ada, archiveOf, ask, directory, optionsIn, person, planWith, serve, sha256, succeeded } from "../live-server.ts"

type Stores = Layer.Success<ReturnType<typeof stores>>

const keep: Keep = { days: 30, runs: 2, states: 2 }
const onDay = (days: number) => TestClock.setTime(days * 24 * 3600 * 1000)
const passAlone = Effect.flatMap(Retention, (retention) => retention.pass())
/** Runs a pass as if another one had run six hours before, so that what is old goes at once. */
const pass = Effect.gen(function*() {
  const before = new Date((yield* Clock.currentTimeMillis) - 6 * 3600 * 1000).toISOString()
  yield* (yield* SqlClient.SqlClient)`INSERT OR IGNORE INTO retentionPasses (at) VALUES (${before})`
  return yield* passAlone
})

/** Runs an effect and returns how many of its statements are such ones. */
const timesIn = <A, E, R>(effect: Effect.Effect<A, E, R>, such: RegExp) => {
  let times = 0
  return Effect.provideService(effect, Statement.CurrentTransformer, (statement) =>
    Effect.sync(() => {
      if (such.test(statement.compile()[0])) times++
      return statement
    })).pipe(Effect.map(() => times))
}

const inStores = <A, E>(use: (made: string) => Effect.Effect<A, E, Stores>, kept = keep) =>
  Effect.flatMap(
    directory,
    (made) => Effect.flatMap(Layer.build(stores({ ...optionsIn(made), keep: kept })), (context) => Effect.provide(use(made), context))
  )

const filesIn = (made: string) => new Set(readdirSync(join(made, "data", "blobs")))
const archive = (content: string) => archiveOf({ "main.tf": content })
const state = (serial: number) => Buffer.from(JSON.stringify({ version: 4, serial, lineage: "l" }))

/** Makes a configuration version of `demo` with an archive of this content. */
const version = Effect.fnUntraced(function*(content: string, speculative = false, onlyNamed = false) {
  const { id: workspaceId } = yield* (yield* Workspaces).ensure(WorkspaceName.make("demo"))
  const configurations = yield* Configurations
  const { id } = yield* configurations.create(workspaceId, speculative, onlyNamed)
  yield* configurations.upload(id, Stream.succeed(archive(content)))
  const { sha256 } = yield* configurations.get(id)
  return { workspaceId, configurationVersionId: id, archiveSha256: sha256 ?? expect.fail("it was uploaded") }
})

const create = (of: Effect.Success<ReturnType<typeof version>>, more: Partial<NewRun> = {}) =>
  Effect.flatMap(
    Runs,
    (runs) =>
      runs.create({
        ...of,
        planOnly: true,
        autoApply: false,
        destroy: false,
        message: "",
        engine: undefined,
        options: {},
        variables: [{ key: "secret", value: "\"s\"" }],
        ...more
      })
  )

/** Takes the stage that waits, gives it a log of 4 bytes and ends it with this result. */
const stage = Effect.fnUntraced(function*(result: StageResult) {
  const assignments = yield* Assignments
  const [taken] = yield* assignments.acquire({ name: "agent-1", pool: "p", tokenHash: "" }, 0, 1)
  const { id } = taken ?? expect.fail("there is work")
  yield* assignments.acknowledge(id, Speaker.Agent({ pool: "p", taskUid: Option.some("uid") }))
  yield* (yield* Logs).append(id, 0, Buffer.from("log\n"))
  yield* assignments.end(id, Speaker.Agent({ pool: "p", taskUid: Option.some("uid") }), result)
  return { id, taskToken: taken?.taskToken ?? "" }
})

/** Makes a run that is over, of a configuration version of its own. */
const past = Effect.fnUntraced(function*(content: string) {
  const of = yield* version(content)
  const run = yield* create(of)
  return { ...of, id: run.id, stage: yield* stage(succeeded({ hasChanges: false })) }
})

const removedAt = (id: string) => Effect.flatMap(Runs, (runs) => Effect.map(runs.get(id), (run) => run.removedAt))
const isRemoved = (id: string) => Effect.map(removedAt(id), (at) => at !== null)
const newer = Effect.forEach(["n1", "n2"], past)

describe("a run that is old and has enough newer ones after it", () => {
  it.effect("is emptied: archive, log, variables and tokens go, while its row says what was and since when they are gone", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const run = yield* past("old")
        yield* newer
        yield* onDay(31)
        yield* pass
        const { status, variables } = yield* (yield* Runs).whole(run.id)
        expect({ status, variables }).toEqual({ status: "planned_and_finished", variables: [] })
        expect(yield* removedAt(run.id)).toBe("1970-02-01T00:00:00.000Z")
        expect(filesIn(made).has(run.archiveSha256)).toBe(false)
        expect((yield* (yield* Stages).ofRun(run.id)).map(({ result }) => result?.outcome)).toEqual(["succeeded"])
        expect(yield* (yield* Assignments).byToken(run.stage.taskToken)).toBeUndefined()
        const gone = yield* Effect.flip((yield* Logs).read(run.id.replace("run-", "plan-"), 0, 100, 0))
        expect(gone).toMatchObject({
          status: 410,
          message:
            `The log of ${run.id} was removed on 1970-02-01, as it was old; the server's --keep-days and --keep-runs say how long logs are kept.`
        })
      })
    ))

  it.effect("takes nothing from those that are kept", () =>
    inStores(() =>
      Effect.gen(function*() {
        yield* past("old")
        const kept = (yield* newer).map(({ stage: { id } }) => ({ id }))
        yield* change("UPDATE stages SET effects = '{}'")
        yield* change(`INSERT INTO evidence (id, seq, workspaceId, stageId, serial, lineage, sha256, sizeBytes, why, receivedAt)
          SELECT stages.id, stages.seq, workspaceId, stages.id, 1, '', archiveSha256, 0, '', '' FROM stages JOIN runs ON runs.id = runId`)
        yield* onDay(31)
        yield* pass
        for (const table of ["taskTokens", "evidence"]) {
          expect(yield* change(`SELECT id FROM stages WHERE id IN (SELECT stageId FROM ${table}) ORDER BY seq`)).toEqual(kept)
        }
        expect(yield* change("SELECT id FROM stages WHERE effects IS NOT NULL ORDER BY seq")).toEqual(kept)
      })
    ))

  it.effect("loses its log a few pieces at a time, so that the server does something else in between", () =>
    inStores(() =>
      Effect.gen(function*() {
        const { id, stage } = yield* past("old")
        yield* change(`WITH n AS (SELECT 1 AS at UNION ALL SELECT at + 1 FROM n WHERE at < 99)
          INSERT INTO logChunks SELECT '${stage.id}', at * 4, x'00' FROM n`)
        yield* newer
        yield* onDay(31)
        expect([yield* timesIn(pass, /^DELETE FROM "?logChunks/u), yield* isRemoved(id)]).toEqual([4, true])
        expect(yield* change("SELECT 1 FROM logChunks WHERE stageId = ?", stage.id)).toEqual([])
      })
    ))

  it.effect("makes the database's file smaller with that, some pages at a time, also where others came after it", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const { stage } = yield* past("old")
        yield* change(`WITH n AS (SELECT 1 AS at UNION ALL SELECT at + 1 FROM n WHERE at < 99)
          INSERT INTO logChunks SELECT '${stage.id}', at * 65536, zeroblob(65536) FROM n`)
        yield* newer
        yield* onDay(31)
        expect(yield* timesIn(pass, /^PRAGMA incremental_vacuum/u)).toBeGreaterThan(6)
        expect(statSync(join(made, "data", "agent-job.sqlite")).size).toBeLessThan(1024 ** 2)
        expect(yield* change("PRAGMA freelist_count")).toEqual([{ freelist_count: 0 }])
      })
    ))

  it.effect("is not before both limits are passed", () =>
    inStores(() =>
      Effect.gen(function*() {
        const old = yield* Effect.forEach(["1", "2", "3"], past)
        yield* onDay(29)
        yield* pass
        expect(yield* Effect.forEach(old, ({ id }) => isRemoved(id))).toEqual([false, false, false])
        yield* onDay(31)
        yield* pass
        expect(yield* Effect.forEach(old, ({ id }) => isRemoved(id))).toEqual([true, false, false])
      })
    ))

  it.effect("stays where those are of another workspace", () =>
    inStores(() =>
      Effect.gen(function*() {
        const { id } = yield* past("old")
        yield* newer
        const other = yield* (yield* Workspaces).ensure(WorkspaceName.make("other"))
        yield* change("UPDATE runs SET workspaceId = ? WHERE id <> ?", other.id, id)
        yield* onDay(31)
        yield* pass
        expect(yield* isRemoved(id)).toBe(false)
      })
    ))

  it.effect.each<Keep>([{ ...keep, days: 0 }, { ...keep, days: 200_000_000 }, { ...keep, runs: 0 }])(
    "stays for ever where that was asked for (%o)",
    (kept) =>
      inStores(() =>
        Effect.gen(function*() {
          const { id } = yield* past("old")
          yield* newer
          yield* onDay(10_000)
          yield* pass
          expect(yield* isRemoved(id)).toBe(false)
        }), kept)
  )

  it.effect("of the time to come is new, when the clock was set back", () =>
    inStores(() =>
      Effect.gen(function*() {
        yield* onDay(1000)
        const { id } = yield* past("old")
        yield* newer
        yield* onDay(500)
        yield* pass
        expect(yield* isRemoved(id)).toBe(false)
      })
    ))
})

describe("what is old", () => {
  const hours = (number: number) => TestClock.adjust(`${number} hours`)

  it.effect("stays for six hours after a pass first saw it so, also when the server was away until then", () =>
    inStores(() =>
      Effect.gen(function*() {
        const { id } = yield* past("old")
        yield* newer
        yield* passAlone
        yield* onDay(100)
        for (const wait of [0, 5]) {
          yield* hours(wait)
          yield* passAlone
          expect(yield* isRemoved(id)).toBe(false)
        }
        yield* hours(1)
        yield* passAlone
        expect(yield* isRemoved(id)).toBe(true)
      })
    ))

  it.effect("by a clock that is ahead for some hours, as of a node at its start, stays", () =>
    inStores(() =>
      Effect.gen(function*() {
        const { id } = yield* past("old")
        yield* newer
        for (const _ of [1, 2, 3]) {
          for (let hour = 0; hour < 8; hour++) yield* Effect.andThen(hours(1), passAlone)
          const right = yield* Clock.currentTimeMillis
          yield* onDay(1000)
          for (let hour = 0; hour < 6; hour++) yield* Effect.andThen(passAlone, hours(1))
          yield* TestClock.setTime(right)
        }
        yield* passAlone
        yield* onDay(1001) // the passes that the fast clock noted do not count when their time has come
        for (let hour = 0; hour < 6; hour++) yield* Effect.andThen(passAlone, hours(1))
        expect(yield* isRemoved(id)).toBe(false)
        yield* passAlone
        expect(yield* isRemoved(id)).toBe(true)
      })
    ))
})

const change = (text: string, ...values: ReadonlyArray<unknown>) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(text, values))
const rescue = (of: { readonly workspaceId: string; readonly stage: { readonly id: string } }) =>
  Effect.gen(function*() {
    const rescues = yield* Rescues
    yield* rescues.open({ workspaceId: of.workspaceId, stageId: of.stage.id, reason: "StateNotSaved", message: "" })
    const [pending] = yield* rescues.pending(of.workspaceId)
    return pending?.id ?? expect.fail("it is open")
  })
const settle = (id: string) => Effect.flatMap(Rescues, (rescues) => rescues.settle(id, "me", "kept"))

describe("an old run", () => {
  /** The reasons to keep a run: `begin` brings one about and returns what ends it. */
  const keeps: ReadonlyArray<
    {
      readonly what: string
      readonly begin: (
        run: Effect.Success<ReturnType<typeof past>>
      ) => Effect.Effect<Effect.Effect<unknown, unknown, Stores>, unknown, Stores>
    }
  > = [
    { what: "its state is in doubt", begin: (run) => Effect.map(rescue(run), (id) => Effect.andThen(settle(id), onDay(100))) },
    {
      what: "its state was in doubt until lately",
      begin: (run) => Effect.flatMap(rescue(run), (id) => Effect.as(Effect.andThen(onDay(20), settle(id)), onDay(60)))
    },
    {
      what: "it imports for a doubt that is open",
      begin: (run) =>
        Effect.gen(function*() {
          const id = yield* rescue(yield* past("in doubt"))
          yield* change("UPDATE runs SET rescueId = ? WHERE id = ?", id, run.id)
          return settle(id)
        })
    },
    {
      what: "it holds its workspace",
      begin: (run) =>
        Effect.as(change("UPDATE workspaces SET currentRunId = ?", run.id), change("UPDATE workspaces SET currentRunId = NULL"))
    },
    {
      what: "a stage of it has the lock",
      begin: (run) =>
        Effect.as(change("UPDATE workspaces SET lockHolder = ?", run.stage.id), change("UPDATE workspaces SET lockHolder = NULL"))
    },
    {
      what: "a stage of it was withdrawn after it was offered, lately, and its agent has said nothing",
      begin: ({ stage: { id } }) =>
        Effect.as(change("UPDATE stages SET result = NULL, endedAt = '1970-01-10T00:00:00.000Z' WHERE id = ?", id), onDay(60))
    },
    {
      what: "a stage of it is not over",
      begin: ({ stage: { id } }) =>
        Effect.as(
          change("UPDATE stages SET endedAt = NULL WHERE id = ?", id),
          change("UPDATE stages SET endedAt = ? WHERE id = ?", "1970-01-01T00:00:00.000Z", id)
        )
    },
    {
      what: "it waits for a person",
      begin: ({ id }) =>
        Effect.as(
          change(
            "UPDATE runs SET status = 'planned', timestamps = json_set(timestamps, '$.planned', '1970-01-01T00:00:00.000Z') WHERE id = ?",
            id
          ),
          change("UPDATE runs SET status = 'planned_and_finished' WHERE id = ?", id)
        )
    },
    {
      what: "it ended lately",
      begin: ({ id }) =>
        Effect.as(
          change("UPDATE runs SET timestamps = ? WHERE id = ?", `{"planned_and_finished":"1970-01-10T00:00:00.000Z"}`, id),
          onDay(60)
        )
    }
  ]

  it.effect.each(keeps)("stays with all it has while $what, and not for longer", ({ begin }) =>
    inStores((made) =>
      Effect.gen(function*() {
        const run = yield* past("old")
        yield* newer
        const end = yield* begin(run)
        yield* onDay(31)
        yield* pass
        expect([yield* isRemoved(run.id), filesIn(made).has(run.archiveSha256)]).toEqual([false, true])
        yield* end
        yield* pass
        expect([yield* isRemoved(run.id), filesIn(made).has(run.archiveSha256)]).toEqual([true, false])
      })
    ))

  it.effect("that came to be needed while the others were emptied is not counted as removed", () =>
    inStores(() =>
      Effect.gen(function*() {
        const [first, second] = [yield* past("first"), yield* past("second")]
        yield* newer
        yield* onDay(31)
        yield* change(
          `CREATE TRIGGER needed AFTER UPDATE OF removedAt ON runs BEGIN UPDATE workspaces SET currentRunId = '${second.id}'; END`
        )
        const lines: Array<unknown> = []
        yield* Effect.provide(pass, Logger.layer([Logger.make(({ message }) => lines.push(message))]))
        expect([yield* isRemoved(first.id), yield* isRemoved(second.id)]).toEqual([true, false])
        expect(lines).toEqual([["what is old was removed", { workspace: "demo", runs: 1, configurations: 1, states: 0 }]])
      })
    ))

  it.effect("that is emptied leaves nothing to be imported, and whoever asks is told so", () =>
    inStores(() =>
      Effect.gen(function*() {
        const run = yield* past("old")
        yield* newer
        yield* onDay(31)
        yield* pass
        yield* rescue(run) // by a state that came very late
        expect(yield* Effect.flip((yield* ImportRuns).start("demo", ada))).toMatchObject({ status: 409, error: "configuration-removed" })
      })
    ))
})

describe("an archive", () => {
  it.effect("stays on the disk while a run that is kept has the same", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const { archiveSha256, id } = yield* past("same")
        yield* past("same")
        yield* past("other")
        yield* onDay(31)
        yield* pass
        expect([yield* isRemoved(id), filesIn(made).has(archiveSha256)]).toEqual([true, true])
      })
    ))

  it.effect("that no run used goes when it is old, but for the newest that may be applied, which the next run takes", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const [unused, newest, speculative] = [yield* version("unused"), yield* version("newest"), yield* version("speculative", true)]
        const onlyNamed = yield* version("of a token that only plans", false, true)
        yield* (yield* Configurations).create(newest.workspaceId, false) // its archive never came
        yield* onDay(31)
        const young = yield* version("young", true)
        yield* pass
        const all = [unused, newest, speculative, onlyNamed, young]
        expect(all.map(({ archiveSha256 }) => filesIn(made).has(archiveSha256))).toEqual([false, true, false, false, true])
        expect((yield* create(newest)).status).toBe("pending")
      })
    ))

  it.effect("stays with a kept run that has one of its own beside it, as an import has", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const of = yield* version("base")
        const { receive, store } = yield* Blobs
        const { sha256: archiveSha256 } = yield* Effect.scoped(
          Effect.tap(receive(Stream.succeed(archive("base and import blocks")), { limitBytes: 10_000 }), store)
        )
        yield* create(of, { archiveSha256 })
        yield* stage(succeeded({ hasChanges: false }))
        yield* version("newest")
        yield* onDay(31)
        yield* pass
        expect([of.archiveSha256, archiveSha256].map((file) => filesIn(made).has(file))).toEqual([true, true])
      })
    ))

  it.effect("that went can be uploaded again, and until then no run is made from it", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const unused = yield* version("unused")
        yield* version("newest")
        yield* onDay(31)
        yield* pass
        expect(yield* Effect.flip(create(unused))).toMatchObject({ status: 422, message: expect.stringContaining("upload it again") })
        expect(yield* (yield* Runs).page({ reach: "all" }, 10)).toEqual([])
        yield* (yield* Configurations).upload(unused.configurationVersionId, Stream.succeed(archive("unused")))
        yield* (yield* NamedBlobs).sweep(-Infinity)
        yield* onDay(60)
        yield* pass
        expect((yield* create(unused)).status).toBe("pending")
        yield* pass
        expect(filesIn(made).has(unused.archiveSha256)).toBe(true)
      })
    ))
})

describe("more than goes in one pass", () =>
  it.effect("goes with the next ones, of all workspaces", () =>
    inStores(() =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        for (const name of ["one", "two"]) {
          const { id: workspaceId } = yield* (yield* Workspaces).ensure(WorkspaceName.make(name))
          for (let n = 0; n < 150; n++) yield* (yield* Configurations).create(workspaceId, true)
        }
        yield* sql`UPDATE configurationVersions SET sha256 = ${"a".repeat(64)}`
        yield* onDay(31)
        expect([yield* pass, yield* pass, yield* pass]).toEqual([true, false, false])
        expect(yield* sql`SELECT count(*) AS n FROM configurationVersions WHERE removedAt IS NULL`).toEqual([{ n: 0 }])
      })
    )))

/** Stores states with these serials one after another, each under a lock of its own. */
const push = (workspaceId: string, ...serials: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const [locks, states] = [yield* StateLocks, yield* StateVersions]
    for (const serial of serials) {
      yield* locks.lock(workspaceId, { ID: String(serial) }, { person: "me" })
      yield* states.accept(workspaceId, { bytes: state(serial), sha256: undefined, lockId: String(serial), by: undefined })
      yield* locks.unlock(workspaceId, String(serial), { person: "me" })
    }
  })
const storedIn = (made: string, ...serials: ReadonlyArray<number>) => serials.filter((serial) => filesIn(made).has(sha256(state(serial))))

describe("the states of a workspace", () => {
  it.effect("are kept up to the newest of it, and as long as they are young; the current one always", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const { workspaceId } = yield* version("a")
        yield* push(workspaceId, 1, 2, 3)
        const other = yield* (yield* Workspaces).ensure(WorkspaceName.make("other"))
        yield* push(other.id, 11, 12, 13)
        yield* onDay(29)
        yield* pass
        expect(storedIn(made, 1, 2, 3)).toEqual([1, 2, 3])
        yield* push(workspaceId, 4)
        yield* onDay(31)
        yield* pass
        expect(storedIn(made, 1, 2, 3, 4)).toEqual([3, 4])
        yield* onDay(1000)
        yield* pass
        expect(storedIn(made, 3, 4)).toEqual([3, 4])
        expect((yield* (yield* StateVersions).current(workspaceId))?.serial).toBe(4)
      })
    ))

  it.effect("count without those that others of their writer superseded, which stay as they are", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const { workspaceId } = yield* version("a")
        yield* push(workspaceId, 1, 2, 3, 4, 5)
        yield* change("UPDATE stateVersions SET supersededAt = createdAt WHERE serial IN (1, 4)")
        yield* onDay(31)
        yield* pass
        expect(storedIn(made, 2, 3, 5)).toEqual([3, 5])
        expect(yield* change("SELECT serial FROM stateVersions WHERE supersededAt = createdAt")).toEqual([{ serial: 1 }, { serial: 4 }])
      })
    ))

  it.effect("all stay while one is in doubt", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const run = yield* past("a")
        yield* push(run.workspaceId, 1, 2, 3)
        const id = yield* rescue(run)
        yield* onDay(31)
        yield* pass
        expect(storedIn(made, 1, 2, 3)).toEqual([1, 2, 3])
        yield* settle(id)
        yield* pass
        expect(storedIn(made, 1, 2, 3)).toEqual([2, 3])
      })
    ))

  it.effect("all stay where that was asked for", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const { workspaceId } = yield* version("a")
        yield* push(workspaceId, 1, 2, 3)
        yield* onDay(1000)
        yield* pass
        expect(storedIn(made, 1, 2, 3)).toEqual([1, 2, 3])
      }), { ...keep, states: 0 }))

  it.effect("are known to have been stored when one that went comes again late", () =>
    inStores(() =>
      Effect.gen(function*() {
        const run = yield* past("a")
        yield* push(run.workspaceId, 1, 2, 3)
        yield* onDay(31)
        yield* pass
        expect(yield* (yield* StateVersions).keepAsEvidence(run.stage.id, run.workspaceId, { bytes: state(1), why: "" })).toMatchObject({
          _tag: "Stored",
          serial: 1
        })
      })
    ))
})

describe("a server that runs", () =>
  it.effect("lets go by itself what has become old, and says so to whoever looks at the run or asks for its log", () =>
    Effect.gen(function*() {
      const url = yield* serve(yield* directory, { ...keep, runs: 1 })
      const me = person(url)
      const ids = yield* Effect.forEach(["a", "b"], () => Effect.tap(me.start("demo", { "plan-only": true }), () => planWith(url)))
      yield* TestClock.adjust("30 days")
      const view = me.view(ids[0]!)
      const removed = yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 hour"), view), {
        until: ({ removedAt }) => removedAt !== undefined,
        times: 100
      })
      expect(removed.removedAt).toMatch(/^1970-/u)
      const { json, status } = yield* ask((yield* view).stages[0]!.logUrl, undefined)
      expect([status, json.errors[0].detail]).toEqual([
        410,
        expect.stringMatching(/^The log of run-\S+ was removed on 1970-\d\d-\d\d, as it was old/u)
      ])
      expect((yield* me.view(ids[1]!)).removedAt).toBeUndefined()
    })))

describe("a server that dies while it removes", () => {
  /** The digests that rows name, as in server/store/named-blobs, except those of saved plans, which these runs do not have. */
  const named = (sql: SqlClient.SqlClient) =>
    sql.unsafe<{ readonly sha256: string }>(`SELECT sha256 FROM configurationVersions WHERE sha256 IS NOT NULL AND removedAt IS NULL UNION
    SELECT archiveSha256 FROM runs WHERE removedAt IS NULL UNION SELECT sha256 FROM stateVersions WHERE supersededAt IS NULL UNION SELECT sha256 FROM evidence`)

  const dies = Effect.fnUntraced(function*(atStatement: number) {
    let count = 0
    return yield* pass.pipe(
      Effect.provideService(
        Statement.CurrentTransformer,
        (statement) => ++count > atStatement ? Effect.die("killed") : Effect.succeed(statement)
      ),
      Effect.exit,
      Effect.map(({ _tag }) => _tag === "Failure")
    )
  })

  it.effect("leaves no row without its file at any of its statements, a run whole or emptied, and ends the work the next time", () =>
    inStores((made) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const old = yield* Effect.forEach(["1", "2", "3"], past)
        yield* newer
        yield* push(old[0]!.workspaceId, 1, 2, 3, 4)
        yield* (yield* StateVersions).keepAsEvidence(old[0]!.stage.id, old[0]!.workspaceId, { bytes: state(5), why: "" })
        yield* Effect.forEach(yield* (yield* Rescues).pending(old[0]!.workspaceId), ({ id }) => settle(id))
        yield* onDay(31)
        for (let at = 0; yield* dies(at); at++) {
          expect((yield* named(sql)).filter(({ sha256 }) => !existsSync(join(made, "data", "blobs", sha256)))).toEqual([])
          for (const { id, stage } of old) {
            const chunks = yield* sql`SELECT 1 FROM logChunks WHERE stageId = ${stage.id}`
            if (!(yield* isRemoved(id))) expect(chunks).toHaveLength(1)
          }
        }
        const logs = yield* sql`SELECT 1 FROM logChunks WHERE ${sql.in("stageId", old.map(({ stage }) => stage.id))}`
        expect([logs, yield* sql`SELECT * FROM logsToRemove`]).toEqual([[], []])
        expect(yield* Effect.forEach(old, ({ id }) => isRemoved(id))).toEqual([true, true, true])
        yield* (yield* NamedBlobs).sweep(-Infinity)
        expect([...filesIn(made)].sort()).toEqual((yield* named(sql)).map(({ sha256 }) => sha256).sort())
      })
    ))
})
