// What the caches lack is read from the API server itself, before its absence may end a task.
import { describe, expect, it } from "@effect/vitest"
import { Array, Effect, Exit, Option } from "effect"
import { ask, type Asking, askLive } from "../../../src/controller/reconcile/ask.ts"
import { readSource } from "../../../src/controller/reconcile/flux-sources.ts"
import { noAnswers, observe } from "../../../src/controller/reconcile/observe.ts"
import { sharedWarnings } from "../../../src/controller/reconcile/warnings.ts"
import { projectTask } from "../../../src/controller/world/project.ts"
import { make, type World } from "../../../src/controller/world/world.ts"
import { quotaPatienceMillis } from "../../../src/core/reconcile/launches.ts"
import { plan } from "../../../src/core/reconcile/plan.ts"
import { Holder, type JobSeen, type Observed, SourceSeen } from "../../../src/core/task/observed.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { type KubernetesError, Unreachable } from "../../../src/kubernetes/errors.ts"
import { agentTasks, events, pods } from "../../../src/kubernetes/kinds.ts"
import { Sha256, Uid } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { before, noon, plainSeed, policy, type Seed, worldOf } from "../../core/worlds.ts"
import { instantCluster } from "../instant-cluster.ts"
import { plantJob, plantPod, plantSource } from "./planted.ts"

/** Returns what `ask` finds out for a task when the caches know nothing else but what `and` tells the world. */
const asked = (
  { kubernetes }: ReturnType<typeof instantCluster>,
  seed: Partial<Seed>,
  and: (world: World) => void = () => undefined,
  followed: Asking["followed"] = readSource
) => {
  const { task } = worldOf({ ...plainSeed, ...seed })
  const world = make(policy)
  world.setTask("tasks/task", Option.some(task))
  and(world)
  return sharedWarnings.pipe(
    Effect.flatMap((warned) => ask({ world, task, policy, now: noon, at: 0, followed, warned })),
    Effect.provideService(Kubernetes, kubernetes)
  )
}

/** Returns a world whose caches know this task, its Job and its Pod, and a function that tells the caches of a Job. */
const knowing = ({ job, pod, task }: Pick<Observed, "job" | "task"> & Partial<Pick<Observed, "pod">>) => {
  const world = make(policy)
  const ofTask = <Seen>(seen: Option.Option<Seen>) => Option.map(seen, (seen) => ({ taskUid: task.metadata.uid, seen }))
  const hear = (job: Option.Option<JobSeen>) => world.setJob("tasks/agent-job-task", ofTask(job))
  world.setTask("tasks/task", Option.some(task))
  hear(job)
  if (pod !== undefined) world.setPod("tasks/pod", ofTask(pod))
  return { world, hear }
}

/** Returns what a pass decides upon. Like a pass, it asks the API server itself before it ends, deletes or counts a Job. */
const looked = Effect.fnUntraced(
  function*(_: Kubernetes["Service"], world: World, task: AgentTask, { at = 0, now = noon, of = policy } = {}) {
    const asking: Asking = { world, task, policy: of, now, at, followed: readSource, warned: yield* sharedWarnings }
    const asked = yield* ask(asking)
    const first = observe(world, task, asked, at)
    const { recheck } = plan(of, first, now)
    if (recheck === undefined) return first
    return observe(world, task, yield* askLive(asking, Option.filter(first.job, () => recheck === "job"), asked), at)
  },
  (effect, kubernetes) => Effect.provideService(effect, Kubernetes, kubernetes)
)

describe("the Pod of a claim", () => {
  const withPod = (uid: string) => {
    const cluster = instantCluster()
    cluster.server.plant(pods, {
      metadata: { name: "pod", namespace: "tasks", uid, resourceVersion: "", creationTimestamp: noon },
      spec: { containers: [] },
      status: { phase: "Running" }
    })
    return cluster
  }

  it.effect("is there, though its event is on the way", () =>
    Effect.gen(function*() {
      const { pods } = yield* asked(withPod("pod-uid"), { life: "claimed" })
      expect(Option.map(pods, (found) => found.map(({ uid }) => uid))).toEqual(Option.some(["pod-uid"]))
    }))

  it.effect("is gone when another has its name", () =>
    Effect.gen(function*() {
      expect((yield* asked(withPod("later-uid"), { life: "claimed" })).pods).toEqual(Option.some([]))
    }))
})

describe("a Job that says nothing", () => {
  it.effect.each([{ clock: "an hour behind", off: -3600 }, { clock: "right", off: 0 }])(
    "is asked about once it has been known for a while, by a clock that is $clock",
    ({ off }) =>
      Effect.gen(function*() {
        const { kubernetes } = instantCluster()
        const { job, task } = worldOf({ ...plainSeed, job: "active" })
        const world = make(policy)
        world.setTask("tasks/task", Option.some(task))
        world.setJob(
          "tasks/agent-job-task",
          Option.map(job, (seen) => ({ taskUid: task.metadata.uid, seen: { ...seen, createdAt: before(off) } }))
        )
        let asked = 0
        const list: typeof kubernetes.list = (...of) => Effect.andThen(Effect.sync(() => void asked++), kubernetes.list(...of))
        const counting = Effect.provideService(Kubernetes, { ...kubernetes, list })
        const warned = yield* counting(sharedWarnings)
        const look = (at: number) => counting(ask({ world, task, policy, now: noon, at, followed: readSource, warned }))
        yield* look(1_000)
        world.passSaw(
          { task, job: world.cache.job(task.metadata.uid), pod: Option.none(), warning: Option.none(), turn: world.turns.of(task) },
          1_000
        )
        yield* look(5_999)
        expect(asked).toBe(0)
        yield* look(6_000)
        expect(asked).toBe(1)
      })
  )
})

describe("a Pod that runs, and whose worker has not claimed its task yet", () => {
  it.effect("is not asked about, however long that takes: no event says why", () =>
    Effect.gen(function*() {
      const { kubernetes } = instantCluster()
      const { job, pod, task } = worldOf({ ...plainSeed, life: "starting", job: "active", jobAgeSeconds: 179, pod: "Running" })
      const { world } = knowing({ job, pod, task })
      expect(yield* looked({ ...kubernetes, list: () => expect.unreachable() }, world, task)).toMatchObject({ warning: Option.none() })
    }))
})

describe("a start of which no event can be read", () => {
  it.effect.each([{ given: "what was known of it", saw: "quota" }, { given: "nothing, if nothing was known", saw: "none" }] as const)(
    "is decided on all the same, upon $given",
    ({ saw }) =>
      Effect.gen(function*() {
        const { kubernetes } = instantCluster()
        const { job, task, warning } = worldOf({ ...plainSeed, life: "starting", job: "active", warning: saw })
        const { world } = knowing({ job, task })
        world.passSaw({ task, job, pod: Option.none(), warning, turn: world.turns.of(task) }, 0)
        const list = () => Effect.fail(new Unreachable({ verb: "list", object: "events in tasks", detail: "no answer" }))
        const observed = yield* looked({ ...kubernetes, list }, world, task, { at: 10_000 })
        expect(observed.warning).toEqual(warning)
      })
  )
})

describe("a Pod that appears while the events are read", () => {
  it.effect("is not told to be kept by what kept its Job from it", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const { job, pod, task } = worldOf({ ...plainSeed, life: "quota", job: "active", jobAgeSeconds: 10, pod: "Pending" })
      const { world } = knowing({ job, task })
      server.plant(events, {
        metadata: { name: "event", namespace: "tasks", uid: "event", resourceVersion: "" },
        regarding: { uid: Option.getOrUndefined(job)?.uid },
        type: "Warning",
        reason: "FailedCreate",
        note: "exceeded quota: few"
      })
      const list: typeof kubernetes.list = (...of) =>
        Effect.tap(kubernetes.list(...of), () =>
          Effect.sync(() => world.setPod("tasks/pod", Option.map(pod, (seen) => ({ taskUid: task.metadata.uid, seen })))))
      expect((yield* looked({ ...kubernetes, list }, world, task, { at: 10_000 })).warning).toEqual(Option.none())
    }))
})

describe("a warning about a Job that has no Pod", () => {
  it.effect.each([{ given: "still has none", hasPod: false }, { given: "has one by now, as the API server says", hasPod: true }])(
    "is kept only for a Job that $given",
    ({ hasPod }) =>
      Effect.gen(function*() {
        const { kubernetes, server } = instantCluster()
        const { job, task, warning } = worldOf({ ...plainSeed, life: "starting", job: "active", warning: "quota" })
        const { world } = knowing({ job, task })
        plantJob(server)
        if (hasPod) plantPod(server, { phase: "Pending" })
        const asking = { world, task, policy, now: noon, at: 0, followed: readSource, warned: () => Effect.succeedNone }
        const live = yield* Effect.provideService(askLive(asking, job, { ...noAnswers, warning }), Kubernetes, kubernetes)
        expect(live.warning).toEqual(hasPod ? Option.none() : warning)
      })
  )
})

describe("a quota that keeps a Job from its Pod", () => {
  const patient = { life: "quota", knownMillis: quotaPatienceMillis } as const
  const look = Effect.fnUntraced(
    function*(
      { hadPod = false, knownMillis, life, refusedAt = noon }: {
        readonly life: Seed["life"]
        readonly knownMillis: number
        readonly hadPod?: boolean
        readonly refusedAt?: string
      },
      podOfJob?: string
    ) {
      const { kubernetes, server } = instantCluster()
      const { job, pod, task } = worldOf({ ...plainSeed, life, job: "active", pod: hadPod ? "Pending" : "none" })
      const { world } = knowing({ job, task })
      world.passSaw({ task, job, pod, warning: Option.none(), turn: world.turns.of(task) }, 0)
      plantJob(server)
      server.plant(events, {
        metadata: { name: "refused", namespace: "tasks", uid: "event", resourceVersion: "" },
        regarding: { uid: "job-uid" },
        type: "Warning",
        reason: "FailedCreate",
        note: "exceeded quota: pods",
        deprecatedLastTimestamp: refusedAt
      })
      if (podOfJob !== undefined) plantPod(server, { phase: "Pending" }, podOfJob)
      return plan(policy, yield* looked(kubernetes, world, task, { at: knownMillis, now: before(-60) }), before(-60)).situation
    }
  )

  const givenUp = "its Job has waited for a quota or a webhook for a minute"
  it.effect("has it given up", () => Effect.map(look(patient), (situation) => expect(situation).toBe(givenUp)))
  it.effect("has it given up though a Pod of a former Job is still on its way out", () =>
    Effect.map(look(patient, "former-uid"), (situation) => expect(situation).toBe(givenUp)))
  it.effect("is over once its Pod is there, though its event is on the way", () =>
    Effect.map(look(patient, "job-uid"), (situation) => expect(situation).toBe("its Job is there")))
  it.effect("is over once another Pod is there, for a Job that had one before", () =>
    Effect.map(
      look({ life: "quota", knownMillis: 10_000, hadPod: true }, "job-uid"),
      (situation) => expect(situation).toBe("its Job is there")
    ))
  it.effect("has the launch made again, for a Job that had a Pod before", () =>
    Effect.map(
      look({ life: "quota", knownMillis: 10_000, hadPod: true, refusedAt: before(-1) }),
      (situation) => expect(situation).toBe("its Job ended before the claim")
    ))
  it.effect("is over for a Job that had a Pod since, which is gone: Kubernetes makes another in a moment", () =>
    Effect.map(
      look({ life: "starting", knownMillis: 10_000, hadPod: true, refusedAt: before(1) }),
      (situation) => expect(situation).toBe("its Job is there")
    ))
  it.effect("is over for a Job that another controller gave up, which this one has hardly seen", () =>
    Effect.map(
      look({ life: "outlasted", knownMillis: 0 }, "job-uid"),
      (situation) => expect(situation).toBe("its Job is not as it was told of last")
    ))
})

describe("a source of Flux", () => {
  it.effect.each([{ given: "may start", total: 1, read: "Ready" }, { given: "waits for its turn", total: 0, read: "NotAsked" }])(
    "is read for a task that has not chosen its artifact, only once it may start: it $given",
    ({ read, total }) =>
      Effect.gen(function*() {
        const cluster = instantCluster()
        plantSource(cluster.server, "infra", "a".repeat(64))
        const limited = (world: World) => world.setPolicy({ ...policy, limits: { total, perWorkspace: 1 } })
        expect((yield* asked(cluster, { source: "unasked" }, limited)).source._tag).toBe(read)
      })
  )

  const sha256 = Sha256.make("a".repeat(64))
  const away = SourceSeen.NotReady({ message: "The Git server is away.", changed: false })
  const old = SourceSeen.Ready({
    artifact: { revision: "main@sha1:old", url: "http://flux/old.tar.gz", sha256: Sha256.make("b".repeat(64)) }
  })
  it.effect.each([
    { given: "a task that waits for it takes what another has read while that is no artifact", waits: true, shared: away, gets: away },
    {
      given: "a task that waits for it reads the artifact anew before it is written down",
      waits: true,
      shared: old,
      gets: { artifact: { sha256 } }
    },
    { given: "a task that does not wait for it reads it anew", waits: false, shared: away, gets: { artifact: { sha256 } } }
  ])("is shared by those that wait for it: $given", ({ gets, shared, waits }) =>
    Effect.gen(function*() {
      const cluster = instantCluster()
      plantSource(cluster.server, "infra", sha256)
      const answers = yield* asked(cluster, { life: "queued", source: "unasked", waitsForSource: waits }, undefined, () =>
        Effect.succeed(shared))
      expect(answers.source).toMatchObject(gets)
    }))

  it.effect.each([
    { given: "has none and its source is away", knows: false, shared: away, holder: "NotAsked" },
    { given: "has none and its source is there", knows: false, shared: old, holder: "Free" },
    { given: "has one and its source is away", knows: true, shared: away, holder: "Free" }
  ])(
    "keeps an apply that waits for it from reading its Lease at each look, until there is an artifact: it $given",
    ({ holder, knows, shared }) =>
      Effect.gen(function*() {
        const cluster = instantCluster()
        plantSource(cluster.server, "infra", sha256)
        const seen = worldOf({ ...plainSeed, stage: "apply", life: "queued", source: "unasked", waitsForSource: true })
        const { source: _, ...status } = seen.task.status
        const task = knows ? seen.task : { ...seen.task, status }
        const { world } = knowing({ job: Option.none(), task })
        const warned = () => Effect.succeedNone
        const answers = yield* ask({ world, task, policy, now: noon, at: 0, followed: () => Effect.succeed(shared), warned }).pipe(
          Effect.provideService(Kubernetes, cluster.kubernetes)
        )
        expect(answers.holder._tag).toBe(holder)
        const { situation } = plan(policy, observe(world, task, answers, 0), noon)
        expect(situation === "its source has nothing to run").toBe(shared === away)
      })
  )
})

describe("the apply of the newest attempt at a source", () => {
  it.effect.each([{ of: "the task", owner: "task-uid", isIts: true }, { of: "another", owner: "other-uid", isIts: false }])(
    "is the one of its name only if it was made by the task: by $of",
    ({ isIts, owner }) =>
      Effect.gen(function*() {
        const { kubernetes, server } = instantCluster()
        const seed = { life: "succeeded", source: "known", follows: "planAndApply", latest: "over" } as const
        const { task } = worldOf({ ...plainSeed, ...seed })
        const { metadata, spec, status } = Option.getOrThrow(worldOf({ ...plainSeed, ...seed, latestApply: "over" }).latestApply)
        const ownerReferences = [{ apiVersion: "scalr.io/v1", kind: "AgentTask", name: "task", uid: owner, controller: true }]
        server.plant(agentTasks, { metadata: { ...metadata, ownerReferences }, spec, status })
        const { world } = knowing({ job: Option.none(), task })
        const asking = { world, task, policy, now: noon, at: 0, followed: readSource, warned: () => Effect.succeedNone }
        const { apply } = yield* Effect.provideService(askLive(asking, Option.none(), noAnswers), Kubernetes, kubernetes)
        expect(Option.map(apply, (_) => _.metadata.name)).toEqual(isIts ? Option.some("task-2-apply") : Option.none())
      })
  )
})

describe("the newest attempt at a source", () => {
  const place = { name: "task-2", namespace: "tasks" }
  it.effect.each<{ is: string; change: (kubernetes: Kubernetes["Service"]) => Effect.Effect<unknown, KubernetesError>; behind: boolean }>([
    { is: "as the cache has it", change: () => Effect.void, behind: false },
    {
      is: "cancelled by now",
      change: (kubernetes) => kubernetes.apply(agentTasks, { metadata: place, spec: { cancel: true } }),
      behind: true
    },
    { is: "gone by now", change: (kubernetes) => kubernetes.delete(agentTasks, place, {}), behind: true },
    {
      is: "as the cache has it, but its apply is gone by now, or claimed",
      change: (kubernetes) => kubernetes.delete(agentTasks, { ...place, name: "task-2-apply" }, {}),
      behind: true
    }
  ])(
    "lets its task make another, or cancel its apply, only once the cache knows: it is $is",
    ({ behind, change }) =>
      Effect.gen(function*() {
        const { kubernetes, server } = instantCluster()
        const { latest, latestApply, task } = worldOf({
          ...plainSeed,
          life: "succeeded",
          source: "known",
          follows: "planAndApply",
          latest: "over",
          latestApply: "alive"
        })
        const { world } = knowing({ job: Option.none(), task })
        for (const { metadata: { ownerReferences: _, ...metadata }, spec, status } of Array.getSomes([latest, latestApply])) {
          server.plant(agentTasks, { metadata, spec, status })
          const { name, namespace } = metadata
          world.setTask(`${namespace}/${name}`, Option.some(projectTask(server.find(agentTasks, { name, namespace }))))
        }
        yield* change(kubernetes)
        const asking = { world, task, policy, now: noon, at: 0, followed: readSource, warned: () => Effect.succeedNone }
        const asked = yield* Effect.exit(Effect.provideService(askLive(asking, Option.none(), noAnswers), Kubernetes, kubernetes))
        expect(Exit.isFailure(asked)).toBe(behind)
        if (behind) expect(Option.getOrThrow(Exit.findErrorOption(asked))).toMatchObject({ _tag: "Behind" })
      })
  )
})

describe("a Job of which it is said that it goes", () => {
  const lives = [
    { is: "goes, if it is being deleted", live: { uid: "job-uid", deletionTimestamp: noon }, answer: true },
    { is: "is asked for again when the cache knows, if it is gone", live: undefined, answer: "Behind" },
    { is: "is asked for again when the cache knows, if there is another one by now", live: { uid: "next" }, answer: "Behind" },
    {
      is: "is asked for again when the cache knows, if somebody has made it nobody's",
      live: { uid: "job-uid", ownerReferences: [] },
      answer: "Behind"
    },
    { is: "stays otherwise", live: { uid: "job-uid" }, answer: false }
  ]
  it.effect.each([
    { given: "since it was given up for a quota, and has a Pod", life: "outlasted" as const, knows: true },
    {
      given: "since it was given up for a quota, and has a Pod of which the cache does not know",
      life: "outlasted" as const,
      knows: false
    },
    { given: "since its Pod was evicted, which is gone by now", life: "evicted" as const, knows: false }
  ].flatMap((given) => lives.map((live) => ({ ...given, ...live }))))(
    "$is: $given",
    ({ answer, knows, life, live }) =>
      Effect.gen(function*() {
        const { kubernetes, server } = instantCluster()
        const { job, pod, task } = worldOf({ ...plainSeed, life, job: "active", pod: "Pending" })
        const { world } = knowing({ job, task, ...(knows && { pod }) })
        if (life !== "evicted") plantPod(server, { phase: "Pending" })
        server.plant(events, {
          metadata: { name: "refused", namespace: "tasks", uid: "event", resourceVersion: "" },
          regarding: { uid: "job-uid" },
          type: "Warning",
          reason: "FailedCreate",
          note: "exceeded quota: pods"
        })
        if (live !== undefined) plantJob(server, live)
        const deleting = yield* looked(kubernetes, world, task, { now: before(-60) }).pipe(
          Effect.map(({ job }) => Option.exists(job, (seen) => seen.deleting)),
          Effect.catchTag("Behind", ({ _tag }) => Effect.succeed(_tag))
        )
        expect(deleting).toBe(answer)
      })
  )
})

/**
 * Returns what a pass decides upon when the caches know the task, its Job and whether it had one. The server has a Job with the uid `live`.
 */
const askedOf = (
  { kubernetes, server }: ReturnType<typeof instantCluster>,
  { hadJob, job, task }: Pick<Observed, "hadJob" | "job" | "task">,
  live: string | undefined
) => {
  const { hear, world } = knowing({ job: hadJob ? worldOf({ ...plainSeed, job: "active" }).job : Option.none(), task })
  hear(job)
  if (live !== undefined) plantJob(server, { uid: live })
  return looked(kubernetes, world, task, { of: { ...policy, maxLaunches: 3 } })
}

describe("a Job that is not the one which is counted", () => {
  it.effect.each([
    { is: "came after it, if it is there", live: "job-uid", launches: 3 },
    { is: "came before it, if it is gone", live: undefined, launches: undefined },
    { is: "came before it, if that one is there", live: "counted", launches: undefined }
  ])("$is", ({ launches, live }) =>
    Effect.gen(function*() {
      const seen = worldOf({ ...plainSeed, life: "starting", launches: 2, maxLaunches: 3, job: "active", jobAgeSeconds: 10 })
      const task = { ...seen.task, status: { ...seen.task.status, job: { name: "agent-job-task", uid: Uid.make("counted") } } }
      const counted = yield* askedOf(instantCluster(), { ...seen, task }, live).pipe(
        Effect.map((observed) => plan({ ...policy, maxLaunches: 3 }, observed, noon).status.launches),
        Effect.catchTag("Behind", () => Effect.succeed(undefined))
      )
      expect(counted).toBe(launches)
    }))
})

describe("a Job that goes while its task is looked at", () => {
  it.effect("is gone for that pass as well, which asks all that a task without a Job is asked", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const { job, task } = worldOf({ ...plainSeed, life: "starting", job: "active", jobAgeSeconds: 10 })
      const { hear, world } = knowing({ job, task })
      server.plant(agentTasks, { metadata: { name: "task", namespace: "tasks", uid: "another", resourceVersion: "" } })
      const list: typeof kubernetes.list = (...of) => Effect.andThen(Effect.sync(() => hear(Option.none())), kubernetes.list(...of))
      expect(yield* Effect.flip(looked({ ...kubernetes, list }, world, task))).toMatchObject({ _tag: "Behind" })
    }))
})

describe("a slot that was taken for a task, of whose Job no watch has told", () => {
  it.effect.each([
    { given: "the Job is there", isThere: true, known: undefined, isTaken: true },
    { given: "the Job is not there, and the task is as the cache has it", isThere: false, known: undefined, isTaken: false },
    { given: "the Job is not there, but the cache may not have heard of a claim by its Pod", isThere: false, known: "1", isTaken: true }
  ])("is given back only if nothing can have come of it: $given", ({ isTaken, isThere, known }) =>
    Effect.gen(function*() {
      const cluster = instantCluster()
      const { server } = cluster
      server.plant(agentTasks, { metadata: { name: "task", namespace: "tasks", uid: "task-uid", resourceVersion: "" } })
      const seen = worldOf(plainSeed)
      const task = { ...seen.task, metadata: { ...seen.task.metadata, resourceVersion: known ?? String(server.revision) } }
      if (isThere) plantJob(server)
      const { world } = knowing({ ...seen, task })
      world.turns.reserve("task-uid")
      yield* Effect.ignore(looked(cluster.kubernetes, world, task))
      expect(world.turns.isReserved("task-uid")).toBe(isTaken)
    }))
})

describe("a task that had a Job", () => {
  it.effect.each([
    { given: "it is as the cache has it", live: "task-uid", behind: false },
    { given: "it was claimed meanwhile, or is over", live: "task-uid", known: "1", behind: true },
    { given: "it is gone", live: undefined, behind: true },
    { given: "another has its name", live: "another", behind: true }
  ])("gets another only if it is as the cache has it: $given", ({ behind, known, live }) =>
    Effect.gen(function*() {
      const cluster = instantCluster()
      const { server } = cluster
      const seen = worldOf({ ...plainSeed, hadJob: true })
      if (live !== undefined) server.plant(agentTasks, { metadata: { name: "task", namespace: "tasks", uid: live, resourceVersion: "" } })
      const task = { ...seen.task, metadata: { ...seen.task.metadata, resourceVersion: known ?? String(server.revision) } }
      const hadJob = yield* askedOf(cluster, { ...seen, task }, undefined).pipe(
        Effect.map((observed) => observed.hadJob),
        Effect.catchTag("Behind", ({ _tag }) => Effect.succeed(_tag))
      )
      expect(hadJob).toBe(behind ? "Behind" : true)
    }))
})

describe("a Job that has ended before the claim", () => {
  it.effect.each([
    {
      given: "the cache still has it waiting",
      cached: "Pending" as const,
      live: { phase: "Failed", reason: "Evicted" },
      reason: "Evicted"
    },
    {
      given: "the cache still has it running",
      cached: "Running" as const,
      live: { phase: "Failed", reason: "Evicted" },
      reason: "Evicted"
    },
    {
      given: "the cache has not heard of it",
      cached: "none" as const,
      live: { phase: "Failed", containerStatuses: [{ name: "worker", state: { terminated: { exitCode: 1, reason: "Error" } } }] },
      reason: "Lost"
    },
    { given: "it is gone, whatever the cache has of it", cached: "Running" as const, live: undefined, reason: "NodeLost" },
    { given: "it is gone, and the cache knows why", cached: "Evicted" as const, live: undefined, reason: "Evicted" }
  ])(
    "is ended for what its Pod says, of which the Pods' own watch may not have told yet: $given",
    ({ cached, live, reason }) =>
      Effect.gen(function*() {
        const { kubernetes, server } = instantCluster()
        const { job, pod, task } = worldOf({ ...plainSeed, life: "starting", job: "failed", pod: cached })
        const { world } = knowing({ job, pod, task })
        plantJob(server, {}, { conditions: [{ type: "Failed", status: "True" }] })
        if (live !== undefined) plantPod(server, live)
        const observed = yield* looked(kubernetes, world, task)
        expect(plan(policy, observed, noon).status.reason).toBe(reason)
      })
  )

  it.effect("has the Pod that the API server has once, as it is there, though the cache has it as it was before", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const { job, pod, task } = worldOf({ ...plainSeed, life: "starting", job: "failed", pod: "Failed" })
      const { world } = knowing({ job, pod, task })
      plantJob(server, {}, { conditions: [{ type: "Failed", status: "True" }] })
      plantPod(server, { phase: "Failed", reason: "Evicted" })
      const asking = { world, task, policy, now: noon, at: 0, followed: readSource, warned: () => Effect.succeedNone }
      const { pods } = yield* Effect.provideService(askLive(asking, job, noAnswers), Kubernetes, kubernetes)
      expect(pods).toMatchObject(Option.some([{ name: "pod", reason: "Evicted" }]))
    }))

  it.effect("decides nothing when no Pod says why, since the Job itself is gone", () =>
    Effect.gen(function*() {
      const { kubernetes } = instantCluster()
      const { job, task } = worldOf({ ...plainSeed, life: "starting", job: "failed" })
      const { world } = knowing({ job, task })
      expect(yield* Effect.flip(looked(kubernetes, world, task))).toMatchObject({ _tag: "Behind" })
    }))
})

describe("the holder of a workspace", () => {
  it.effect.each(
    [
      { stage: "apply", holder: Holder.Free() },
      { stage: "plan", holder: Holder.NotAsked() }
    ] as const
  )(
    "is asked for only by a task that may change the workspace: $stage",
    ({ holder, stage }) => Effect.map(asked(instantCluster(), { stage }), (answers) => expect(answers.holder).toEqual(holder))
  )

  it.effect.each<{ readonly given: string; readonly seed: Partial<Seed>; readonly and: (world: World) => void }>([
    { given: "was called off", seed: { cancel: true }, and: () => undefined },
    {
      given: "is refused its Job for now",
      seed: {},
      and: ({ refusals }) => refusals.refuse("task-uid", { kind: "Refused", message: "no", againInMillis: 10_000 }, 0)
    }
  ])("is not asked for by an apply that $given", ({ and, seed }) =>
    Effect.map(
      asked(instantCluster(), { stage: "apply", ...seed }, and),
      (answers) => expect(answers.holder).toEqual(Holder.NotAsked())
    ))
})
