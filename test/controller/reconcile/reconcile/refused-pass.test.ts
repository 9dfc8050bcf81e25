// A pass that does not come to its end, as the API server refuses what it reads or writes: whom that delays, and who is told.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Equal, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { Pool, PoolRefused, PoolTokenUnreadable, PoolUnreachable } from "../../../../src/controller/pool/pool.ts"
import { projectTask } from "../../../../src/controller/world/project.ts"
import { make } from "../../../../src/controller/world/world.ts"
import { Notice } from "../../../../src/core/reconcile/action.ts"
import { leaseName } from "../../../../src/core/scheduling/workspace-lease.ts"
import { Forbidden, Rejected } from "../../../../src/kubernetes/errors.ts"
import { agentTasks, events, jobs } from "../../../../src/kubernetes/kinds.ts"
import { keyOf } from "../../../../src/kubernetes/object.ts"
import { Uid, WorkspaceName } from "../../../../src/schema/names.ts"
import type { AgentTask, Stage } from "../../../../src/schema/task/agent-task.ts"
import { before, plainSeed, policy, worldOf } from "../../../core/worlds.ts"
import { instantCluster } from "../../instant-cluster.ts"
import { carriesOut, holding, reconcilerOf, writes } from "./passes.ts"

describe("as many tasks as may run, whose look at their workspace the API server refuses each time", () => {
  const inWorkspace = (name: string, stage: Stage, at: string): AgentTask => {
    const { task } = worldOf({ ...plainSeed, stage })
    return {
      metadata: { ...task.metadata, name, uid: Uid.make(name), creationTimestamp: at },
      spec: { ...task.spec, workspace: WorkspaceName.make(name) },
      status: {}
    }
  }
  const refused = ["refused-1", "refused-2"]
  const started = Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const get: typeof kubernetes.get = (kind, of) =>
      refused.some((name) => of.name === leaseName(name))
        ? Effect.fail(new Rejected({ verb: "get", object: "the Lease", code: 400, reason: "BadRequest", detail: "unreadable" }))
        : kubernetes.get(kind, of)
    const world = make({ ...policy, limits: { total: refused.length, perWorkspace: 5 } })
    const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes: { ...kubernetes, get } })
    const put = ({ metadata: { creationTimestamp, name, namespace, uid }, ...rest }: AgentTask) => {
      server.plant(agentTasks, { ...rest, metadata: { name, namespace, uid, resourceVersion: "", creationTimestamp } })
      hear()
    }
    /** Has the world hear of the tasks as they are, and returns what their statuses say. */
    const hear = () =>
      server.all(agentTasks).map(projectTask).map((task) => {
        world.setTask(keyOf(task.metadata), Option.some(task))
        return task.status
      })
    for (const [index, name] of refused.entries()) put(inWorkspace(name, "apply", before(600 - index)))
    put(inWorkspace("innocent", "plan", before(60)))
    /** Makes a pass over each task, and returns what the statuses of those that are refused say then. */
    const pass = Effect.forEach([...refused, "innocent"], (name) => Effect.andThen(reconcile(`tasks/${name}`), Effect.sync(hear))).pipe(
      Effect.map((said) => said.at(-1)?.slice(0, refused.length) ?? [])
    )
    return { pass, server }
  })

  it.effect("delay no other task, and say what is refused", () =>
    Effect.gen(function*() {
      const { pass, server } = yield* started
      const said = yield* pass
      expect(server.all(jobs).map(({ metadata }) => metadata.name)).toEqual(["agent-job-innocent"])
      const tells = { phase: "Queued", reason: "Refused", message: expect.stringContaining("Cannot get the Lease: ") }
      expect(said).toMatchObject(refused.map(() => tells))
    }).pipe(Effect.scoped))

  it.effect("end once that has lasted for as long as a start may take", () =>
    Effect.gen(function*() {
      const { pass } = yield* started
      const rounds = policy.startupTimeoutSeconds / 10
      const said = yield* Effect.forEach(Array.from({ length: rounds + 1 }), () => Effect.tap(pass, TestClock.adjust("10 seconds")))
      expect(said.at(-2)).toMatchObject(refused.map(() => ({ phase: "Queued" })))
      expect(said.at(-1)).toMatchObject(refused.map(() => ({ phase: "Failed", reason: "Denied" })))
    }).pipe(Effect.scoped))
})

describe("a task of which the API server lets no pass come to its end", () => {
  it.effect("has an event though another of its name had it, of which no pass saw that it went", () =>
    Effect.gen(function*() {
      const forbidden = new Forbidden({
        verb: "update the status of",
        object: "AgentTask tasks/task",
        code: 403,
        reason: "Forbidden",
        detail: ""
      })
      const { task } = worldOf({ ...plainSeed, life: "claimed" })
      const said: Array<string> = []
      const executor = carriesOut({
        say: ({ metadata }) => Effect.sync(() => said.push(metadata.uid) > 0),
        writeStatus: () => Effect.fail(forbidden)
      })
      const world = holding(task)
      const reconcile = yield* reconcilerOf({ world, executor, kubernetes: instantCluster().kubernetes })
      yield* Effect.flip(reconcile("tasks/task"))
      world.setTask("tasks/task", Option.some({ ...task, metadata: { ...task.metadata, uid: Uid.make("another") } }))
      yield* Effect.flip(reconcile("tasks/task"))
      expect([...new Set(said)]).toEqual([task.metadata.uid, "another"])
    }).pipe(Effect.scoped))

  it.effect.each(
    [
      { what: "the Pod of its stage may not be read", verb: "get", object: "Pod tasks/pod", seed: { life: "claimed" } },
      { what: "the Job of its launch may not be read", verb: "get", object: "Job tasks/agent-job-task", seed: { life: "starting" } },
      { what: "its status may not be written", verb: "update the status of", object: "AgentTask tasks/task", seed: { life: "claimed" } }
    ] as const
  )("has an event when $what, one in 50 minutes until a pass comes to its end", ({ object, seed, verb }) =>
    Effect.gen(function*() {
      let mayDo = false
      const unless = <A, E, R>(refused: boolean, effect: Effect.Effect<A, E, R>) =>
        Effect.suspend((): Effect.Effect<A, E | Forbidden, R> =>
          refused && !mayDo ? Effect.fail(new Forbidden({ verb, object, code: 403, reason: "Forbidden", detail: "it may not" })) : effect
        )
      const { kubernetes } = instantCluster()
      const { task } = worldOf({ ...plainSeed, ...seed })
      const said: Array<Notice> = []
      const executor = carriesOut({
        say: (_, notice) => Effect.sync(() => said.push(notice) > 0),
        writeStatus: ({ metadata }) => unless(verb !== "get", Effect.succeed(metadata.resourceVersion))
      })
      const get: typeof kubernetes.get = (kind, named) =>
        unless(verb === "get" && object === `${kind.kind} ${keyOf(named)}`, kubernetes.get(kind, named))
      const reconcile = yield* reconcilerOf({ world: holding(task), executor, kubernetes: { ...kubernetes, get } })
      const told = Notice.Emit({
        type: "Warning",
        reason: "Refused",
        message:
          `Cannot ${verb} ${object}: it may not; grant it to this identity (Role and RoleBinding), or ask who set the policy. Until then, the controller does nothing for this task.`
      })
      const ofRefusals = () => said.filter((notice) => Equal.equals(notice, told)).length
      for (const _ of [1, 2]) expect(yield* Effect.flip(reconcile("tasks/task"))).toMatchObject({ _tag: "Forbidden" }) // counted, and tried again
      expect(ofRefusals()).toBe(1)
      yield* TestClock.adjust("50 minutes") // soon the API server forgets the event
      for (const _ of [1, 2]) yield* Effect.flip(reconcile("tasks/task"))
      expect(ofRefusals()).toBe(2)
      mayDo = true
      yield* reconcile("tasks/task")
      mayDo = false
      yield* Effect.flip(reconcile("tasks/task"))
      expect(ofRefusals()).toBe(3)
    }).pipe(Effect.scoped))

  it.effect("has one event, and not one at each try, when the values do not name the pool that is to hear how it ended", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const created: Array<string> = []
      const create: typeof kubernetes.create = (kind, object) => (created.push(kind.kind), kubernetes.create(kind, object))
      const world = holding(worldOf({ ...plainSeed, life: "failed", pool: true }).task)
      const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes: { ...kubernetes, create } })
      for (const _ of [1, 2]) expect(yield* Effect.flip(reconcile("tasks/task"))).toMatchObject({ _tag: "PoolMissing" })
      expect(created).toEqual(["Event"])
      expect(server.all(events)).toMatchObject([
        { type: "Warning", reason: "PoolUnreachable", note: expect.stringMatching(/^The values name no pool, /u) }
      ])
    }).pipe(Effect.scoped))

  const url = "http://pool"
  it.effect.each([
    {
      error: new PoolRefused({ url, status: 401, code: "unauthorized", detail: "unknown" }),
      says: "The pool at http://pool refuses the token; put"
    },
    {
      error: new PoolRefused({ url, status: 403, code: "forbidden", detail: "not yours" }),
      says: "The pool at http://pool refused a request with 403: not yours. If nobody"
    },
    {
      error: new PoolTokenUnreadable({ url, file: "/token", detail: "gone" }),
      says: "The pool at http://pool is not asked, because its token cannot"
    },
    {
      error: new PoolUnreachable({ url, detail: "no such host" }),
      says: "The pool at http://pool gave no usable answer (no such host); check"
    }
  ])(
    "has an event while its pool does not hear how it ended, once somebody has deleted it and it has been over for a minute: $says",
    ({ error, says }) =>
      Effect.gen(function*() {
        for (const [deleted, seconds] of [[false, 61], [true, 59], [true, 61]] as const) {
          const { kubernetes, server } = instantCluster()
          const pool = Layer.mock(Pool, { report: () => Effect.fail(error) })
          const world = holding(worldOf({ ...plainSeed, life: "failed", pool: true, deleted }).task)
          const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes, pool })
          for (const wait of [0, seconds, 0]) {
            yield* TestClock.adjust(`${wait} seconds`)
            expect(yield* Effect.flip(reconcile("tasks/task"))).toBe(error)
          }
          const noted = server.all(events)
          if (!deleted || seconds < 60) expect(noted).toEqual([])
          else {
            expect(noted).toMatchObject([{ type: "Warning", reason: "PoolUnreachable", note: expect.stringContaining(says) }])
            expect(noted[0]).toMatchObject({
              note: expect.stringMatching(
                /\. If nobody asks for its run any more, remove its finalizer scalr\.io\/report\. Until then, /u
              )
            })
          }
        }
      }).pipe(Effect.scoped)
  )
})
