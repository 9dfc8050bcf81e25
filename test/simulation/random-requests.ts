// Random requests, and how they are sent to an API server: tasks, Jobs that tasks own, and Leases, with versions and UIDs that are right or not.
// Invariant: a seed gives the same requests, whichever server they are sent to.
// Used by test/simulation/api-server.cluster.test.
import { Effect } from "effect"
import type { Kubernetes } from "../../src/kubernetes/client.ts"
import type { KubernetesError } from "../../src/kubernetes/errors.ts"
import { agentTasks, jobs, type Kind, leases } from "../../src/kubernetes/kinds.ts"
import type { KubernetesObject } from "../../src/kubernetes/object.ts"
import { randomOf } from "./one-thread.ts"
import { same } from "./same.ts"

const at = "2026-01-31T12:00:00Z"
const inline = { inline: { "main.tf": "" } }
export const taskSpec = { workspace: "demo", stage: "plan", source: inline } as const
const specs = [
  taskSpec,
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

const verbs = [
  "create",
  "create",
  "create",
  "create kept",
  "status",
  "status",
  "status",
  "spec",
  "label",
  "keep",
  "let go",
  "apply",
  "delete",
  "get",
  "lease",
  "lease apply",
  "job",
  "job kept",
  "job let go",
  "job disowned",
  "job delete"
] as const

/** One of the two API servers; `seen` has all versions of each object that the script has read, the newest last. */
export interface Side {
  readonly kubernetes: Kubernetes["Service"]
  readonly namespace: string
  readonly seen: Map<string, Array<KubernetesObject>>
}
export interface Request {
  readonly verb: typeof verbs[number]
  readonly name: string
  readonly nth: number
  /** Which version of the object the request names: the newest or an older one, that of another object, or none. */
  readonly guard: "newest" | "older" | "other" | "none"
}

const guards: ReadonlyArray<Request["guard"]> = ["newest", "newest", "newest", "older", "other", "none"]

export const script = (seed: number): ReadonlyArray<Request> => {
  const random = randomOf(seed)
  const one = <A>(all: ReadonlyArray<A>): A => {
    const [first] = all
    const chosen = all[Math.floor(random() * all.length)] ?? first
    if (chosen === undefined) throw new Error("nothing to choose from")
    return chosen
  }
  return Array.from(
    { length: 30 },
    () => ({ verb: one(verbs), name: `s${seed}-${one(["a", "b"])}`, nth: Math.floor(random() * 100), guard: one(guards) })
  )
}

const kindOf = (verb: Request["verb"]): Kind => verb.startsWith("lease") ? leases : verb.startsWith("job") ? jobs : agentTasks

/** Of a Job whose name is of another controller, the Job controller does nothing. */
export const jobSpec = {
  managedBy: "example.com/nobody",
  template: { spec: { restartPolicy: "Never", containers: [{ name: "worker", image: "nowhere.invalid/worker" }] } }
}

export const send = (
  { kubernetes, namespace, seen }: Side,
  { guard, name, nth, verb }: Request
): Effect.Effect<KubernetesObject | void, KubernetesError> => {
  const known = seen.get(`${kindOf(verb).kind}/${name}`) ?? []
  const newest = known.at(-1)
  const of = guard === "older" && kindOf(verb) !== jobs // of which the model has not all fields
    ? known.findLast((_) => !same([_["spec"], _["status"]], [newest?.["spec"], newest?.["status"]])) ?? newest
    : newest
  const place = { name, namespace }
  const uid = guard === "none" ? {} : { uid: guard === "other" ? "0a1b2c3d-0000-4000-8000-000000000001" : of?.metadata.uid ?? "none" }
  const resourceVersion = of?.metadata.resourceVersion ?? "1"
  const spec = specs[nth % specs.length]
  const guarded = { ...place, ...uid, resourceVersion }
  const owner = seen.get(`AgentTask/${name}`)?.at(-1)
  const owned = {
    ...place,
    ownerReferences: owner === undefined
      ? []
      : [{ apiVersion: agentTasks.apiVersion, kind: agentTasks.kind, name, uid: owner.metadata.uid, controller: true }]
  }
  switch (verb) {
    case "create":
      return kubernetes.create(agentTasks, { metadata: place, spec: specs[nth % 9] ?? specs[0] })
    case "create kept":
      return kubernetes.create(agentTasks, { metadata: { ...place, finalizers: ["scalr.io/report"] }, spec: specs[0] })
    case "status":
      return kubernetes.updateStatus(agentTasks, {
        metadata: guarded,
        spec: of?.["spec"] ?? specs[0],
        status: statuses[nth % statuses.length]
      })
    case "spec":
      return kubernetes.update(agentTasks, {
        metadata: { ...guarded, finalizers: of?.metadata.finalizers ?? [] },
        spec: nth % 2 === 0 ? { ...specs[0], cancel: true } : spec
      })
    case "let go":
      return kubernetes.update(agentTasks, {
        metadata: { ...guarded, finalizers: [] },
        spec: of?.["spec"] ?? specs[0]
      })
    case "keep":
      return kubernetes.update(agentTasks, {
        metadata: { ...guarded, labels: of?.metadata.labels, finalizers: [...of?.metadata.finalizers ?? [], "example.com/keep"] },
        spec: of?.["spec"] ?? specs[0]
      })
    case "label":
      return kubernetes.update(agentTasks, {
        metadata: { ...guarded, labels: { team: nth % 2 === 0 ? "a" : "b" }, finalizers: of?.metadata.finalizers ?? [] },
        spec: of?.["spec"] ?? specs[0]
      })
    case "apply":
      return kubernetes.apply(agentTasks, { metadata: { ...place, ...uid }, spec: { cancel: true } })
    case "delete":
    case "job delete":
      return kubernetes.delete(kindOf(verb), place, guard === "older" ? { resourceVersion } : uid)
    case "get":
      return kubernetes.get(agentTasks, place)
    case "lease":
      return kubernetes.create(leases, { metadata: place, spec: { holderIdentity: String(nth % 3), leaseTransitions: 1 } })
    case "lease apply":
      return kubernetes.apply(leases, {
        metadata: { ...place, ...(guard !== "none" && { resourceVersion }) },
        spec: { holderIdentity: String(nth % 3), leaseTransitions: nth }
      })
    case "job":
      return kubernetes.create(jobs, { metadata: owned, spec: jobSpec })
    case "job kept":
      return kubernetes.create(jobs, { metadata: { ...owned, finalizers: ["example.com/keep"] }, spec: jobSpec })
    case "job let go":
      return kubernetes.update(jobs, { ...of, metadata: { ...of?.metadata, ...guarded, finalizers: [] } })
    case "job disowned":
      return kubernetes.update(jobs, { ...of, metadata: { ...of?.metadata, ...guarded, ownerReferences: [] } })
  }
}

/** Returns the parts that can be compared: without the UIDs, times and versions that each server makes up, and what it adds to a Job. */
export const comparable = (object: KubernetesObject) => {
  const { metadata: { deletionTimestamp, finalizers = [], generation, labels = {}, name, ownerReferences = [] }, spec, status } = object
  return {
    name,
    ...(object.kind === "Job" ? { generation } : { spec, status, labels }),
    ...(object.kind === "AgentTask" && { generation }),
    finalizers,
    owners: ownerReferences.map(({ name }) => name),
    deleting: deletionTimestamp !== undefined
  }
}

/** Returns the parts of an answer that can be compared, and what it says of the object that was answered before. */
export const compared = (verb: Request["verb"], object: KubernetesObject, before: KubernetesObject | undefined) => ({
  ...comparable(object),
  sameObject: before?.metadata.uid === object.metadata.uid,
  // A write of the whole object that changes nothing may still change its managed fields, which the model does not have.
  ...(verb === "status" && { sameVersion: before?.metadata.resourceVersion === object.metadata.resourceVersion })
})
