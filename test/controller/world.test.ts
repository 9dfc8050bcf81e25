// The controller's memory: the same facts in any order and any number give the same answers, and a slot is never given twice.
import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { make, type World } from "../../src/controller/world.ts"
import { heldBack } from "../../src/core/draining.ts"
import { Turn } from "../../src/core/observed.ts"
import type { AgentTask } from "../../src/schema/agent-task.ts"
import { Uid, WorkspaceName } from "../../src/schema/names.ts"
import { plainSeed, policy, worldOf } from "../core/worlds.ts"

const task = (index: number, life: "new" | "succeeded" = "new"): AgentTask => {
  const { task } = worldOf({ ...plainSeed, life })
  return { ...task, metadata: { ...task.metadata, name: `task-${index}`, uid: Uid.make(`uid-${index}`), creationTimestamp: `2026-01-01T00:00:0${index}Z` } }
}
const key = (index: number): string => `tasks/task-${index}`
const job = (index: number) => {
  const seen = Option.getOrThrow(worldOf({ ...plainSeed, job: "active" }).job)
  return { taskUid: `uid-${index}`, seen: { ...seen, name: `job-${index}` } }
}
const pod = (index: number) => {
  const seen = Option.getOrThrow(worldOf({ ...plainSeed, pod: "Running", worker: "running" }).pod)
  return { taskUid: `uid-${index}`, seen: { ...seen, name: `pod-${index}` } }
}
const nothing = { job: Option.none(), pod: Option.none(), warning: Option.none() }
const waits = (index: number) => ({ ...nothing, task: task(index), turn: heldBack })

const facts: ReadonlyArray<(world: World) => void> = [
  ...[0, 1, 2].map((index) => (world: World) => world.setTask(key(index), Option.some(task(index)))),
  (world) => void world.setJob("tasks/job-0", Option.some(job(0))),
  (world) => void world.setPod("tasks/pod-0", Option.some(pod(0))),
  (world) => world.setTask(key(3), Option.none())
]
const answers = (world: World) => ({
  jobs: [0, 1, 2].map((index) => world.job(`uid-${index}`)),
  pods: [0, 1, 2].map((index) => world.pods(`uid-${index}`)),
  turns: [0, 1, 2].map((index) => Option.map(world.task(key(index)), world.turn)),
  waiting: [...world.waiting()].sort()
})

describe("the world", () => {
  const Order = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: facts.length - 1 })))
  it.prop("answers the same whatever the order of events, and however often each comes", [Order], ([order]) => {
    const straight = make({ ...policy, limits: { total: 2, perWorkspace: 2 } })
    for (const fact of facts) fact(straight)
    const mixed = make({ ...policy, limits: { total: 2, perWorkspace: 2 } })
    for (const index of order) facts[index]?.(mixed)
    for (const fact of [...facts].reverse()) fact(mixed)
    expect(answers(mixed)).toEqual(answers(straight))
  })

  it("counts a slot from the decision on, before any informer has seen the Job", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    expect(world.turn(task(0))._tag).toBe("Admitted")
    world.reserve("uid-0")
    world.setTask(key(2), Option.some({ ...task(2), metadata: { ...task(2).metadata, creationTimestamp: "2025-01-01T00:00:00Z" } }))
    expect([task(1), task(2)].map((_) => world.turn(_)._tag)).toEqual(["Waiting", "Waiting"])
  })

  it("leaves its slot to a task in a phase that only a newer version knows", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    world.setTask(key(0), Option.some(task(0)))
    world.setTask(key(1), Option.some({ ...task(1), status: { phase: "Moonlit" } }))
    expect(world.turn(task(0))._tag).toBe("Waiting")
    expect(world.waiting()).toEqual([key(0)])
  })

  it("names what is past the history limit of one workspace, whatever ends in others", () => {
    const world = make({ ...policy, historyPerWorkspace: 1 })
    const over = (index: number, workspace: string): AgentTask => {
      const { task: { spec, status } } = worldOf({ ...plainSeed, life: "succeeded", pool: true, reported: true })
      return { ...task(index), spec: { ...spec, workspace: WorkspaceName.make(workspace) }, status: { ...status, reportedAt: `2026-01-01T00:00:0${index}Z` } }
    }
    for (const [index, workspace] of [[0, "a"], [1, "b"], [2, "a"]] as const) world.setTask(key(index), Option.some(over(index, workspace)))
    expect([world.pastHistory(WorkspaceName.make("a")), world.pastHistory(WorkspaceName.make("b"))]).toEqual([[key(0)], []])
    world.setTask(key(0), Option.none())
    expect(world.pastHistory(WorkspaceName.make("a"))).toEqual([])
  })

  it("gives no slot to a task that waits for its source, however old it is", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    const waits = worldOf({ ...plainSeed, life: "queued", source: "notReady", waitsForSource: true }).task
    world.setTask(key(0), Option.some({ ...task(0), spec: waits.spec, status: waits.status }))
    world.setTask(key(1), Option.some(task(1)))
    expect(world.turn(task(1))._tag).toBe("Admitted")
    world.setTask(key(0), Option.some({ ...task(0), spec: waits.spec, status: { ...waits.status, reason: "Accepted" } })) // it is ready
    expect(world.turn(task(1))._tag).toBe("Waiting")
  })

  it("gives the slot back when the Job was refused, and when the task is over", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.reserve("uid-0")
    expect(world.waiting()).toEqual([key(1)])
    world.giveBack("uid-0")
    expect(world.waiting()).toEqual([key(0), key(1)])
    world.reserve("uid-0")
    world.setTask(key(0), Option.some(task(0, "succeeded")))
    expect(world.turn(task(1))._tag).toBe("Admitted")
  })

  it("keeps the place of who waits for a quota, and calls it up as soon as a Job is gone", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.setJob("tasks/other", Option.some({ ...job(0), taskUid: "uid-9" }))
    world.refuse("uid-0", { kind: "QuotaExceeded", message: "exceeded quota", againInMillis: 10_000 }, 0)
    expect([0, 1].map((index) => world.turn(task(index))._tag)).toEqual(["Admitted", "Waiting"])
    world.calledUp()
    expect(Option.isSome(world.refusal("uid-0", 5_000))).toBe(true)
    world.setJob("tasks/other", Option.none())
    expect([world.refusal("uid-0", 5_000), world.calledUp()]).toEqual([Option.none(), [key(0)]])
  })

  it("counts the slot of a task in a phase of a newer version, though it is cancelled", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    world.setTask(key(0), Option.some({ ...task(0), spec: { ...task(0).spec, cancel: true }, status: { phase: "Moonlit" } }))
    world.setTask(key(1), Option.some(task(1)))
    expect(world.turn(task(1))._tag).toBe("Waiting")
  })

  it("lets others start while a Job is refused, and calls up who was told to wait meanwhile", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.reserve("uid-0")
    world.looked(waits(1), 0)
    expect(world.calledUp()).toEqual([])
    world.giveBack("uid-0")
    world.refuse("uid-0", { kind: "Refused", message: "no", againInMillis: 10_000 }, 0)
    expect([0, 1].map((index) => world.turn(task(index))._tag)).toEqual(["Waiting", "Admitted"])
    expect([world.calledUp(), world.calledUp()]).toEqual([[key(1)], []])
    world.mayAsk("uid-0", 9_999)
    expect(world.turn(task(0))._tag).toBe("Waiting")
    world.mayAsk("uid-0", 10_000)
    expect(world.turn(task(0))._tag).toBe("Admitted")
  })

  it("takes one that was told to wait for a further launch to have no slot, until its Job is there", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    const starting = { ...task(0), status: worldOf({ ...plainSeed, life: "evicted" }).task.status }
    const refused = { ...starting, status: { ...starting.status, queue: { position: 1, reason: "Refused" } } } as const
    world.setTask(key(0), Option.some(starting))
    world.setTask(key(1), Option.some(task(1)))
    world.refuse("uid-0", { kind: "Refused", message: "no", againInMillis: 10_000 }, 0)
    world.looked(waits(1), 0)
    expect([world.waiting(), world.calledUp()]).toEqual([[key(1)], []])
    world.setTask(key(0), Option.some(refused))
    expect([world.waiting(), world.calledUp()]).toEqual([[key(0), key(1)], [key(1)]])
    world.setJob("tasks/job-0", Option.some(job(0)))
    expect(world.waiting()).toEqual([key(1)])
  })

  it("calls up the holder of a workspace that another task learns of", () => {
    const world = make(policy)
    const apply = (index: number): AgentTask => ({ ...task(index), spec: worldOf({ ...plainSeed, stage: "apply" }).task.spec })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(apply(index)))
    world.looked(waits(1), 0)
    world.heldBy(apply(0).spec.workspace, Option.some("uid-1"))
    expect([0, 1].map((index) => world.turn(apply(index))._tag)).toEqual(["Waiting", "Admitted"])
    expect(world.calledUp()).toEqual([key(1)])
  })

  it("gives turns by new limits from the moment they hold", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.reserve("uid-0")
    expect(world.turn(task(1))._tag).toBe("Waiting")
    world.setPolicy({ ...policy, limits: { total: 2, perWorkspace: 2 } })
    expect(world.turn(task(1))._tag).toBe("Admitted")
  })

  it("holds back in a drained cluster what has not begun, and what was cleared away to be launched again", () => {
    const world = make(policy)
    const evicted = { ...task(1), status: worldOf({ ...plainSeed, life: "evicted" }).task.status }
    for (const [index, each] of [task(0), evicted, task(2)].entries()) world.setTask(key(index), Option.some(each))
    world.setJob("tasks/job-2", Option.some(job(2)))
    const turns = () => [task(0), evicted, task(2)].map((_) => world.turn(_)).map((turn) => turn._tag === "Waiting" ? turn.reason : turn._tag)
    world.setDrained(true)
    expect(turns()).toEqual(["Draining", "Draining", "Admitted"])
    world.setDrained(false)
    expect(turns()).toEqual(["Admitted", "Admitted", "Admitted"])
  })

  it("holds back in a drained cluster what was to begin and has no Job, in the slot that it may need after all", () => {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.reserve("uid-0")
    expect(world.launching()).toBe(true)
    world.passed("uid-0") // without an answer
    world.setDrained(true)
    expect([world.launching(), world.turn(task(0)), world.waiting()]).toEqual([false, heldBack, [key(1)]])
    world.setJob("tasks/job-0", Option.some(job(0))) // it was made
    expect(world.turn(task(0))._tag).toBe("Admitted")
  })

  it("holds back what has not begun until the isolation is proven, where the values want that", () => {
    const reasons = (world: ReturnType<typeof make>) => [task(0), task(1)].map((_) => world.turn(_)).map((turn) => turn._tag === "Waiting" ? turn.reason : turn._tag)
    const world = make({ ...policy, requireProvenIsolation: true })
    for (const index of [0, 1]) world.setTask(key(index), Option.some(task(index)))
    world.setJob("tasks/job-1", Option.some(job(1)))
    expect(reasons(world)).toEqual(["IsolationUnproven", "Admitted"])
    expect([world.setProven(true), world.setProven(true), reasons(world)]).toEqual([true, false, ["Admitted", "Admitted"]])
    expect(reasons(make(policy))).toEqual(["Admitted", "Admitted"])
  })

  it("takes a Job that it made, and that a look at all Jobs does not find, to be gone; not one that was made during the look", () => {
    const world = make(policy)
    for (const index of [0, 1, 2]) world.setTask(key(index), Option.some(task(index)))
    const made = (index: number) => {
      world.reserve(`uid-${index}`)
      world.created(`uid-${index}`, job(index).seen)
    }
    made(0)
    made(1)
    const over = world.lookAtJobs()
    made(2)
    world.setJob("tasks/job-1", Option.some(job(1)))
    expect(over()).toEqual(["uid-0"])
    expect([0, 1, 2].map((index) => Option.isSome(world.job(`uid-${index}`)))).toEqual([false, true, true])
    world.setDrained(true)
    expect([0, 1, 2].map((index) => world.turn(task(index))._tag)).toEqual(["Waiting", "Admitted", "Admitted"]) // its slot is free again
  })

  it("does not take a Job to be there whose deletion it heard before the answer that it was made", () => {
    const world = make(policy)
    world.setTask(key(0), Option.some(task(0)))
    world.reserve("uid-0")
    world.setJob("tasks/job-0", Option.some(job(0)))
    world.setJob("tasks/job-0", Option.none())
    world.created("uid-0", job(0).seen)
    expect(world.job("uid-0")).toEqual(Option.none())
  })

  it("knows a Job from the first look at it on, whatever its creation says, and another of its task from the first look at that", () => {
    const world = make(policy)
    world.setTask(key(0), Option.some(task(0)))
    const [first, second] = [job(0).seen, { ...job(0).seen, uid: Uid.make("second") }].map(Option.some)
    const look = (seen: typeof first, at: number) => {
      const known = world.jobKnownMillis("uid-0", seen ?? Option.none(), at)
      world.looked({ ...nothing, task: task(0), job: seen ?? Option.none(), turn: Turn.Admitted() }, at)
      return known
    }
    expect([look(first, 1_000), look(first, 4_000), look(second, 5_000), look(second, 9_000), look(Option.none(), 9_000), look(second, 9_500)]).toEqual([0, 3_000, 0, 4_000, 0, 0])
  })

  it("counts the time of a start from the first look that finds no quota in its way, and anew if that is in its way once more", () => {
    const world = make(policy)
    world.setTask(key(0), Option.some(task(0)))
    const seen = Option.some(job(0).seen)
    const { warning: quota } = worldOf({ ...plainSeed, warning: "quota" })
    const look = (warning: typeof quota, at: number) => {
      const millis = [world.jobKnownMillis("uid-0", seen, at), world.startingMillis("uid-0", seen, at)]
      world.looked({ ...nothing, task: task(0), job: seen, warning, turn: Turn.Admitted() }, at)
      return millis
    }
    expect([look(nothing.warning, 0), look(quota, 5_000), look(quota, 200_000), look(nothing.warning, 250_000), look(nothing.warning, 260_000), look(quota, 270_000), look(nothing.warning, 280_000)])
      .toEqual([[0, 0], [5_000, 5_000], [200_000, 0], [250_000, 0], [260_000, 10_000], [270_000, 20_000], [280_000, 0]])
  })

  it("forgets everything of a task that was deleted and made again under its name", () => {
    const world = make(policy)
    world.setTask(key(0), Option.some(task(0)))
    world.created("uid-0", job(0).seen)
    world.setTask(key(0), Option.some({ ...task(0), metadata: { ...task(0).metadata, uid: Uid.make("uid-again") } }))
    expect(world.job("uid-0")).toEqual(Option.none())
    expect(world.keyOf("uid-0")).toEqual(Option.none())
    expect(world.keyOf("uid-again")).toEqual(Option.some(key(0)))
  })
})
