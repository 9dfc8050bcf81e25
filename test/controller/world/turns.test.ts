// Which tasks may start, in a world that hears of every change: a slot is never given twice, and a task that waits for one is told when that is its turn.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Schema, Struct } from "effect"
import { TestClock } from "effect/testing"
import * as Cache from "../../../src/controller/world/cache.ts"
import { heldRefusals } from "../../../src/controller/world/held-refusals.ts"
import * as Turns from "../../../src/controller/world/turns.ts"
import { make, type World } from "../../../src/controller/world/world.ts"
import { heldBack } from "../../../src/core/scheduling/draining.ts"
import { Turn } from "../../../src/core/task/observed.ts"
import { Uid, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { noon, plainSeed, policy, type Seed, worldOf } from "../../core/worlds.ts"
import { job, key, task } from "./numbered-tasks.ts"

/** Makes a pass over the task, which sees the turn that it has now. */
const pass = (world: World, of: AgentTask, turn = world.turns.of(of)): void =>
  world.passSaw({ job: Option.none(), pod: Option.none(), warning: Option.none(), task: of, turn }, 0)

describe("turns", () => {
  it("counts a slot from the decision on, before any informer has seen the Job, until one has seen it go", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    expect(world.turns.of(task(0))._tag).toBe("Admitted")
    world.turns.reserve("uid-0")
    world.setTask(key(2), Option.some({ ...task(2), metadata: { ...task(2).metadata, creationTimestamp: "2025-01-01T00:00:00Z" } }))
    expect([task(1), task(2)].map((_) => world.turns.of(_)._tag)).toEqual(["Waiting", "Waiting"])
    for (const heard of [Option.some(job(0)), Option.none()]) world.setJob("tasks/job-0", heard)
    expect(world.turns.of(task(2))._tag).toBe("Admitted")
  })

  it("leaves its slot to a task in a phase that only a newer version knows", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    world.setTask(key(0), Option.some(task(0)))
    world.setTask(key(1), Option.some({ ...task(1), status: { phase: "Moonlit" } }))
    world.setTask(key(2), Option.some({ ...task(2), status: worldOf({ ...plainSeed, life: "succeeded" }).task.status }))
    expect(world.turns.of(task(0))._tag).toBe("Waiting")
    expect(world.turns.waiting()).toEqual([key(0)])
  })

  it("gives no slot to a task that waits for its source, however old it is", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    const waits = worldOf({ ...plainSeed, life: "queued", source: "notReady", waitsForSource: true }).task
    world.setTask(key(0), Option.some({ ...task(0), spec: waits.spec, status: waits.status }))
    world.setTask(key(1), Option.some(task(1)))
    expect(world.turns.of(task(1))._tag).toBe("Admitted")
    // Its source is ready, of which its status does not tell yet.
    world.turns.reserve("uid-0")
    expect(world.turns.of(task(1))._tag).toBe("Waiting")
    world.turns.giveBack("uid-0")
    expect(world.turns.of(task(1))._tag).toBe("Admitted")
    const { queue: _, ...pinned } = waits.status
    world.setTask(key(0), Option.some({ ...task(0), spec: waits.spec, status: { ...pinned, reason: "Accepted" } }))
    expect(world.turns.of(task(1))._tag).toBe("Waiting")
  })

  it.each([{ stage: "plan", waits: "ConcurrencyLimit" }, { stage: "apply", waits: "WorkspaceBusy" }] as const)(
    "keeps neither slot nor workspace for a task that was deleted before its claim, whatever finalizer keeps it: $stage",
    ({ stage, waits }) => {
      const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
      const [first, second] = [0, 1].map((index): AgentTask => ({ ...task(index), spec: { ...task(index).spec, stage } }))
      if (first === undefined || second === undefined) return expect.fail()
      const deleted = { ...first, metadata: { ...first.metadata, deletionTimestamp: "2026-01-01T00:01:00Z" } }
      for (const [index, each] of [first, second].entries()) world.setTask(key(index), Option.some(each))
      expect(world.turns.of(second)).toMatchObject({ why: { reason: waits } })
      world.setTask(key(0), Option.some(deleted))
      expect(world.turns.of(second)._tag).toBe("Admitted")
      // Its worker claimed it in time.
      world.setTask(key(0), Option.some({ ...deleted, status: worldOf({ ...plainSeed, life: "claimed" }).task.status }))
      expect(world.turns.of(second)).toMatchObject({ why: { reason: waits } })
    }
  )

  it("has nothing to tell to a task of which a pass has seen that it may start, however often its start fails", () => {
    const world = make(policy)
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    pass(world, task(1), heldBack)
    expect(world.turns.untold()).toEqual([key(1)])
    pass(world, task(1))
    world.turns.reserve("uid-1")
    world.turns.giveBack("uid-1")
    expect(world.turns.untold()).toEqual([])
  })

  it.each<readonly [first: string, becomes: Option.Option<Partial<Seed>>, untold: ReadonlyArray<string>]>([
    ["is over", Option.some({ life: "failed" }), [key(1)]],
    ["is gone", Option.none(), [key(1)]],
    ["waits for its source from now on", Option.some({ life: "queued", source: "notReady", waitsForSource: true }), [key(1)]],
    ["has news of no account to others", Option.some({ life: "queued", source: "known" }), []]
  ])("has something to tell to the next in a workspace when the one before it %s", (_, becomes, untold) => {
    const world = make(policy)
    const apply = (index: number, seed: Partial<Seed> = {}): AgentTask => {
      const { spec, status } = worldOf({ ...plainSeed, stage: "apply", life: "queued", ...seed }).task
      return { ...task(index), spec, status }
    }
    for (const index of [0, 1]) world.setTask(key(index), Option.some(apply(index)))
    for (const index of [0, 1]) pass(world, apply(index))
    world.setTask(key(0), Option.map(becomes, (seed) => apply(0, seed)))
    expect(world.turns.untold()).toEqual(untold)
  })

  it("has something to tell only to those that may start when others end, or that have another place then", () => {
    const world = make({ ...policy, limits: { total: 2, perWorkspace: 2 } })
    const at = (index: number, life: "claimed" | "queued" | "succeeded"): AgentTask => {
      const { metadata } = task(0)
      const creationTimestamp = new Date(Date.parse(noon) + index * 1000).toISOString()
      return {
        ...worldOf({ ...plainSeed, life }).task,
        metadata: { ...metadata, name: `task-${index}`, uid: Uid.make(`uid-${index}`), creationTimestamp }
      }
    }
    const waiting = Array.from({ length: 40 }, (_, index) => index + 2)
    for (const index of [0, 1]) world.setTask(key(index), Option.some(at(index, "claimed")))
    for (const index of waiting) world.setTask(key(index), Option.some(at(index, "queued")))
    for (const index of waiting) pass(world, at(index, "queued"))
    world.setTask(key(0), Option.some(at(0, "succeeded")))
    expect(world.turns.untold()).toEqual([2, 3, 6, 18].map(key))
    world.setTask(key(1), Option.some(at(1, "succeeded")))
    expect(world.turns.untold()).toEqual([2, 3, 4, 6, 7, 18, 19].map(key))
  })

  it("has something to tell to one that had its turn and waited for the holder of its workspace, when that ends", () => {
    const world = make(policy)
    const apply = (index: number, life: "claimed" | "queued" | "succeeded"): AgentTask => ({
      ...task(index),
      ...Struct.pick(worldOf({ ...plainSeed, stage: "apply", life }).task, ["spec", "status"])
    })
    world.setTask(key(0), Option.some(apply(0, "claimed")))
    world.setTask(key(1), Option.some(apply(1, "queued")))
    world.turns.setHolder(apply(0, "claimed").spec.workspace, Option.some("uid-0"))
    pass(world, apply(1, "queued"), Turn.Admitted())
    world.setTask(key(0), Option.some(apply(0, "succeeded")))
    expect([world.turns.of(apply(1, "queued"))._tag, world.turns.untold()]).toEqual(["Admitted", [key(1)]])
  })

  it("does not tell of places when a refusal begins, and tells of those that are other ones once it ends", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1, 2, 3]) world.setTask(key(index), Option.some(task(index)))
    world.turns.reserve("uid-0")
    for (const index of [1, 2, 3]) pass(world, task(index))
    world.turns.untold()
    world.turns.giveBack("uid-0")
    world.refusals.refuse("uid-0", { kind: "Refused", message: "no", againInMillis: 10_000 }, 0)
    expect([world.turns.of(task(1))._tag, world.turns.of(task(2)), world.turns.untold()]).toMatchObject(["Admitted", { position: 1 }, [
      key(1)
    ]])
    pass(world, task(1))
    world.turns.reserve("uid-1")
    world.setTask(key(4), Option.some(task(4)))
    expect(world.turns.untold()).toContain(key(2))
    pass(world, task(2))
    world.refusals.dropExpired("uid-0", 10_000)
    expect([world.turns.of(task(2)), world.turns.untold()]).toMatchObject([{ position: 4 }, [key(2)]])
  })

  it.effect("have moved again if they do so while they are looked at", () =>
    Effect.gen(function*() {
      const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
      for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
      const looks: Array<ReadonlyArray<string>> = []
      const look = Effect.sync(() => {
        looks.push(world.turns.untold())
        if (looks.length === 1) world.setTask(key(0), Option.some(task(0, "succeeded")))
      })
      pass(world, task(1))
      yield* Effect.forkChild(Effect.forever(Effect.andThen(world.turns.moved, look)))
      for (const _ of ["first", "second"]) yield* TestClock.adjust(0)
      expect(looks).toEqual([[], [key(1)]])
    }))

  it.effect("are looked at once all of the world has heard of what moved them", () =>
    Effect.gen(function*() {
      const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
      for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
      const looks: Array<ReadonlyArray<string>> = []
      const look = Effect.sync(() => void looks.push(world.turns.untold()))
      pass(world, task(1))
      yield* Effect.forkChild(Effect.forever(Effect.andThen(world.turns.moved, look)))
      yield* TestClock.adjust(0)
      world.setTask(key(0), Option.some(task(0, "succeeded")))
      yield* TestClock.adjust(0)
      expect(looks).toEqual([[], [key(1)]])
    }))

  it.effect("have moved once for all that happened since they were looked at, and not when a slot is taken", () =>
    Effect.gen(function*() {
      const world = make(policy)
      let moved = 0
      yield* Effect.forkChild(Effect.forever(Effect.andThen(world.turns.moved, Effect.sync(() => moved++))))
      const after = Effect.fnUntraced(function*(...happen: ReadonlyArray<() => void>) {
        moved = 0
        for (const happens of happen) happens()
        yield* TestClock.adjust(0)
        return moved
      })
      expect(yield* after(...[0, 1].map((index) => () => void world.setTask(key(index), Option.some(task(index)))))).toBe(1)
      expect(yield* after(() => world.turns.reserve("uid-0"), () => void world.setJob("tasks/job-0", Option.some(job(0))))).toBe(0)
      expect(yield* after(() => void world.setJob("tasks/job-0", Option.none()))).toBe(1)
    }))

  it("says whether a drain or a proof is news, since all tasks are looked at for that", () => {
    const { setDrained, setProven } = make(policy).turns
    for (const set of [setDrained, setProven]) expect([false, true, true, false].map(set)).toEqual([false, true, false, true])
  })

  it("holds a plan to the limits, whoever has its workspace", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.turns.setHolder(task(0).spec.workspace, Option.some("a-stranger"))
    expect([task(0), task(1)].map((_) => world.turns.of(_)._tag)).toEqual(["Admitted", "Waiting"])
  })

  it("does not know whether a workspace is free from when a task starts, which may take it", () => {
    const world = make(policy)
    world.setTask(key(0), Option.some(task(0)))
    world.turns.setHolder(task(0).spec.workspace, Option.none())
    expect(world.turns.knowsHolder(task(0).spec.workspace)).toBe(true)
    world.turns.reserve("uid-0")
    expect(world.turns.knowsHolder(task(0).spec.workspace)).toBe(false)
    world.turns.setHolder(task(0).spec.workspace, Option.some("a-stranger"))
    world.turns.reserve("uid-0")
    expect(world.turns.knowsHolder(task(0).spec.workspace)).toBe(true)
  })

  it.each([{ holder: "a-stranger", known: [true, false] }, { holder: "uid-0", known: [false, false] }])(
    "knows that $holder holds a workspace until that or the last task of it has gone",
    ({ holder, known }) => {
      const world = make(policy)
      const { workspace } = task(0).spec
      for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
      world.turns.setHolder(workspace, Option.some(holder))
      const isKnownWithout = (index: number) => {
        world.setTask(key(index), Option.none())
        return world.turns.knowsHolder(workspace)
      }
      expect([0, 1].map(isKnownWithout)).toEqual(known)
    }
  )

  it("shuts nobody out of a workspace any more once its holder is heard of again, which is over", () => {
    const world = make({ ...policy, limits: { total: 0, perWorkspace: 0 } })
    const apply: AgentTask = { ...task(0), spec: { ...task(0).spec, stage: "apply" } }
    const over = task(1, "succeeded")
    for (const [index, each] of [apply, over].entries()) world.setTask(key(index), Option.some(each))
    world.turns.setHolder(apply.spec.workspace, Option.some("uid-1")) // as a look says that began before that end
    expect(world.turns.of(apply)._tag).toBe("Admitted") // to look again, without a slot
    world.setTask(key(1), Option.some(over))
    expect(world.turns.of(apply)._tag).toBe("Waiting")
  })

  it("gives the slot back when the Job was refused, and when the task is over", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.turns.reserve("uid-0")
    expect(world.turns.waiting()).toEqual([key(1)])
    world.turns.giveBack("uid-0")
    expect(world.turns.waiting()).toEqual([key(0), key(1)])
    world.turns.reserve("uid-0")
    world.setTask(key(0), Option.some(task(0, "succeeded")))
    expect(world.turns.of(task(1))._tag).toBe("Admitted")
  })

  it("keeps the place of who waits for a quota, and has something to tell it as soon as a Job is gone", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.setJob("tasks/other", Option.some({ ...job(0), taskUid: "uid-9" }))
    world.refusals.refuse("uid-0", { kind: "QuotaExceeded", message: "exceeded quota", againInMillis: 10_000 }, 0)
    expect([0, 1].map((index) => world.turns.of(task(index))._tag)).toEqual(["Admitted", "Waiting"])
    for (const index of [0, 1]) pass(world, task(index))
    expect([Option.isSome(world.refusals.at("uid-0", 5_000)), world.turns.untold()]).toEqual([true, []])
    world.setJob("tasks/other", Option.none())
    expect([world.refusals.at("uid-0", 5_000), world.turns.untold()]).toEqual([Option.none(), [key(0)]])
  })

  it.each<readonly [what: string, happens: (world: ReturnType<typeof make>) => void]>([
    ["its Job was heard of", (world) => world.setJob("tasks/job-0", Option.some(job(0)))],
    ["it is over", (world) => world.setTask(key(0), Option.some(task(0, "succeeded")))],
    ["it was deleted", (world) => world.setTask(key(0), Option.none())]
  ])("counts anew for how long a Job is denied from when %s", (_, happens) => {
    const world = make(policy)
    world.setTask(key(0), Option.some(task(0)))
    for (const at of [0, 60_000]) world.refusals.refuse("uid-0", { kind: "Denied", message: "no", againInMillis: 10_000 }, at)
    expect(world.refusals.deniedMillis("uid-0")).toBe(60_000)
    happens(world)
    expect(world.refusals.deniedMillis("uid-0")).toBe(0)
  })

  it("keeps no refusal of a task that went while the API server was asked", () => {
    const world = make(policy)
    world.refusals.refuse("uid-0", { kind: "Denied", message: "no", againInMillis: 10_000 }, 0)
    expect(world.refusals.isRefused("uid-0")).toBe(false)
  })

  it("counts the slot of a task in a phase of a newer version, though it is cancelled", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    world.setTask(key(0), Option.some({ ...task(0), spec: { ...task(0).spec, cancel: true }, status: { phase: "Moonlit" } }))
    world.setTask(key(1), Option.some(task(1)))
    expect(world.turns.of(task(1))._tag).toBe("Waiting")
  })

  it("lets others start while a Job is refused, and has something to tell to who waits", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.turns.reserve("uid-0")
    pass(world, task(1))
    expect(world.turns.untold()).toEqual([])
    world.turns.giveBack("uid-0")
    world.refusals.refuse("uid-0", { kind: "Refused", message: "no", againInMillis: 10_000 }, 0)
    expect([0, 1].map((index) => world.turns.of(task(index))._tag)).toEqual(["Waiting", "Admitted"])
    expect(world.turns.untold()).toEqual([key(1)])
    world.refusals.dropExpired("uid-0", 9_999)
    expect(world.turns.of(task(0))._tag).toBe("Waiting")
    world.refusals.dropExpired("uid-0", 10_000)
    expect(world.turns.of(task(0))._tag).toBe("Admitted")
  })

  it("takes one that was told to wait for a further launch to have no slot, until its Job is there", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    const starting = { ...task(0), status: worldOf({ ...plainSeed, life: "evicted" }).task.status }
    const refused = { ...starting, status: { ...starting.status, queue: { position: 1, reason: "Refused" } } } as const
    world.setTask(key(0), Option.some(starting))
    world.setTask(key(1), Option.some(task(1)))
    world.refusals.refuse("uid-0", { kind: "Refused", message: "no", againInMillis: 10_000 }, 0)
    pass(world, task(1))
    expect([world.turns.waiting(), world.turns.untold()]).toEqual([[key(1)], []])
    world.setTask(key(0), Option.some(refused))
    expect([world.turns.waiting(), world.turns.untold()]).toEqual([[key(0), key(1)], [key(1)]])
    world.setJob("tasks/job-0", Option.some(job(0)))
    expect(world.turns.waiting()).toEqual([key(1)])
  })

  it("has something to tell to the holder of a workspace that another task learns of", () => {
    const world = make(policy)
    const apply = (index: number): AgentTask => ({ ...task(index), spec: worldOf({ ...plainSeed, stage: "apply" }).task.spec })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(apply(index)))
    pass(world, apply(1))
    world.turns.setHolder(apply(0).spec.workspace, Option.some("uid-1"))
    expect([0, 1].map((index) => world.turns.of(apply(index))._tag)).toEqual(["Waiting", "Admitted"])
    expect(world.turns.untold()).toEqual([key(1)])
  })

  it.each([
    { given: "is gone, and whose Pod is on a silent node", holder: Option.none<AgentTask>() },
    {
      given: "waits for its source",
      holder: Option.some(worldOf({ ...plainSeed, stage: "apply", life: "queued", source: "notReady", waitsForSource: true }).task)
    }
  ])(
    "takes no slot from others for an apply whose workspace one has that $given, and gives it its place again when that is over",
    ({ holder }) => {
      const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
      const apply: AgentTask = { ...task(0), spec: { ...task(0).spec, stage: "apply" } }
      const plan: AgentTask = { ...task(1), spec: { ...task(1).spec, workspace: WorkspaceName.make("elsewhere") } }
      for (const [index, each] of [apply, plan].entries()) world.setTask(key(index), Option.some(each))
      if (Option.isSome(holder)) world.setTask("tasks/task", holder)
      pass(world, plan)
      const turns = () => [apply, plan].map((_) => world.turns.of(_)._tag)
      expect(turns()).toEqual(["Admitted", "Waiting"])
      world.turns.setHolder(apply.spec.workspace, Option.some("task-uid"))
      expect([turns(), world.turns.untold()]).toEqual([["Admitted", "Admitted"], [key(1)]])
      world.turns.setHolder(apply.spec.workspace, Option.none())
      expect(turns()).toEqual(["Admitted", "Waiting"])
    }
  )

  it.each<readonly [saw: string, turn: Turn, isUntold: boolean]>([
    ["its turn", Turn.Waiting({ position: 4, why: { reason: "WorkspaceBusy", blockedBy: "task-0", isNear: true } }), false],
    ["another place", Turn.Waiting({ position: 16, why: { reason: "WorkspaceBusy", blockedBy: "task-0", isNear: true } }), true],
    ["another reason", Turn.Waiting({ position: 4, why: { reason: "ConcurrencyLimit", limit: "total" } }), true],
    ["another task", Turn.Waiting({ position: 4, why: { reason: "WorkspaceBusy", blockedBy: "task-9", isNear: true } }), true],
    ["nobody", Turn.Waiting({ position: 4, why: { reason: "WorkspaceBusy", blockedBy: "task-0", isNear: false } }), true],
    ["that it may start", Turn.Admitted(), true]
  ])("has something to tell to one that has to wait only if the last pass over it saw something else: it saw %s", (_, turn, isUntold) => {
    const world = make(policy)
    const apply = (index: number): AgentTask => ({ ...task(index), spec: { ...task(index).spec, stage: "apply" } })
    for (const index of [0, 1, 2]) world.setTask(key(index), Option.some(apply(index)))
    for (const index of [0, 1]) pass(world, apply(index))
    pass(world, apply(2), turn)
    expect(world.turns.untold()).toEqual(isUntold ? [key(2)] : [])
  })

  it("does not tell to one that waits that another limit is reached, since there may be thousands", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    pass(world, task(1), Turn.Waiting({ position: 1, why: { reason: "ConcurrencyLimit", limit: "total" } }))
    expect(world.turns.of(task(1))).toMatchObject({ why: { limit: "perWorkspace" } })
    expect(world.turns.untold()).toEqual([])
  })

  it("is worked out once for all tasks that are told of their turn, and anew once one of them begins, ends or waits for its source", () => {
    const cache = Cache.make()
    let looks = 0
    const counted: Pick<Cache.Cache, "job" | "keyOf" | "taskByUid" | "tasks"> = {
      ...cache,
      tasks: () => {
        looks++
        return cache.tasks()
      }
    }
    const { events, turns } = Turns.make(counted, () => policy, heldRefusals())
    const set = (index: number, task: AgentTask): number => {
      const before = looks
      events.taskChanges(cache.task(key(index)), Option.some(task))
      cache.setTask(key(index), Option.some(task))
      turns.of(waitsLast)
      return looks - before
    }
    const apply = (index: number, seed: Partial<Seed> = {}): AgentTask => {
      const { spec, status } = worldOf({ ...plainSeed, stage: "apply", ...seed }).task
      return { ...task(index), spec, status }
    }
    const waitsLast = apply(9)
    const all = Array.from({ length: 10 }, (_, index) => index)
    for (const index of all) expect(set(index, apply(index))).toBe(1)
    const told = (blockedBy: string, index: number): AgentTask => ({
      ...apply(index),
      status: { phase: "Queued", reason: "WorkspaceBusy", queue: { position: 4, reason: "WorkspaceBusy", blockedBy } }
    })
    for (const blockedBy of ["task-0", "task-1"]) {
      for (const index of all) expect(set(index, told(blockedBy, index))).toBe(0)
    }
    const waitsForSource = { life: "queued", source: "notReady", waitsForSource: true } as const
    for (const seed of [waitsForSource, { life: "queued" }, { life: "starting", launches: 1 }, { life: "failed" }] as const) {
      expect([seed.life, set(0, apply(0, seed))]).toEqual([seed.life, 1])
    }
    expect(set(0, { ...apply(0, { life: "failed" }), spec: { ...apply(0).spec, cancel: true } })).toBe(0)
  })

  const Event = Schema.Struct({
    index: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
    is: Schema.Literals(["gone", "new", "queued", "starting", "claimed", "failed", "cancelled", "ofNewerVersion", "waits", "calledOff"]),
    stage: Schema.Literals(["plan", "apply"]),
    anew: Schema.Boolean
  })
  it.prop("are after each event those that a world would give which knew nothing before", [Schema.Array(Event)], ([events]) => {
    const limits = { total: 2, perWorkspace: 1 }
    const world = make({ ...policy, limits })
    const made = ({ anew, index, is, stage }: typeof Event.Type): Option.Option<AgentTask> => {
      if (is === "gone") return Option.none()
      const life = is === "waits" ? "queued" : is === "calledOff" ? "new" : is
      const { metadata } = task(index)
      const waits = is === "waits" ? { source: "notReady", waitsForSource: true } as const : {}
      const { spec, status } = worldOf({ ...plainSeed, life, stage, cancel: is === "calledOff", ...waits }).task
      const workspace = WorkspaceName.make(index < 2 ? "one" : "two")
      return Option.some({ metadata: { ...metadata, uid: Uid.make(`uid-${index}-${anew}`) }, spec: { ...spec, workspace }, status })
    }
    for (const event of events) {
      world.setTask(key(event.index), made(event))
      const anew = make({ ...policy, limits })
      for (const [key, task] of world.cache.tasks()) anew.setTask(key, Option.some(task))
      for (const task of world.cache.tasks().values()) {
        expect([task.metadata.uid, world.turns.of(task)]).toEqual([task.metadata.uid, anew.turns.of(task)])
      }
    }
  })

  it("changes for few of those that wait for one workspace when the one before them all is cancelled, and for none in another", () => {
    const world = make(policy)
    const apply = (index: number): AgentTask => {
      const { metadata, spec, status } = task(0)
      const workspace = WorkspaceName.make(index < 500 ? "busy" : "other")
      const creationTimestamp = new Date(Date.parse(noon) + index * 1000).toISOString()
      return {
        metadata: { ...metadata, name: `task-${index}`, uid: Uid.make(`uid-${index}`), creationTimestamp },
        spec: { ...spec, stage: "apply", workspace },
        status
      }
    }
    const all = Array.from({ length: 503 }, (_, index) => index)
    for (const index of all) world.setTask(key(index), Option.some(apply(index)))
    for (const index of all) pass(world, apply(index))
    expect(world.turns.untold()).toEqual([])
    const first = apply(0)
    world.setTask(key(0), Option.some({ ...first, spec: { ...first.spec, cancel: true } }))
    const after = world.turns.untold()
    expect(after).toEqual(expect.arrayContaining([2, 3, 4, 5].map(key))) // they name another task from now on
    expect(after.length).toBeLessThan(15)
    expect(after.filter((_) => [501, 502].map(key).includes(_))).toEqual([])
  })

  it("gives turns by new limits from the moment they hold", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.turns.reserve("uid-0")
    expect(world.turns.of(task(1))._tag).toBe("Waiting")
    world.setPolicy({ ...policy, limits: { total: 2, perWorkspace: 2 } })
    expect(world.turns.of(task(1))._tag).toBe("Admitted")
  })

  it("holds back in a drained cluster what has not begun, and what was cleared away to be launched again", () => {
    const world = make(policy)
    const evicted = { ...task(1), status: worldOf({ ...plainSeed, life: "evicted" }).task.status }
    for (const [index, each] of [task(0), evicted, task(2)].entries()) world.setTask(key(index), Option.some(each))
    world.setJob("tasks/job-2", Option.some(job(2)))
    const turns = () =>
      [task(0), evicted, task(2)].map((_) => world.turns.of(_)).map((turn) => turn._tag === "Waiting" ? turn.why.reason : turn._tag)
    world.turns.setDrained(true)
    expect(turns()).toEqual(["Draining", "Draining", "Admitted"])
    world.turns.setDrained(false)
    expect(turns()).toEqual(["Admitted", "Admitted", "Admitted"])
  })

  it("holds back in a drained cluster what was to begin and has no Job, in the slot that it may need after all", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.turns.reserve("uid-0")
    expect(world.turns.launching()).toBe(true)
    world.turns.passEnded("uid-0") // the API server has not said whether it made the Job
    world.turns.setDrained(true)
    expect([world.turns.launching(), world.turns.of(task(0)), world.turns.waiting()]).toEqual([false, heldBack, [key(1)]])
    world.setJob("tasks/job-0", Option.some(job(0))) // the Job was made after all
    expect(world.turns.of(task(0))._tag).toBe("Admitted")
  })

  it("holds back what has not begun until the isolation is proven, where the values want that", () => {
    const reasons = (world: ReturnType<typeof make>) =>
      [task(0), task(1)].map((_) => world.turns.of(_)).map((turn) => turn._tag === "Waiting" ? turn.why.reason : turn._tag)
    const world = make({ ...policy, requireProvenIsolation: true })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.setJob("tasks/job-1", Option.some(job(1)))
    expect(reasons(world)).toEqual(["IsolationUnproven", "Admitted"])
    expect([world.turns.setProven(true), world.turns.setProven(true), reasons(world)]).toEqual([true, false, ["Admitted", "Admitted"]])
    expect(reasons(make(policy))).toEqual(["Admitted", "Admitted"])
  })
})
