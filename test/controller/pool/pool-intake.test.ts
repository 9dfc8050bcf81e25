// Work from the pool when something fails on the way: what is held up, and what goes on.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Logger, Metric, Option, Schema, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { Configuration } from "../../../src/controller/configuration/configuration.ts"
import { poolIntake } from "../../../src/controller/pool/pool-intake.ts"
import { Pool, PoolRefused, PoolUnreachable } from "../../../src/controller/pool/pool.ts"
import { make } from "../../../src/controller/world/world.ts"
import { poolFinalizer, specOf, taskName, tokenSecretName } from "../../../src/core/task/intake.ts"
import { readOffer } from "../../../src/core/task/offer.ts"
import { refusal } from "../../../src/kubernetes/answer.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Forbidden } from "../../../src/kubernetes/errors.ts"
import { agentTasks, secrets } from "../../../src/kubernetes/kinds.ts"
import { Assignment } from "../../../src/schema/api/pool-api.ts"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { configOf } from "../../core/configs.ts"
import { noon, plainSeed, policy, success, worldOf } from "../../core/worlds.ts"
import { instantCluster } from "../instant-cluster.ts"

const configuration = Layer.succeed(
  Configuration,
  Configuration.of({ current: Effect.succeed(configOf()), changes: Stream.never, outdated: Effect.never })
)

/** Takes work from this pool, as a controller does, into the namespace `tasks`. */
const taking = Effect.fnUntraced(function*(
  pool: Layer.Layer<Pool>,
  kubernetes: Kubernetes["Service"],
  { isDrained = false, drained: given, look = () => Effect.void, world = make(policy) }:
    & Partial<Pick<Parameters<typeof poolIntake>[0], "drained" | "look" | "world">>
    & { readonly isDrained?: boolean } = {}
) {
  const drained = given ?? (yield* SubscriptionRef.make(isDrained))
  return yield* poolIntake({ url: "http://pool", namespace: "tasks", identity: "test", world, look, drained }).pipe(
    Effect.provide([pool, configuration, Layer.succeed(Kubernetes, kubernetes)]),
    Effect.forkChild
  )
})

it.effect("carries out the cancellations after one that fails, and that one as soon as it can", () =>
  Effect.gen(function*() {
    const feed = ["run-a.plan.1", "run-b.plan.1", "run-c.plan.1"]
    const [broken = ""] = feed
    const asked: Array<{ readonly after: number; readonly waitSeconds: number }> = []
    const told: Array<string> = []
    let mended = false
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.never,
      cancellations: (after, waitSeconds) => {
        asked.push({ after, waitSeconds })
        const ids = feed.slice(after, after + 2)
        return Effect.delay(Effect.succeed({ ids, next: after + ids.length }), ids.length === 0 ? waitSeconds * 1000 : 0)
      },
      report: (id) =>
        id === broken && !mended
          ? Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "connection reset" }))
          : Effect.sync(() => void told.push(id))
    })
    const running = yield* taking(pool, instantCluster().kubernetes)
    yield* TestClock.adjust("1 second")
    expect(told).toEqual(["run-b.plan.1", "run-c.plan.1"])
    mended = true
    yield* TestClock.adjust("1 minute")
    expect(told).toEqual(["run-b.plan.1", "run-c.plan.1", broken])
    expect(asked.slice(0, 4)).toEqual([
      { after: 0, waitSeconds: 20 },
      { after: 2, waitSeconds: 5 },
      { after: 3, waitSeconds: 5 },
      { after: 3, waitSeconds: 20 }
    ])
    yield* Fiber.interrupt(running)
  }))

const assignment = Schema.decodeUnknownSync(Assignment)({
  id: "run-1.plan.1",
  runId: "run-1",
  workspace: "demo",
  stage: "plan",
  attempt: 1,
  archiveSha256: "b".repeat(64),
  taskToken: "token"
})

const ofAssignment = specOf(assignment, "http://pool")

/** Plants the assignment's task with this status, or another task of its name. */
const plant = (
  server: ReturnType<typeof instantCluster>["server"],
  status: AgentTaskStatus,
  uid = "task-uid",
  spec: object = ofAssignment
) =>
  server.plant(agentTasks, {
    metadata: { name: taskName(assignment), namespace: "tasks", uid, resourceVersion: "", creationTimestamp: noon },
    spec,
    status
  })

/** Reports whether the assignment's task was cancelled. */
const isCalledOff = (server: ReturnType<typeof instantCluster>["server"]): boolean =>
  server.all(agentTasks).some(({ spec }) => JSON.stringify(spec).includes("\"cancel\":true"))

/**
 * Returns what the pool is told, in order, when it offers or cancels a stage whose task has `status`, or of whose name there is another
 * task, and whether the task was cancelled.
 */
const toldOf = Effect.fnUntraced(function*(by: "an offer" | "a cancellation", status: AgentTaskStatus, spec?: object) {
  const { kubernetes, server } = instantCluster()
  plant(server, status, undefined, spec)
  const told: Array<unknown> = []
  const once = <A>(first: A) => {
    let left = [first]
    return Effect.suspend(() => left.length === 0 ? Effect.never : Effect.succeed(left.splice(0)[0] ?? first))
  }
  const offers = once([assignment])
  const feed = once({ ids: [assignment.id], next: 1 })
  const pool = Layer.mock(Pool, {
    acquire: () => by === "an offer" ? offers : Effect.never,
    cancellations: () => by === "a cancellation" ? feed : Effect.never,
    acknowledge: (id, taskUid) => Effect.sync(() => void told.push(["acknowledge", id, taskUid])),
    report: (id, taskUid, result) => Effect.sync(() => void told.push(["report", id, Option.getOrNull(taskUid), result]))
  })
  const running = yield* taking(pool, kubernetes)
  yield* TestClock.adjust("1 second")
  yield* Fiber.interrupt(running)
  return { told, cancelled: isCalledOff(server) }
})

const over: AgentTaskStatus = { phase: "Succeeded", result: success, finishedAt: success.finishedAt, reportedAt: noon }

it.effect("tells a pool that has forgotten it the result of a stage that it offers again", () =>
  Effect.gen(function*() {
    const acknowledged = ["acknowledge", assignment.id, "task-uid"]
    expect((yield* toldOf("an offer", over)).told).toEqual([acknowledged, ["report", assignment.id, "task-uid", success]])
    expect((yield* toldOf("an offer", { phase: "Queued" })).told).toEqual([acknowledged])
  }))

it.effect("tells a pool that has forgotten it the result of a stage that it cancels", () =>
  Effect.gen(function*() {
    expect(yield* toldOf("a cancellation", over)).toEqual({ told: [["report", assignment.id, "task-uid", success]], cancelled: false })
    expect(yield* toldOf("a cancellation", { phase: "Queued" })).toEqual({ told: [], cancelled: true })
    expect(yield* toldOf("a cancellation", { phase: "Moonlit" })).toEqual({ told: [], cancelled: true }) // a phase of a newer version
  }))

it.effect("neither takes for its own nor cancels what has the name of its task and is another's, and says so to the pool", () =>
  Effect.gen(function*() {
    const another = { ...ofAssignment, workspace: "another" }
    const ofAnotherRun = { ...another, pool: { ...ofAssignment.pool, runId: "run-2" } }
    const reported = (outcome: string, reason: string) => ["report", assignment.id, null, expect.objectContaining({ outcome, reason })]
    expect(yield* toldOf("an offer", { phase: "Queued" }, another)).toEqual({ told: [reported("failed", "NameTaken")], cancelled: false })
    expect(yield* toldOf("a cancellation", { phase: "Queued" }, ofAnotherRun)).toEqual({
      told: [reported("cancelled", "Cancelled")],
      cancelled: false
    })
  }))

/** A pool that makes these offers, one list after the other, and then none. It is told of nothing but what `also` has. */
const offering = (offers: ReadonlyArray<Effect.Success<ReturnType<Pool["Service"]["acquire"]>>>, also: Partial<Pool["Service"]>) => {
  const left = [...offers]
  return Layer.mock(Pool, {
    acquire: () =>
      Effect.suspend(() => Option.match(Option.fromUndefinedOr(left.shift()), { onNone: () => Effect.never, onSome: Effect.succeed })),
    cancellations: () => Effect.never,
    ...also
  })
}

it.effect("makes of an offer a task that stays until the pool knows its end, and a Secret with its token that goes with the task", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const running = yield* taking(offering([[assignment]], { acknowledge: () => Effect.void }), kubernetes)
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(running)
    const [task] = server.all(agentTasks)
    expect(task).toMatchObject({ metadata: { namespace: "tasks", finalizers: [poolFinalizer] }, spec: ofAssignment })
    expect(server.all(secrets)).toMatchObject([{
      metadata: { name: tokenSecretName(taskName(assignment)), ownerReferences: [{ uid: task?.metadata.uid }] },
      data: { token: Buffer.from("token").toString("base64") }
    }])
  }))

it.effect("takes nothing that a poll brings once the cluster is drained, so that another agent may have it", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const drained = yield* SubscriptionRef.make(false)
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.delay(Effect.succeed([assignment]), "10 seconds"),
      acknowledge: () => Effect.void,
      cancellations: () => Effect.never
    })
    const running = yield* taking(pool, kubernetes, { drained })
    yield* TestClock.adjust("5 seconds")
    yield* SubscriptionRef.set(drained, true)
    yield* TestClock.adjust("1 minute")
    expect(server.all(agentTasks)).toEqual([])
    yield* SubscriptionRef.set(drained, false)
    yield* TestClock.adjust("1 minute")
    expect(server.all(agentTasks)).toHaveLength(1)
    yield* Fiber.interrupt(running)
  }))

it.effect("remembers a hundred offers that it does not understand, so that each of them is logged once, and logs none beyond", () =>
  Effect.gen(function*() {
    const strange = Array.from({ length: 101 }, (_, index) => readOffer({ ...assignment, id: `run-${index}.plan.1`, stage: "refresh" }))
    let told = 0
    const pool = offering([strange, strange], { wait: () => Effect.sync(() => void told++) })
    let logged = 0
    const running = yield* Effect.provide(taking(pool, instantCluster().kubernetes), Logger.layer([Logger.make(() => void logged++)]))
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(running)
    expect({ told, logged }).toEqual({ told: 202, logged: 100 })
  }))

it.effect("tells the pool why it cannot make a task of an offer, and goes on with the others", () =>
  Effect.gen(function*() {
    const { kubernetes } = instantCluster()
    const other = Schema.decodeUnknownSync(Assignment)({ ...assignment, id: "run-2.plan.1", runId: "run-2" })
    const refusing = Kubernetes.of({
      ...kubernetes,
      create: (kind, object) =>
        object.metadata?.name === taskName(assignment)
          ? Effect.fail(
            new Forbidden({ verb: "create", object: "AgentTask run-1-plan", code: 403, reason: "Forbidden", detail: "exceeded quota" })
          )
          : kubernetes.create(kind, object)
    })
    const told: Array<unknown> = []
    const offers = [[assignment, other]]
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.suspend(() => offers.length === 0 ? Effect.never : Effect.succeed(offers.splice(0)[0] ?? [])),
      cancellations: () => Effect.never,
      acknowledge: (id) => Effect.sync(() => void told.push(["acknowledge", id])),
      wait: (id, taskUid, reason, message) => Effect.sync(() => void told.push(["wait", id, Option.getOrNull(taskUid), reason, message]))
    })
    const running = yield* taking(pool, refusing)
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(running)
    expect(told).toHaveLength(2)
    expect(told).toContainEqual(["wait", assignment.id, null, "Refused", expect.stringContaining("exceeded quota")])
    expect(told).toContainEqual(["acknowledge", other.id])
  }))

it.effect("tells the pool of an offer that it does not understand each time, logs it once, and goes on with the others", () =>
  Effect.gen(function*() {
    const strange = readOffer({ ...assignment, id: "run-2.plan.1", runId: "run-2", engine: { name: "terragrunt" } })
    const nameless = readOffer({ ...assignment, id: "", stage: "refresh" })
    const told: Array<unknown> = []
    const offers = [[strange, nameless, assignment], [strange, nameless], [strange]]
    const allTaken = yield* Latch.make()
    const nothing = Effect.andThen(allTaken.open, Effect.never)
    const pool = Layer.mock(Pool, {
      acquire: () =>
        Effect.suspend(() => Option.match(Option.fromUndefinedOr(offers.shift()), { onNone: () => nothing, onSome: Effect.succeed })),
      cancellations: () => Effect.never,
      acknowledge: (id) => Effect.sync(() => void told.push(["acknowledge", id])),
      wait: (id, taskUid, reason, message) => Effect.sync(() => void told.push(["wait", id, Option.getOrNull(taskUid), reason, message]))
    })
    const logged: Array<unknown> = []
    const logger = Logger.make(({ message }) => void logged.push(...[message].flat()))
    const { kubernetes, server } = instantCluster()
    const running = yield* Effect.provide(taking(pool, kubernetes), Logger.layer([logger]))
    yield* allTaken.await
    yield* Fiber.interrupt(running)
    const why = ["wait", "run-2.plan.1", null, "Refused", expect.stringContaining("\"terragrunt\" at engine.name")]
    expect(told).toEqual([why, ["acknowledge", assignment.id], why, why])
    expect(server.all(agentTasks)).toHaveLength(1)
    expect(logged).toEqual([expect.stringContaining("terragrunt"), expect.stringContaining("refresh")])
  }))

it.effect("refuses an apply without an approved plan, and makes neither task nor Secret", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const apply = Schema.decodeUnknownSync(Assignment)({ ...assignment, id: "run-1.apply.1", stage: "apply" })
    const told: Array<unknown> = []
    const offers = [[apply]]
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.suspend(() => offers.length === 0 ? Effect.never : Effect.succeed(offers.splice(0)[0] ?? [])),
      cancellations: () => Effect.never,
      acknowledge: (id) => Effect.sync(() => void told.push(["acknowledge", id])),
      report: (id, taskUid, { message, outcome, reason }) =>
        Effect.sync(() => void told.push([id, Option.getOrNull(taskUid), outcome, reason, message]))
    })
    const running = yield* taking(pool, kubernetes)
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(running)
    expect(told).toEqual([
      [apply.id, null, "failed", "InvalidConfiguration", "The apply stage needs an approved plan; nothing was run."]
    ])
    expect([server.all(agentTasks), server.all(secrets)]).toEqual([[], []])
  }))

/**
 * Returns what the pool is told, and whether the task is cancelled, when a stage is offered whose token's Secret exists and the API server
 * answers a patch with `body`.
 */
const offeredAgain = Effect.fnUntraced(function*(body: object) {
  const { kubernetes, server } = instantCluster()
  plant(server, { phase: "Queued" })
  yield* kubernetes.create(secrets, { metadata: { name: tokenSecretName(taskName(assignment)), namespace: "tasks" } })
  const answer = refusal({ verb: "patch", object: "Secret token" }, 422, JSON.stringify(body), Option.none(), 0)
  const told: Array<unknown> = []
  const offers = [[assignment]]
  const pool = Layer.mock(Pool, {
    acquire: () => Effect.suspend(() => offers.length === 0 ? Effect.never : Effect.succeed(offers.splice(0)[0] ?? [])),
    cancellations: () => Effect.never,
    report: (_, _taskUid, { message }) => Effect.sync(() => void told.push(["report", message])),
    wait: (_, _taskUid, reason, message) => Effect.sync(() => void told.push([reason, message]))
  })
  const guards: Array<unknown> = []
  const denying = Kubernetes.of({
    ...kubernetes,
    patch: (_kind, _name, steps) => Effect.suspend(() => Effect.fail((guards.push(steps[0]), answer)))
  })
  const running = yield* taking(pool, denying)
  yield* TestClock.adjust("1 second")
  yield* Fiber.interrupt(running)
  expect(guards).toEqual([{ op: "test", path: "/metadata/ownerReferences/0/uid", value: "task-uid" }])
  return { told, cancelled: isCalledOff(server) }
})

it.effect("calls its task off where the token's Secret is another's, and never where a policy denies the new token", () =>
  Effect.gen(function*() {
    const words = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not on Fridays"
    const failedTest = {
      code: 422,
      reason: "Invalid",
      details: {},
      message: "the server rejected our request due to an error in our request"
    }
    const denial = { ...failedTest, details: { causes: [{ message: words }] }, message: `secrets "token" is forbidden: ${words}` }
    expect(yield* offeredAgain(failedTest)).toEqual({ told: [["report", expect.stringContaining("not of its task")]], cancelled: true })
    expect(yield* offeredAgain(denial)).toEqual({ told: [["Refused", expect.stringContaining(words)]], cancelled: false })
  }))

const enough = configOf().policy.limits.total + 100

it.effect.each(
  [
    { given: "of Git, for a source that is away", waiting: enough, seed: { source: "notReady", waitsForSource: true }, asksFor: 100 },
    { given: "of the pool, one less than a backlog", waiting: enough - 1, seed: { pool: true }, asksFor: 1 },
    { given: "of the pool, which are a backlog", waiting: enough, seed: { pool: true }, asksFor: undefined }
  ] as const
)("takes runs while tasks wait $given: $asksFor", ({ asksFor, seed, waiting }) =>
  Effect.gen(function*() {
    const world = make(policy)
    const { task } = worldOf({ ...plainSeed, life: "queued", ...seed })
    for (let index = 0; index < waiting; index++) {
      world.setTask(
        `tasks/task-${index}`,
        Option.some({ ...task, metadata: { ...task.metadata, name: `task-${index}`, uid: Uid.make(`uid-${index}`) } })
      )
    }
    let asked: number | undefined
    let because: unknown
    const pool = Layer.mock(Pool, {
      acquire: (_, _waitSeconds, most) =>
        Effect.suspend(() => {
          asked = most
          return Effect.never
        }),
      cancellations: (_, _waitSeconds, resting) =>
        Effect.suspend(() => {
          because = resting?.because
          return Effect.never
        })
    })
    const running = yield* taking(pool, instantCluster().kubernetes, { world })
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(running)
    expect([asked, because]).toEqual([asksFor, asksFor === undefined ? "full" : undefined])
  }))

it.effect.each([
  { given: "arrives", acknowledge: Effect.void },
  {
    given: "may be lost",
    acknowledge: Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "connection reset" }))
  }
])(
  "has the words on a wait said again that an offer wiped, if the acknowledgement $given",
  ({ acknowledge }) =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const { task } = worldOf({ ...plainSeed, life: "queued", pool: true })
      const world = make(policy)
      plant(server, task.status, task.metadata.uid)
      world.setTask("tasks/run-1-plan", Option.some(task))
      world.setReportedWait(task.metadata.uid, { reason: "WorkspaceBusy", message: "Waits for other." })
      const offers = [[assignment]]
      const pool = Layer.mock(Pool, {
        acquire: () => Effect.suspend(() => offers.length === 0 ? Effect.never : Effect.succeed(offers.splice(0)[0] ?? [])),
        cancellations: () => Effect.never,
        acknowledge: () => acknowledge
      })
      const looks: Array<string> = []
      const look = (key: string) => Effect.sync(() => void looks.push(key))
      const running = yield* taking(pool, kubernetes, { world, look })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(running)
      expect([world.reportedWait(task.metadata.uid), looks]).toEqual([Option.none(), ["tasks/run-1-plan"]])
    })
)

const answeredAt = Effect.map(
  Metric.snapshot,
  (all) => all.find(({ id }) => id === "agent_job_pool_answered_timestamp_seconds")?.state
)
const noCancellations = (next: number, waitSeconds: number) => Effect.delay(Effect.succeed({ ids: [], next }), waitSeconds * 1000)

it.effect.each([
  { given: "refuses the token", error: new PoolRefused({ url: "http://pool", status: 401, code: "unauthorized", detail: "" }), after: 0 },
  { given: "is away", error: new PoolUnreachable({ url: "http://pool", detail: "connection refused" }), after: 0 },
  { given: "is silent", error: new PoolUnreachable({ url: "http://pool", detail: "no answer in 35s" }), after: 35_000 }
])(
  "says when the pool last gave a usable answer about work, whatever it says of cancellations, of one that $given",
  ({ after, error }) =>
    Effect.gen(function*() {
      let answers = false
      const pool = Layer.mock(Pool, {
        acquire: (_, waitSeconds) =>
          Effect.suspend(() => answers ? Effect.delay(Effect.succeed([]), waitSeconds * 1000) : Effect.delay(Effect.fail(error), after)),
        cancellations: noCancellations
      })
      yield* TestClock.setTime(1_000_000)
      const running = yield* taking(pool, instantCluster().kubernetes)
      yield* TestClock.adjust("10 minutes")
      expect(yield* answeredAt).toEqual({ value: 1_000 })
      answers = true
      yield* TestClock.adjust("2 minutes")
      expect(yield* answeredAt).toMatchObject({ value: expect.closeTo(1_700, -2) })
      yield* Fiber.interrupt(running)
    })
)

const ofPool = worldOf({ ...plainSeed, life: "queued", pool: true }).task
const empty = make(policy)
const full = {
  ...empty,
  turns: { ...empty.turns, waiting: () => Array(1000).fill("tasks/task") },
  cache: { ...empty.cache, task: () => Option.some(ofPool) }
}

it.effect.each([
  { given: "the cluster is drained", options: { isDrained: true } },
  { given: "enough tasks wait here", options: { world: full } }
])("says while it is not asked for work when the pool last told of cancellations, since $given", ({ options }) =>
  Effect.gen(function*() {
    let answers = true
    const silent = new PoolUnreachable({ url: "http://pool", detail: "connection refused" })
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.die("it is not asked"),
      cancellations: (after, waitSeconds) => Effect.suspend(() => answers ? noCancellations(after, waitSeconds) : Effect.fail(silent))
    })
    yield* TestClock.setTime(1_000_000)
    const running = yield* taking(pool, instantCluster().kubernetes, options)
    yield* TestClock.adjust("10 minutes")
    expect(yield* answeredAt).toEqual({ value: 1_600 })
    answers = false
    yield* TestClock.adjust("10 minutes")
    expect(yield* answeredAt).toEqual({ value: 1_620 })
    yield* Fiber.interrupt(running)
  }))

it.effect("does not count the pool as silent while it is busy with what that gave it", () =>
  Effect.gen(function*() {
    let calls = 0
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.sync(() => [assignment].slice(0, ++calls)),
      acknowledge: () => Effect.never,
      cancellations: () => Effect.never
    })
    yield* TestClock.setTime(1_000_000)
    const running = yield* taking(pool, instantCluster().kubernetes)
    yield* TestClock.adjust("10 minutes")
    expect([calls, yield* answeredAt]).toMatchObject([1, { value: expect.closeTo(1_600, -2) }])
    yield* Fiber.interrupt(running)
  }))

it.effect.each([
  { given: "the cluster is drained", options: { isDrained: true }, resting: { agent: "test", because: "drained" } },
  { given: "enough tasks wait here", options: { world: full }, resting: { agent: "test", because: "full" } },
  { given: "both", options: { isDrained: true, world: full }, resting: { agent: "test", because: "drained" } },
  { given: "it asks for work", options: {}, resting: undefined }
])("says with each poll for cancellations why it asks for no work: $given", ({ options, resting }) =>
  Effect.gen(function*() {
    const told: Array<unknown> = []
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.never,
      cancellations: (after, waitSeconds, resting) =>
        Effect.andThen(Effect.sync(() => void told.push(resting)), noCancellations(after, waitSeconds))
    })
    const running = yield* taking(pool, instantCluster().kubernetes, options)
    yield* TestClock.adjust("50 seconds")
    yield* Fiber.interrupt(running)
    expect(told).toEqual([resting, resting, resting])
  }))
