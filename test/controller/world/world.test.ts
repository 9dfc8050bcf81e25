// The controller's memory: the same facts in any order and number give the same answers, and a task is forgotten completely.
// That each event comes to each part; what a part makes of it is in the test of that part, turns above all.
import { describe, expect, it, vi } from "@effect/vitest"
import { Option, Schema } from "effect"
import { make, type World } from "../../../src/controller/world/world.ts"
import { heldBack } from "../../../src/core/scheduling/draining.ts"
import { Turn } from "../../../src/core/task/observed.ts"
import { Uid, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { plainSeed, policy, worldOf } from "../../core/worlds.ts"
import { job, key, pod, task } from "./numbered-tasks.ts"

const facts: ReadonlyArray<(world: World) => void> = [
  ...[0, 1, 2].map((index) => (world: World) => void world.setTask(key(index), Option.some(task(index)))),
  (world) => void world.setJob("tasks/job-0", Option.some(job(0))),
  (world) => void world.setPod("tasks/pod-0", Option.some(pod(0))),
  (world) => void world.setTask(key(3), Option.none())
]
const answers = (world: World) => ({
  jobs: [0, 1, 2].map((index) => world.cache.job(`uid-${index}`)),
  pods: [0, 1, 2].map((index) => world.cache.pods(`uid-${index}`)),
  turns: [0, 1, 2].map((index) => Option.map(world.cache.task(key(index)), world.turns.of)),
  waiting: [...world.turns.waiting()].sort()
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

  it("names what is past the history limit of one workspace, as it is now, whatever ends in others", () => {
    const world = make({ ...policy, historyPerWorkspace: 1 })
    const over = (index: number, workspace: string): AgentTask => {
      const { task: { spec, status } } = worldOf({ ...plainSeed, life: "succeeded", pool: true, reported: true })
      return {
        ...task(index),
        spec: { ...spec, workspace: WorkspaceName.make(workspace) },
        status: { ...status, reportedAt: `2026-01-01T00:00:0${index}Z` }
      }
    }
    for (const [index, workspace] of [[0, "a"], [1, "b"], [2, "a"]] as const) world.setTask(key(index), Option.some(over(index, workspace)))
    expect([world.pastHistory.keysIn(WorkspaceName.make("a")), world.pastHistory.keysIn(WorkspaceName.make("b"))]).toEqual([[key(0)], []])
    world.setPolicy({ ...policy, historyPerWorkspace: 2 })
    expect(world.pastHistory.keysIn(WorkspaceName.make("a"))).toEqual([])
    world.setPolicy({ ...policy, historyPerWorkspace: 1 })
    expect(world.pastHistory.keysIn(WorkspaceName.make("a"))).toEqual([key(0)])
    world.setTask(key(0), Option.none())
    expect(world.pastHistory.keysIn(WorkspaceName.make("a"))).toEqual([])
  })

  it.each([{ stage: "plan", most: 1_000 }, { stage: "apply", most: 2_000 }, { stage: "destroy", most: 2_000 }] as const)(
    "names what is past the limit of $most of the installation, of other workspaces too: each $stage",
    ({ most, stage }) => {
      const world = make(policy)
      const workspace = (index: number) => WorkspaceName.make(`workspace-${index}`)
      const { task: { spec, status } } = worldOf({ ...plainSeed, stage, life: "succeeded", pool: true, reported: true })
      const over = (index: number): AgentTask => {
        const { metadata } = task(index)
        const creationTimestamp = new Date(Date.UTC(2026, 0, 1, 0, index)).toISOString()
        return { metadata: { ...metadata, creationTimestamp }, spec: { ...spec, workspace: workspace(index) }, status }
      }
      for (const index of Array(most).keys()) world.setTask(key(index), Option.some(over(index)))
      expect([world.pastHistory.keysIn(workspace(most - 1)), world.pastHistory.has(over(0))]).toEqual([[], false])
      for (const index of [most, most + 1]) world.setTask(key(index), Option.some(over(index)))
      expect(world.pastHistory.keysIn(workspace(most + 1))).toEqual([key(0), key(1)])
      expect([0, 1, 2].map((index) => world.pastHistory.has(over(index)))).toEqual([true, true, false])
    }
  )

  it("keeps to itself by what its parts hear of each change, since a part that hears of one alone is out of step", () => {
    const inner = ["move", "taskChanges", "jobHeard", "forget"]
    expect(Object.keys(make(policy)).filter((name) => inner.includes(name))).toEqual([])
  })

  describe("of a task", () => {
    const seen = Option.some(job(0).seen)
    const unready = worldOf({ ...plainSeed, life: "claimed", job: "active", pod: "unready", worker: "running" })
    const claimed = { ...unready, task: { ...unready.task, metadata: task(0).metadata } }
    const pass = (world: World) => {
      world.passSaw({ ...claimed, turn: Turn.Admitted(), job: seen, warning: Option.none() }, 0)
      world.setReportedWait("uid-0", { reason: "Refused", message: "no" })
    }
    const remembered = (world: World) => ({
      reserved: world.turns.isReserved("uid-0"),
      refused: world.refusals.isRefused("uid-0"),
      wait: Option.isSome(world.reportedWait("uid-0")),
      denied: world.refusals.deniedMillis("uid-0") > 0,
      job: world.ages.knownMillis("uid-0", seen, 1_000) > 0,
      unready: world.unreadyMillis(claimed, 1_000) > 0
    })
    const all = { reserved: true, refused: true, wait: true, denied: true, job: true, unready: true }
    const nothing = { reserved: false, refused: false, wait: false, denied: false, job: false, unready: false }
    /** Returns a world with the task, of which everything was said and seen that can be. */
    const full = () => {
      const world = make(policy)
      world.setTask(key(0), Option.some(task(0)))
      world.turns.reserve("uid-0")
      for (const at of [0, 10_000]) world.refusals.refuse("uid-0", { kind: "Denied", message: "no", againInMillis: 10_000 }, at)
      pass(world)
      return world
    }

    it("forgets all that was said once it was deleted and made again under its name", () => {
      const world = full()
      expect(remembered(world)).toEqual(all)
      world.setTask(key(0), Option.some({ ...task(0), metadata: { ...task(0).metadata, uid: Uid.make("uid-again") } }))
      expect(remembered(world)).toEqual(nothing)
    })

    it("forgets at the beginning of a lead what the pool heard, which Pods were not ready and which tasks over, and nothing else", () => {
      const world = full()
      world.leadBegins(1_000)
      expect(remembered(world)).toEqual({ ...all, unready: false, wait: false })
    })

    it("times a Job anew that was suspended and resumed while another replica led", () => {
      const world = full()
      const { seen } = job(0)
      const start = { job: Option.some(seen), pod: Option.none(), warning: Option.none(), isQuotaFull: false }
      const starting = () => world.ages.startingMillis("uid-0", start, 170_000)
      const before = starting()
      world.setJob("tasks/job-0", Option.some({ ...job(0), seen: { ...seen, suspended: true } }))
      world.setJob("tasks/job-0", Option.some(job(0)))
      expect([before > 0, starting()]).toEqual([true, 0])
    })

    it("keeps nothing that is said after it went, while a pass still looked at it", () => {
      const world = make(policy)
      pass(world)
      expect(remembered(world)).toEqual(nothing)
    })
  })

  const events: ReadonlyArray<(world: World, index: number) => void> = [
    (world, index) => void world.setTask(key(index), Option.some(task(index))),
    (world, index) => void world.setTask(key(index), Option.some(task(index, "succeeded"))),
    (world, index) => void world.setTask(key(index), Option.none()),
    (world, index) => void world.setJob(`tasks/job-${index}`, Option.some(job(index))),
    (world, index) => void world.setJob(`tasks/job-${index}`, Option.none()),
    (world, index) => void world.setPod(`tasks/pod-${index}`, Option.some(pod(index))),
    (world, index) =>
      world.refusals.refuse(`uid-${index}`, { kind: index % 2 === 0 ? "QuotaExceeded" : "Denied", message: "no", againInMillis: 1 }, 0),
    (world, index) => {
      if (Option.isSome(world.cache.task(key(index)))) world.turns.reserve(`uid-${index}`)
    },
    (world, index) => {
      const found = world.cache.task(key(index))
      if (Option.isSome(found)) world.turns.setHolder(found.value.spec.workspace, Option.some(`uid-${index}`))
    },
    (world, index) => {
      const found = world.cache.task(key(index))
      if (Option.isSome(found)) world.turns.setHolder(found.value.spec.workspace, index === 0 ? Option.some("a-stranger") : Option.none())
    },
    (world, index) => {
      const { metadata } = task(index)
      const seen = worldOf({ ...plainSeed, life: "claimed", job: "active", pod: "unready", worker: "running" })
      world.passSaw({ ...seen, task: { ...seen.task, metadata }, turn: heldBack, warning: Option.none() }, 0)
      world.setReportedWait(`uid-${index}`, { reason: "Refused", message: "no" })
    }
  ]
  /** Makes a world, and returns the sizes of all collections that it was made with too. */
  const measured = () => {
    const made: Array<ReadonlySet<unknown> | ReadonlyMap<unknown, unknown>> = []
    vi.stubGlobal(
      "Map",
      class<K, V> extends Map<K, V> {
        constructor() {
          super()
          made.push(this)
        }
      }
    )
    vi.stubGlobal(
      "Set",
      class<V> extends Set<V> {
        constructor() {
          super()
          made.push(this)
        }
      }
    )
    const world = make(policy)
    vi.unstubAllGlobals()
    return { world, sizes: () => made.map(({ size }) => size) }
  }
  const Happened = Schema.Array(
    Schema.Tuple([
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: events.length - 1 })),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 }))
    ])
  ).check(Schema.isMinLength(20))
  it.prop("keeps nothing at all of tasks that are gone with their Jobs and Pods, whatever happened to them", [Happened], ([happened]) => {
    const { sizes, world } = measured()
    for (const [event, index] of happened) events[event]?.(world, index)
    for (const index of [0, 1, 2]) {
      world.setTask(key(index), Option.none())
      world.setJob(`tasks/job-${index}`, Option.none())
      world.setPod(`tasks/pod-${index}`, Option.none())
      world.turns.passEnded(`uid-${index}`)
    }
    world.pastHistory.keysIn(task(0).spec.workspace)
    expect(sizes().length).toBeGreaterThan(10)
    expect(sizes().filter((size) => size > 0)).toEqual([])
  })

  it("keeps nothing of a task that came and went, though nobody ever asks what is past the history limit", () => {
    const { sizes, world } = measured()
    world.setTask(key(0), Option.some(task(0)))
    world.turns.setHolder(task(0).spec.workspace, Option.none())
    world.setTask(key(0), Option.none())
    expect(sizes().filter((size) => size > 0)).toEqual([])
  })

  it("forgets what the pool heard of one task", () => {
    const world = make(policy)
    for (const index of [0, 1, 2]) {
      world.setTask(key(index), Option.some(task(index)))
      world.setReportedWait(`uid-${index}`, { reason: "Refused", message: "no" })
    }
    world.clearReportedWait("uid-1")
    expect([0, 1, 2].filter((index) => Option.isSome(world.reportedWait(`uid-${index}`)))).toEqual([0, 2])
  })
})
