// What becomes of an offer: a task, its token and an acknowledgement, or words for the people who wait.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Logger, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Pool, PoolUnreachable } from "../../../src/controller/pool/pool.ts"
import { make } from "../../../src/controller/world/world.ts"
import { poolFinalizer, taskName, tokenSecretName } from "../../../src/core/task/intake.ts"
import { readOffer } from "../../../src/core/task/offer.ts"
import { refusal } from "../../../src/kubernetes/answer.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Forbidden } from "../../../src/kubernetes/errors.ts"
import { agentTasks, secrets } from "../../../src/kubernetes/kinds.ts"
import { Assignment } from "../../../src/schema/api/pool-api.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { plainSeed, policy, success, worldOf } from "../../core/worlds.ts"
import { instantCluster } from "../instant-cluster.ts"
import { assignment, isCalledOff, ofAssignment, offering, over, plant, taking, toldOf } from "./taking.ts"

it.effect("tells a pool that has forgotten it the result of a stage that it offers again", () =>
  Effect.gen(function*() {
    expect((yield* toldOf("an offer", over)).told).toEqual([["report", assignment.id, "task-uid", success]])
    expect((yield* toldOf("an offer", { phase: "Queued" })).told).toEqual([["acknowledge", assignment.id, "task-uid"]])
  }))

it.effect("has a stage offered whose task is over until its result was heard, since nobody tells it after an acknowledgement", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    plant(server, over)
    let isOpen = true
    const answers = [Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "connection reset" }))]
    const told: Array<unknown> = []
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.suspend(() => isOpen ? Effect.succeed([assignment]) : Effect.never),
      cancellations: () => Effect.never,
      acknowledge: () => Effect.sync(() => void (isOpen = false)),
      report: (_, _taskUid, result) =>
        Effect.suspend(() =>
          answers.pop() ?? Effect.sync(() => {
            isOpen = false
            told.push(result)
          })
        )
    })
    const running = yield* taking(pool, kubernetes)
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(running)
    expect(told).toEqual([success])
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
    yield* Effect.raceFirst(allTaken.await, Effect.forever(TestClock.adjust("100 millis")))
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
const offeredAgain = Effect.fnUntraced(function*(body: object, status: AgentTaskStatus = { phase: "Queued" }) {
  const { kubernetes, server } = instantCluster()
  plant(server, status)
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
  expect(guards).toEqual(status === over ? [] : [{ op: "test", path: "/metadata/ownerReferences/0/uid", value: "task-uid" }])
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

it.effect("keeps no token for a task that is over, so that what keeps it from storing one does not keep the result from the pool", () =>
  Effect.gen(function*() {
    const denial = { code: 403, reason: "Forbidden", details: {}, message: "secrets \"token\" is forbidden: exceeded quota" }
    expect((yield* offeredAgain(denial, over)).told).toEqual([["report", success.message]])
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
