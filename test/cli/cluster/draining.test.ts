// Which installation a drain reaches, what its answer says about it, and what it says when nobody answers or somebody ends it.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { ServerResponse } from "node:http"
import { drain, undo } from "../../../src/cli/cluster/draining.ts"
import { annotationsOf } from "../../../src/cli/cluster/leader-lease.ts"
import type { Screen } from "../../../src/cli/terminal/screen.ts"
import * as marks from "../../../src/core/scheduling/draining.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { NotFound } from "../../../src/kubernetes/errors.ts"
import { leases as leaseKind, namespaces, pods as podKind } from "../../../src/kubernetes/kinds.ts"
import type { KubernetesObject } from "../../../src/kubernetes/object.ts"
import { FakeLease } from "../../kubernetes/fake-lease.ts"
import { against, list } from "../scripted-cluster.ts"
import { toldScreen } from "../told-screen.ts"

const ours = { name: "agent-job", namespace: "agent-job" }
const theirs = { name: "blue", namespace: "scalr" }
const since = "2026-01-31T12:00:00Z"

const kept = { uid: "u", resourceVersion: "1", creationTimestamp: since }
const lease = (namespace: string, name: string) => ({
  body: { metadata: { ...kept, name, namespace, annotations: { "scalr.io/drain": since, "scalr.io/drained": since } } }
})
const config = (namespace: string, name: string, tasks: string) => ({
  body: { metadata: { ...kept, name, namespace }, data: { "values.yaml": `task: { namespace: ${tasks} }` } }
})
const namespace = (name: string) => ({ [`/api/v1/namespaces/${name}`]: { body: { metadata: { ...kept, name } } } })
const nothingIn = (name: string) => ({
  [`/apis/batch/v1/namespaces/${name}/jobs`]: list(),
  [`/api/v1/namespaces/${name}/pods`]: list()
})

const leases = "/apis/coordination.k8s.io/v1/namespaces"
const noConfig = {
  [`${leases}/agent-job/leases/agent-job-controller`]: lease("agent-job", "agent-job-controller"),
  [`${leases}/scalr/leases/blue-controller`]: lease("scalr", "blue-controller"),
  ...namespace("agent-job-tasks"),
  ...namespace("scalr-tasks"),
  ...nothingIn("agent-job-tasks"),
  ...nothingIn("scalr-tasks")
}
/** Two installations, each with tasks in a namespace of its own. */
const both = {
  ...noConfig,
  "/api/v1/namespaces/agent-job/configmaps/agent-job-config": config("agent-job", "agent-job-config", "agent-job-tasks"),
  "/api/v1/namespaces/scalr/configmaps/blue-config": config("scalr", "blue-config", "scalr-tasks")
}

const drained = (answers: Parameters<typeof against>[1], of: typeof ours, given?: string, there?: string) =>
  against(drain(of, Option.fromUndefinedOr(given), false, there).pipe(Effect.provide(toldScreen().layer)), answers)

it.live.each([
  { of: ours, given: undefined, tasks: "agent-job-tasks", there: "" },
  { of: theirs, given: undefined, tasks: "scalr-tasks", there: "" },
  { of: theirs, given: "scalr-tasks", tasks: "scalr-tasks", there: " --context eu" }
])("names the installation, here $of.name, and where its tasks are", ({ given, of, tasks, there }) =>
  Effect.gen(function*() {
    const { document, lines } = yield* drained(both, of, given, there)
    expect(document.installation).toEqual(of)
    expect(lines).toEqual([
      `Draining ${of.name} in ${of.namespace} since ${since}: nothing new starts in ${tasks}.`,
      "Nothing runs.",
      `To end this: agent-job drain --undo${there} --name ${of.name} --controller-namespace ${of.namespace}`
    ])
  }))

/** Returns why the work fails, and by which methods it has asked for the Lease of the leading controller. */
const refusedBy = Effect.fnUntraced(
  function*<A, E>(work: Effect.Effect<A, E, Kubernetes | Screen>, answers: Parameters<typeof against>[1]) {
    const asked: Array<string | undefined> = []
    const heard = (response: ServerResponse) => {
      asked.push(response.req.method)
      response.setHeader("content-type", "application/json").end(JSON.stringify(lease("agent-job", "agent-job-controller").body))
    }
    const heardLease = { ...answers, [`${leases}/agent-job/leases/agent-job-controller`]: heard }
    return { refused: yield* Effect.flip(against(work.pipe(Effect.provide(toldScreen().layer)), heardLease)), asked }
  }
)

it.live.each([
  { does: "drain", work: drain(ours, Option.some("scalr-tasks"), false) },
  { does: "drain --undo", work: undo(ours, Option.some("scalr-tasks")) }
])("$does marks nothing where the tasks of the installation are known to be elsewhere", ({ work }) =>
  Effect.gen(function*() {
    const { asked, refused } = yield* refusedBy(work, both)
    expect(refused).toMatchObject({
      _tag: "BadInput",
      message:
        "The tasks of agent-job in agent-job are in agent-job-tasks, not in scalr-tasks; name the installation whose tasks are in scalr-tasks with --name and --controller-namespace, or leave out --namespace."
    })
    expect(asked.filter((method) => method !== "GET")).toEqual([])
  }))

it.live.each(["/apis/batch/v1/namespaces/agent-job-tasks/jobs", "/api/v1/namespaces/agent-job-tasks/pods"])(
  "marks nothing where %s may not be listed, so that it could not say what runs",
  (path) =>
    Effect.gen(function*() {
      const forbidden = { status: 403, body: { kind: "Status", apiVersion: "v1", status: "Failure", reason: "Forbidden", code: 403 } }
      const { asked, refused } = yield* refusedBy(drain(ours, Option.none(), false), { ...both, [path]: forbidden })
      expect(refused).toMatchObject({ _tag: "Forbidden" })
      expect(asked.filter((method) => method !== "GET")).toEqual([])
    })
)

it.live("takes the typed namespace where the values cannot be read", () =>
  Effect.gen(function*() {
    expect((yield* drained(noConfig, theirs, "scalr-tasks")).lines[0]).toBe(
      `Draining blue in scalr since ${since}: nothing new starts in scalr-tasks.`
    )
    expect(yield* Effect.flip(drained(noConfig, ours))).toMatchObject({
      message:
        "There is no ConfigMap agent-job/agent-job-config; give --name and --controller-namespace of the installation, and --namespace too if it has no such ConfigMap that you may read."
    })
  }))

it.live("names each task and workspace whole, also where a label cannot", () =>
  Effect.gen(function*() {
    const [long, workspace] = ["a".repeat(70), "w".repeat(80)]
    const job = (task: string, labels: object) => ({
      metadata: {
        ...kept,
        name: `agent-job-${task}`,
        labels: { "scalr.io/task": task.slice(0, 63), "scalr.io/stage": "apply", ...labels },
        ownerReferences: [{ apiVersion: "scalr.io/v1", kind: "AgentTask", name: task, uid: "t", controller: true }]
      }
    })
    const tasks = "/apis/scalr.io/v1/namespaces/agent-job-tasks/atasks"
    const { document, lines } = yield* drained({
      ...both,
      "/apis/batch/v1/namespaces/agent-job-tasks/jobs": list(
        job("short", { "scalr.io/workspace": "demo" }),
        job(long, {}),
        job("gone", {})
      ),
      [`${tasks}/${long}`]: { body: { metadata: { ...kept, name: long }, spec: { workspace } } }
    }, ours)
    expect(document).toMatchObject({
      running: [{ task: "short", workspace: "demo" }, { task: long, workspace }, { task: "gone", workspace: "" }]
    })
    expect(lines.join("\n")).toMatch(new RegExp(`\n  ${long} +${workspace} +apply`, "u"))
  }))

const refusal = { verb: "get", object: "ConfigMap agent-job/agent-job-config", code: 404, reason: "NotFound", detail: "" } as const
const applyJob = { metadata: { ...kept, name: "agent-job-a", labels: { "scalr.io/task": "a", "scalr.io/stage": "apply" } } }

/** Its Pod, whose engine saves its state after the Job was deleted with its task. */
const applyPod = (runner: object) => ({
  metadata: {
    ...kept,
    name: "agent-job-a-x",
    deletionTimestamp: since,
    labels: { ...applyJob.metadata.labels, "scalr.io/workspace": "demo" },
    ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name: "agent-job-a", uid: "u", controller: true }]
  },
  spec: { nodeName: "n" },
  status: {
    phase: "Running",
    containerStatuses: [{ name: "worker", state: { terminated: { exitCode: 0 } } }, { name: "runner", state: runner }]
  }
})

/** An installation whose Lease, Jobs and Pods a test changes as the controller, an apply or another person does. */
const shared = () => {
  const fake = new FakeLease()
  fake.put({ metadata: {} })
  const jobs: Array<KubernetesObject> = []
  const pods: Array<KubernetesObject> = []
  const tasks = new Map<string, object>()
  /** What happens during the next looks at the Jobs. */
  const meanwhile: Array<() => void> = []
  const change = (to: (annotations: Readonly<Record<string, string>>) => Readonly<Record<string, string>>) =>
    fake.edit({ annotations: to(fake.lease === undefined ? {} : annotationsOf(fake.lease)) })
  const layer = Layer.effect(
    Kubernetes,
    Effect.map(Kubernetes, (ofLease) =>
      Kubernetes.of({
        ...ofLease,
        get: (kind, place) => {
          if (kind.plural === leaseKind.plural) return ofLease.get(kind, place)
          const found = kind.plural === namespaces.plural ? {} : tasks.get(place.name)
          return found === undefined
            ? Effect.fail(new NotFound({ ...refusal, isKindServed: true }))
            : Effect.orDie(Effect.fromResult(kind.decode({ metadata: { ...kept, name: place.name }, ...found })))
        },
        listAll: (kind) =>
          Stream.suspend(() => {
            if (kind.plural === podKind.plural) return Stream.fromIterable([...pods])
            meanwhile.shift()?.()
            return Stream.fromIterable([...jobs])
          })
      }))
  ).pipe(Layer.provide(fake.connect({ state: "works" })))
  const screen = toldScreen()
  return {
    fake,
    jobs,
    pods,
    tasks,
    meanwhile,
    change,
    screen,
    since: () => fake.lease === undefined ? Option.none() : marks.drainAskedAt(annotationsOf(fake.lease)),
    controllerAnswers: () => change((annotations) => marks.answered(annotations, false)),
    begin: <A, E>(work: Effect.Effect<A, E, Kubernetes | Screen>) =>
      Effect.forkChild(Effect.result(work.pipe(Effect.provide([layer, screen.layer])))).pipe(Effect.tap(TestClock.adjust("1 second")))
  }
}
const typed = Option.some("agent-job-tasks")

it.effect("says after 90 s that no controller answers, and that the request stays", () =>
  Effect.gen(function*() {
    const { begin, screen, since } = shared()
    const draining = yield* begin(drain(ours, typed, false))
    expect(screen.of("status")).toContain("Waiting for the controller to answer")
    yield* TestClock.adjust("88 seconds")
    expect(draining.pollUnsafe()).toBeUndefined()
    yield* TestClock.adjust("1 second")
    expect(yield* Fiber.join(draining)).toMatchObject({
      failure: {
        _tag: "Failed",
        message:
          "The controller has not answered for 90 seconds, but the request stays: it is answered once a replica leads and no Job that was decided on before is still being created; see kubectl -n agent-job get pods."
      }
    })
    expect(since()).toEqual(Option.some("1970-01-01T00:00:00.000Z"))
  }))

const ended = "Somebody has ended this drain of agent-job in agent-job, so tasks may have started since; find out why, and drain it again."
const ends = [
  { given: "ends it", by: ({ change }: ReturnType<typeof shared>) => change(marks.withoutDrainAsked) },
  {
    given: "ends it and drains anew",
    by: ({ change, controllerAnswers }: ReturnType<typeof shared>) => {
      change((annotations) => marks.withDrainAsked(marks.withoutDrainAsked(annotations), since))
      controllerAnswers()
    }
  },
  {
    given: "deletes the Lease",
    by: ({ fake }: ReturnType<typeof shared>) => {
      fake.lease = undefined
    }
  }
]

it.effect.each(ends)(
  "does not say that nothing starts where somebody $given before the controller has answered",
  ({ by }) =>
    Effect.gen(function*() {
      const world = shared()
      const draining = yield* world.begin(drain(ours, typed, false))
      by(world)
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(draining)).toMatchObject({ failure: { _tag: "Failed", message: ended } })
    })
)

it.effect.each(ends)("does not say so either where somebody $given while it looks for what runs", ({ by }) =>
  Effect.gen(function*() {
    const world = shared()
    const draining = yield* world.begin(drain(ours, typed, false))
    world.meanwhile.push(() => by(world))
    world.controllerAnswers()
    yield* TestClock.adjust("1 second")
    expect(yield* Fiber.join(draining)).toMatchObject({ failure: { _tag: "Failed", message: ended } })
  }))

it.effect.each(ends)("--wait does not say so either where somebody $given while an apply runs", ({ by }) =>
  Effect.gen(function*() {
    const world = shared()
    world.jobs.push(applyJob)
    const draining = yield* world.begin(drain(ours, typed, true))
    world.controllerAnswers()
    yield* TestClock.adjust("1 second")
    expect(world.screen.of("status").at(-1)).toBe(`Waiting for a (apply, since ${since})`)
    by(world)
    yield* TestClock.adjust("1 second")
    expect(draining.pollUnsafe()).toBeDefined()
    expect(yield* Fiber.join(draining)).toMatchObject({ failure: { _tag: "Failed", message: ended } })
  }))

it.effect("--wait says since when an apply runs, and what is told of it, of each that it waits for", () =>
  Effect.gen(function*() {
    const world = shared()
    world.jobs.push(applyJob, {
      metadata: { ...applyJob.metadata, name: "agent-job-b", labels: { "scalr.io/task": "b", "scalr.io/stage": "apply" } }
    })
    const told = (reason: string) => world.tasks.set("a", { spec: { workspace: "demo" }, status: { reason } })
    told("Claimed")
    yield* world.begin(drain(ours, typed, true))
    world.controllerAnswers()
    yield* TestClock.adjust("1 second")
    const b = `b (apply, since ${since})`
    expect(world.screen.of("status").at(-1)).toBe(`Waiting for a (apply, since ${since}, Claimed), ${b}`)
    told("NodeUnreachable")
    yield* TestClock.adjust("1 second")
    expect(world.screen.of("status").at(-1)).toBe(`Waiting for a (apply, since ${since}, NodeUnreachable), ${b}`)
  }))

it.effect.each([
  {
    given: "before a controller answered",
    answers: false,
    says: "is asked to drain, but no controller has answered yet, so more may start."
  },
  { given: "while an apply runs", answers: true, says: "stays drained, so nothing new starts." }
])(
  "says at Ctrl-C how far the drain is, and how it ends: $given",
  ({ answers, says }) =>
    Effect.gen(function*() {
      const world = shared()
      world.jobs.push(applyJob)
      const draining = yield* world.begin(drain(ours, typed, true, " --context eu"))
      if (answers) world.controllerAnswers()
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(draining)
      expect(world.screen.of("line")).toEqual([
        `agent-job in agent-job ${says} To end this: agent-job drain --undo --context eu --name agent-job --controller-namespace agent-job`
      ])
    })
)

it.effect("--wait returns once the apply is over where nobody ends it, also where the drain was asked for before", () =>
  Effect.gen(function*() {
    const world = shared()
    world.jobs.push(applyJob)
    world.change((annotations) => marks.withDrainAsked(annotations, since))
    world.controllerAnswers()
    const draining = yield* world.begin(drain(ours, typed, true))
    world.change((annotations) => marks.withDrainAsked(annotations, "2026-01-31T13:00:00Z"))
    yield* TestClock.adjust("1 hour")
    expect(draining.pollUnsafe()).toBeUndefined()
    world.jobs.pop()
    yield* TestClock.adjust("2 seconds")
    expect(yield* Fiber.join(draining)).toMatchObject({ success: { document: { drained: true, since, running: [] } } })
  }))

it.effect("--wait waits for an engine that saves its state after its Job is gone, and names its node", () =>
  Effect.gen(function*() {
    const world = shared()
    world.jobs.push(applyJob)
    world.pods.push(applyPod({ running: {} }))
    const draining = yield* world.begin(drain(ours, typed, true))
    world.controllerAnswers()
    yield* TestClock.adjust("1 second")
    const waited = `Waiting for a (apply, since ${since}, on node n)`
    expect(world.screen.of("status").at(-1)).toBe(waited)
    world.jobs.pop()
    yield* TestClock.adjust("1 minute")
    expect([draining.pollUnsafe(), world.screen.of("status").at(-1)]).toEqual([undefined, waited])
    world.pods.splice(0, 1, applyPod({ terminated: { exitCode: 0 } }))
    yield* TestClock.adjust("2 seconds")
    expect(yield* Fiber.join(draining)).toMatchObject({ success: { document: { running: [] } } })
  }))

it.live("lists what has no Job any more, with its node", () =>
  Effect.gen(function*() {
    const pods = list(applyPod({ running: {} }))
    const { document, lines } = yield* drained({ ...both, "/api/v1/namespaces/agent-job-tasks/pods": pods }, ours)
    expect(document).toMatchObject({ running: [{ task: "a", workspace: "demo", stage: "apply", since, node: "n" }] })
    expect(lines.join("\n")).toMatch(/Still running: 1 apply or destroy, 0 plans\.\n {2}a +demo +apply .* n\n/u)
  }))

it.effect("--wait waits neither for plans, which it says run, nor for what is over", () =>
  Effect.gen(function*() {
    const world = shared()
    world.jobs.push(
      {
        metadata: { ...kept, name: "agent-job-p", labels: { "scalr.io/task": "p", "scalr.io/workspace": "demo", "scalr.io/stage": "plan" } }
      },
      { ...applyJob, status: { conditions: [{ type: "Complete", status: "True" }] } }
    )
    const draining = yield* world.begin(drain(ours, typed, true))
    world.controllerAnswers()
    yield* TestClock.adjust("2 seconds")
    expect(draining.pollUnsafe()).toBeDefined()
    expect(yield* Fiber.join(draining)).toMatchObject({
      success: {
        document: { running: [{ task: "p", workspace: "demo", stage: "plan", since }] },
        lines: expect.arrayContaining(["Still running: 0 applies or destroys, 1 plan."])
      }
    })
  }))

it.effect("--wait looks once more where nothing runs, and waits for the apply of a request that was still on its way", () =>
  Effect.gen(function*() {
    const world = shared()
    world.meanwhile.push(() => {}, () => world.jobs.push(applyJob))
    const draining = yield* world.begin(drain(ours, typed, true))
    world.controllerAnswers()
    yield* TestClock.adjust("2 seconds")
    expect(world.screen.of("status").at(-1)).toBe(`Waiting for a (apply, since ${since})`)
    expect(draining.pollUnsafe()).toBeUndefined()
    world.jobs.pop()
    yield* TestClock.adjust("1 second")
    expect(draining.pollUnsafe()).toBeUndefined() // the quiet look before that apply does not count
    yield* TestClock.adjust("1 second")
    expect(yield* Fiber.join(draining)).toMatchObject({ success: { document: { running: [] } } })
  }))

it.effect("--undo does not say that tasks start where somebody drains again before the controller has answered", () =>
  Effect.gen(function*() {
    const world = shared()
    world.change((annotations) => marks.withDrainAsked(annotations, since))
    world.controllerAnswers()
    const undoing = yield* world.begin(undo(ours, typed))
    world.change((annotations) => marks.withDrainAsked(annotations, "2026-01-31T13:00:00Z"))
    world.controllerAnswers()
    yield* TestClock.adjust("1 second")
    expect(yield* Fiber.join(undoing)).toMatchObject({
      failure: {
        _tag: "Failed",
        message: "Somebody drains agent-job in agent-job again, so waiting tasks do not start; find out why, and end that drain too."
      }
    })
  }))
