// Compares the model of the API server with a real one: both get the same random requests, and must give the same answers and objects.
import { describe, expect, layer } from "@effect/vitest"
import { Context, Effect, Layer, Predicate, Result } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { KubernetesError } from "../../src/kubernetes/errors.ts"
import { agentTasks, events, leases } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import type { KubernetesObject } from "../../src/kubernetes/object.ts"
import { servedNamespace } from "../core/manifest/served-namespace.ts"
import { ApiServer } from "./api-server.ts"
import { clientOf } from "./client.ts"
import { randomOf } from "./one-thread.ts"
import { same } from "./same.ts"

class Place extends Context.Service<Place, { readonly namespace: string }>()("test/Place") {}

const Real = Layer.effect(Place, Effect.map(servedNamespace("test-model"), (namespace) => ({ namespace }))).pipe(
  Layer.provideMerge(Kubernetes.layer(fromKubeconfig())),
  Layer.orDie
)

const at = "2026-01-31T12:00:00Z"
const inline = { inline: { "main.tf": "" } }
const specs = [
  { workspace: "demo", stage: "plan", source: inline },
  { workspace: "demo", stage: "apply", source: inline, cancel: true },
  { workspace: "other", stage: "plan", source: inline },
  { workspace: "../a", stage: "plan", source: inline },
  { workspace: "demo", stage: "plan", source: {} },
  { workspace: "demo", stage: "plan", source: inline, plan: { sha256: "a".repeat(64) } },
  { workspace: "demo", stage: "plan", source: inline, variables: [{ name: "a" }] }
] as const
const claim = { podUid: "a", nonce: "n", epoch: 0, at }
const result = { outcome: "succeeded", reason: "Completed", message: "ok", finishedAt: at }
const source = { revision: "main@sha1:a", url: "http://flux/a.tar.gz", sha256: "a".repeat(64) }
const statuses = [
  { phase: "Queued", reason: "WorkspaceBusy" },
  { phase: "Starting" },
  { phase: "Starting", source },
  { phase: "Running", claim },
  { phase: "Running", claim, source },
  { phase: "Running", claim: { ...claim, nonce: "m" } },
  { phase: "Running" },
  { phase: "Succeeded", claim, result },
  { phase: "Failed", result: { ...result, message: "other" } },
  { phase: "Failed" },
  {},
  { phase: "Pending", reason: "Whatever" },
  { phase: "Nothing" }
] as const

/** One of the two API servers; `seen` has all versions of each object that the script has read, the newest last. */
interface Side {
  readonly kubernetes: Kubernetes["Service"]
  readonly namespace: string
  readonly seen: Map<string, Array<KubernetesObject>>
}
interface Request {
  readonly verb: "create" | "create kept" | "status" | "spec" | "let go" | "apply" | "delete" | "get" | "lease" | "lease apply"
  readonly name: string
  readonly nth: number
  /** Which version of the object the request names: the newest or an older one, that of another object, or none. */
  readonly guard: "newest" | "older" | "other" | "none"
}

const verbs: ReadonlyArray<Request["verb"]> = [
  "create",
  "create kept",
  "status",
  "status",
  "status",
  "spec",
  "let go",
  "apply",
  "delete",
  "get",
  "lease",
  "lease apply"
] as ReadonlyArray<Request["verb"]>
const guards: ReadonlyArray<Request["guard"]> = ["newest", "newest", "newest", "older", "other", "none"]

const script = (seed: number): ReadonlyArray<Request> => {
  const random = randomOf(seed)
  const one = <A>(all: ReadonlyArray<A>): A => {
    const [first] = all
    const chosen = all[Math.floor(random() * all.length)] ?? first
    if (chosen === undefined) throw new Error("nothing to choose from")
    return chosen
  }
  return Array.from(
    { length: 25 },
    () => ({ verb: one(verbs), name: `s${seed}-${one(["a", "b"])}`, nth: Math.floor(random() * 100), guard: one(guards) })
  )
}

const send = (
  { kubernetes, namespace, seen }: Side,
  { guard, name, nth, verb }: Request
): Effect.Effect<KubernetesObject | void, KubernetesError> => {
  const known = seen.get(`${verb.startsWith("lease") ? "Lease" : "AgentTask"}/${name}`) ?? []
  const newest = known.at(-1)
  const of = guard === "older"
    ? known.findLast((_) => !same([_["spec"], _["status"]], [newest?.["spec"], newest?.["status"]])) ?? newest
    : newest
  const place = { name, namespace }
  const uid = guard === "none" ? {} : { uid: guard === "other" ? "0a1b2c3d-0000-4000-8000-000000000001" : of?.metadata.uid ?? "none" }
  const resourceVersion = of?.metadata.resourceVersion ?? "1"
  const spec = specs[nth % specs.length]
  switch (verb) {
    case "create":
      return kubernetes.create(agentTasks, { metadata: place, spec: specs[nth % 9] ?? specs[0] })
    case "create kept":
      return kubernetes.create(agentTasks, { metadata: { ...place, finalizers: ["scalr.io/report"] }, spec: specs[0] })
    case "status":
      return kubernetes.updateStatus(agentTasks, {
        metadata: { ...place, ...uid, resourceVersion },
        spec: of?.["spec"] ?? specs[0],
        status: statuses[nth % statuses.length]
      })
    case "spec":
      return kubernetes.update(agentTasks, {
        metadata: { ...place, ...uid, resourceVersion, finalizers: of?.metadata.finalizers ?? [] },
        spec: nth % 2 === 0 ? { ...specs[0], cancel: true } : spec
      })
    case "let go":
      return kubernetes.update(agentTasks, {
        metadata: { ...place, ...uid, resourceVersion, finalizers: [] },
        spec: of?.["spec"] ?? specs[0]
      })
    case "apply":
      return kubernetes.apply(agentTasks, { metadata: { ...place, ...uid }, spec: { cancel: true } })
    case "delete":
      return kubernetes.delete(agentTasks, place, guard === "older" ? { resourceVersion } : uid)
    case "get":
      return kubernetes.get(agentTasks, place)
    case "lease":
      return kubernetes.create(leases, { metadata: place, spec: { holderIdentity: String(nth % 3), leaseTransitions: 1 } })
    case "lease apply":
      return kubernetes.apply(leases, {
        metadata: { ...place, ...(guard !== "none" && { resourceVersion }) },
        spec: { holderIdentity: String(nth % 3), leaseTransitions: nth }
      })
  }
}

/** Returns the parts that can be compared: without the UIDs, times and versions that each server makes up. */
const comparable = (verb: Request["verb"], object: KubernetesObject, before: KubernetesObject | undefined) => {
  const { metadata: { deletionTimestamp, finalizers = [], generation, name, resourceVersion, uid }, spec, status } = object
  return {
    name,
    spec,
    status,
    finalizers,
    ...(object.kind === "AgentTask" && { generation }),
    deleting: deletionTimestamp !== undefined,
    sameObject: before?.metadata.uid === uid,
    // A write of the whole object that changes nothing may still change its managed fields, which the model does not have.
    ...(verb === "status" && { sameVersion: before?.metadata.resourceVersion === resourceVersion })
  }
}

const play = Effect.fnUntraced(function*(side: Side, requests: ReadonlyArray<Request>) {
  const answers: Array<unknown> = []
  for (const request of requests) {
    const answer = yield* Effect.result(send(side, request))
    if (Result.isFailure(answer)) answers.push({ ...request, failed: answer.failure._tag })
    else if (!Predicate.hasProperty(answer.success, "metadata")) answers.push({ ...request, done: true })
    else {
      const key = `${answer.success.kind}/${request.name}`
      const known = side.seen.get(key) ?? []
      answers.push({ ...request, ...comparable(request.verb, answer.success, known.at(-1)) })
      side.seen.set(key, [...known, answer.success])
    }
  }
  return answers
})

const scripts = Number(process.env["CONFORMANCE_SCRIPTS"] ?? 60)

layer(Real, { excludeTestServices: true })("a real API server and the model", (it) => {
  describe("agree", () => {
    it.effect(`on ${scripts} scripts of random requests`, () =>
      Effect.gen(function*() {
        const { namespace } = yield* Place
        const kubernetes = yield* Kubernetes
        for (let seed = 1; seed <= scripts; seed++) {
          const server = new ApiServer(() => Date.now())
          const model = clientOf(server, { ask: (_, answer) => Effect.suspend(() => answer("none")) }).kubernetes
          const requests = script(seed)
          const [really, modelled] = [
            yield* play({ kubernetes, namespace, seen: new Map() }, requests),
            yield* play({ kubernetes: model, namespace, seen: new Map() }, requests)
          ]
          for (const [at, answer] of really.entries()) expect(modelled[at], `script ${seed}, request ${at}`).toEqual(answer)
        }
      }), 300_000)

    it.effect("on the events that a field selector finds, page after page", () =>
      Effect.gen(function*() {
        const { namespace } = yield* Place
        const real = yield* Kubernetes
        const model = clientOf(new ApiServer(() => Date.now()), { ask: (_, answer) => Effect.suspend(() => answer("none")) }).kubernetes
        const [one, other] = ["0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"]
        const eventOf = (index: number) => ({
          metadata: { name: `event-${index}`, namespace },
          regarding: { apiVersion: "v1", kind: "Pod", name: "pod", namespace, uid: index % 2 === 0 ? one : other },
          reportingController: "test",
          reportingInstance: "test",
          action: "Test",
          eventTime: "2026-01-31T12:00:00.000000Z",
          reason: index % 3 === 0 ? "FailedMount" : "Pulled",
          type: index % 3 === 0 ? "Warning" : "Normal"
        })
        const found = Effect.fnUntraced(function*(kubernetes: Kubernetes["Service"], fieldSelector: string) {
          const pages: Array<ReadonlyArray<string>> = []
          let next: string | undefined
          do {
            const page = yield* kubernetes.list(events, { namespace, fieldSelector, limit: 2, continue: next })
            pages.push(page.items.map(({ metadata: { name } }) => name))
            next = page.continue
          } while (next !== undefined)
          return pages
        })
        for (const index of [8, 7, 6, 5, 4, 3, 2, 1, 0]) for (const side of [real, model]) yield* side.create(events, eventOf(index))
        for (const selector of ["type=Warning", "type=Normal", `regarding.uid=${one}`, `regarding.uid=${other},type=Warning`]) {
          expect(yield* found(model, selector), selector).toEqual(yield* found(real, selector))
        }
        expect(yield* found(real, "type=Warning")).toEqual([["event-0", "event-3"], ["event-6"]])
      }))
  })
})
