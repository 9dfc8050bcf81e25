// Of several Pods, Jobs and attempts of one task, the one that counts is observed, whatever order they were heard of in.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { noAnswers, observe } from "../../../src/controller/reconcile/observe.ts"
import { make } from "../../../src/controller/world/world.ts"
import { plan } from "../../../src/core/reconcile/plan.ts"
import { Sha256, Uid } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { noon, plainSeed, policy, worldOf } from "../../core/worlds.ts"

describe("the Pod of a claim", () => {
  it("is the one that holds it, whichever other the Job has", () => {
    const { job, pod, task } = worldOf({ ...plainSeed, life: "claimed", job: "active", pod: "Running" })
    const other = Option.map(pod, (seen) => ({ ...seen, name: "other", uid: Uid.make("other-uid") }))
    const world = make(policy)
    world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid: task.metadata.uid, seen })))
    for (const [key, of] of [["tasks/pod", pod], ["tasks/a", other], ["tasks/z", other]] as const) {
      world.setPod(key, Option.map(of, (seen) => ({ taskUid: task.metadata.uid, seen })))
    }
    expect(Option.map(observe(world, task, noAnswers, 0).pod, ({ name }) => name)).toEqual(Option.some("pod"))
  })
})

describe("the Pod of a task that nobody claimed", () => {
  type Phase = "Pending" | "Running" | "Failed"
  const pods = (...names: ReadonlyArray<Phase | readonly [Phase, createdAt: string, job?: string, deleting?: boolean]>) => {
    const { job, pod, task } = worldOf({ ...plainSeed, life: "starting", job: "active", pod: "Running" })
    const taskUid = task.metadata.uid
    const world = make(policy)
    world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid, seen })))
    for (const [at, given] of names.entries()) {
      const [phase, createdAt, owner = "job-uid", deleting = false] = typeof given === "string" ? [given, noon] : given
      world.setPod(
        `tasks/pod-${at}`,
        Option.map(
          pod,
          (seen) => ({ taskUid, seen: { ...seen, name: `pod-${at}`, owner: Option.some(Uid.make(owner)), phase, createdAt, deleting } })
        )
      )
    }
    return Option.map(observe(world, task, noAnswers, 0).pod, ({ name }) => name)
  }

  it("is the newest that may still take it, whatever became of a later one", () => {
    expect(pods("Running", "Failed")).toEqual(Option.some("pod-0"))
    expect(pods("Failed", "Pending", "Running")).toEqual(Option.some("pod-2"))
    expect(pods("Running", ["Running", noon, "job-uid", true])).toEqual(Option.some("pod-0"))
  })

  it("is the newest in whatever order a restarted controller hears of them", () =>
    expect(pods(["Running", "2026-01-01T12:00:02Z"], ["Running", "2026-01-01T12:00:01Z"])).toEqual(Option.some("pod-0")))

  it("is none of a Job that was cleared away, whose Pods outlive it", () => {
    expect(pods(["Failed", noon, "former-uid"])).toEqual(Option.none())
    expect(pods(["Running", "2026-01-01T12:00:02Z", "former-uid"], ["Pending", "2026-01-01T12:00:01Z"])).toEqual(Option.some("pod-1"))
  })

  it("is known to have been there once it is gone", () => {
    const seen = worldOf({ ...plainSeed, life: "starting", job: "active", pod: "Running" })
    const world = make(policy)
    world.setTask("tasks/task", Option.some(seen.task))
    world.setJob("tasks/agent-job-task", Option.map(seen.job, (job) => ({ taskUid: seen.task.metadata.uid, seen: job })))
    expect(observe(world, seen.task, noAnswers, 0)).toMatchObject({ pod: Option.none(), hadPod: false })
    world.passSaw(seen, 0)
    expect(observe(world, seen.task, noAnswers, 0)).toMatchObject({ pod: Option.none(), hadPod: true })
  })

  it("is the newest when all of them are over", () => expect(pods("Failed", "Failed")).toEqual(Option.some("pod-1")))
})

describe("a Job that goes while its task is looked at", () => {
  it("is as the API server has it where the cache knows nothing further of it", () => {
    const { job, task } = worldOf({ ...plainSeed, life: "starting", job: "failed" })
    const world = make(policy)
    world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid: task.metadata.uid, seen })))
    const answers = { ...noAnswers, live: true, job: Option.map(job, (seen) => ({ ...seen, resourceVersion: "2" })) }
    expect(observe(world, task, answers, 0).job).toMatchObject(Option.some({ resourceVersion: "2", state: "failed" }))
  })

  it.each([{ deleting: true }, { state: "failed" }, { state: "complete" }, { uid: Uid.make("next-uid") }] as const)(
    "has gone further than the API server's answer says, if the cache has heard so since: %j",
    (further) => {
      const { job, task } = worldOf({ ...plainSeed, life: "evicted", job: "active", jobAgeSeconds: 10 })
      const world = make(policy)
      world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid: task.metadata.uid, seen: { ...seen, ...further } })))
      const observed = observe(world, task, { ...noAnswers, live: true, job, pods: Option.some([]) }, 0)
      expect(observed.job).toMatchObject(Option.some(further))
    }
  )
})

describe("a Job that is gone", () => {
  it("is one that the task had, unless the API server itself, which was asked, has it yet", () => {
    const { job, task } = worldOf({ ...plainSeed, life: "starting", job: "active" })
    const world = make(policy)
    world.setTask("tasks/task", Option.some(task))
    for (const heard of [job, Option.none()]) {
      world.setJob("tasks/agent-job-task", Option.map(heard, (seen) => ({ taskUid: task.metadata.uid, seen })))
    }
    expect(observe(world, task, noAnswers, 0)).toMatchObject({ job: Option.none(), hadJob: true })
    expect(observe(world, task, { ...noAnswers, live: true, job }, 0)).toMatchObject({
      job: Option.some({ name: "agent-job-task" }),
      hadJob: false
    })
  })
})

describe("the newest attempt at a source, and its apply", () => {
  const followed = { life: "succeeded", source: "known", follows: "planAndApply", latest: "over", latestApply: "over" } as const
  const ownedBy = (owner: string, of: AgentTask): AgentTask => ({
    ...of,
    metadata: { ...of.metadata, ownerReferences: [{ kind: "AgentTask", uid: Uid.make(owner), controller: true }] }
  })
  const among = (task: AgentTask, others: ReadonlyArray<AgentTask>) => {
    const world = make(policy)
    for (const of of [task, ...others]) world.setTask(`tasks/${of.metadata.name}`, Option.some(of))
    return observe(world, task, noAnswers, 0)
  }
  const seen = (owner: string) => {
    const { latest, latestApply, task } = worldOf({ ...plainSeed, ...followed })
    const observed = among(task, [latest, latestApply].flatMap(Option.toArray).map((of) => ownedBy(owner, of)))
    return [observed.latest, observed.latestApply].map(Option.map(({ metadata }) => metadata.name))
  }
  it("are tasks of those names that belong to the task", () =>
    expect(seen("task-uid")).toEqual([Option.some("task-2"), Option.some("task-2-apply")]))
  it("are none of those names that belong to another, or to nobody", () =>
    expect(seen("other-uid")).toEqual([Option.none(), Option.none()]))
  it("may be an apply that only the API server has so far", () => {
    const { latestApply, task } = worldOf({ ...plainSeed, ...followed })
    expect(observe(make(policy), task, { ...noAnswers, apply: latestApply }, 0).latestApply).toEqual(latestApply)
  })
  it("may be the task itself, whose own plan is applied", () => {
    const { task } = worldOf({ ...plainSeed, ...followed })
    const first = { ...task, status: { ...task.status, latest: { attempt: 1, name: "task", sha256: Sha256.make("a".repeat(64)) } } }
    expect(among(first, []).latest).toEqual(Option.some(first))
  })

  it.each(
    [
      { latest: "none", made: "task-2" },
      { latest: "none", made: "task-apply" },
      { latest: "over", made: "task-3" },
      { latest: "over", made: "task-2-apply" }
    ] as const
  )(
    "are cancelled with the task also if the cancel came before the status could name them: $made, with latest $latest",
    ({ latest, made }) => {
      const cancelled = worldOf({ ...plainSeed, ...followed, latest, latestApply: "none", cancel: true })
      const underWay = (owner: string): AgentTask => {
        const { metadata, spec } = ownedBy(owner, cancelled.task)
        return { metadata: { ...metadata, name: made, uid: Uid.make("made-uid") }, spec: { ...spec, cancel: false }, status: {} }
      }
      const actionsBeside = (owner: string) =>
        plan(policy, among(cancelled.task, [...Option.toArray(cancelled.latest), underWay(owner)]), noon).actions
      expect(actionsBeside("task-uid")).toEqual([{ _tag: "Cancel", name: made, uid: "made-uid" }])
      expect(actionsBeside("other-uid")).toEqual([])
      const single = worldOf({ ...plainSeed, ...followed, follows: "no", latest: "none", cancel: true }).task
      expect(among(single, [underWay("task-uid")])).toMatchObject({ latest: Option.none(), latestApply: Option.none() })
    }
  )
})
