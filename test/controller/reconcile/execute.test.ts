// Actions that the API server refuses: told as what they mean, which the table can answer, and not as errors that are tried again.
// Writes that come too late: what a faster writer wrote stays.
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Option, Result } from "effect"
import { Executor } from "../../../src/controller/reconcile/execute.ts"
import { job } from "../../../src/core/manifest/job.ts"
import { Action, Notice } from "../../../src/core/reconcile/action.ts"
import { leaseName, nextEpoch, type Vacant } from "../../../src/core/scheduling/workspace-lease.ts"
import { poolFinalizer } from "../../../src/core/task/intake.ts"
import { Holder } from "../../../src/core/task/observed.ts"
import { withoutTexts } from "../../../src/core/task/task-spec.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Forbidden, type KubernetesError, NotFound, Unreachable } from "../../../src/kubernetes/errors.ts"
import { agentTasks, events, jobs, leases } from "../../../src/kubernetes/kinds.ts"
import { SinceRenewal } from "../../../src/kubernetes/lease.ts"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { configOf, taskOf } from "../../core/configs.ts"
import { noon, plainSeed, worldOf } from "../../core/worlds.ts"
import type { ApiServer } from "../../simulation/api-server.ts"
import { instantCluster } from "../instant-cluster.ts"
import { plantJob } from "./planted.ts"

const world = worldOf(plainSeed)
const makesJob = Action.CreateJob({ epoch: 0 })
const makesTask = Action.CreateTask({ name: "task-2", spec: world.task.spec })

/** Plants the task in the API server and returns it as a cache has it from then on. */
const plantTask = (server: ApiServer, task: AgentTask, more: object = {}): AgentTask => {
  const { metadata: { name, namespace, uid }, spec, status } = task
  server.plant(agentTasks, { metadata: { name, namespace, uid, resourceVersion: "", creationTimestamp: noon, ...more }, spec, status })
  return { ...task, metadata: { ...task.metadata, resourceVersion: String(server.revision) } }
}

const executorOf = (kubernetes: Kubernetes["Service"]) =>
  Effect.map(
    Layer.build(Executor.layer("test").pipe(Layer.provide(Layer.succeed(Kubernetes, Kubernetes.of(kubernetes))))),
    (parts) => Context.get(parts, Executor)
  )

/** A cluster, and the executor that writes to it. */
const writing = Effect.gen(function*() {
  const { kubernetes, server } = instantCluster()
  const { all, say, writeStatus } = yield* executorOf(kubernetes)
  const pass = { config: configOf(), now: noon }
  return {
    server,
    writeStatus,
    carryOut: (action: Action, task = world.task) => all(task, [action], pass),
    say: (notice: Notice) => say(world.task, notice, pass)
  }
})

/** Carries out an action that creates something, has the API server answer with this error, and returns how the executor fails. */
const refused = Effect.fnUntraced(function*(action: Action, answer: KubernetesError) {
  const { kubernetes, server } = instantCluster()
  const task = plantTask(server, world.task)
  const { all } = yield* executorOf({ ...kubernetes, create: () => Effect.fail(answer) })
  return yield* Effect.flip(all(task, [action], { config: configOf(), now: noon }))
}, Effect.scoped)

const takesWorkspace = Action.TakeWorkspace({ from: Holder.Free(), epoch: 1 })

const noRight = new Forbidden({ verb: "create", object: "it", code: 403, reason: "Forbidden", detail: "no such right" })
const notFound = new NotFound({
  verb: "create",
  object: "it",
  code: 404,
  reason: "NotFound",
  detail: "no such namespace",
  isKindServed: true
})

it.effect.each([
  { action: makesJob, answer: noRight, tag: "WriteRefused" },
  { action: makesJob, answer: notFound, tag: "WriteRefused" },
  { action: makesTask, answer: noRight, tag: "WriteRefused" },
  { action: makesTask, answer: notFound, tag: "WriteRefused" },
  { action: takesWorkspace, answer: noRight, tag: "WriteRefused" },
  { action: takesWorkspace, answer: notFound, tag: "NotFound" }
])("is told what keeps it from being carried out: $action._tag, $answer._tag", ({ action, answer, tag }) =>
  Effect.gen(function*() {
    expect((yield* refused(action, answer))._tag).toBe(tag)
  }))

it.effect.each([
  { given: "a Job, in words of its own", action: makesJob, answered: true, tag: "Unsure" },
  { given: "a Job, without a word", action: makesJob, answered: false, tag: "Unreachable" },
  { given: "the Lease of a workspace, in words of its own", action: takesWorkspace, answered: true, tag: "Unsure" },
  { given: "a task, which takes no slot", action: makesTask, answered: true, tag: "Unreachable" }
])("is not told to be refused what the API server failed to make: $given", ({ action, answered, tag }) =>
  Effect.gen(function*() {
    expect((yield* refused(action, new Unreachable({ verb: "create", object: "it", detail: "HTTP 500", answered })))._tag).toBe(tag)
  }))

it.effect("says a word in an event, and the same word once", () =>
  Effect.gen(function*() {
    const { say, server } = yield* writing
    const notice = Notice.Emit({ type: "Warning", reason: "Lost", message: "It is lost." })
    expect([yield* say(notice), yield* say(notice)]).toEqual([true, true])
    expect(server.all(events)).toMatchObject([{ reason: "Lost", note: "It is lost.", reportingInstance: "test" }])
  }).pipe(Effect.scoped))

describe("the Job of a task", () => {
  const stored = taskOf({
    source: { configMap: { name: "a" } },
    variables: [{ name: "region", value: "eu" }, { name: "token", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }],
    jobTemplate: { nodeSelector: { disk: "fast" }, labels: { team: "a" }, runner: { image: "example.com/tofu:1" } }
  }, { name: "task", namespace: "tasks", uid: "task-uid" })
  const planted = (server: ApiServer) => ({ ...plantTask(server, stored), spec: withoutTexts(stored) })

  it.effect("has what its task says of it, of which no cache knows, also when the status of the task has changed meanwhile", () =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      const cached = planted(server)
      server.apply(agentTasks, { metadata: { name: "task", namespace: "tasks" }, spec: { cancel: true } })
      yield* carryOut(makesJob, cached)
      expect(server.all(jobs).map((made) => made["spec"])).toEqual([JSON.parse(JSON.stringify(job(stored, configOf(), 0).spec))])
    }).pipe(Effect.scoped))

  it.effect("is not made of a later task that has the name of its own", () =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      const cached = planted(server)
      plantTask(server, stored, { uid: "later-uid" })
      expect(yield* Effect.flip(carryOut(makesJob, cached))).toMatchObject({ _tag: "Behind", object: "AgentTask tasks/task" })
      expect(server.all(jobs)).toEqual([])
    }).pipe(Effect.scoped))

  it.effect.each([
    { millis: 30_000, made: 1 },
    { millis: 30_001, made: 0 }
  ])(
    "is asked for $made times when the last renewal of the lead is $millis ms old, as after the process stood still",
    ({ made, millis }) =>
      Effect.gen(function*() {
        let age = 0
        const { kubernetes, server } = instantCluster()
        const get: Kubernetes["Service"]["get"] = (kind, name) =>
          Effect.tap(kubernetes.get(kind, name), () =>
            Effect.sync(() => {
              age = millis
            }))
        const { all } = yield* executorOf({ ...kubernetes, get })
        const end = yield* Effect.exit(all(planted(server), [makesJob], { config: configOf(), now: noon })).pipe(
          Effect.provideService(SinceRenewal, Effect.sync(() => age))
        )
        expect([server.all(jobs).length, Exit.isSuccess(end)]).toEqual([made, made === 1])
      }).pipe(Effect.scoped)
  )

  it.effect("costs no more than its making, if the cache has all that is in it, and is told with the UID that it got", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const { all } = yield* executorOf({ ...kubernetes, get: () => Effect.die("it is asked for") })
      const made = yield* all(world.task, [makesJob], { config: configOf(), now: noon })
      expect(server.all(jobs)).toMatchObject([{ metadata: Option.getOrThrow(made) }])
    }).pipe(Effect.scoped))
})

const ownedBy = (name: string, uid: string) => [{ apiVersion: agentTasks.apiVersion, kind: agentTasks.kind, name, uid, controller: true }]

describe("an attempt at a source", () => {
  const stored = taskOf({
    source: { configMap: { name: "a" } },
    variables: [{ name: "region", value: "eu" }],
    backend: { type: "s3", config: { bucket: "states" } }
  }, { name: "task", namespace: "tasks", uid: "task-uid" })
  const makesAttempt = Action.CreateTask({ name: "task-2", spec: { ...withoutTexts(stored), attempt: 2 } })
  const planted = (server: ApiServer) => ({ ...plantTask(server, stored), spec: withoutTexts(stored) })
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
          _tag: "WriteRefused",
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
  const take = (from: Vacant) => Action.TakeWorkspace({ from, epoch: nextEpoch(from) })

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
      message: "Job agent-job-task exists, but no AgentTask made it; delete it, or make the task again under another name."
    },
    {
      owner: "a former task of this name",
      ownerReferences: ownedBy("task", "former-uid"),
      kind: "NameHeld",
      message: "Job agent-job-task of a former task of this name is still there; it is made again when that one is gone."
    },
    {
      owner: "another task, which needs the same name",
      ownerReferences: ownedBy("other", "other-uid"),
      kind: "NameHeld",
      message:
        "Job agent-job-task belongs to AgentTask other, and this task needs the same name for its Job; wait until that Job is gone, or make one of the two tasks again under another name."
    }
  ])("leaves the Job of $owner as it is", ({ kind, message, ownerReferences }) =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      server.create(jobs, { metadata: { name: "agent-job-task", namespace: "tasks", ownerReferences }, spec: {} })
      expect(yield* Effect.flip(carryOut(Action.CreateJob({ epoch: 0 })))).toMatchObject({ _tag: "WriteRefused", kind, message })
      expect(server.history).toHaveLength(1)
    }).pipe(Effect.scoped))

  /** Deletes the Job at the version that the API server has now. */
  const deletion = (server: ApiServer) => {
    const { name = "", resourceVersion = "", uid = "" } = server.all(jobs)[0]?.metadata ?? {}
    return Action.DeleteJob({ name, uid, resourceVersion })
  }

  it.effect.each(
    [
      { given: "one that nobody has taken", seen: {}, live: { phase: "Starting" }, stays: false },
      { given: "not one that a Pod has taken meanwhile", seen: {}, live: { phase: "Running", ...claimed }, stays: true },
      {
        given: "one that a Pod had taken already when that was decided",
        seen: claimed,
        live: { phase: "Running", ...claimed },
        stays: false
      },
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
      yield* carryOut(deletion(server), task)
      expect(server.all(jobs)).toHaveLength(stays ? 1 : 0)
    }).pipe(Effect.scoped))

  it.effect.each(
    [
      { given: "has made a Pod, which has taken the task", seen: {}, stays: true },
      { given: "has a new status, but of a task that is over", seen: { phase: "Failed" }, stays: false }
    ] as const
  )("that deletes a Job which meanwhile $given is refused: $stays", ({ seen, stays }) =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const task = plantTask(server, { ...world.task, status: seen })
      plantJob(server)
      const action = deletion(server)
      const late: Kubernetes["Service"]["delete"] = (...request) => {
        plantJob(server, {}, { active: 1 })
        if (stays) plantTask(server, { ...world.task, status: { phase: "Running", ...claimed } })
        return kubernetes.delete(...request)
      }
      const { all } = yield* executorOf({ ...kubernetes, delete: late })
      const answer = yield* Effect.result(all(task, [action], { config: configOf(), now: noon }))
      expect(Result.isFailure(answer) ? answer.failure._tag : "deleted").toBe(stays ? "Conflict" : "deleted")
      expect(server.all(jobs)).toHaveLength(stays ? 1 : 0)
    }).pipe(Effect.scoped))

  it.effect.each([
    { given: "its own finalizer alone", uid: world.task.metadata.uid, finalizers: ["example.com/keep"] },
    { given: "none of a new task of that name", uid: Uid.make("new-uid"), finalizers: ["example.com/keep", poolFinalizer] }
  ])("takes from a task that is let go $given", ({ finalizers, uid }) =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      const { metadata } = world.task
      plantTask(server, { ...world.task, metadata: { ...metadata, uid } }, { finalizers: ["example.com/keep", poolFinalizer] })
      yield* carryOut(Action.Release())
      expect(server.all(agentTasks)).toMatchObject([{ metadata: { uid, finalizers } }])
    }).pipe(Effect.scoped))

  it.effect.each([
    { given: "deletes", action: Action.DeleteTask(), left: [] },
    { given: "cancels", action: Action.Cancel({ name: "task", uid: world.task.metadata.uid }), left: [{ spec: { cancel: true } }] }
  ])("$given the task that is meant, and no new one of its name", ({ action, left }) =>
    Effect.gen(function*() {
      for (const uid of [world.task.metadata.uid, Uid.make("new-uid")]) {
        const { carryOut, server } = yield* writing
        plantTask(server, { ...world.task, metadata: { ...world.task.metadata, uid } })
        const before = server.all(agentTasks)
        yield* carryOut(action)
        if (uid === "new-uid") expect(server.all(agentTasks)).toEqual(before)
        else expect(server.all(agentTasks)).toMatchObject(left)
      }
    }).pipe(Effect.scoped))

  it.effect("cancels, of its attempts, the one that is named", () =>
    Effect.gen(function*() {
      const { carryOut, server } = yield* writing
      const uid = Uid.make("attempt-uid")
      plantTask(server, world.task)
      plantTask(server, { ...world.task, metadata: { ...world.task.metadata, name: "task-1", uid } })
      yield* carryOut(Action.Cancel({ name: "task-1", uid }))
      expect(server.all(agentTasks).map(({ metadata, spec }) => [metadata.name, Object(spec).cancel === true])).toEqual([
        ["task", false],
        ["task-1", true]
      ])
    }).pipe(Effect.scoped))

  it.effect.each([Action.Release(), Action.DeleteTask(), Action.Cancel({ name: "task", uid: world.task.metadata.uid })])(
    "has nothing left to do for a task that is gone: $_tag",
    (action) =>
      Effect.gen(function*() {
        const { carryOut, server } = yield* writing
        yield* carryOut(action)
        expect(server.all(agentTasks)).toEqual([])
      }).pipe(Effect.scoped)
  )

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
