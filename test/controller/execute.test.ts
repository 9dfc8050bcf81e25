// Actions that the API server refuses: told as what they mean, so that the table can answer, not as an error to try again.
// Writes that come late: whoever was faster keeps what it has.
import { describe, expect, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Option } from "effect"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { Executor } from "../../src/controller/execute.ts"
import { Pool } from "../../src/controller/pool.ts"
import { Action, Word } from "../../src/core/action.ts"
import { Holder } from "../../src/core/observed.ts"
import { withoutTexts } from "../../src/core/task-spec.ts"
import { leaseName, nextEpoch } from "../../src/core/workspace-lease.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import {
  Forbidden,
  Gone,
  Invalid,
  type KubernetesError,
  NotFound,
  Rejected,
  TooManyRequests,
  Unauthorized,
  Unreachable
} from "../../src/kubernetes/errors.ts"
import { agentTasks, events, jobs, leases } from "../../src/kubernetes/kinds.ts"
import type { AgentTask } from "../../src/schema/agent-task.ts"
import { Uid } from "../../src/schema/names.ts"
import { configOf, taskOf } from "../core/configs.ts"
import { noon, plainSeed, success, worldOf } from "../core/worlds.ts"
import { directory } from "../server/live-server.ts"
import type { ApiServer } from "../simulation/api-server.ts"
import { instantCluster } from "./instant-cluster.ts"

const world = worldOf(plainSeed)
const makesJob = Action.CreateJob({ epoch: 0 })
const makesTask = Action.CreateTask({ name: "task-2", spec: world.task.spec })

/** Gives the task as a cache has it from then on. */
const plantTask = (server: ApiServer, task: AgentTask, more: object = {}): AgentTask => {
  const { metadata: { name, namespace, uid }, spec, status } = task
  server.plant(agentTasks, { metadata: { name, namespace, uid, resourceVersion: "", creationTimestamp: noon, ...more }, spec, status })
  return { ...task, metadata: { ...task.metadata, resourceVersion: String(server.revision) } }
}

/** A cluster, and the executor that writes to it. */
const writing = Effect.gen(function*() {
  const { kubernetes, server } = instantCluster()
  const parts = yield* Layer.build(Executor.layer({ identity: "test" }).pipe(Layer.provide(Layer.succeed(Kubernetes, kubernetes))))
  const { all, writeStatus } = Context.get(parts, Executor)
  return { server, writeStatus, carryOut: (action: Action, task = world.task) => all(task, [action], { config: configOf(), now: noon }) }
})

/** Carries out an action that creates something, which the API server answers with an error. */
const refused = Effect.fnUntraced(function*(action: Action, answer: KubernetesError) {
  const { kubernetes, server } = instantCluster()
  const task = plantTask(server, world.task)
  const refusing = Layer.succeed(Kubernetes, Kubernetes.of({ ...kubernetes, create: () => Effect.fail(answer) }))
  const parts = yield* Layer.build(Executor.layer({ identity: "test" }).pipe(Layer.provide(refusing)))
  return yield* Effect.flip(Context.get(parts, Executor).all(task, [action], { config: configOf(), now: noon }))
}, Effect.scoped)

const takesWorkspace = Action.TakeWorkspace({ from: Holder.Free(), epoch: 1 })

const said = { verb: "create", object: "it", code: 403, reason: "" } as const

it.effect.each<Action>([makesJob, makesTask])("$_tag that a quota, a right or a rule refuses", (action) =>
  Effect.gen(function*() {
    expect(yield* refused(action, new Forbidden({ ...said, detail: "exceeded quota: tasks" }))).toMatchObject({
      _tag: "Refused",
      kind: "QuotaExceeded"
    })
    expect(yield* refused(action, new Forbidden({ ...said, detail: "no such right" }))).toMatchObject({ _tag: "Refused", kind: "Refused" })
    expect(
      yield* refused(action, new Rejected({ ...said, code: 400, reason: "BadRequest", detail: "admission webhook denied the request" }))
    ).toMatchObject({ _tag: "Refused", kind: "Refused" })
    const unreadable =
      "Job in version \"v1\" cannot be handled as a Job: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    expect(yield* refused(action, new Rejected({ ...said, code: 400, reason: "BadRequest", detail: unreadable }))).toMatchObject({
      _tag: "Refused",
      kind: "Denied",
      message: expect.stringContaining("quantities must match")
    })
    expect(
      yield* refused(
        action,
        new Rejected({ ...said, code: 400, reason: "BadRequest", detail: `admission webhook "w" denied the request: ${unreadable}` })
      )
    ).toMatchObject({ _tag: "Refused", kind: "Refused" })
    expect(yield* refused(action, new Invalid({ ...said, code: 422, detail: "spec.stage", causes: [] }))).toMatchObject({
      _tag: "Refused",
      kind: "Denied"
    })
  }))

it.effect.each<{ answer: KubernetesError; tag: string }>([
  { answer: new Forbidden({ ...said, detail: "of a policy" }), tag: "Refused" },
  { answer: new Rejected({ ...said, code: 400, reason: "BadRequest", detail: "denied" }), tag: "Refused" },
  { answer: new NotFound({ ...said, code: 404, detail: "gone" }), tag: "NotFound" }
])(
  "a Lease that may not be written keeps its task from starting, and one that others wrote is looked at again: $answer._tag",
  ({ answer, tag }) =>
    Effect.gen(function*() {
      expect(yield* refused(takesWorkspace, answer)).toMatchObject({ _tag: tag })
    })
)

it.effect.each([
  { answer: new TooManyRequests({ ...said, code: 429, detail: "", retryAfter: Duration.seconds(1) }), againInMillis: 10_000 },
  { answer: new TooManyRequests({ ...said, code: 429, detail: "", retryAfter: Duration.seconds(42) }), againInMillis: 42_000 },
  { answer: new Unauthorized({ ...said, code: 401, detail: "of a webhook" }), againInMillis: 10_000 },
  { answer: new NotFound({ ...said, code: 404, detail: "of a webhook" }), againInMillis: 10_000 },
  { answer: new Gone({ ...said, code: 410, detail: "of a webhook" }), againInMillis: 10_000 }
])(
  "is told what else keeps a Job from being made, and asks again no sooner than it may: $answer._tag, $againInMillis ms",
  ({ againInMillis, answer }) =>
    Effect.gen(function*() {
      const refusal = yield* refused(makesJob, answer)
      expect(refusal).toMatchObject({ _tag: "Refused", kind: "Refused", againInMillis })
      expect(refusal.message).not.toContain("42") // one that differs each time would be a write each time
    })
)

it.effect.each([
  { given: "a Job, in words of its own", action: makesJob, answered: true, tag: "Unsure" },
  { given: "a Job, without a word", action: makesJob, answered: false, tag: "Unreachable" },
  { given: "the Lease of a workspace, in words of its own", action: takesWorkspace, answered: true, tag: "Unsure" },
  { given: "a task, which takes no slot", action: makesTask, answered: true, tag: "Unreachable" }
])("is not told to be refused what the API server failed to make: $given", ({ action, answered, tag }) =>
  Effect.gen(function*() {
    expect((yield* refused(action, new Unreachable({ verb: "create", object: "it", detail: "HTTP 500", answered })))._tag).toBe(tag)
  }))

it.effect("fails to report to a pool that the values do not name, with what a person can do, and holds up no wait for that", () =>
  Effect.gen(function*() {
    const { task } = worldOf({ ...plainSeed, life: "failed", pool: true })
    const parts = yield* Layer.build(
      Executor.layer({ identity: "test" }).pipe(Layer.provide(Layer.mock(Kubernetes, { namespace: "tasks" })))
    )
    const { all, say } = Context.get(parts, Executor)
    const carryOut = (action: Action) => all(task, [action], { config: configOf(), now: noon })
    const { message } = yield* Effect.flip(carryOut(Action.ReportResult({ assignment: "run-1.plan.1", result: success })))
    expect(message).toBe(
      "The values name no pool, so the one at http://pool is not told how AgentTask tasks/task ended; set agent.url again, or remove the finalizer scalr.io/report from the task if nobody asks for its run any more."
    )
    expect(
      yield* say(task, Word.ReportWait({ assignment: "run-1.plan.1", reason: "Draining", message: "It waits." }), {
        config: configOf(),
        now: noon
      })
    ).toBe(true)
  }).pipe(Effect.scoped))

it.live("does not take a result for told because another pool than its own knows no such stage", () =>
  Effect.gen(function*() {
    const server = createServer((_, response) =>
      response.writeHead(404).end(JSON.stringify({ error: "not-found", message: "There is no such stage." }))
    )
    yield* Effect.acquireRelease(Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))), () =>
      Effect.sync(() => server.close()))
    const address = server.address()
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
    const tokenFile = join(yield* directory, "token")
    writeFileSync(tokenFile, "a-token")
    const around = Layer.merge(Layer.mock(Kubernetes, { namespace: "tasks" }), Pool.layer(url, tokenFile))
    const { all } = Context.get(yield* Layer.build(Executor.layer({ identity: "test" }).pipe(Layer.provide(around))), Executor)
    const { task } = worldOf({ ...plainSeed, life: "failed", pool: true })
    const reportOf = (from: string) => {
      const pool = Option.getOrThrow(Option.fromUndefinedOr(task.spec.pool))
      return all({ ...task, spec: { ...task.spec, pool: { ...pool, url: from } } }, [
        Action.ReportResult({ assignment: "run-1.plan.1", result: success })
      ], { config: configOf(), now: noon })
    }
    expect((yield* Effect.flip(reportOf("http://before"))).message).toBe(
      `The pool at ${url} does not know the stage of AgentTask tasks/task, which is of the pool at http://before; set agent.url to that one again, or remove the finalizer scalr.io/report from the task if nobody asks for its run any more.`
    )
    yield* reportOf(url) // it was set up anew
  }).pipe(Effect.scoped))

it.effect.each([
  { given: "of the longest name", name: "a".repeat(253), message: "It failed." },
  { given: "of a name that is cut at a dot", name: `${"a".repeat(240)}.....b`, message: "It failed." },
  { given: "in another script", name: "task", message: "終".repeat(1000) }
])("tells of a task $given in an event that the API server takes", ({ message, name }) =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const parts = yield* Layer.build(Executor.layer({ identity: "test" }).pipe(Layer.provide(Layer.succeed(Kubernetes, kubernetes))))
    yield* Context.get(parts, Executor).say(
      { ...world.task, metadata: { ...world.task.metadata, name } },
      Word.Emit({ type: "Warning", reason: "Lost", message }),
      { config: configOf(), now: noon }
    )
    const [event] = server.all(events)
    expect(event?.metadata.name.length).toBeLessThanOrEqual(253)
    expect(event?.metadata.name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u) // as the API server checks
    expect(Buffer.byteLength(String(event?.["note"]))).toBeLessThanOrEqual(1024)
    expect(String(event?.["note"]).slice(0, 9)).toBe(message.slice(0, 9))
  }).pipe(Effect.scoped))

const ownedBy = (name: string, uid: string) => [{ apiVersion: agentTasks.apiVersion, kind: agentTasks.kind, name, uid, controller: true }]

describe("an attempt at a source", () => {
  const stored = taskOf({
    source: { configMap: { name: "a" } },
    variables: [{ name: "region", value: "eu" }],
    backend: { type: "s3", config: { bucket: "states" } }
  }, { name: "task", namespace: "tasks", uid: "task-uid" })
  const makesAttempt = Action.CreateTask({ name: "task-2", spec: { ...withoutTexts(stored.spec), attempt: 2 } })
  const planted = (server: ApiServer) => ({ ...plantTask(server, stored), spec: withoutTexts(stored.spec) })
  const attempts = (server: ApiServer) =>
    server.all(agentTasks).filter(({ metadata }) => metadata.name === "task-2").map(({ metadata, spec }) => ({ uid: metadata.uid, spec }))

  it.effect("has the values of its task, of which no cache knows, and belongs to that task", () =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      yield* carryOut(makesAttempt, planted(server))
      expect(attempts(server)).toMatchObject([{ spec: { ...stored.spec, attempt: 2 } }])
      expect(server.all(agentTasks).at(-1)?.metadata.ownerReferences).toEqual(ownedBy("task", "task-uid"))
    }).pipe(Effect.scoped))

  it.effect.each([
    { given: "as it would be made", spec: {}, adopted: true },
    { given: "and cancelled meanwhile", spec: { cancel: true }, adopted: true },
    {
      given: "with a plan of its own",
      spec: { source: { archive: { url: "https://example.com/a.tar.gz", sha256: "e".repeat(64) } }, savePlan: { claimName: "plans" } },
      adopted: false
    },
    { given: "with other values", spec: { variables: [{ name: "region", value: "us" }] }, adopted: false },
    { given: "that this version cannot read", spec: { stage: "import" }, adopted: false }
  ])("that is there already, $given, is taken for the answer of an earlier try: $adopted", ({ adopted, spec }) =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      const cached = planted(server)
      server.plant(agentTasks, {
        metadata: {
          name: "task-2",
          namespace: "tasks",
          uid: "forged",
          resourceVersion: "",
          creationTimestamp: noon,
          ownerReferences: ownedBy("task", "task-uid")
        },
        spec: { ...stored.spec, attempt: 2, ...spec },
        status: {}
      })
      const tried = carryOut(makesAttempt, cached)
      if (adopted) yield* tried
      else {expect(yield* Effect.flip(tried)).toMatchObject({
          _tag: "Refused",
          kind: "NameTaken",
          message: "AgentTask task-2 says that it is of AgentTask task, but is not what that one makes; see who made it, and delete it."
        })}
      expect(attempts(server)).toMatchObject([{ uid: "forged" }])
    }).pipe(Effect.scoped))

  const place = { name: "task", namespace: "tasks" }
  it.effect.each([
    {
      given: "has been cancelled",
      meanwhile: (server: ApiServer) => void server.apply(agentTasks, { metadata: place, spec: { cancel: true } })
    },
    {
      given: "has been asked to go",
      meanwhile: (server: ApiServer) => void plantTask(server, stored, { deletionTimestamp: noon, finalizers: ["example.com/keep"] })
    },
    {
      given: "has gone, and another has got its name",
      meanwhile: (server: ApiServer) => void plantTask(server, stored, { uid: "later-uid" })
    }
  ])(
    "is not made of what a cache has that stands still, when its task $given: the cache is to hear of that first",
    ({ meanwhile }) =>
      Effect.gen(function*() {
        const { carryOut, server } = yield* writing
        const cached = planted(server)
        meanwhile(server)
        expect(yield* Effect.flip(carryOut(makesAttempt, cached))).toMatchObject({ _tag: "Behind", object: "AgentTask tasks/task" })
        expect(attempts(server)).toEqual([])
      }).pipe(Effect.scoped)
  )
})

describe("a write that comes late", () => {
  const claimed = { claim: { podUid: Uid.make("pod-uid"), nonce: "nonce", epoch: 0, at: noon } }
  const lease = (holderIdentity: string) => ({
    metadata: { name: leaseName("demo"), namespace: "tasks" },
    spec: { holderIdentity, leaseTransitions: 4 }
  })
  const take = (from: Holder) => Action.TakeWorkspace({ from, epoch: nextEpoch(from) })

  it.effect("takes a workspace over from the version that was seen, and from no newer one", () =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      server.create(leases, lease("former-uid"))
      const seen = Holder.Over({ resourceVersion: String(server.revision), epoch: 4 })
      server.apply(leases, lease("faster-uid"))
      expect(yield* Effect.flip(carryOut(take(seen)))).toMatchObject({ _tag: "Conflict" })
      expect(server.all(leases)).toMatchObject([{ spec: { holderIdentity: "faster-uid" } }])
      yield* carryOut(take(Holder.Over({ resourceVersion: String(server.revision), epoch: 4 })))
      expect(server.all(leases)).toMatchObject([{ spec: { holderIdentity: world.task.metadata.uid, leaseTransitions: 5 } }])
    }).pipe(Effect.scoped))

  it.effect("leaves a workspace that was free to who was faster", () =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      server.create(leases, lease("faster-uid"))
      expect(yield* Effect.flip(carryOut(take(Holder.Free())))).toMatchObject({ _tag: "AlreadyExists" })
      expect(server.all(leases)).toMatchObject([{ spec: { holderIdentity: "faster-uid" } }])
    }).pipe(Effect.scoped))

  it.effect.each([
    {
      owner: "a stranger",
      ownerReferences: [],
      kind: "NameTaken",
      message: "Job agent-job-task exists, but no AgentTask made it; delete it, or rename the task."
    },
    {
      owner: "a former task of this name",
      ownerReferences: ownedBy("task", "former-uid"),
      kind: "NameHeld",
      message: "Job agent-job-task of a former task of this name is still there; it is made again when that one is gone."
    },
    {
      owner: "a task whose name gives the same",
      ownerReferences: ownedBy("other", "other-uid"),
      kind: "NameHeld",
      message:
        "Job agent-job-task is of AgentTask other, whose name gives the same; rename one of the two tasks, or wait until that Job is gone."
    }
  ])("leaves the Job of $owner as it is", ({ kind, message, ownerReferences }) =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      server.create(jobs, { metadata: { name: "agent-job-task", namespace: "tasks", ownerReferences }, spec: {} })
      expect(yield* Effect.flip(carryOut(Action.CreateJob({ epoch: 0 })))).toMatchObject({ _tag: "Refused", kind, message })
      expect(server.history).toHaveLength(1)
    }).pipe(Effect.scoped))

  it.effect.each(
    [
      { given: "one that nobody has taken", seen: {}, live: { phase: "Starting" }, stays: false },
      { given: "not one that a Pod has taken meanwhile", seen: {}, live: { phase: "Running", ...claimed }, stays: true },
      { given: "one that is over, whoever had it", seen: { phase: "Failed" }, live: { phase: "Failed", ...claimed }, stays: false }
    ] as const
  )("deletes the Job of a task, $given", ({ live, seen, stays }) =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      const task = { ...world.task, status: seen }
      server.create(jobs, { metadata: { name: "agent-job-task", namespace: "tasks" }, spec: {} })
      server.plant(agentTasks, {
        ...task,
        status: live,
        metadata: { name: "task", namespace: "tasks", uid: task.metadata.uid, resourceVersion: "", creationTimestamp: noon }
      })
      const uid = server.all(jobs)[0]?.metadata.uid ?? ""
      yield* carryOut(Action.DeleteJob({ name: "agent-job-task", uid: Uid.make(uid) }), task)
      expect(server.all(jobs)).toHaveLength(stays ? 1 : 0)
    }).pipe(Effect.scoped))

  it.effect("writes no status over one that it has not read", () =>
    Effect.gen(function*() {
      const { server, writeStatus } = yield* writing
      server.plant(agentTasks, {
        ...world.task,
        metadata: { name: "task", namespace: "tasks", uid: world.task.metadata.uid, resourceVersion: "" }
      })
      const read = { ...world.task, metadata: { ...world.task.metadata, resourceVersion: String(server.revision) } }
      server.updateStatus(agentTasks, { metadata: { name: "task", namespace: "tasks" }, status: { phase: "Starting", launches: 1 } })
      expect(yield* Effect.flip(writeStatus(read, { phase: "Queued" }))).toMatchObject({ _tag: "Conflict" })
      expect(server.all(agentTasks)).toMatchObject([{ status: { phase: "Starting" } }])
    }).pipe(Effect.scoped))
})
