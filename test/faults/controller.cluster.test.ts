// The controller with its API server behind the fault proxy: whatever happens on the way, a task has one Job and ends as without a fault.
import { expect, layer } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { leaseName } from "../../src/core/scheduling/workspace-lease.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, configMaps, jobs, type Kind, leases } from "../../src/kubernetes/kinds.ts"
import { WorkspaceName } from "../../src/schema/names.ts"
import {
  claim,
  createTask,
  finish,
  found,
  getTask,
  isPhase,
  jobNames,
  runController,
  TaskCluster,
  Tasks,
  until,
  untilLaunched,
  untilStatus
} from "../controller/task-cluster.ts"
import { serviceAccounts } from "../kubernetes/service-accounts.ts"
import { type FaultyApi, faultyApi } from "./faulty-api.ts"
import type { Fault, Match, Rule } from "./rule.ts"

type Options = Parameters<typeof runController>[0]

/** Starts a controller whose requests meet these faults. */
const controllerWith = Effect.fnUntraced(function*(rules: ReadonlyArray<Rule>, options: Options = {}) {
  const api = yield* faultyApi()
  yield* api.rules(...rules)
  const running = yield* runController(options).pipe(Effect.provide(api.found))
  return { api, ...running }
})

const apply = (name: string) => ({ stage: "apply", workspace: WorkspaceName.make(name) }) as const

const jobOf = (task: string): Match => ({ verb: "create", resource: "jobs", name: `agent-job-${task}` })

/** Returns how often a Job of the task was created through the proxy, once all creations are answered: a Job can be seen before that. */
const made = ({ seen }: FaultyApi, task: string) =>
  Effect.map(
    until(
      `the answers to creations of agent-job-${task}`,
      Effect.sync(() => seen.filter((_) => _.verb === "create" && _.resource === "jobs" && _.name === `agent-job-${task}`)),
      (creations) => creations.every(({ code, fault }) => code !== 0 || fault !== "pass")
    ),
    (creations) => creations.filter(({ code }) => code === 201).length
  )

/** Creates an apply and waits until it is launched. */
const launchApply = (name: string) => Effect.andThen(createTask(name, apply(name)), untilLaunched(name))
/** Claims and ends an apply in the worker's place, and returns how it ended. */
const endApply = Effect.fnUntraced(function*(name: string) {
  const { namespace } = yield* Tasks
  yield* claim(name)
  yield* finish(name)
  const { launches, message, phase, reason } = yield* untilStatus(name, isPhase("Succeeded"))
  const lease = yield* (yield* Kubernetes).get(leases, { namespace, name: leaseName(name) })
  const { leaseTransitions } = Object(lease["spec"])
  return { launches, message, phase, reason, leaseTransitions }
})
const wholeApply = (name: string) => Effect.andThen(launchApply(name), endApply(name))
const ended = { launches: 1, message: "Done.", phase: "Succeeded", reason: "Completed", leaseTransitions: 1 }

/** Creates an apply and cancels it after its Job was made and before it is claimed. Returns how it ended. */
const wholeCancel = Effect.fnUntraced(function*(name: string) {
  const { namespace } = yield* Tasks
  const kubernetes = yield* Kubernetes
  const { metadata: { uid } } = yield* createTask(name, apply(name))
  yield* untilLaunched(name)
  yield* kubernetes.apply(agentTasks, { metadata: { name, namespace, uid }, spec: { cancel: true } })
  const { message, phase, reason } = yield* untilStatus(name, isPhase("Cancelled"))
  yield* until("the Job's end", found(kubernetes.get(jobs, { name: `agent-job-${name}`, namespace })), (there) => !there)
  return { message, phase, reason }
})
const cancelled = { message: "Cancelled before it started; nothing was run.", phase: "Cancelled", reason: "Cancelled" }

const status = { resource: agentTasks.plural, subresource: "status" }

const limitRanges: Kind = { ...configMaps, kind: "LimitRange", plural: "limitranges" }

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("the controller", (it) => {
  it.effect.each([0, 1])(
    "F1 reads again and decides anew each time somebody else was faster at status write %i",
    (after) =>
      Effect.gen(function*() {
        const name = `conflict-${after}`
        const { api } = yield* controllerWith(
          [{ match: { ...status, verb: "update", name }, after, times: 3, fault: { does: "meddle" } }],
          { task: { limits: { total: 1 } } }
        )
        yield* createTask(`before-${name}`)
        yield* untilLaunched(`before-${name}`)
        const { metadata: { uid } } = yield* createTask(name)
        if (after > 0) yield* untilStatus(name, isPhase("Queued"))
        const { namespace } = yield* Tasks
        yield* (yield* Kubernetes).apply(agentTasks, { metadata: { name, namespace, uid }, spec: { cancel: true } })
        yield* untilStatus(name, isPhase("Cancelled"))
        const writes = api.seen.filter((_) => _.subresource === "status" && _.name === name)
        expect(writes.filter(({ code }) => code === 409).length).toBeGreaterThanOrEqual(3)
        expect(new Set(writes.map(({ body }) => JSON.parse(body).metadata.resourceVersion)).size).toBeGreaterThan(3)
        yield* claim(`before-${name}`)
        yield* finish(`before-${name}`)
      }).pipe(Effect.scoped)
  )

  it.effect("F1 ends a task whose Job the API server calls invalid, with the server's words", () =>
    Effect.gen(function*() {
      const { api } = yield* controllerWith([{
        match: jobOf("invalid"),
        fault: { does: "status", code: 422, reason: "Invalid", message: "spec.template: no such thing" }
      }])
      yield* createTask("invalid", apply("invalid"))
      expect(yield* untilStatus("invalid", isPhase("Failed"))).toMatchObject({
        reason: "Denied",
        message: expect.stringContaining("no such thing")
      })
      expect(yield* made(api, "invalid")).toBe(0)
    }).pipe(Effect.scoped))

  it.effect("F1 F21 waits for the Job of a former task of its name, and makes its own when that is gone", () =>
    Effect.gen(function*() {
      const { api } = yield* controllerWith([])
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const place = { name: "agent-job-again", namespace }
      yield* createTask("again")
      yield* untilLaunched("again")
      const former = yield* kubernetes.get(jobs, place)
      yield* kubernetes.apply(jobs, { metadata: { ...place, uid: former.metadata.uid, finalizers: ["test.agent-job.io/held"] } })
      yield* kubernetes.delete(agentTasks, { name: "again", namespace })
      yield* until("the task's end", found(getTask("again")), (there) => !there)
      yield* Effect.ignore(kubernetes.delete(jobs, place)) // as the garbage collector does, though that may learn of a new kind half a minute late
      const { metadata: { uid } } = yield* createTask("again")
      expect(yield* untilStatus("again", isPhase("Queued"))).toMatchObject({ reason: "NameHeld" })
      yield* kubernetes.apply(jobs, { metadata: { ...place, uid: former.metadata.uid, finalizers: [] } })
      const isFormer = Effect.match(kubernetes.get(jobs, place), {
        onFailure: () => false,
        onSuccess: ({ metadata }) => metadata.uid === former.metadata.uid
      })
      yield* until("the former task's Job is gone", isFormer, (there) => !there) // Kubernetes takes its time, and the controller asks every ten seconds
      const next = yield* until(
        "its own Job",
        Effect.orElseSucceed(kubernetes.get(jobs, place), () => former),
        ({ metadata }) => metadata.uid !== former.metadata.uid
      )
      expect(next.metadata.ownerReferences).toMatchObject([{ uid }])
      expect(yield* made(api, "again")).toBe(2)
    }).pipe(Effect.scoped))

  it.effect("F2 serves the others while one task meets errors alone, which it tries ever more seldom", () =>
    Effect.gen(function*() {
      const { api } = yield* controllerWith([{ match: jobOf("unlucky"), times: 3, fault: { does: "status", code: 500 } }])
      yield* createTask("unlucky", apply("unlucky"))
      const others = ["lucky-1", "lucky-2", "lucky-3"]
      for (const name of others) yield* launchApply(name) // they do not end yet, because at each end the controller looks again at tasks that have no slot
      expect(yield* made(api, "unlucky")).toBe(0)
      yield* untilLaunched("unlucky")
      const at = api.seen.filter(({ name, verb }) => verb === "create" && name === "agent-job-unlucky").map(({ atMillis }) => atMillis)
      const gaps = at.slice(1).map((_, index) => _ - (at[index] ?? 0))
      expect(gaps.map((gap, index) => gap >= 1000 * 2 ** index * 0.95)).toEqual([true, true, true])
      expect(yield* made(api, "unlucky")).toBe(1)
      for (const name of others) expect(yield* endApply(name)).toEqual(ended)
    }).pipe(Effect.scoped))

  it.effect("F2 waits as long as the API server asks, with 429 or 503, before it makes the Job", () =>
    Effect.gen(function*() {
      const names = [429, 503].map((code) => ({ code, name: `throttled-${code}` }))
      const { api } = yield* controllerWith(
        names.map(({ code, name }) => ({ match: jobOf(name), fault: { does: "status", code, headers: { "retry-after": "1" } } }))
      )
      yield* Effect.forEach(names, ({ name }) => Effect.map(wholeApply(name), (end) => expect(end).toEqual(ended)), { concurrency: 2 })
      for (const { name } of names) {
        const [first, second, ...more] = api.seen.filter((_) => _.verb === "create" && _.name === `agent-job-${name}`)
        expect([(second?.atMillis ?? 0) - (first?.atMillis ?? 0) >= 1000, more]).toEqual([true, []])
      }
    }).pipe(Effect.scoped))

  it.effect("F2 leaves running stages alone in a total outage, and comes back without a herd", () =>
    Effect.gen(function*() {
      const { api } = yield* controllerWith([])
      yield* createTask("through-outage", apply("through-outage"))
      yield* untilLaunched("through-outage")
      yield* claim("through-outage")
      yield* api.down
      yield* Effect.forEach(Array.from({ length: 20 }, (_, at) => `meanwhile-${at}`), (name) => createTask(name, apply(name)))
      yield* finish("through-outage")
      yield* Effect.sleep("3 seconds")
      const before = api.seen.length
      yield* api.up
      yield* untilLaunched("meanwhile-19")
      yield* until("all Jobs", jobNames, (names) => names.filter((_) => _.includes("meanwhile")).length === 20)
      const asked = api.seen.slice(before)
      expect(asked.filter(({ verb }) => verb === "watch").length).toBeLessThanOrEqual(2 * 3)
      expect(asked.filter(({ name, resource, verb }) => verb === "create" && resource === "jobs" && name?.includes("meanwhile")).length)
        .toBe(20) // tasks of earlier tests are in this namespace, too
      expect(yield* untilStatus("through-outage", isPhase("Succeeded"))).toMatchObject({ reason: "Completed", launches: 1 })
    }).pipe(Effect.scoped))

  const requests: Readonly<Record<string, (task: string) => Match>> = {
    "made-job": jobOf,
    "made-lease": (task) => ({ verb: "create", resource: "leases", name: leaseName(task) }),
    status: (name) => ({ ...status, verb: "update", name }),
    "deleted-job": (task) => ({ verb: "delete", resource: "jobs", name: `agent-job-${task}` }),
    event: () => ({ verb: "create", resource: "events" })
  }
  it.effect.each<{ fault: Fault }>([
    { fault: { does: "dropBefore" } },
    { fault: { does: "dropAfter" } },
    { fault: { does: "truncate", bytes: 20 } }
  ])(
    "F3 comes to the same end, with one Job, when $fault meets any of its writes",
    ({ fault }) =>
      Effect.gen(function*() {
        const tasks = Object.entries(requests).map(([what, match]) => ({ name: `${what}-${fault.does.toLowerCase()}`, match }))
        const { api } = yield* controllerWith(tasks.map(({ match, name }) => ({ match: match(name), fault })))
        const ends = yield* Effect.forEach(tasks, ({ name }) => name.includes("lease") ? wholeApply(name) : wholeCancel(name), {
          concurrency: "unbounded"
        })
        expect(ends).toEqual(tasks.map(({ name }) => name.includes("lease") ? ended : cancelled))
        yield* Effect.sleep("2 seconds")
        yield* until("all faults", Effect.sync(api.spent), (_) => _)
        expect(yield* Effect.forEach(tasks, ({ name }) => made(api, name))).toEqual(tasks.map(() => 1))
      }).pipe(Effect.scoped)
  )

  it.effect.each<{ how: string; fault: Fault }>([
    { how: "break off in mid-line", fault: { does: "truncate", bytes: 3000 } },
    { how: "end with 410", fault: { does: "gone", as: "event" } }
  ])("F4 misses nothing while its watches $how", ({ fault, how }) =>
    Effect.gen(function*() {
      const { api } = yield* controllerWith([{ match: { verb: "watch" }, times: 6, fault }])
      const name = `watched-${how.replaceAll(" ", "-")}`
      expect(yield* wholeApply(name)).toEqual(ended)
      expect(yield* wholeCancel(`${name}-too`)).toEqual(cancelled)
      expect(yield* Effect.all([made(api, name), made(api, `${name}-too`)])).toEqual([1, 1])
    }).pipe(Effect.scoped))

  it.effect("F6 works by an old view without harm: what is over stays over, and the Job that is there is no second one", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      yield* createTask("old-news", apply("old-news"))
      yield* createTask("old-start", apply("old-start"))
      const { resourceVersion } = yield* kubernetes.list(agentTasks, { namespace })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* controllerWith([], { identity: "before" })
        yield* untilLaunched("old-news")
        yield* untilLaunched("old-start")
        yield* claim("old-news")
        yield* finish("old-news")
        yield* untilStatus("old-news", isPhase("Succeeded"))
      }))
      const last = yield* Effect.all([getTask("old-news"), getTask("old-start")])
      const stale: ReadonlyArray<Rule> = [agentTasks.plural, "jobs", "pods"].flatMap((resource): ReadonlyArray<Rule> => [
        { match: { resource, verb: ["list", "watch"], path: "limit=" }, fault: { does: "stale", resourceVersion } },
        { match: { resource, verb: "watch", path: "sendInitialEvents" }, fault: { does: "stale", resourceVersion } },
        { match: { resource, verb: "watch", path: "resourceVersion=" }, fault: { does: "replay", times: 1, lateMillis: 6000 } }
      ])
      const { api } = yield* controllerWith(stale, { identity: "after" })
      const answers = Effect.sync(() =>
        api.seen.filter((_) => _.verb === "create" && ["agent-job-old-news", "agent-job-old-start"].includes(_.name)).map(({ code }) =>
          code
        )
      )
      expect(yield* until("what it does by the old view", answers, (codes) => codes.filter((_) => _ !== 0).length >= 2)).toEqual([409, 409])
      yield* createTask("new-start", apply("new-start"))
      yield* untilLaunched("new-start") // by then the controller has caught up
      const [news, start] = yield* Effect.all([getTask("old-news"), getTask("old-start")])
      expect(news).toEqual(last[0])
      expect(start.status.claim).toBeUndefined()
      expect(api.seen.filter(({ body }) => body.includes("NameHeld"))).toEqual([]) // nor is the Job taken for that of a former task
      expect(yield* Effect.all([made(api, "old-news"), made(api, "old-start"), made(api, "new-start")])).toEqual([0, 0, 1])
    }).pipe(Effect.scoped))

  it.effect("F7 comes to the same end when every event comes three times, and Jobs and Pods late", () =>
    Effect.gen(function*() {
      const late = (resource: string, lateMillis: number): Rule => ({
        match: { verb: "watch", resource },
        times: Infinity,
        fault: { does: "replay", times: 3, lateMillis }
      })
      const { api } = yield* controllerWith([late(agentTasks.plural, 0), late("jobs", 300), late("pods", 100)])
      expect(yield* wholeApply("repeated")).toEqual(ended)
      expect(yield* wholeCancel("repeated-cancel")).toEqual(cancelled)
      expect(yield* Effect.all([made(api, "repeated"), made(api, "repeated-cancel")])).toEqual([1, 1])
    }).pipe(Effect.scoped))

  it.effect("F10 makes one Job when a leader that was held up in the middle of a pass has lost its lead to another", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const lead = { namespace, name: "agent-job-controller" }
      const holder = Effect.map(Effect.option(kubernetes.get(leases, lead)), (_) => JSON.stringify(_))
      const slow = yield* controllerWith([{ match: { verb: "create", resource: "jobs" }, fault: { does: "delay", millis: 7000 } }], {
        identity: "slow"
      })
      yield* until("the lead", holder, (_) => _.includes("\"slow\""))
      yield* createTask("two-leaders", apply("two-leaders"))
      yield* until("the Job's creation", Effect.sync(() => slow.api.seen), (seen) => seen.some(({ fault }) => fault === "delay"))
      const fast = yield* controllerWith([], { identity: "fast" })
      yield* slow.api.rules({ match: { resource: "leases", name: lead.name }, times: Infinity, fault: { does: "status", code: 500 } })
      yield* kubernetes.delete(leases, lead)
      yield* untilLaunched("two-leaders")
      yield* until("the other's lead", holder, (_) => _.includes("\"fast\""))
      yield* claim("two-leaders")
      yield* finish("two-leaders")
      yield* untilStatus("two-leaders", isPhase("Succeeded"))
      yield* until(
        "the late creation",
        Effect.sync(() => slow.api.seen.filter(({ fault }) => fault === "delay")),
        (_) => _.every(({ code }) => code !== 0)
      )
      expect((yield* made(slow.api, "two-leaders")) + (yield* made(fast.api, "two-leaders"))).toBe(1)
    }).pipe(Effect.scoped))

  it.effect("F16 queues what a role, a webhook or the end of a namespace refuses, with its words, and serves the others", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const words = {
        role: "jobs.batch is forbidden: User \"x\" cannot create resource \"jobs\"",
        webhook: "admission webhook \"guard.example\" denied the request: not on Fridays",
        namespace: "unable to create new content in namespace because it is being terminated"
      }
      const tasks = Object.entries(words).map(([what, message]) => ({ name: `refused-by-${what}`, message }))
      const { api } = yield* controllerWith(
        tasks.map(({ message, name }) => ({
          match: jobOf(name),
          times: Infinity,
          fault: { does: "status", code: 403, reason: "Forbidden", message }
        }))
      )
      for (const { message, name } of tasks) {
        const { metadata: { uid } } = yield* createTask(name, apply(name))
        expect(yield* untilStatus(name, isPhase("Queued"))).toMatchObject({ reason: "Refused", message: expect.stringContaining(message) })
        yield* (yield* Kubernetes).apply(agentTasks, { metadata: { name, namespace, uid }, spec: { cancel: true } })
        yield* untilStatus(name, isPhase("Cancelled"))
      }
      expect(yield* wholeApply("beside-the-refused")).toEqual(ended)
      expect(yield* Effect.forEach(tasks, ({ name }) => made(api, name))).toEqual([0, 0, 0])
    }).pipe(Effect.scoped))

  it.effect("F16 explains a Job whose Pod a LimitRange refuses, with its words", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      yield* kubernetes.apply(serviceAccounts, { metadata: { namespace, name: "agent-job-task" } })
      yield* Effect.acquireRelease(
        kubernetes.create(limitRanges, {
          metadata: { namespace, name: "small" },
          spec: { limits: [{ type: "Container", max: { memory: "1Mi" } }] }
        }),
        () => Effect.ignore(kubernetes.delete(limitRanges, { namespace, name: "small" }))
      )
      yield* controllerWith([])
      yield* createTask("too-large", apply("too-large"))
      const { message } = yield* untilStatus("too-large", ({ reason }) => reason === "Refused")
      expect(message).toContain("maximum memory usage per Container is 1Mi")
    }).pipe(Effect.scoped))

  it.effect("F16 goes on when a webhook that does not answer makes the API server fail", () =>
    Effect.gen(function*() {
      const { api } = yield* controllerWith([{
        match: { verb: "create", resource: "jobs" },
        fault: { does: "status", code: 500, reason: "InternalError", message: "failed calling webhook: context deadline exceeded" }
      }])
      expect(yield* wholeApply("slow-webhook")).toEqual(ended)
      expect(yield* made(api, "slow-webhook")).toBe(1)
    }).pipe(Effect.scoped))

  it.effect("F21 makes no second Job when the first was deleted by its time to live while no controller ran", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const life = yield* Scope.make()
      yield* Scope.provide(controllerWith([], { identity: "first" }), life)
      for (const name of ["ttl-over", "ttl-claimed"]) {
        yield* createTask(name, apply(name))
        yield* untilLaunched(name)
        yield* claim(name)
      }
      yield* Scope.close(life, yield* Effect.exit(Effect.void))
      yield* finish("ttl-over")
      for (const name of ["ttl-over", "ttl-claimed"]) yield* kubernetes.delete(jobs, { name: `agent-job-${name}`, namespace })
      const { api } = yield* controllerWith([], { identity: "second" })
      expect(yield* wholeApply("ttl-marker")).toEqual(ended)
      expect(yield* Effect.all([made(api, "ttl-over"), made(api, "ttl-claimed")])).toEqual([0, 0])
      expect((yield* getTask("ttl-over")).status).toMatchObject({ phase: "Succeeded" })
      expect((yield* getTask("ttl-claimed")).status).toMatchObject({ claim: {}, launches: 1 })
    }).pipe(Effect.scoped))

  it.effect("F21 lets no second apply into a workspace whose Lease somebody deleted under the first", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const { api } = yield* controllerWith([])
      yield* createTask("leaseless-1", apply("leaseless"))
      yield* untilLaunched("leaseless-1")
      yield* claim("leaseless-1")
      yield* (yield* Kubernetes).delete(leases, { namespace, name: leaseName("leaseless") })
      yield* createTask("leaseless-2", apply("leaseless"))
      expect(yield* untilStatus("leaseless-2", isPhase("Queued"))).toMatchObject({
        reason: "WorkspaceBusy",
        queue: { blockedBy: "leaseless-1" }
      })
      yield* finish("leaseless-1")
      yield* untilLaunched("leaseless-2")
      expect(yield* made(api, "leaseless-2")).toBe(1)
    }).pipe(Effect.scoped))
})
