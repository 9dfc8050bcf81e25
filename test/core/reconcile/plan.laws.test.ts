// The laws of `plan`, for any world that a seed can make.
import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Effect, Equal, Option } from "effect"
import { Action } from "../../../src/core/reconcile/action.ts"
import { plan, rows } from "../../../src/core/reconcile/plan.ts"
import { isPodOver } from "../../../src/core/reconcile/pod-end.ts"
import { isOfNewerVersion, isOver, mayFollow } from "../../../src/core/task/status.ts"
import { everyField, noon, perform, policyOf, type Seed, seeds, worldOf } from "../worlds.ts"

const decide = (seed: Seed) => plan(policyOf(seed), worldOf(seed), noon)
const starts = (seed: Seed): boolean => decide(seed).actions.some(({ _tag }) => _tag === "CreateJob")
const law = (says: string, check: (seed: Seed) => void, runs = 10_000) =>
  it.prop(says, [seeds], ([seed]) => check(seed), { arbitrary: { runs, size: everyField } })

describe("plan", () => {
  law("comes to rest: after a few passes of its own, nothing is left to do or to write", (seed) => {
    let world = worldOf(seed)
    for (let pass = 0; pass < 8; pass++) world = perform(world, plan(policyOf(seed), world, noon))
    const last = plan(policyOf(seed), world, noon)
    const quiet = last.actions.filter(({ _tag }) => _tag !== "Release") // the model keeps an object that was released
    const isRefused = Option.exists(world.refusal, ({ ofDeletion }) => ofDeletion === true) // that is told as long as it holds
    expect([...quiet, ...last.notices.filter(({ _tag }) => !isRefused || _tag !== "Emit")]).toEqual([])
    expect(Equal.equals(last.status, world.task.status)).toBe(true)
  })

  law("keeps a final phase, reason and result, whatever is seen", (seed) => {
    const { task: { status } } = worldOf(seed)
    if (!isOver(status.phase)) return
    const { phase, reason, result } = decide(seed).status
    expect({ phase, reason, result }).toEqual({ phase: status.phase, reason: status.reason, result: status.result })
  })

  law("only moves phases forward", (seed) => {
    expect(mayFollow(worldOf(seed).task.status.phase, decide(seed).status.phase ?? "Pending")).toBe(true)
  })

  law("never starts what was claimed", (seed) => {
    if (worldOf(seed).task.status.claim !== undefined) expect(starts(seed)).toBe(false)
  })

  law("never starts what was cancelled, deleted or is over", (seed) => {
    expect(starts({ ...seed, cancel: true })).toBe(false)
    expect(starts({ ...seed, deleted: true })).toBe(false)
    if (isOver(worldOf(seed).task.status.phase)) expect(starts(seed)).toBe(false)
  })

  law("ends what was cancelled or deleted before the claim, and leaves it to nobody", (seed) => {
    const { status } = worldOf(seed).task
    if (isOver(status.phase) || isOfNewerVersion(status.phase) || status.claim !== undefined) return
    expect(decide({ ...seed, cancel: true }).status.phase).toBe("Cancelled")
    expect(decide({ ...seed, pool: false, deleted: true }).status.phase).toBe("Cancelled")
  })

  law(
    "deletes no Job before the claim, nor ends the launch or counts one more, but upon what the API server itself has",
    (seed) => {
      const { job, task: { status } } = worldOf({ ...seed, cancel: false, deleted: false, refusal: "none" })
      if (isOver(status.phase) || status.claim !== undefined || job._tag === "None") return
      const { actions, recheck, status: next } = decide({ ...seed, cancel: false, deleted: false, refusal: "none" })
      const isCounted = status.job?.uid !== undefined && next.launches !== status.launches
      if (actions.some(Action.$is("DeleteJob")) || isOver(next.phase) || isCounted) expect(recheck).toBe("job")
    }
  )

  law("never makes a Job while one is there, while it waits, or past the limit of launches", (seed) => {
    if (!starts(seed)) return
    const { job, task, turn } = worldOf(seed)
    expect(job._tag).toBe("None")
    expect(turn._tag).toBe("Admitted")
    const { job: made, launches = Number(seed.hadJob), phase, reason = "" } = task.status
    const hadNoPod = phase === "Starting" && ["QuotaExceeded", "Refused"].includes(reason)
    if (made?.replacedFor === undefined) expect(launches).toBeLessThan(seed.maxLaunches + (hadNoPod ? 3 : 0))
  })

  law("lets a Job whose launch failed make way for another only below the limit, or three beyond it if the Pod had to go", (seed) => {
    const before = worldOf(seed).task.status
    const { job, launches = 0, reason = "" } = decide(seed).status
    if (job?.replacedFor !== "LaunchFailed" || (before.job?.replacedFor === "LaunchFailed" && before.job.uid === job.uid)) return
    expect(launches).toBeLessThan(seed.maxLaunches + (["Evicted", "NodeLost"].includes(reason) ? 3 : 0))
  })

  law("never ends a task for want of a Job that made way for another", (seed) => {
    const { job } = worldOf(seed).task.status
    if (job?.replacedFor !== undefined) expect(decide(seed).situation).not.toBe("its last Job vanished before the claim")
  })

  law("starts what may start, and nothing that one thing alone keeps from it", (seed) => {
    const ready: Seed = {
      ...seed,
      dotted: false,
      strangeLabel: false,
      newerOption: false,
      life: "new",
      launches: 0,
      deleted: false,
      cancel: false,
      job: "none",
      hadJob: false,
      pod: "none",
      turn: "admitted",
      holder: "free",
      refusal: "none",
      source: "none"
    }
    expect(starts(ready)).toBe(true)
    const obstacles: ReadonlyArray<Partial<Seed>> = [
      { cancel: true },
      { deleted: true },
      { strangeLabel: true },
      { newerOption: true },
      { turn: "busy" },
      { turn: "far" },
      { turn: "limit" },
      { stage: "apply", holder: "unasked" },
      { stage: "apply", holder: "taken" },
      { stage: "apply", holder: "left" },
      { stage: "apply", holder: "foreign" },
      { job: "active" },
      { hadJob: true, maxLaunches: 1 },
      { refusal: "Invalid" },
      { refusal: "QuotaExceeded" },
      { life: "claimed" },
      { life: "failed" },
      { life: "starting", launches: 3, maxLaunches: 3 }
    ]
    expect(obstacles.filter((obstacle) => starts({ ...ready, ...obstacle }))).toEqual([])
  }, 1000)

  law("asks for nothing that may be refused while a refusal holds, so that a pass which is refused comes to its end", (seed) => {
    if (seed.refusal === "none") return
    const mayBeRefused = ["TakeWorkspace", "CreateJob", "DeleteJob"]
    if (seed.refusal !== "deletion") mayBeRefused.push("CreateTask") // else its own refusal takes the place of that one
    expect(decide(seed).actions.filter(({ _tag }) => mayBeRefused.includes(_tag))).toEqual([])
  })

  law("lets an apply or destroy start only with its workspace in hand", (seed) => {
    const { actions } = decide(seed)
    const made = actions.findIndex(({ _tag }) => _tag === "CreateJob")
    if (made < 0 || seed.stage === "plan") return
    const took = actions.findIndex(({ _tag }) => _tag === "TakeWorkspace")
    expect(worldOf(seed).holder._tag === "Mine" || (took >= 0 && took < made)).toBe(true)
    expect(["unasked", "taken", "left", "foreign"]).not.toContain(seed.holder)
  })

  law("never calls anything a success without the worker's own result", (seed) => {
    const { pod, task } = worldOf(seed)
    const wordOfWorker = task.status.result !== undefined || (pod._tag === "Some" && pod.value.lastWords._tag === "Some")
    if (decide(seed).status.phase === "Succeeded") expect(wordOfWorker).toBe(true)
  })

  law("never changes a claim, nor a result that is there", (seed) => {
    const { status } = worldOf(seed).task
    expect(decide(seed).status.claim).toEqual(status.claim)
    if (status.result !== undefined) expect(decide(seed).status.result).toEqual(status.result)
  })

  law("starts nothing from Flux but the artifact that is written down", (seed) => {
    if (!starts(seed) || seed.source === "none") return
    const { holder, source, task: { status } } = worldOf(seed)
    expect(status.source).toBeDefined()
    // Such a task starts all the same, because it would otherwise keep other tasks from the workspace that it holds.
    if (source._tag === "NotReady" && !source.changed && holder._tag === "Mine") return
    if ((status.launches ?? 0) === 0) expect(source).toMatchObject({ _tag: "Ready", artifact: status.source })
  })

  law("never changes what a claimed or finished task ran", (seed) => {
    const { status } = worldOf(seed).task
    if (status.claim !== undefined || isOver(status.phase)) expect(decide(seed).status.source).toEqual(status.source)
  })

  law(
    "makes another task only when nothing of the newest attempt is alive and its apply was not lost: a plan for another artifact or in the place of one that was lost, or the apply of that very plan",
    (seed) => {
      const made = decide(seed).actions.filter(Action.$is("CreateTask"))
      expect(made.length).toBeLessThanOrEqual(1)
      for (const { spec } of made) {
        const { source: seen, task: { spec: { source }, status } } = worldOf(seed)
        expect(isOver(status.phase)).toBe(true)
        const lost = seed.latest === "lost" || (seed.latest === "none" && seed.life === "lost")
        const hasNew = seen._tag === "Ready" && seen.artifact.sha256 !== status.source?.sha256
        if (spec.stage !== "plan" || !lost) {
          expect({ source: seen._tag, hasNew }).toEqual({ source: "Ready", hasNew: spec.stage === "plan" })
        }
        expect(seed).toMatchObject({ cancel: false, deleted: false })
        const apply = seed.latest === "none" ? "none" : seed.latestApply
        expect([seed.latest, apply]).not.toContain("alive")
        expect(apply).not.toBe("lost")
        if (spec.stage === "plan") expect(spec.source.fluxSource).toEqual({ kind: source.fluxSource?.kind, name: source.fluxSource?.name })
        else {expect({ follows: seed.follows, source: spec.source, options: spec.options }).toEqual({
            follows: "planAndApply",
            source: { savedPlan: { claimName: "plans", sha256: "a".repeat(64) } },
            options: undefined
          })}
      }
    }
  )

  law("makes another task only upon what the API server itself has of the source", (seed) => {
    const { actions, recheck } = decide(seed)
    if (actions.some(Action.$is("CreateTask"))) expect(recheck).toBe("source")
  })

  law("leaves nothing that it made running uncancelled once it is cancelled, and is not ready meanwhile", (seed) => {
    const cancelled: Seed = { ...seed, pool: false, job: "none", expired: false, cancel: true }
    const world = worldOf(cancelled)
    const newest = cancelled.latestApply === "none" || Option.isNone(world.latest) ? world.latest : world.latestApply
    const underWay = Option.exists(newest, ({ status }) => !isOver(status.phase))
    if (!isOver(world.task.status.phase) || !underWay) return
    const { actions, status } = decide(cancelled)
    expect(actions).toEqual(Option.toArray(newest).map(({ metadata: { name, uid } }) => Action.Cancel({ name, uid })))
    expect(status.conditions).toMatchObject([{ type: "Ready", status: "False" }, {}, {}])
  })

  law("explains every wait: who is queued has a reason, a position and a sentence", (seed) => {
    const { message, phase, queue, reason } = decide(seed).status
    if (phase !== "Queued" || reason === "Accepted" || (seed.deleted && seed.pool && !seed.cancel)) return
    expect(queue).toMatchObject({ reason, position: expect.any(Number) })
    expect(message).toMatch(/\S/u)
  })

  law("tells a task of its turn", (seed) => {
    const { situation, status: { queue } } = decide(seed)
    const { turn } = worldOf(seed)
    if (situation === "not its turn" && turn._tag === "Waiting") {
      expect(queue).toMatchObject({ position: turn.position, reason: turn.why.reason })
    }
  })

  law("leaves a claimed stage alone while its node does not answer, or its Pod is not ready", (seed) => {
    for (const [pod, reason] of [["silent", "NodeUnreachable"], ["unready", "PodNotReady"]] as const) {
      const { actions, status } = decide({
        ...seed,
        life: "claimed",
        pod,
        unreadySeconds: 120,
        worker: "running",
        deleted: seed.deleted && !seed.pool
      })
      expect(status).toMatchObject({ phase: "Running", reason })
      expect(actions).toEqual([])
    }
  })

  law("deletes the Job of a claimed task only once its worker has ended, and its status says why", (seed) => {
    const { pod, task: { status } } = worldOf(seed)
    if (status.claim === undefined || isOver(status.phase) || !decide(seed).actions.some(Action.$is("DeleteJob"))) return
    expect(Option.exists(pod, isPodOver)).toBe(true)
    expect(status.reason).toBe("OutOfMemory")
  })

  it.effect("is in each of its situations in some of these worlds", () =>
    Effect.gen(function*() {
      const some = yield* Arbitrary.sampleEffect(seeds, { count: 20_000, size: everyField, seed: 1 })
      const reached = new Set(some.map((seed) => decide(seed).situation))
      expect(rows.filter(({ situation }) => !reached.has(situation))).toEqual([])
    }))
})
