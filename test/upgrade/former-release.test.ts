// This release reads correctly what an earlier one left: AgentTasks, Jobs and termination messages, and the server's database.
// The files in the folder beside this file stay as that release wrote them, the database with the last of the steps that it was made by.
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Equal, Option, Result, Schema } from "effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { projectJob, projectPod } from "../../src/controller/world/project.ts"
import { plan } from "../../src/core/reconcile/plan.ts"
import { Holder, type JobWatched, type Observed, type PodSeen, SourceSeen, Turn } from "../../src/core/task/observed.ts"
import { taskPath } from "../../src/schema/api/task-api.ts"
import { AgentTask } from "../../src/schema/task/agent-task.ts"
import { StageResult } from "../../src/schema/task/stage-result.ts"
import { tokenHash } from "../../src/server/access/tokens.ts"
import { Settings } from "../../src/worker/settings.ts"
import { plainSeed, policy, worldOf } from "../core/worlds.ts"
import { agent, archiveOf, directory, person, serve, sha256, succeeded, withChanges, worker } from "../server/live-server.ts"
import { plain } from "../server/plain-sql.ts"

const folder = join(import.meta.dirname, "first")

const Left = Schema.Struct({ tasks: Schema.Array(Schema.Unknown), job: Schema.Unknown, lastWords: Schema.String })
const left = Schema.decodeUnknownSync(Schema.fromJsonString(Left))(readFileSync(join(folder, "cluster.json"), "utf8"))
const decoded = left.tasks.map((task) => Schema.decodeUnknownSync(AgentTask)(task, { onExcessProperty: "ignore" }))
const taskOf = (name: string): AgentTask => decoded.find(({ metadata }) => metadata.name === name) ?? expect.fail(`no task ${name}`)
const names = decoded.map(({ metadata }) => metadata.name)

const alone = worldOf(plainSeed)
const runningPod: PodSeen = { ...Option.getOrThrow(worldOf({ ...plainSeed, pod: "Running", worker: "running", runner: "running" }).pod) }
const seen = (task: AgentTask, more: Partial<Observed> = {}): Observed => ({
  ...alone,
  task,
  turn: Turn.Admitted(),
  holder: Holder.NotAsked(),
  source: SourceSeen.NotAsked(),
  ...more
})
const decide = (observed: Observed) => {
  const { actions, situation, status } = plan(policy, observed, "2026-01-31T13:00:00.000Z")
  return { situation, actions: actions.map(({ _tag }) => _tag), isQuiet: Equal.equals(status, observed.task.status), status }
}
const job = Result.getOrThrow(projectJob(left.job))
const justFound: JobWatched = { ...job.seen, knownMillis: 0, startingMillis: 0 }

describe("an AgentTask of an earlier release", () => {
  it.each(names)("is read whole (%s): nothing of its spec or status is lost", (name) => {
    const { apiVersion: _, kind: __, ...written } = left.tasks[names.indexOf(name)] as Record<string, unknown>
    expect(Schema.encodeSync(AgentTask)(taskOf(name))).toEqual(written)
  })

  it.each([
    { name: "new", situation: "its turn", actions: ["CreateJob"] },
    { name: "queued", situation: "its turn", actions: ["CreateJob"] },
    { name: "planned", situation: "over", actions: [] },
    { name: "applied-untold", situation: "over, and the pool does not know", actions: ["ReportResult"] },
    { name: "failed", situation: "over", actions: [] }
  ])(
    "goes on as it would have ($name)",
    ({ actions, name, situation }) => expect(decide(seen(taskOf(name)))).toMatchObject({ situation, actions })
  )

  it("that starts is left to its Job, and that runs to its worker: nothing is made or ended, and at most its message is put into today's words", () => {
    const [running, starting] = [taskOf("running"), taskOf("starting")]
    const started = decide(
      seen(starting, {
        job: Option.some({
          ...justFound,
          name: "agent-job-starting",
          createdAt: "2026-01-31T12:59:50.000Z"
        })
      })
    )
    expect(started).toMatchObject({ situation: "its Job is there", actions: [], status: { phase: "Starting", reason: "JobCreated" } })
    const goesOn = seen(running, {
      job: Option.some(justFound),
      pod: Option.some({ ...runningPod, uid: running.status.claim?.podUid ?? runningPod.uid })
    })
    expect(decide(goesOn)).toMatchObject({ situation: "claimed", actions: [], isQuiet: true })
  })

  it("ends with the last words of its worker", () => {
    const pod = projectPod({
      metadata: { name: "p", uid: "pod-uid", resourceVersion: "1", creationTimestamp: "2026-01-31T12:00:00Z" },
      status: {
        phase: "Succeeded",
        containerStatuses: [{ name: "worker", state: { terminated: { exitCode: 0, message: left.lastWords } } }]
      }
    })
    const { status } = decide(seen(taskOf("running"), { job: Option.some(justFound), pod: Option.some(Result.getOrThrow(pod).seen) }))
    expect(status).toMatchObject({
      phase: "Succeeded",
      changes: "+3 ~0 -1",
      result: Schema.decodeUnknownSync(Schema.fromJsonString(StageResult))(left.lastWords)
    })
  })
})

describe("a Job of an earlier release", () => {
  it("is known as that of its task, whatever it was built from", () => {
    expect(job).toMatchObject({
      taskUid: Option.some(taskOf("running").metadata.uid),
      seen: { state: "active", configHash: expect.stringMatching(/./u) }
    })
  })

  it.effect("tells a worker of this release all that it wants to know", () =>
    Effect.gen(function*() {
      const Env = Schema.Array(Schema.Struct({ name: Schema.String, value: Schema.optionalKey(Schema.String) }))
      const Job = Schema.Struct({
        spec: Schema.Struct({
          template: Schema.Struct({ spec: Schema.Struct({ containers: Schema.Array(Schema.Struct({ name: Schema.String, env: Env })) }) })
        })
      })
      const [container] = Schema.decodeUnknownSync(Job)(left.job).spec.template.spec.containers
      const environment = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value ?? "from-the-pod"]))
      const settings = yield* Effect.provide(Settings, Settings.layer).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
      )
      expect(settings).toMatchObject({
        task: "running",
        epoch: 1,
        graceSeconds: 360,
        dataDirectory: "/var/lib/scalr-agent",
        tokenFile: Option.some("/var/run/agent-job/token/token")
      })
    }))
})

describe("a server's database that was made in 38 steps", () => {
  const token = "token-from-before-the-upgrade"
  const [planned, planning, waiting] = ["run-z67bfvn3d6hi3s44", "run-2qyc7vh4cg8jnjtm", "run-j4q7wsnyai8t6f8k"] as const

  /** Returns what each object of a server's database is, in SQL, by its table; of those of a table in their order, by which SQLite chooses. */
  const schemaIn = (made: string) => {
    const db = new DatabaseSync(join(made, "data", "agent-job.sqlite"), { readOnly: true })
    const objects = db.prepare("SELECT tbl_name, name, sql FROM sqlite_schema ORDER BY tbl_name, type, rowid").all()
    db.close()
    return objects.map(({ name, sql, tbl_name: table }) => [table, name, plain(String(sql))])
  }

  /** A directory whose database and blobs are as the earlier release left them. */
  const before = Effect.map(directory, (made) => {
    mkdirSync(join(made, "data", "blobs"), { recursive: true })
    for (const blob of ["the plan", archiveOf({ "main.tf": "output \"m\" { value = 1 }" })]) {
      writeFileSync(join(made, "data", "blobs", sha256(blob)), blob)
    }
    const db = new DatabaseSync(join(made, "data", "agent-job.sqlite"))
    db.exec(readFileSync(join(folder, "database.sql"), "utf8"))
    db.prepare("UPDATE taskTokens SET hash = ? WHERE stageId = ?").run(tokenHash(token), `${planning}.plan.1`)
    db.close()
    return made
  })

  it.live("has all runs as they were; a plan that waits is applied, and a stage that runs goes on and gives its turn on", () =>
    Effect.gen(function*() {
      const url = yield* serve(yield* before)
      const me = person(url)
      expect(yield* Effect.forEach([planned, planning, waiting], (id) => Effect.map(me.view(id), ({ status }) => status))).toEqual([
        "planned",
        "planning",
        "pending"
      ])

      yield* me.act(planned, "apply")
      const apply = yield* agent(url).take
      expect(apply).toMatchObject({ id: `${planned}.apply.1`, planSha256: sha256("the plan") })
      expect((yield* worker(url, apply).as("GET", taskPath.plan)).text).toBe("the plan")

      const runs = worker(url, { taskToken: token })
      expect((yield* runs.log(15, "it goes on\n")).json).toEqual({ offset: 26 })
      yield* runs.savePlan("another plan")
      expect((yield* runs.result(succeeded({ ...withChanges, planDigest: sha256("another plan") as never }))).status).toBe(204)
      expect((yield* me.view(planning)).status).toBe("planned")
      yield* me.act(planning, "discard")
      expect((yield* agent(url).take).runId).toBe(waiting)
    }))

  it.live("has the tables, indexes and triggers of a new one, and the columns in their order", () =>
    Effect.gen(function*() {
      const [made, anew] = [yield* before, yield* directory]
      for (const folder of [made, anew]) yield* Effect.scoped(serve(folder))
      expect(schemaIn(made)).toEqual(schemaIn(anew))
    }))
})
