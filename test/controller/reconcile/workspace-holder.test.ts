// A task holds its workspace until it is over or no Pod of it may be at work; of a task that the cache lacks, the API server has to show that.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { workspaceHolder } from "../../../src/controller/reconcile/workspace-holder.ts"
import { make } from "../../../src/controller/world/world.ts"
import { taskUidLabel } from "../../../src/core/manifest/labels.ts"
import { holderAnnotation, leaseName } from "../../../src/core/scheduling/workspace-lease.ts"
import { Holder } from "../../../src/core/task/observed.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { agentTasks, leases, pods } from "../../../src/kubernetes/kinds.ts"
import { Uid, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { noon, plainSeed, policy, type Seed, worldOf } from "../../core/worlds.ts"
import { instantCluster } from "../instant-cluster.ts"

/** A workspace whose Lease names its holder, which the cache may have. `look` returns who holds it for an apply of another task, and whether the world knows that. */
const heldBy = (
  uid: string,
  cached: Option.Option<AgentTask> = Option.none(),
  written: { by?: string; transitions?: number; self?: Partial<Seed> } = {}
) => {
  const { kubernetes, server } = instantCluster()
  const { task } = worldOf({ ...plainSeed, stage: "apply", ...written.self })
  const { workspace } = task.spec
  server.create(leases, {
    metadata: { name: leaseName(workspace), namespace: "tasks", annotations: { [holderAnnotation]: written.by ?? "former" } },
    spec: { holderIdentity: uid, leaseTransitions: written.transitions ?? 4 }
  })
  const seen = Effect.suspend(() => {
    const world = make(policy)
    world.setTask("tasks/task", Option.some(task))
    if (Option.isSome(cached)) world.setTask("tasks/former", cached)
    return Effect.map(workspaceHolder(world, task), (holder) => ({ holder, world }))
  }).pipe(Effect.provideService(Kubernetes, kubernetes))
  const look = Effect.map(seen, ({ holder, world }) => ({ holder, isKnown: world.turns.knowsHolder(workspace) }))
  /** Returns the turn of the task that has looked, where no more tasks may run. */
  const turn = Effect.map(seen, ({ world }) => {
    world.setPolicy({ ...policy, limits: { total: 0, perWorkspace: 0 } })
    return world.turns.of(task)
  })
  return { server, look, turn }
}

describe("a workspace whose holder is in the cache", () => {
  it.effect.each(
    [
      { life: "claimed", holder: Holder.Taken({ by: "former" }) },
      { life: "succeeded", holder: Holder.Over({ resourceVersion: "101", epoch: 4 }) }
    ] as const
  )("is held by it until it is over, as the cache says: $life", ({ holder, life }) =>
    Effect.gen(function*() {
      const { task } = worldOf({ ...plainSeed, stage: "apply", life })
      const former = { ...task, metadata: { ...task.metadata, name: "former", uid: Uid.make("former-uid") } }
      expect((yield* heldBy("former-uid", Option.some(former)).look).holder).toEqual(holder)
    }))
})

describe("a workspace whose last apply may have made what the state lacks", () => {
  const { status } = worldOf({ ...plainSeed, stage: "apply", life: "lost" }).task
  const over = Holder.Over({ resourceVersion: "101", epoch: 4 })
  const failed = { outcome: "failed", reason: "ExitCode", message: "It failed.", finishedAt: noon } as const
  const formerOf = (former: Partial<Seed>): AgentTask => {
    const { task } = worldOf({ ...plainSeed, stage: "apply", life: "lost", ...former })
    return { ...task, metadata: { ...task.metadata, name: "former", uid: Uid.make("former-uid") } }
  }

  it.effect.each<{ readonly given: string; readonly former?: Partial<Seed>; readonly self?: Partial<Seed>; readonly holder: Holder }>([
    { given: "as long as its task is there", holder: Holder.InDoubt({ by: "former" }) },
    { given: "for no longer than until its task is deleted, if only a finalizer keeps that", former: { deleted: true }, holder: over },
    {
      given: "for a cancelled task too, whose cancel may have come first",
      former: { cancel: true },
      holder: Holder.InDoubt({ by: "former" })
    },
    { given: "not after a destroy, which makes nothing", former: { stage: "destroy" }, holder: over },
    { given: "not if the server of a pool has that state", former: { pool: true }, holder: over },
    { given: "not for a stage of a pool, whose state is another", self: { pool: true }, holder: over }
  ])("is kept from others $given, whether the cache has that task or not", ({ former = {}, holder, self = {} }) =>
    Effect.gen(function*() {
      const lost = formerOf(former)
      expect((yield* heldBy("former-uid", Option.some(lost), { self }).look).holder).toEqual(holder)
      const uncached = heldBy("former-uid", Option.none(), { self })
      const { metadata, spec, status } = lost
      uncached.server.plant(agentTasks, {
        metadata: { ...metadata, ownerReferences: [] },
        spec: { ...spec, source: "of a newer version" },
        status
      })
      expect((yield* uncached.look).holder).toEqual(holder)
    }))

  const lost = formerOf({})
  const elsewhere = { ...lost, spec: { ...lost.spec, workspace: WorkspaceName.make("another") } }
  it.effect.each([
    { given: "as long as its task is there", former: lost, holder: Holder.InDoubt({ by: "former" }) },
    { given: "not once its task is deleted", former: formerOf({ deleted: true }), holder: Holder.Free() },
    { given: "not if that apply went well", former: formerOf({ life: "succeeded" }), holder: Holder.Free() },
    { given: "not if it is another workspace", former: elsewhere, holder: Holder.Free() },
    { given: "not for a stage of a pool", former: lost, self: { pool: true }, holder: Holder.Free() }
  ])("is kept from others though somebody deleted its Lease, $given", ({ former, holder, self = {} }) =>
    Effect.gen(function*() {
      const { look, server } = heldBy("former-uid", Option.some(former), { self })
      server.remove(leases, { name: leaseName("demo"), namespace: "tasks" })
      expect(yield* look).toEqual({ holder, isKnown: true })
    }))

  it.effect("takes no slot from others for a task that waits for that, whether its Lease is there or not", () =>
    Effect.gen(function*() {
      const { server, turn } = heldBy("former-uid", Option.some(lost))
      expect(yield* turn).toMatchObject({ _tag: "Admitted" }) // though no more may run: it looks again, and has no slot
      server.remove(leases, { name: leaseName("demo"), namespace: "tasks" })
      expect(yield* turn).toMatchObject({ _tag: "Admitted" })
    }))

  it.effect.each([
    { given: "its engine was killed", result: { ...failed, exitCode: 137 }, holder: Holder.InDoubt({ by: "former" }) },
    { given: "its state is not saved", result: { ...failed, exitCode: 1, statePushed: false }, holder: Holder.InDoubt({ by: "former" }) },
    {
      given: "it made something, and an earlier worker did not say how its engine ended",
      result: { ...failed, changes: { add: 1, change: 0, destroy: 0 } },
      holder: Holder.InDoubt({ by: "former" })
    },
    { given: "it failed in order", result: { ...failed, exitCode: 1 }, holder: over }
  ])("is judged by what its worker said: $given", ({ holder, result }) =>
    Effect.gen(function*() {
      const { look, server } = heldBy("former-uid")
      server.plant(agentTasks, {
        metadata: { name: "former", namespace: "tasks", uid: "former-uid", resourceVersion: "", creationTimestamp: noon },
        status: { ...status, result }
      })
      expect((yield* look).holder).toEqual(holder)
    }))
})

describe("a task that has looked who holds its workspace", () => {
  it.effect("waits for the limits like any other once nobody does, and looks again at who is not known here until then", () =>
    Effect.gen(function*() {
      const { server, turn } = heldBy("former-uid")
      server.create(pods, { metadata: { name: "pod", namespace: "tasks", labels: { [taskUidLabel]: "former-uid" } }, spec: {} })
      expect(yield* turn).toMatchObject({ _tag: "Admitted" })
      server.remove(pods, { name: "pod", namespace: "tasks" })
      expect(yield* turn).toMatchObject({ _tag: "Waiting", why: { reason: "ConcurrencyLimit" } })
    }))
})

describe("a workspace whose holder is not in the cache", () => {
  it.effect.each([
    { phase: "Running", holder: Holder.Taken({ by: "former" }) },
    { phase: "Failed", holder: Holder.Over({ resourceVersion: "101", epoch: 4 }) }
  ])("is held by it until it is over: $phase", ({ holder, phase }) =>
    Effect.gen(function*() {
      const { look, server } = heldBy("former-uid")
      server.plant(agentTasks, {
        metadata: { name: "former", namespace: "tasks", uid: "former-uid", resourceVersion: "", creationTimestamp: noon },
        spec: { source: "of a newer version" },
        status: { phase }
      })
      expect(yield* look).toEqual({ holder, isKnown: true })
    }))
})

describe("a workspace whose holder is deleted", () => {
  it.effect("is held by it as long as one Pod of it is there", () =>
    Effect.gen(function*() {
      const { look, server } = heldBy("former-uid")
      const pod = { name: "pod", namespace: "tasks", labels: { [taskUidLabel]: "former-uid" } }
      server.create(pods, { metadata: pod, spec: { nodeName: "node-1" } })
      expect((yield* look).holder).toEqual(Holder.Left({ by: "former", pod: "pod", node: "node-1" }))
      server.remove(pods, pod)
      expect((yield* look).holder).toMatchObject({ _tag: "Over", epoch: 4 })
    }))

  it.effect("is held neither by a task that was made anew under its name nor by a Pod of that one", () =>
    Effect.gen(function*() {
      const { look, server } = heldBy("former-uid")
      server.plant(agentTasks, {
        metadata: { name: "former", namespace: "tasks", uid: "another-uid", resourceVersion: "", creationTimestamp: noon },
        spec: {},
        status: { phase: "Running" }
      })
      const pod = { name: "pod", namespace: "tasks", labels: { [taskUidLabel]: "another-uid" } }
      server.create(pods, { metadata: pod, spec: { nodeName: "node-1" } })
      expect((yield* look).holder).toMatchObject({ _tag: "Over", epoch: 4 })
    }))

  const states = (worker: "running" | "terminated" | "waiting", runner: "running" | "terminated" | "waiting") => {
    const state = { running: { running: {} }, terminated: { terminated: { exitCode: 0 } }, waiting: { waiting: {} } }
    return {
      containerStatuses: [{ name: "worker", state: state[worker] }],
      initContainerStatuses: [{ name: "runner", state: state[runner] }]
    }
  }
  const gone = { type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC" }
  it.effect.each([
    { given: "that has ended well", status: { phase: "Succeeded", ...states("terminated", "terminated") }, left: false },
    { given: "that has failed", status: { phase: "Failed", ...states("terminated", "terminated") }, left: false },
    { given: "that its node refused", status: { phase: "Failed", reason: "OutOfcpu" }, left: false },
    { given: "whose runner still ends the engine", status: { phase: "Running", ...states("terminated", "running") }, left: true },
    { given: "whose worker nobody saw end", status: { phase: "Failed", ...states("running", "terminated") }, left: true },
    { given: "whose runner nobody saw end", status: { phase: "Failed", ...states("terminated", "running") }, left: true },
    {
      given: "whose node no longer exists",
      status: { phase: "Failed", conditions: [gone], ...states("waiting", "terminated") },
      left: true
    },
    { given: "of which no kubelet said a word", status: { phase: "Failed", ...states("waiting", "waiting") }, left: true },
    { given: "that cannot be read", status: { phase: "Strange" }, left: true }
  ])("is not held by a Pod that has surely ended: one $given is left: $left", ({ left, status }) =>
    Effect.gen(function*() {
      const { look, server } = heldBy("former-uid")
      const rest = { namespace: "tasks", labels: { [taskUidLabel]: "former-uid" }, resourceVersion: "", creationTimestamp: noon }
      const ended = { phase: "Succeeded", ...states("terminated", "terminated") }
      server.plant(pods, { metadata: { ...rest, name: "pod-1", uid: "uid-1" }, status: ended })
      server.plant(pods, { metadata: { ...rest, name: "pod-2", uid: "uid-2" }, spec: { nodeName: "node-1" }, status })
      const node = "conditions" in status ? "" : "node-1" // one that no longer exists can say nothing
      expect((yield* look).holder).toMatchObject(
        left ? { _tag: "Left", pod: "pod-2", ...status.phase === "Strange" ? {} : { node } } : { _tag: "Over", epoch: 4 }
      )
    }))
})

describe("the Lease of a workspace", () => {
  it.effect.each([
    { given: "is the task's own", uid: "task-uid", holder: Holder.Mine({ epoch: 4 }) },
    { given: "names nobody", uid: "", holder: Holder.Over({ resourceVersion: "101", epoch: 4 }) }
  ])("$given", ({ holder, uid }) => Effect.map(heldBy(uid).look, (seen) => expect(seen).toEqual({ holder, isKnown: true })))

  it.effect.each([
    { given: "a holder that is no UID", uid: "no label!", written: {} },
    { given: "a holder that is more than one selector", uid: "x,scalr.io/a=b", written: {} },
    { given: "a name that no task has", uid: "former-uid", written: { by: "../../../x" } },
    { given: "more changes than can be counted on", uid: "", written: { transitions: 2_147_483_647 } },
    {
      given: "its holder is the task that looks",
      uid: "task-uid",
      written: { transitions: 2 ** 31 - 1 }
    }
  ])("is not free, and takes no slot from others, where a stranger wrote it: $given", ({ uid, written }) =>
    Effect.gen(function*() {
      const { look, turn } = heldBy(uid, Option.none(), written)
      expect(yield* look).toEqual({ holder: Holder.Foreign({ lease: leaseName("demo") }), isKnown: true })
      expect(yield* turn).toMatchObject({ _tag: "Admitted" }) // though no more may run: it looks again, and has no slot
    }))

  it.effect("is not remembered for a task that went while it was read", () =>
    Effect.gen(function*() {
      const { kubernetes } = instantCluster()
      const world = make(policy)
      const { task } = worldOf({ ...plainSeed, stage: "apply" })
      world.setTask("tasks/task", Option.some(task))
      const goes = Effect.sync(() => world.setTask("tasks/task", Option.none()))
      const get: typeof kubernetes.get = (...of) => Effect.andThen(goes, kubernetes.get(...of))
      yield* Effect.provideService(workspaceHolder(world, task), Kubernetes, { ...kubernetes, get })
      expect(world.turns.knowsHolder(task.spec.workspace)).toBe(false)
    }))

  it.effect("is free if there is none", () =>
    Effect.gen(function*() {
      const { look, server } = heldBy("former-uid")
      server.remove(leases, { name: leaseName("demo"), namespace: "tasks" })
      expect(yield* look).toEqual({ holder: Holder.Free(), isKnown: true })
    }))
})
