// Tasks that follow their source: when attempts and their applies are made, under which names, and what the task says of them.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { Action } from "../../../src/core/reconcile/action.ts"
import { answerMillis } from "../../../src/core/reconcile/follow.ts"
import { plan } from "../../../src/core/reconcile/plan.ts"
import type { Observed } from "../../../src/core/task/observed.ts"
import { conditionsAfter } from "../../../src/core/task/status.ts"
import { Sha256, Uid } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { before, noon, perform, plainSeed, policy, type Seed, success, withPod, withStatus, worldOf } from "../worlds.ts"

const followed: Seed = { ...plainSeed, life: "succeeded", source: "new", follows: "planAndApply" }

const renamed = (task: AgentTask, name: string): AgentTask => ({ ...task, metadata: { ...task.metadata, name } })
const called = (name: string, seed: Seed): Observed => {
  const world = worldOf(seed)
  return { ...world, task: renamed(world.task, name) }
}
const onceMore =
  "To have its artifact planned once more, delete the task that follows the source and make it again, or wait for the next artifact of its source."
const made = (world: Observed): ReadonlyArray<string> =>
  plan(policy, world, noon).actions.flatMap((action) => action._tag === "CreateTask" ? [action.name] : [])

const attemptOf = (name: string): string => made(called(name, followed))[0] ?? ""
const applyOf = (name: string, attempt: string): ReadonlyArray<string> => {
  const world = called(name, { ...followed, source: "known", latest: "over" })
  return made({ ...world, latest: Option.map(world.latest, (latest) => renamed(latest, attempt)) })
}

const counted = (task: AgentTask, hasChanges: boolean | undefined): AgentTask => {
  const { hasChanges: _, ...rest } = task.status.result ?? success
  return { ...task, status: { ...task.status, result: { ...rest, ...(hasChanges !== undefined && { hasChanges }) } } }
}

describe("an attempt at a new artifact", () => {
  it("is named after its task and its number, and its apply after it", () => {
    expect(attemptOf("infra")).toBe("infra-2")
    expect(plan(policy, called("infra", followed), noon).status.latest).toEqual({
      attempt: 2,
      name: "infra-2",
      sha256: Sha256.make("b".repeat(64))
    })
    expect(applyOf("infra", "infra-2")).toEqual(["infra-2-apply"])
    const { task, ...world } = called("infra", followed)
    expect(made({ ...world, task: { ...task, spec: { ...task.spec, attempt: 3 } } })).toEqual(["infra-4"])
  })

  it("is what the conditions speak of from the write that names it on, so that nobody takes the end of the one before for its own", () => {
    const world = worldOf(followed)
    const { metadata: { generation }, status } = world.task
    const before = conditionsAfter(status, { phase: "Succeeded", reason: "Completed", message: "done", generation, now: noon })
    expect(plan(policy, withStatus(world, { ...status, conditions: before }), noon).status).toMatchObject({
      latest: { name: "task-2" },
      conditions: ["Ready", "Reconciling", "Stalled"].map((type) => ({
        type,
        status: type === "Reconciling" ? "True" : "False",
        message: "task-2: Nobody has looked at it yet."
      }))
    })
  })

  it("is told with its apply from the write that names that on, also where an older worker said Ready at the end of the plan", () => {
    const world = worldOf({ ...followed, source: "known" })
    const { metadata: { generation }, status } = world.task
    const ready = conditionsAfter(status, { phase: "Succeeded", reason: "Completed", message: "done", generation, now: noon })
    expect(plan(policy, withStatus(world, { ...status, conditions: ready }), noon).status).toMatchObject({
      latest: { apply: "task-apply" },
      conditions: ["False", "True", "False"].map((status) => ({ status, message: "task-apply: Nobody has looked at it yet." }))
    })
  })

  it("follows nothing itself, since its task does", () => {
    const [action] = plan(policy, called("infra", followed), noon).actions
    expect(action).toMatchObject({ _tag: "CreateTask", spec: { attempt: 2, source: {} } })
    expect(action?._tag === "CreateTask" && action.spec.source).toEqual({ fluxSource: { kind: "GitRepository", name: "infra" } })
  })

  it("has no word of its cancel, also where its task says false, so that whoever cancels it may", () => {
    const { task, ...world } = called("infra", followed)
    const [action] = plan(policy, { ...world, task: { ...task, spec: { ...task.spec, cancel: false } } }, noon).actions
    expect(action?._tag === "CreateTask" && "cancel" in action.spec).toBe(false)
  })

  it.each([200, 229, 230, 239, 240, 253])("keeps its number in the name of its apply, for a task of %i characters", (length) => {
    const attempt = attemptOf("x".repeat(length))
    const [apply = ""] = applyOf("x".repeat(length), attempt)
    expect(attempt).toMatch(/^x+-2$/u)
    expect(apply).toBe(`${attempt}-apply`)
    expect(apply.length).toBeLessThanOrEqual(253)
  })

  it.each([{ hasChanges: true, applies: ["task-2-apply"] }, { hasChanges: false, applies: [] }, {
    hasChanges: undefined,
    applies: ["task-2-apply"]
  }])(
    "is applied unless its plan says that it changes nothing: hasChanges $hasChanges",
    ({ applies, hasChanges }) => {
      const world = worldOf({ ...followed, source: "known", latest: "over" })
      expect(made({ ...world, latest: Option.map(world.latest, (task) => counted(task, hasChanges)) })).toEqual(applies)
    }
  )

  const calledOff = [
    { how: "cancelled", by: (task: AgentTask): AgentTask => ({ ...task, spec: { ...task.spec, cancel: true } }) },
    { how: "deleted", by: (task: AgentTask): AgentTask => ({ ...task, metadata: { ...task.metadata, deletionTimestamp: noon } }) }
  ]

  it.each(calledOff)("is not applied once it was $how, though its plan had ended by then, and its task says so", ({ by }) => {
    for (const source of ["known", "notReady"] as const) {
      const world = worldOf({ ...followed, source, latest: "over" })
      const seen = { ...world, latest: Option.map(world.latest, by) }
      const { actions, status } = plan(policy, seen, noon)
      const said = {
        reason: "SourceNotReady",
        message: `task-2: Its plan is not applied, since it was cancelled or deleted. ${onceMore}`
      }
      expect([actions, status.conditions]).toMatchObject([[], [
        { type: "Ready", status: "False", ...said },
        { type: "Reconciling", status: "False", ...said },
        { type: "Stalled", status: "True", ...said }
      ]])
      expect(made({ ...seen, source: worldOf({ ...followed, source: "new" }).source })).toEqual(["task-3"])
    }
  })

  const calledOffOrGone = [
    ...calledOff.map(({ by, how }) => ({ how, by: Option.map(by) })),
    { how: "deleted, and is gone,", by: () => Option.none<AgentTask>() }
  ]

  describe.each(calledOffOrGone)("that was $how after its apply was made", ({ by }) => {
    const { latestApply } = worldOf({ ...followed, latest: "over", latestApply: "alive" })
    const seen = (apply: AgentTask["status"], seed: Partial<Seed> = {}) => {
      const world = worldOf({ ...followed, source: "known", latest: "over", ...seed })
      const made = Option.map(latestApply, (task) => ({ ...task, status: apply }))
      return plan(policy, { ...world, latest: by(world.latest), latestApply: made }, noon)
    }
    const { claim } = worldOf({ ...plainSeed, life: "claimed" }).task.status

    it.each([{ phase: "Queued" }, { phase: "Starting" }])("is not applied before that has begun: $phase", (apply) => {
      for (const seed of [{}, { latestApply: "alive" }, { source: "notReady" }] as const) {
        expect(seen(apply, seed)).toMatchObject({
          actions: [{ _tag: "Cancel", name: "task-2-apply", uid: "task-2-apply-uid" }],
          recheck: "source",
          status: { conditions: [{ status: "False" }, { status: "True", message: expect.stringMatching(/^task-2-apply: /u) }, {}] }
        })
      }
    })

    it("is left to the worker that has begun it", () =>
      expect(seen({ phase: "Running", ...(claim && { claim }) }, { latestApply: "alive" }).actions).toEqual([]))

    it("rests once the apply has ended so, until the source has a new artifact", () => {
      const ended = { phase: "Cancelled", reason: "Cancelled", message: "It never began." } as const
      expect(seen(ended, { latestApply: "over" })).toMatchObject({
        actions: [],
        status: { conditions: [{ status: "False" }, {}, { status: "True", message: `task-2-apply: It never began. ${onceMore}` }] }
      })
      expect(seen(ended, { latestApply: "over", source: "new" }).actions).toMatchObject([{ _tag: "CreateTask", name: "task-3" }])
    })
  })

  it.each(calledOff)("gets the name of its apply in the status, if it was $how after a worker had begun that", ({ by }) => {
    const world = worldOf({ ...followed, source: "known", latest: "over" })
    const { latestApply } = worldOf({ ...followed, latest: "over", latestApply: "alive" })
    const { status } = worldOf({ ...plainSeed, life: "claimed" }).task
    const begun = Option.map(latestApply, (task) => ({ ...task, status }))
    const { actions } = plan(policy, { ...world, latest: Option.map(world.latest, by), latestApply: begun }, noon)
    expect(actions).toMatchObject([{ _tag: "CreateTask", name: "task-2-apply" }])
    expect(actions[0]?._tag === "CreateTask" && "cancel" in actions[0].spec).toBe(false)
  })

  it("is left to the worker that has begun to apply it, though the source has a new artifact", () => {
    const world = worldOf({ ...followed, latest: "over", latestApply: "alive" })
    const { status } = worldOf({ ...plainSeed, life: "claimed" }).task
    expect(plan(policy, { ...world, latestApply: Option.map(world.latestApply, (task) => ({ ...task, status })) }, noon).actions).toEqual(
      []
    )
  })

  it.each(calledOff)("is not made again once it was $how, though it ended by a disruption", ({ by }) => {
    const world = worldOf({ ...followed, source: "known", latest: "lost" })
    expect(made(world)).toEqual(["task-3"])
    const { actions, status } = plan(policy, { ...world, latest: Option.map(world.latest, by) }, noon)
    expect([actions, status.conditions]).toMatchObject([[], [
      { type: "Ready", status: "False", reason: "Lost" },
      { type: "Reconciling", status: "False" },
      { type: "Stalled", status: "True" }
    ]])
  })

  it("is waited for by whoever waits for its task, whose own plan has just ended, as long as nobody calls that off", () => {
    const whole: Seed = { ...followed, life: "claimed", source: "known", job: "complete", pod: "Succeeded", worker: "Completed" }
    const lastWords = Option.some({ ...success, hasChanges: true, planDigest: Sha256.make("a".repeat(64)) })
    const world = withPod(worldOf(whole), { lastWords })
    const ended = perform(world, plan(policy, world, noon))
    const told = (status: AgentTask["status"]) => status.conditions?.map((_) => `${_.type}=${_.status}`)
    const underWay = ["Ready=False", "Reconciling=True", "Stalled=False"]
    expect([ended.task.status.phase, told(ended.task.status)]).toEqual(["Succeeded", underWay])
    const applied = plan(policy, { ...ended, job: Option.none() }, noon)
    expect([applied.actions.map(({ _tag }) => _tag), told(applied.status)]).toEqual([["CreateTask"], underWay])
    const cancelled = { ...ended.task, spec: { ...ended.task.spec, cancel: true } }
    const { actions, status } = plan(policy, { ...ended, job: Option.none(), task: cancelled }, noon)
    expect([actions, told(status)]).toEqual([[], ["Ready=True", "Reconciling=False", "Stalled=False"]])
  })

  it("is not applied if its plan was not kept", () => {
    const world = worldOf({ ...followed, source: "known" })
    const { planDigest: _, ...result } = world.task.status.result ?? success
    expect(made(withStatus(world, { ...world.task.status, result }))).toEqual([])
  })

  it("is not applied by a task that only plans, though that keeps its plans", () => {
    const world = worldOf({ ...followed, source: "known" })
    const spec = { ...world.task.spec, source: { fluxSource: { kind: "GitRepository", name: "infra", onChange: "plan" } } } as const
    expect(made({ ...world, task: { ...world.task, spec } })).toEqual([])
  })

  it.each([
    { path: "infra/eu", workingDirectory: "live", directory: "infra/eu/live" },
    { path: "infra/eu", workingDirectory: undefined, directory: "infra/eu" },
    { path: undefined, workingDirectory: "live", directory: "live" },
    { path: "", workingDirectory: "live", directory: "live" }, // as a substitution that is empty leaves it
    { path: undefined, workingDirectory: undefined, directory: undefined }
  ])("is applied in the directory of its plan, from the plan that it kept: $directory", ({ directory, path, workingDirectory }) => {
    const world = worldOf({ ...followed, source: "known" })
    const { source: { fluxSource = { kind: "GitRepository", name: "infra" } }, ...rest } = world.task.spec
    const spec = {
      ...rest,
      options: { targets: ["a.b"] },
      source: { fluxSource: { ...fluxSource, ...(path !== undefined && { path }) } },
      ...(workingDirectory !== undefined && { workingDirectory })
    }
    expect(plan(policy, { ...world, task: { ...world.task, spec } }, noon).actions).toEqual([Action.CreateTask({
      name: "task-apply",
      spec: {
        workspace: rest.workspace,
        stage: "apply",
        source: { savedPlan: { claimName: "plans", sha256: Sha256.make("a".repeat(64)) } },
        ...(directory !== undefined && { workingDirectory: directory })
      }
    })])
  })

  it.each([{ latest: "none", attempt: 1, name: "task" }, { latest: "over", attempt: 2, name: "task-2" }] as const)(
    "is remembered with its apply once that is made: $name",
    ({ attempt, latest, name }) =>
      expect(plan(policy, worldOf({ ...followed, source: "known", latest }), noon).status.latest).toEqual({
        attempt,
        name,
        sha256: "a".repeat(64),
        apply: `${name}-apply`
      })
  )

  it("that was disrupted is made three times more, each later than the last", () => {
    const spentAfter = (again: number, seconds: number) => {
      const world = worldOf({ ...followed, source: "known", latest: "lost" })
      const latest = Option.map(world.latest, (task): AgentTask => ({ ...task, status: { ...task.status, finishedAt: before(seconds) } }))
      const status = {
        ...world.task.status,
        latest: { attempt: 2 + again, name: "task-2", sha256: Sha256.make("a".repeat(64)), ...(again > 0 && { again }) }
      }
      return plan(policy, { ...world, latest, task: { ...world.task, status } }, noon)
    }
    for (const [again, seconds] of [5, 20, 80].entries()) {
      const early = spentAfter(again, seconds - 1)
      expect([early.actions, early.requeueAfterMillis]).toEqual([[], Option.some(1000)])
      const due = spentAfter(again, seconds)
      expect([due.actions.map(({ _tag }) => _tag), due.status.latest]).toEqual([
        ["CreateTask"],
        {
          attempt: 3 + again,
          name: `task-${3 + again}`,
          sha256: "a".repeat(64),
          again: again + 1
        }
      ])
    }
    expect(spentAfter(0, 0)).toMatchObject({ actions: [], requeueAfterMillis: Option.some(5_000) })
    expect(spentAfter(3, 3600).actions).toEqual([])
    expect(spentAfter(2, -3600).actions).toMatchObject([{ _tag: "CreateTask" }]) // by the clock of a node that is an hour ahead
  })

  it.each(
    [
      { newest: "task-2", seed: { latest: "lost" }, source: "known", reason: "Evicted", next: "It is planned again." },
      { newest: "task", seed: { life: "lost" }, source: "known", reason: "Evicted", next: "It is planned again." },
      {
        newest: "task-2",
        seed: { latest: "lost" },
        source: "notReady",
        reason: "SourceNotReady",
        next: "It is planned again once the source is ready. It is not ready."
      }
    ] as const
  )(
    "that was disrupted needs nobody while $newest is to be made again, with a source that is $source",
    ({ newest, next, reason, seed, source }) => {
      const world = worldOf({ ...followed, follows: "plan", ...seed, source })
      const evicted = (task: AgentTask): AgentTask => ({
        ...task,
        status: { ...task.status, reason: "Evicted", message: "Pod p was evicted", finishedAt: before(1) }
      })
      const seen = newest === "task" ? { ...world, task: evicted(world.task) } : { ...world, latest: Option.map(world.latest, evicted) }
      const message = `${newest}: Pod p was evicted. ${next}`
      const told = plan(policy, seen, noon).status
      expect(told.conditions).toMatchObject([
        { type: "Ready", status: "False", reason, message },
        { type: "Reconciling", status: "True" },
        { type: "Stalled", status: "False" }
      ])
      expect([told.phase, told.reason, told.message]).toEqual([seen.task.status.phase, seen.task.status.reason, seen.task.status.message])
    }
  )

  it("that was disrupted is due at a source that is not ready: it is looked at again later, and not at once", () => {
    const world = worldOf({ ...followed, source: "notReady", latest: "lost" })
    const latest = Option.map(world.latest, (task): AgentTask => ({ ...task, status: { ...task.status, finishedAt: before(3600) } }))
    expect(Option.getOrThrow(plan(policy, { ...world, latest }, noon).requeueAfterMillis)).toBeGreaterThan(20_000)
  })

  it("is made within 30 s of its artifact, however old a shared answer is, and not by all followers at once", () => {
    const waits = ["a", "b", "c"].map((uid) => {
      const world = worldOf({ ...followed, source: "known", follows: "plan" })
      const task = { ...world.task, metadata: { ...world.task.metadata, uid: Uid.make(uid) } }
      return Option.getOrThrow(plan(policy, { ...world, task }, noon).requeueAfterMillis)
    })
    expect(Math.max(...waits) + answerMillis).toBeLessThanOrEqual(30_000)
    expect(new Set(waits).size).toBe(3)
  })

  it("has a name of its own beside the apply of the first plan", () => {
    const name = "x".repeat(253)
    const world = called(name, { ...followed, source: "known" })
    expect(made(world)).not.toEqual(applyOf(name, attemptOf(name)))
  })

  const refusals = [
    { refusal: "QuotaExceeded", stalled: false },
    { refusal: "Refused", stalled: false },
    { refusal: "Denied", stalled: false },
    { refusal: "Invalid", stalled: true },
    { refusal: "NameTaken", stalled: true }
  ] as const

  it.each(refusals)(
    "that was refused is told with a reason with which no attempt ends, in the conditions of its task too ($refusal)",
    ({ refusal, stalled }) => {
      const world = called("infra", { ...followed, refusal })
      const { status, notices } = plan(policy, world, noon)
      const reason = refusal === "QuotaExceeded" ? refusal : "Refused"
      expect(notices).toMatchObject([{ _tag: "Emit", type: "Warning", reason }])
      const said = { reason, message: "Its next attempt cannot be made. the server's words" }
      expect(status.conditions).toMatchObject([{ type: "Ready", status: "False", ...said }, {
        type: "Reconciling",
        status: stalled ? "False" : "True",
        ...said
      }, { type: "Stalled", status: stalled ? "True" : "False", ...said }])
      expect(status).toMatchObject({ phase: "Succeeded", reason: "Completed" })
      expect(status.latest).toBe(undefined)
      expect(plan(policy, withStatus(world, status), "2026-01-01T13:00:00.000Z").status).toEqual(status)
    }
  )

  type Conditions = NonNullable<AgentTask["status"]["conditions"]>
  const reworded = (conditions: Conditions): Conditions => conditions.map((_) => ({ ..._, message: "No attempt can follow." }))

  it.each(refusals)("that was refused is told for as long as it is wanted, in whatever words ($refusal)", ({ refusal }) => {
    const { conditions = [] } = plan(policy, called("infra", { ...followed, refusal }), noon).status
    const own = { reason: "Completed", message: "Done." }
    for (const given of [{ follows: "plan" }, { cancel: true }, { deleted: true }] as const) {
      const reverted = called("infra", { ...followed, source: "known", ...given })
      const after = plan(policy, {
        ...reverted,
        task: { ...reverted.task, status: { ...reverted.task.status, message: "Done.", conditions: reworded(conditions) } }
      }, noon)
      expect(after.status.conditions).toMatchObject([{ type: "Ready", status: "True", ...own }, {
        type: "Reconciling",
        status: "False",
        ...own
      }, { type: "Stalled", status: "False", ...own }])
    }
  })

  it.each(["Denied", "NameTaken"])("that ended with %s is not taken for one that was refused, once it is gone", (reason) => {
    const over = worldOf({ ...followed, source: "known", follows: "plan", latest: "over" })
    const latest = Option.map(over.latest, (task): AgentTask => ({
      ...task,
      status: { ...task.status, phase: "Failed", reason, message: "It ended." }
    }))
    const { status } = plan(policy, { ...over, latest }, noon)
    const gone = { ...over, latest: Option.none(), task: { ...over.task, status } }
    expect(plan(policy, gone, noon).status).toEqual(status)
    expect(status.conditions?.[0]).toMatchObject({ status: "False", reason, message: `task-2: It ended. ${onceMore}` })
  })

  it("that is gone is still the newest: its task goes on saying how it ended, and not how its own attempt did", () => {
    const { conditions = [], latest } =
      plan(policy, worldOf({ ...followed, source: "known", follows: "plan", latest: "over" }), noon).status
    expect([latest?.name, conditions]).toMatchObject(["task-2", [{ type: "Ready", status: "True" }, {}, { status: "False" }]])
    const gone = worldOf({ ...followed, source: "known", follows: "plan", latest: "gone" })
    const observedGeneration = gone.task.metadata.generation
    const status = {
      ...gone.task.status,
      observedGeneration,
      phase: "Failed",
      reason: "EngineFailed",
      message: "It failed.",
      conditions
    } as const
    expect(plan(policy, withStatus(gone, status), "2026-01-01T13:00:00.000Z").status).toEqual(status)
  })

  it("is shown as it is while it waits, and its task needs a person only if it does", () => {
    const world = worldOf({ ...followed, source: "known", follows: "plan", latest: "alive" })
    const stalled = (status: "True" | "False") => {
      const its = { reason: "JobCreated", message: "It waits.", lastTransitionTime: noon }
      const conditions = [{ type: "Reconciling", status: "True", ...its }, { type: "Stalled", status, ...its }] as const
      const latest = Option.map(world.latest, (task): AgentTask => ({ ...task, status: { ...task.status, conditions } }))
      return plan(policy, { ...world, latest }, noon).status.conditions?.find(({ type }) => type === "Stalled")?.status
    }
    expect([stalled("True"), stalled("False")]).toEqual(["True", "False"])
  })

  it("stays tried with the artifact that it took, which came after it was made, once it is gone: that one is not new again", () => {
    const taken = { revision: "main@sha1:b", url: "http://flux/b.tar.gz", sha256: Sha256.make("b".repeat(64)) }
    const world = worldOf({ ...followed, source: "new", follows: "plan", latest: "over" })
    const latest = Option.map(world.latest, (task): AgentTask => ({ ...task, status: { ...task.status, source: taken } }))
    const { status } = plan(policy, { ...world, latest }, noon)
    expect(status.latest).toEqual({ attempt: 2, name: "task-2", sha256: taken.sha256 })
    expect(made({ ...world, latest: Option.none(), task: { ...world.task, status } })).toEqual([])
  })
})

describe("a follower that applies what it plans", () => {
  const ready = ({ status: { conditions = [] } }: Pick<AgentTask, "status">) =>
    conditions.map(({ message, reason, status, type }) => [type, status, reason, message])

  it.each([{ plan: "task", latest: "none" }, { plan: "task-2", latest: "over" }] as const)(
    "is not ready while its source is not, as long as the changes of $plan are not applied",
    ({ latest, plan: name }) => {
      const { actions, status } = plan(policy, worldOf({ ...followed, source: "notReady", latest }), noon)
      const why = ["SourceNotReady", `${name}: Its plan will be applied once the source is ready and has nothing newer. It is not ready.`]
      expect([actions, ready({ status })]).toEqual([
        [],
        [["Ready", "False", ...why], ["Reconciling", "True", ...why], ["Stalled", "False", ...why]]
      ])
      expect(status).toMatchObject({ phase: "Succeeded", reason: "Completed" })
    }
  )

  it("applies them once it is, and is ready while it is not, once that is done", () => {
    const waits = worldOf({ ...followed, source: "notReady", latest: "over" })
    const { status } = plan(policy, waits, noon)
    const { source } = worldOf({ ...followed, source: "known" })
    expect(made({ ...waits, source, task: { ...waits.task, status } })).toEqual(["task-2-apply"])
    const applied = plan(policy, worldOf({ ...followed, source: "notReady", latest: "over", latestApply: "over" }), noon)
    expect(ready(applied)[0]).toEqual(["Ready", "True", "Completed", expect.not.stringContaining(onceMore)])
  })

  it.each(
    [
      { apply: "alive", given: "under way", source: "known", makes: "task-2-apply" },
      { apply: "lost", given: "lost", source: "known", makes: "task-2-apply" },
      { apply: "over", given: "over, unless the source has something new", source: "new", makes: "task-3" }
    ] as const
  )("names an apply that a crash kept from the status, if it is $given", ({ apply, makes, source }) => {
    const unnamed = worldOf({ ...followed, source, latest: "over" })
    const { latestApply } = worldOf({ ...followed, latest: "over", latestApply: apply })
    expect(made({ ...unnamed, latestApply })).toEqual([makes])
  })

  it.each([{ source: "known", applies: ["task-2-apply"] }, { source: "notReady", applies: [] }] as const)(
    "applies no plan an hour after its end whose changes could not be counted, and says so (source: $source)",
    ({ applies, source }) => {
      const world = worldOf({ ...followed, source, latest: "over" })
      const ended = (seconds: number, hasChanges?: boolean, created = 90_000): Observed => ({
        ...world,
        latest: Option.map(world.latest, (task) => {
          const { metadata, status, ...rest } = counted(task, hasChanges)
          return {
            ...rest,
            metadata: { ...metadata, creationTimestamp: before(created) },
            status: { ...status, finishedAt: before(seconds) }
          }
        })
      })
      expect(made(ended(3600))).toEqual(applies)
      expect(made(ended(-86_400))).toEqual(applies) // by the clock of a node that is ahead
      expect(made(ended(86_400, undefined, 3600))).toEqual(applies) // by the clock of a node that is behind
      expect(made(ended(86_400, true))).toEqual(applies)
      const { actions, status } = plan(policy, ended(3601), noon)
      const message =
        "task-2: Its plan is not applied: its changes could not be counted, and it ended more than an hour ago. Unless it was applied by hand, delete the task that follows the source and make it again, or wait for the next artifact of its source."
      const why = ["SourceNotReady", message]
      expect([actions, ready({ status })]).toEqual([
        [],
        [["Ready", "False", ...why], ["Reconciling", "False", ...why], ["Stalled", "True", ...why]]
      ])
      const after = { ...ended(3601), task: { ...world.task, status } }
      expect(plan(policy, after, noon).status).toEqual(status)
      expect(made({ ...after, source: worldOf({ ...followed, source: "new" }).source })).toEqual(["task-3"])
      const cancelled = plan(policy, { ...after, task: { ...after.task, spec: { ...after.task.spec, cancel: true } } }, noon)
      expect(ready(cancelled).map(([type, value]) => [type, value])).toEqual([["Ready", "True"], ["Reconciling", "False"], [
        "Stalled",
        "False"
      ]])
    }
  )

  const ran = worldOf({ ...plainSeed, life: "claimed" }).task.status
  const failed = (result: Partial<StageResult>): StageResult => ({
    ...success,
    outcome: "failed",
    reason: "ExitCode",
    exitCode: 1,
    ...result
  })
  const { exitCode: _, ...noEngine } = failed({ reason: "DigestMismatch" })

  it.each<{ given: string; status: AgentTask["status"]; rests: boolean }>([
    { given: "its worker is gone", status: { ...ran, phase: "Failed", reason: "NodeLost" }, rests: true },
    { given: "its state is not saved", status: { ...ran, phase: "Failed", result: failed({ statePushed: false }) }, rests: true },
    {
      given: "its state is lost, by its reason",
      status: { ...ran, phase: "Failed", result: failed({ reason: "StateNotSaved" }) },
      rests: true
    },
    {
      given: "its engine was killed",
      status: { ...ran, phase: "Failed", result: failed({ reason: "OutOfMemory", exitCode: 137 }) },
      rests: true
    },
    {
      given: "its runner's container ended, or it was killed after its time, by the result of an earlier worker",
      status: { ...ran, phase: "Failed", result: { ...noEngine, changes: { add: 1, change: 0, destroy: 0 } } },
      rests: true
    },
    { given: "its engine could not be ended", status: { ...ran, phase: "Failed", result: { ...noEngine, reason: "Lost" } }, rests: true },
    {
      given: "it was cancelled and its state is lost",
      status: { ...ran, phase: "Cancelled", result: failed({ statePushed: false }) },
      rests: true
    },
    { given: "its engine ended in order", status: { ...ran, phase: "Failed", result: failed({}) }, rests: false },
    { given: "its engine never ran", status: { ...ran, phase: "Failed", result: noEngine }, rests: false },
    { given: "it never began", status: { phase: "Failed", reason: "Lost" }, rests: false },
    { given: "it did what it should", status: { ...ran, phase: "Succeeded", result: success }, rests: false }
  ])("makes a further attempt only if the state has what its apply made, or once that apply is deleted: $given", ({ rests, status }) => {
    const world = worldOf({ ...followed, latest: "over", latestApply: "over" })
    const after = (given: Partial<AgentTask["metadata"]>): Observed => ({
      ...world,
      latestApply: Option.map(world.latestApply, (task) => ({
        metadata: { ...task.metadata, ...given },
        spec: { ...task.spec, cancel: true }, // which may have come before the end
        status: { ...status, message: "It ended." }
      }))
    })
    expect(made(after({}))).toEqual(rests ? [] : ["task-3"])
    expect(made(after({ deletionTimestamp: noon }))).toEqual(["task-3"])
    expect(made({ ...world, latestApply: Option.none() })).toEqual(["task-3"])
    if (!rests) return
    const told = plan(policy, after({}), noon)
    const message =
      "task-2-apply: It ended. Nothing more of the source is planned, and nothing else applied to the workspace, before you have looked for what the apply made, brought the state up to date, and deleted that task: kubectl -n tasks delete atask task-2-apply"
    const reason = status.reason ?? "Lost"
    const stalls = (
      says: string
    ) => [["Ready", "False", reason, says], ["Reconciling", "False", reason, says], ["Stalled", "True", reason, says]]
    expect(ready(told)).toEqual(stalls(message))
    const gone: Observed = { ...worldOf({ ...followed, source: "known", latest: "over" }), latestApply: Option.none() }
    const afterwards = plan(policy, withStatus(gone, told.status), noon)
    expect([afterwards.actions, ready(afterwards)]).toEqual([
      [],
      stalls(
        "task-2-apply was deleted, so the next artifact of the source is planned. To have the present one planned once more, delete the task that follows the source and make it again."
      )
    ])
    expect(plan(policy, withStatus(gone, afterwards.status), "2026-01-01T13:00:00.000Z").status).toEqual(afterwards.status)
  })

  describe("whose newest apply changed nothing, since the state is no longer the one that was planned with,", () => {
    const refused = failed({ reason: "DigestMismatch", message: "It was refused." })
    const seen = (again: number, seconds: number, seed: Partial<Seed> = {}): Observed => {
      const world = worldOf({ ...followed, source: "known", latest: "over", latestApply: "over", ...seed })
      const status = { ...ran, phase: "Failed", reason: refused.reason, message: refused.message, result: refused } as const
      const latest = { attempt: 2 + again, name: "task-2", sha256: Sha256.make("a".repeat(64)), apply: "task-2-apply" }
      return {
        ...withStatus(world, { ...world.task.status, latest: { ...latest, ...(again > 0 && { again }) } }),
        latestApply: Option.map(world.latestApply, (task) => ({
          ...task,
          spec: { ...task.spec, stage: "apply" },
          status: { ...status, finishedAt: before(seconds) }
        }))
      }
    }

    it("plans again, three times at most, each later than the last", () => {
      for (const [again, seconds] of [5, 20, 80].entries()) {
        expect(plan(policy, seen(again, seconds - 1), noon)).toMatchObject({ actions: [], requeueAfterMillis: Option.some(1000) })
        const due = plan(policy, seen(again, seconds), noon)
        const next = `task-${3 + again}`
        expect([due.recheck, due.actions, due.status.latest]).toMatchObject(["source", [{ _tag: "CreateTask", name: next }], {
          attempt: 3 + again,
          name: next,
          again: again + 1
        }])
        expect(due.status.latest).not.toHaveProperty("apply")
      }
      expect(made(seen(3, 3600))).toEqual([])
    })

    it.each(
      [{ source: "known", next: "It is planned again." }, {
        source: "notReady",
        next: "It is planned again once the source is ready. It is not ready."
      }] as const
    )("says so, and needs nobody, with a source that is $source", ({ next, source }) => {
      const message = `task-2-apply: It was refused. ${next}`
      expect(ready(plan(policy, seen(0, 1, { source }), noon)).map(([type, status, , message]) => [type, status, message])).toEqual([
        ["Ready", "False", message],
        ["Reconciling", "True", message],
        ["Stalled", "False", message]
      ])
    })

    it("does not plan again what somebody called off, or what ended otherwise or changed something", () => {
      const over = seen(0, 3600)
      const changed = (task: AgentTask): AgentTask => ({
        ...task,
        status: { ...task.status, result: { ...refused, changes: { add: 1, change: 0, destroy: 0 } } }
      })
      const cancelled = (task: AgentTask): AgentTask => ({ ...task, spec: { ...task.spec, cancel: true } })
      const otherwise = (task: AgentTask): AgentTask => ({ ...task, status: { ...task.status, reason: "ExitCode" } })
      expect(made(over)).toEqual(["task-3"])
      expect([
        made({ ...over, latestApply: Option.map(over.latestApply, cancelled) }),
        made({ ...over, latest: Option.map(over.latest, cancelled) }),
        made({ ...over, latestApply: Option.none() }),
        made({ ...over, latestApply: Option.map(over.latestApply, otherwise) }),
        made({ ...over, latestApply: Option.map(over.latestApply, changed) })
      ]).toEqual([[], [], [], [], []])
    })
  })

  it("goes on saying how the apply ended that is gone, and not how its plan did", () => {
    const failed = worldOf({ ...followed, source: "known", latest: "over", latestApply: "over" })
    const latestApply = Option.map(failed.latestApply, (task): AgentTask => ({
      ...task,
      status: { ...task.status, phase: "Failed", reason: "ExitCode", message: "It failed." }
    }))
    const { status } = plan(policy, { ...failed, latestApply }, noon)
    expect(ready({ status })[0]).toEqual(["Ready", "False", "ExitCode", `task-2-apply: It failed. ${onceMore}`])
    for (const source of ["known", "notReady"] as const) {
      const gone = worldOf({ ...followed, source, latest: "over", latestApply: "gone" })
      expect(plan(policy, withStatus(gone, status), noon).status).toEqual(status)
    }
  })

  /**
   * Returns the task's conditions. In the first world the task speaks of its newest attempt or of its apply; in the next, that is gone or
   * not wanted.
   */
  const then = (first: Partial<Seed>, next: Partial<Seed>) => {
    const said = plan(policy, worldOf({ ...followed, source: "known", latest: "over", ...first }), noon).status
    const after = worldOf({ ...followed, source: "known", latest: "over", ...first, refusal: "none", ...next })
    const world = {
      ...after,
      task: { ...after.task, status: { ...after.task.status, message: "Done.", conditions: said.conditions ?? [] } }
    }
    const { actions, status } = plan(policy, world, noon)
    const again = plan(policy, withStatus(world, status), "2026-01-01T13:00:00.000Z")
    expect([actions, again.actions, again.status]).toEqual([[], [], status])
    return ready({ status })
  }
  const waits: Partial<Seed> = { source: "notReady" }
  const runs = { plan: { latest: "alive" }, apply: { latestApply: "alive" } } as const

  it.each(
    [
      {
        given: "the plan that waits for the source to be applied",
        first: waits,
        next: { source: "known", latest: "gone" },
        name: "task-2"
      },
      { given: "that plan, while the source is not ready", first: waits, next: { latest: "gone" }, name: "task-2" },
      { given: "an attempt under way", first: runs.plan, next: { latest: "gone" }, name: "task-2" },
      { given: "an apply under way", first: runs.apply, next: { latestApply: "gone" }, name: "task-2-apply" },
      {
        given: "an attempt after which the next one was refused",
        first: { latest: "gone", source: "new", refusal: "Refused" },
        next: { source: "known" },
        name: "task-2"
      },
      {
        given: "an apply after which the next attempt was refused",
        first: { latestApply: "gone", source: "new", refusal: "NameTaken" },
        next: { source: "known" },
        name: "task-2-apply"
      }
    ] satisfies ReadonlyArray<{ given: string; first: Partial<Seed>; next: Partial<Seed>; name: string }>
  )("says of $given, that it was deleted before its end was seen", ({ first, name, next }) => {
    const message = expect.stringMatching(
      new RegExp(
        `^${name} was deleted before its end was seen or its plan was applied. Check what it did; then delete this task and make it again`,
        "u"
      )
    )
    expect(then(first, next)).toEqual([
      ["Ready", "False", "Lost", message],
      ["Reconciling", "False", "Lost", message],
      ["Stalled", "True", "Lost", message]
    ])
  })

  it.each(["NodeUnreachable", "StateRescuePending", "StateUnsaved"])(
    "says so too of one that needed a person (%s), and which was not over by that",
    (reason) => {
      const stalls = worldOf({ ...followed, source: "known", latest: "over", latestApply: "alive" })
      const conditions = [{ type: "Stalled", status: "True", reason, message: "", lastTransitionTime: noon }] as const
      const latestApply = Option.map(stalls.latestApply, (task): AgentTask => ({
        ...task,
        status: { phase: "Queued", reason, message: "It says why.", conditions }
      }))
      const { status } = plan(policy, { ...stalls, latestApply }, noon)
      expect(ready({ status })).toContainEqual(["Stalled", "True", reason, "task-2-apply: It says why."])
      const gone = plan(policy, { ...stalls, latestApply: Option.none(), task: { ...stalls.task, status } }, noon)
      expect(ready(gone)[0]?.slice(0, 3)).toEqual(["Ready", "False", "Lost"])
    }
  )

  const ownEnd = [["Ready", "True", "Completed", "Done."], ["Reconciling", "False", "Completed", "Done."], [
    "Stalled",
    "False",
    "Completed",
    "Done."
  ]]

  it.each(
    [{ first: waits, next: {} }, { first: runs.plan, next: { latest: "over" } }, {
      first: runs.apply,
      next: { latestApply: "over" }
    }, { first: runs.apply, next: { latestApply: "gone" } }] satisfies ReadonlyArray<{ first: Partial<Seed>; next: Partial<Seed> }>
  )(
    "that is cancelled says how it ended itself, once nothing that it made runs any more ($first, then $next)",
    ({ first, next }) => {
      expect(then(first, { ...next, cancel: true })).toEqual(ownEnd)
    }
  )

  it.each([{ first: runs.plan, name: "task-2" }, { first: runs.apply, name: "task-2-apply" }])(
    "that is cancelled cancels $name, and says what becomes of that one until it is over",
    ({ first, name }) => {
      const world = worldOf({ ...followed, source: "known", latest: "over", ...first, cancel: true })
      const { actions, requeueAfterMillis, situation, status } = plan(policy, world, noon)
      expect(situation).toBe("over and cancelled, and what it made is under way")
      expect(actions).toEqual([{ _tag: "Cancel", name, uid: `${name}-uid` }])
      expect(requeueAfterMillis).toEqual(Option.none()) // its attempts are watched
      const message = expect.stringMatching(new RegExp(`^${name}: `, "u"))
      expect(ready({ status }).map(([type, value, , said]) => [type, value, said])).toEqual([
        ["Ready", "False", message],
        ["Reconciling", "True", message],
        ["Stalled", "False", message]
      ])
      const after = perform(world, plan(policy, world, noon))
      const again = plan(policy, after, "2026-01-01T13:00:00.000Z")
      expect([again.actions, again.status]).toEqual([[], status])
    }
  )

  it.each([{ phase: "Queued" }, { phase: "Running" }, { phase: "Draining" }])(
    "that is cancelled cancels its apply in phase $phase, also where that follows its own plan",
    ({ phase }) => {
      const world = worldOf({ ...followed, source: "known", latest: "over", latestApply: "alive", cancel: true })
      const { latest: _, ...status } = world.task.status
      const own = {
        ...world.task,
        status: { ...status, latest: { attempt: 1, name: "task", sha256: Sha256.make("a".repeat(64)), apply: "task-2-apply" } }
      }
      const latestApply = Option.map(world.latestApply, (task): AgentTask => ({ ...task, status: { ...task.status, phase } }))
      expect(plan(policy, { ...world, task: own, latest: Option.some(own), latestApply }, noon).actions).toMatchObject([{
        _tag: "Cancel",
        name: "task-2-apply"
      }])
    }
  )
})
