// Which tasks may start: limits are kept, applies of a workspace exclude each other, every wait is explained, and no task starves.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { admit, type Candidate, shownPosition } from "../../../src/core/scheduling/admit.ts"
import type { TaskPolicy } from "../../../src/core/task/task-policy.ts"
import { Uid, WorkspaceName } from "../../../src/schema/names.ts"
import type { Stage } from "../../../src/schema/task/agent-task.ts"

const Task = Schema.Struct({
  workspace: Schema.Literals(["a", "b", "c"]),
  stage: Schema.Literals(["plan", "apply", "destroy"]),
  second: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })),
  occupies: Schema.Boolean,
  holds: Schema.Boolean,
  refused: Schema.Boolean,
  shutOut: Schema.Boolean
})
const Tasks = Schema.Array(Task).check(Schema.isMinLength(1), Schema.isMaxLength(20))
const many = { arbitrary: { size: 20 } } // by default there are at most ten, and none in a third of the cases
const Limits = Schema.Struct({
  total: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 })),
  perWorkspace: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))
})

const mutates = ({ stage }: Pick<typeof Task.Type, "stage">): boolean => stage !== "plan"

/** Reports whether admission itself could have let the task run beside the others: one apply or destroy runs in a workspace. */
const mayOccupy = (tasks: typeof Tasks.Type, index: number): boolean =>
  tasks[index]?.stage === "plan" ||
  !tasks.slice(0, index).some((task) => task.workspace === tasks[index]?.workspace && task.occupies && mutates(task))

/** Reports whether the task may hold its workspace's Lease: only one apply or destroy does, and the one that runs if any does. */
const mayHold = (tasks: typeof Tasks.Type, index: number): boolean => {
  const own = tasks.flatMap((task, at) => mutates(task) && task.workspace === tasks[index]?.workspace ? [{ ...task, at }] : [])
  return (own.find(({ occupies }) => occupies) ?? own.find(({ holds }) => holds))?.at === index
}

/**
 * Reports whether a task outside of these holds the workspace, which shuts out all of its applies and destroys. It does not while one of
 * them runs or holds the Lease.
 */
const isShutOut = (tasks: typeof Tasks.Type, index: number): boolean => {
  const own = tasks.flatMap((task, at) => mutates(task) && task.workspace === tasks[index]?.workspace ? [{ ...task, at }] : [])
  return own.some(({ at }) => at === index) && own.every(({ holds, occupies }) => !holds && !occupies) && own.some(({ shutOut }) => shutOut)
}

/** A task, and whether it has a slot already. */
interface Given extends Candidate {
  readonly occupies: boolean
}

const given = (tasks: typeof Tasks.Type): ReadonlyArray<Given> =>
  tasks.map(({ holds, occupies, refused, second, stage, workspace }, index) => ({
    task: {
      metadata: { uid: Uid.make(`uid-${index}`), name: `task-${index}`, creationTimestamp: `2026-01-01T00:00:0${second}Z` },
      spec: { workspace: WorkspaceName.make(workspace), stage }
    },
    occupies: occupies && mayOccupy(tasks, index),
    holds: holds && mayHold(tasks, index),
    shutOut: isShutOut(tasks, index),
    refused
  }))

/** Returns a task of each workspace that is younger than all of the given ones. */
const arriving = (round: number, stage: Stage): ReadonlyArray<Given> =>
  ["a", "b", "c"].map((workspace) => ({
    task: {
      metadata: { uid: Uid.make(`${workspace}-${round}`), name: `${workspace}-${round}`, creationTimestamp: "2026-01-01T00:01:00Z" },
      spec: { workspace: WorkspaceName.make(workspace), stage }
    },
    occupies: false,
    holds: false,
    refused: false,
    shutOut: false
  }))

const turnsOf = (tasks: ReadonlyArray<Given>, limits: TaskPolicy["limits"]) =>
  admit(tasks.flatMap(({ occupies, task }) => occupies ? [task] : []), tasks.filter(({ occupies }) => !occupies), limits)

const uidOf = ({ task: { metadata: { uid } } }: Candidate) => uid
const changes = ({ task: { spec } }: Candidate): boolean => mutates(spec)

const perWorkspace = (tasks: ReadonlyArray<Given>) =>
  ["a", "b", "c"].map((workspace) => tasks.filter(({ task }) => task.spec.workspace === workspace))

describe("admit", () => {
  it.prop("answers the same in whatever order the tasks are given, also those of one second", [Tasks, Limits], ([tasks, limits]) => {
    const all = given(tasks)
    const turns = turnsOf(all.toReversed(), limits)
    for (const [uid, turn] of turnsOf(all, limits)) expect([uid, turns.get(uid)]).toEqual([uid, turn])
  }, many)

  it.prop("never exceeds a limit by what it admits", [Tasks, Limits], ([seeds, limits]) => {
    const tasks = given(seeds)
    const turns = turnsOf(tasks, limits)
    const admitted = tasks.filter((_) => !_.shutOut && turns.get(uidOf(_))?._tag === "Admitted")
    const all = [...tasks.filter((_) => _.occupies), ...admitted]
    if (admitted.length > 0) expect(all.length).toBeLessThanOrEqual(limits.total)
    perWorkspace(all).forEach((own, index) => {
      if (perWorkspace(admitted)[index]?.length !== 0) expect(own.length).toBeLessThanOrEqual(limits.perWorkspace)
    })
  }, many)

  it.prop("lets one apply or destroy a workspace run", [Tasks, Limits], ([seeds, limits]) => {
    const tasks = given(seeds)
    const turns = turnsOf(tasks, limits)
    const running = tasks.filter((_) => _.occupies || turns.get(uidOf(_))?._tag === "Admitted")
    for (const own of perWorkspace(running)) expect(own.filter(changes).length).toBeLessThanOrEqual(1)
  }, many)

  it("names the change before it to one that waits, also while both wait for a slot", () => {
    const plan = { workspace: "b", stage: "plan", second: 0, occupies: true, holds: false, refused: false, shutOut: false } as const
    const apply = { workspace: "a", stage: "apply", second: 1, occupies: false, holds: false, refused: false, shutOut: false } as const
    const turns = turnsOf(given([plan, apply, { ...apply, second: 2 }]), { total: 1, perWorkspace: 1 })
    expect(turns.get(Uid.make("uid-2"))).toMatchObject({ why: { reason: "WorkspaceBusy", blockedBy: "task-1" } })
  })

  it("names the limit that keeps a task back, and that of its workspace where both do", () => {
    const plan = { workspace: "a", stage: "plan", second: 0, occupies: true, holds: false, refused: false, shutOut: false } as const
    const limitFor = (workspace: "a" | "b", limits: TaskPolicy["limits"]) =>
      turnsOf(given([plan, { ...plan, workspace, second: 1, occupies: false }]), limits).get(Uid.make("uid-1"))
    expect(limitFor("b", { total: 1, perWorkspace: 1 })).toMatchObject({ why: { reason: "ConcurrencyLimit", limit: "total" } })
    expect(limitFor("a", { total: 2, perWorkspace: 1 })).toMatchObject({ why: { reason: "ConcurrencyLimit", limit: "perWorkspace" } })
    expect(limitFor("a", { total: 1, perWorkspace: 1 })).toMatchObject({ why: { reason: "ConcurrencyLimit", limit: "perWorkspace" } })
  })

  it("lets the holder of the Lease go before an older one of its workspace, which would wait for it", () => {
    const apply = { workspace: "a", stage: "apply", second: 0, occupies: false, holds: false, refused: false, shutOut: false } as const
    const plan = { workspace: "b", stage: "plan", second: 3, occupies: false, holds: false, refused: false, shutOut: false } as const
    const turns = turnsOf(given([apply, plan, { ...apply, second: 2, holds: true }]), { total: 1, perWorkspace: 1 })
    expect([...turns].map(([uid, turn]) => [uid, turn._tag === "Admitted" ? "starts" : turn.why.reason])).toEqual([["uid-2", "starts"], [
      "uid-1",
      "ConcurrencyLimit"
    ], ["uid-0", "WorkspaceBusy"]])
    expect(turns.get(Uid.make("uid-0"))).toMatchObject({ why: { blockedBy: "task-2" } })
  })

  it("lets the oldest go first among the first of their workspaces, also before one that holds its own", () => {
    const plan = { workspace: "a", stage: "plan", second: 0, occupies: false, holds: false, refused: false, shutOut: false } as const
    const turns = turnsOf(given([plan, { ...plan, workspace: "b", stage: "apply", second: 1, holds: true }]), { total: 1, perWorkspace: 1 })
    expect([...turns].map(([uid, { _tag }]) => [uid, _tag])).toEqual([["uid-0", "Admitted"], ["uid-1", "Waiting"]])
  })

  it("lets who was refused go last, so that it takes no slot from others, but keeps its workspace if it holds that", () => {
    const plan = { workspace: "a", stage: "plan", second: 0, occupies: false, holds: false, refused: true, shutOut: false } as const
    const apply = { workspace: "b", stage: "apply", second: 1, occupies: false, holds: false, refused: false, shutOut: false } as const
    const started = (...tasks: typeof Tasks.Type) =>
      [...turnsOf(given(tasks), { total: 1, perWorkspace: 1 })].flatMap(([uid, { _tag }]) => _tag === "Admitted" ? [uid] : [])
    expect(started(plan, apply)).toEqual(["uid-1"])
    expect(started(plan)).toEqual(["uid-0"])
    const next = { ...plan, second: 1, refused: false }
    expect(started(plan, next, { ...next, workspace: "b", second: 2 })).toEqual(["uid-1"]) // it takes no turn of its workspace either
    expect(
      started({ ...apply, holds: true, refused: true }, { ...apply, second: 0 }, { ...plan, second: 9, refused: false, shutOut: false })
    ).toEqual(["uid-2"])
  })

  it("lets no other into the workspace of a holder that was refused, while there is room for both", () => {
    const apply = { workspace: "a", stage: "apply", second: 1, occupies: false, holds: true, refused: true, shutOut: false } as const
    const turns = turnsOf(given([apply, { ...apply, second: 0, holds: false, refused: false }]), { total: 9, perWorkspace: 9 })
    expect(turns.get(Uid.make("uid-0"))).toMatchObject({ _tag: "Admitted" })
    expect(turns.get(Uid.make("uid-1"))).toMatchObject({ why: { reason: "WorkspaceBusy", blockedBy: "task-0" } })
  })

  it("lets no holder into a workspace that another still changes, whose Lease somebody took away", () => {
    const apply = { workspace: "a", stage: "apply", second: 0, occupies: false, holds: false, refused: false, shutOut: false } as const
    const tasks = given([apply, { ...apply, second: 1 }])
    const [running, others] = [tasks.slice(0, 1).map(({ task }) => task), tasks.slice(1).map((_) => ({ ..._, holds: true }))]
    const turns = admit(running, others, { total: 9, perWorkspace: 9 })
    expect(turns.get(Uid.make("uid-1"))).toMatchObject({ why: { reason: "WorkspaceBusy", blockedBy: "task-0" } })
  })

  it("lets the first that waits for a holder which is none of them look at the Lease, and takes no slot from others for that", () => {
    const plan = { workspace: "a", stage: "plan", second: 3, occupies: false, holds: false, refused: false, shutOut: false } as const
    const apply = { ...plan, stage: "apply", second: 0, shutOut: true } as const
    const turns = turnsOf(given([apply, { ...apply, second: 1 }, plan, { ...plan, workspace: "b", second: 2 }]), {
      total: 2,
      perWorkspace: 1
    })
    expect([...turns].map(([uid, turn]) => [uid, turn._tag === "Admitted" ? "goes on" : turn.why.reason])).toEqual([
      ["uid-3", "goes on"],
      ["uid-2", "goes on"],
      ["uid-0", "goes on"],
      ["uid-1", "WorkspaceBusy"]
    ])
    expect(turns.get(Uid.make("uid-1"))).toMatchObject({ why: { blockedBy: "task-0" }, position: 1 })
  })

  it.prop("explains every wait, with a blocker that exists and blocks", [Tasks, Limits], ([seeds, limits]) => {
    const tasks = given(seeds)
    for (const [uid, turn] of turnsOf(tasks, limits)) {
      if (turn._tag === "Admitted") continue
      expect(turn.position).toBeGreaterThanOrEqual(1)
      const self = tasks.find((_) => uidOf(_) === uid)
      if (turn.why.reason !== "WorkspaceBusy") continue
      const { blockedBy } = turn.why
      const blocker = tasks.find(({ task }) => task.metadata.name === blockedBy)
      expect(blocker?.task.spec.workspace).toBe(self?.task.spec.workspace)
      expect(blocker !== undefined && changes(blocker)).toBe(true)
    }
  }, many)

  it("has the first four that wait for a workspace say who goes before them, wherever they are in the queue", () => {
    const of = (workspace: "a" | "b", second: number): typeof Task.Type => ({
      workspace,
      stage: "apply",
      second,
      occupies: false,
      holds: false,
      refused: false,
      shutOut: false
    })
    const tasks = given([0, 1, 2, 3, 4, 5].map((second) => of("a", second)).concat([0, 9].map((second) => of("b", second))))
    const turns = turnsOf(tasks, { total: 8, perWorkspace: 8 })
    const near = tasks.map((_) => turns.get(uidOf(_))).map((turn) =>
      turn?._tag === "Waiting" && turn.why.reason === "WorkspaceBusy" ? turn.why.isNear : "admitted"
    )
    expect(near).toEqual(["admitted", true, true, true, true, false, "admitted", true])
  })

  it.prop("gives every task without a slot a turn, and somebody a start while there is room", [Tasks, Limits], ([seeds, limits]) => {
    const tasks = given(seeds).map((_) => ({ ..._, occupies: false }))
    const turns = turnsOf(tasks, limits)
    expect(turns.size).toBe(tasks.length)
    const able = tasks.filter(({ shutOut }) => !shutOut)
    if (able.length > 0) expect(able.some((_) => turns.get(uidOf(_))?._tag === "Admitted")).toBe(true)
  }, many)

  it.prop("lets nobody starve while others keep coming and one task at a time ends", [Tasks, Limits], ([seeds, limits]) => {
    const tasks = given(seeds.map((_) => ({ ..._, refused: false, shutOut: false })))
    const first = new Set(tasks.map(uidOf))
    let running = tasks.filter(({ occupies }) => occupies)
    let waiting = tasks.filter(({ occupies }) => !occupies)
    for (let round = 0; waiting.some((_) => first.has(uidOf(_))); round++) {
      expect(round).toBeLessThanOrEqual(seeds.length * limits.total)
      const turns = admit(running.map(({ task }) => task), waiting, limits)
      const starts = (_: Given) => turns.get(uidOf(_))?._tag === "Admitted"
      running = [...running, ...waiting.filter(starts)].slice(1)
      waiting = [...waiting.filter((_) => !starts(_)), ...arriving(round, seeds[round % seeds.length]?.stage ?? "plan")]
    }
  }, many)

  it("serves a workspace that has nothing running before the second task of another", () => {
    const tasks = given([
      { workspace: "a", stage: "plan", second: 0, occupies: false, holds: false, refused: false, shutOut: false },
      { workspace: "a", stage: "plan", second: 1, occupies: false, holds: false, refused: false, shutOut: false },
      { workspace: "b", stage: "plan", second: 2, occupies: false, holds: false, refused: false, shutOut: false }
    ])
    const turns = [...turnsOf(tasks, { total: 2, perWorkspace: 2 })]
    expect(turns.filter(([, { _tag }]) => _tag === "Admitted").map(([uid]) => uid)).toEqual(["uid-0", "uid-2"])
    const first = given([{ workspace: "a", stage: "plan", second: 0, occupies: true, holds: false, refused: false, shutOut: false }])
    const beside = admit(first.map(({ task }) => task), tasks.slice(1), { total: 2, perWorkspace: 2 })
    expect(beside.get(Uid.make("uid-2"))).toMatchObject({ _tag: "Admitted" })
  })

  it.each([[1, 1], [2, 4], [4, 4], [5, 16], [16, 16], [17, 64], [1000, 1024], [1024, 1024]])(
    "shows position %i as %i, so that a long queue is not a flood of writes",
    (position, shown) => {
      expect(shownPosition(position)).toBe(shown)
    }
  )

  it("tells the last of a thousand six places until it is next", () => {
    expect(new Set(Array.from({ length: 1000 }, (_, index) => shownPosition(index + 1))).size).toBe(6)
  })
})
