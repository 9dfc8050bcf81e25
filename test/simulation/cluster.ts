// A cluster's parts besides its API server: Job controller, scheduler, kubelets, nodes and garbage collection, each one step at a time.
// It has the races of a real one: two Pods for one Job, a container started twice, a Pod that is deleted while its node is silent.
// Used by test/simulation/simulation.
import type { V1Job, V1Pod, V1PodFailurePolicyRule } from "@kubernetes/client-node"
import { claimLostExitCode } from "../../src/core/task/places.ts"
import { agentTasks, events, jobs, type Kind, leases, pods, secrets } from "../../src/kubernetes/kinds.ts"
import type { KubernetesObject } from "../../src/kubernetes/object.ts"
import type { ApiServer } from "./api-server.ts"
import { type Engine, killed } from "./engine.ts"
import type { Container } from "./worker-process.ts"

type Pod = KubernetesObject & { readonly spec: V1Pod["spec"] & {}; readonly status: V1Pod["status"] & {} }
type Job = KubernetesObject & { readonly spec: V1Job["spec"] & {}; readonly status?: V1Job["status"] }

/**
 * Finalizers: the first keeps a deleted Pod until its kubelet has ended it, the second until the Job controller has counted it. The third is
 * a person's own.
 */
const kubeletHas = "model/kubelet"
const jobCounts = "batch.kubernetes.io/job-tracking"
const personKeeps = "example.com/keep"
/** Of a Job that was deleted by its TTL, which goes after its Pods. */
const podsFirst = "foregroundDeletion"
/** The container that a webhook adds. */
const proxy = "proxy"

export interface Parts {
  readonly server: ApiServer
  readonly now: () => number
  readonly start: (
    pod: { readonly uid: string; readonly name: string; readonly env: Readonly<Record<string, string>>; readonly node: string }
  ) => Container
  readonly engineOf: (podUid: string) => Engine | undefined
}

interface Node {
  /** Whether the control plane hears from its kubelet, and the Pods on it reach the API server. */
  reachable: boolean
  /** Whether it is out of order for good, and nothing runs on it. */
  lost: boolean
}

/** What the Job controller knows about a Job: its Pods that are over, and when it may create another one. */
interface Counted {
  readonly failed: Set<string>
  readonly succeeded: Set<string>
  readonly ignored: Set<string>
  waitsUntil: number
}

const isOver = ({ status }: Pod): boolean => status.phase === "Failed" || status.phase === "Succeeded"
/** Reports whether the Pod was deleted before it had a node. Only the finalizer of the Job controller keeps it then. */
const isGone = ({ metadata, spec }: Pod): boolean => metadata.deletionTimestamp !== undefined && spec.nodeName === undefined
const isFinished = ({ status }: Job): boolean =>
  status?.conditions?.some(({ status, type }) => status === "True" && (type === "Complete" || type === "Failed")) === true
/** Returns the condition by which the Job is about to fail or to be complete; undefined if it is not. */
const targetOf = ({ status }: Job) =>
  status?.conditions?.find(({ status, type }) => status === "True" && (type === "FailureTarget" || type === "SuccessCriteriaMet"))
const ownerOf = ({ metadata }: KubernetesObject): string | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid
/** Reports whether a container that is not ours goes on, so that the kubelet does not end what is left of the Pod. */
const isKept = ({ metadata, spec }: Pod): boolean =>
  metadata.deletionTimestamp === undefined && spec.containers.some(({ name }) => name === proxy)
const isReady = ({ status }: Pod): boolean => status.conditions?.some(({ status, type }) => type === "Ready" && status === "True") === true

const workerExit = ({ status }: Pod): number | undefined =>
  status.containerStatuses?.find(({ name }) => name === "worker")?.state?.terminated?.exitCode

/** Reports whether the rule matches, as in the Job controller: a container with no exit code, or with 0, matches no rule on exit codes. */
const ruleMatches = (pod: Pod, { onExitCodes, onPodConditions }: V1PodFailurePolicyRule): boolean => {
  if (onExitCodes !== undefined) {
    const code = onExitCodes.containerName === undefined || onExitCodes.containerName === "worker" ? workerExit(pod) : undefined
    return code !== undefined && code !== 0 && onExitCodes.values.includes(code) === (onExitCodes.operator === "In")
  }
  return onPodConditions?.some((wanted) =>
    pod.status.conditions?.some(({ status, type }) => type === wanted.type && status === (wanted.status ?? "True"))
  ) === true
}

export class Cluster {
  readonly nodes = new Map<string, Node>([["node-0", { reachable: true, lost: false }], ["node-1", { reachable: true, lost: false }]])
  /** Every start of a Pod's worker, by the Pod's UID. */
  readonly containers = new Map<string, Array<Container>>()
  readonly #parts: Parts
  /** If false, a quota is full, and an event about the Job says so whenever a Pod cannot be created. */
  hasRoomForPods = true
  /** Whether a webhook adds to each Pod a container that ends only when it is told to. */
  injectsProxy = false
  readonly #counted = new Map<string, Counted>()
  /** The revision that was looked at last: nothing is left to collect as long as there is no other. */
  #collected = 0
  #names = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get #server(): ApiServer {
    return this.#parts.server
  }
  get jobs(): ReadonlyArray<Job> {
    return this.#server.all(jobs) as ReadonlyArray<Job>
  }
  get pods(): ReadonlyArray<Pod> {
    return this.#server.all(pods) as ReadonlyArray<Pod>
  }
  #write(kind: Kind<unknown>, object: KubernetesObject, change: object, subresource: "status" | "whole" = "whole"): void {
    const { resourceVersion: _, ...metadata } = object.metadata
    const next = { ...object, metadata, ...change }
    if (subresource === "status") this.#server.updateStatus(kind, next)
    else this.#server.update(kind, next)
  }
  #setStatus(pod: Pod, status: V1Pod["status"]): void {
    this.#write(pods, pod, { status: { ...pod.status, ...status } }, "status")
  }
  #setFinalizers(kind: Kind<unknown>, object: KubernetesObject, finalizers: ReadonlyArray<string>): void {
    const { resourceVersion: _, ...metadata } = object.metadata
    this.#write(kind, object, { metadata: { ...metadata, finalizers } })
  }
  #strip(kind: Kind<unknown>, object: KubernetesObject, finalizer: string): void {
    const { finalizers = [] } = object.metadata
    if (finalizers.includes(finalizer)) this.#setFinalizers(kind, object, finalizers.filter((_) => _ !== finalizer))
  }

  /** Adds a finalizer of a person's own, which keeps a deleted Job, and its Pods with it. */
  keepJob(job: Job): void {
    const { deletionTimestamp, finalizers = [] } = job.metadata
    if (deletionTimestamp === undefined && !finalizers.includes(personKeeps)) this.#setFinalizers(jobs, job, [...finalizers, personKeeps])
  }
  letJobGo(job: Job): void {
    this.#strip(jobs, job, personKeeps)
  }

  /** All that decides on what the parts of the cluster do next and that no object says. */
  get memory(): unknown {
    const counted = [...this.#counted].map((
      [uid, { failed, ignored, succeeded, waitsUntil }]
    ) => [uid, [...failed], [...ignored], [...succeeded], waitsUntil])
    const containers = [...this.containers].map(([uid, starts]) => [uid, starts.map(({ exitCode, ready }) => [exitCode, ready])])
    return { counted, containers, names: this.#names }
  }

  // ── Job controller ──

  #warn({ kind, metadata: { name, namespace, uid } }: KubernetesObject, reason: "FailedCreate" | "FailedMount", note: string): void {
    const event = {
      metadata: { name: `${name}.${this.#names++}`, namespace },
      regarding: { kind, uid },
      type: "Warning",
      reason,
      note,
      eventTime: this.#server.time
    }
    this.#server.create(events, event)
  }

  #makePod(job: Job): void {
    const { metadata, spec } = job.spec.template
    this.#server.create(pods, {
      metadata: {
        name: `${job.metadata.name}-${(this.#names++).toString(36).padStart(5, "a")}`,
        namespace: job.metadata.namespace,
        labels: { ...metadata?.labels, "batch.kubernetes.io/controller-uid": job.metadata.uid },
        ownerReferences: [{ kind: "Job", name: job.metadata.name, uid: job.metadata.uid, controller: true }],
        finalizers: [jobCounts]
      },
      spec: {
        terminationGracePeriodSeconds: spec?.terminationGracePeriodSeconds,
        containers: [...spec?.containers.map(({ env, name }) => ({ name, env })) ?? [], ...this.injectsProxy ? [{ name: proxy }] : []],
        volumes: spec?.volumes
      }
    })
  }
  /** Says how many Pods of the Job are not over, so that a Job which made a Pod has another version. */
  #countActive(job: Job): void {
    const now = this.#server.find(jobs, job.metadata) as Job | undefined
    if (now?.metadata.uid !== job.metadata.uid) return
    const active = this.#podsOf(now).filter((pod) => !isOver(pod)).length
    if (now.status?.active === active) return
    this.#write(jobs, now, { status: { ...now.status, active } }, "status")
  }
  #finish(job: Job, type: "Complete" | "Failed", reason: string): void {
    this.#write(jobs, job, {
      status: {
        conditions: [...job.status?.conditions ?? [], { type, status: "True", reason, message: `The Job is ${type}.` }],
        completionTime: this.#server.time
      }
    }, "status")
  }
  /**
   * Says that the Job is about to fail or to be complete, and deletes its Pods. It is Failed or Complete only once they are over, as in
   * Kubernetes 1.31 and later.
   */
  #aim(job: Job, type: "FailureTarget" | "SuccessCriteriaMet", reason: string): void {
    this.#write(jobs, job, { status: { conditions: [{ type, status: "True", reason, message: "The Job is about to end." }] } }, "status")
    this.deletePodsOf(job)
  }
  #fail(job: Job, reason: string): void {
    this.#aim(job, "FailureTarget", reason)
  }
  deletePodsOf(job: Job): void {
    for (const pod of this.#podsOf(job)) if (!isOver(pod)) this.deletePod(pod)
  }
  #podsOf(job: Job): ReadonlyArray<Pod> {
    return this.pods.filter((pod) => ownerOf(pod) === job.metadata.uid)
  }

  /** Syncs one Job once. `extra` asks for one Pod too many, as if the Job controller's cache of Pods were behind. */
  lookAtJob(job: Job, extra = false): void {
    this.#sync(job, extra)
    this.#countActive(job)
  }
  #sync(job: Job, extra: boolean): void {
    const { activeDeadlineSeconds = 0, backoffLimit = 6, podFailurePolicy, podReplacementPolicy } = job.spec
    const counted = this.#counted.get(job.metadata.uid) ?? { failed: new Set(), succeeded: new Set(), ignored: new Set(), waitsUntil: 0 }
    this.#counted.set(job.metadata.uid, counted)
    const all = this.#podsOf(job)
    for (const pod of all.filter(isOver)) {
      if (![counted.failed, counted.succeeded, counted.ignored].some((_) => _.has(pod.metadata.uid))) {
        const matched = (podFailurePolicy?.rules ?? []).find((rule) => ruleMatches(pod, rule))
        if (pod.status.phase === "Succeeded") counted.succeeded.add(pod.metadata.uid)
        else if (matched?.action === "FailJob" && !isFinished(job) && targetOf(job) === undefined) this.#fail(job, "PodFailurePolicy")
        else (matched?.action === "Ignore" ? counted.ignored : counted.failed).add(pod.metadata.uid)
        counted.waitsUntil = this.#parts.now() + Math.min(10_000 * 2 ** (counted.failed.size + counted.ignored.size - 1), 600_000)
      }
      this.#strip(pods, pod, jobCounts)
    }
    const now = this.#server.find(jobs, job.metadata)
    if (now === undefined || now.metadata.uid !== job.metadata.uid || isFinished(now as Job)) return
    const active = all.filter((pod) => !isOver(pod))
    const target = targetOf(now as Job)
    if (target !== undefined) {
      if (!active.every(isGone)) return
      for (const pod of active) this.#strip(pods, pod, jobCounts)
      return this.#finish(now as Job, target.type === "FailureTarget" ? "Failed" : "Complete", target.reason ?? "")
    }
    if (counted.failed.size > backoffLimit) return this.#fail(now as Job, "BackoffLimitExceeded")
    if (counted.succeeded.size > 0) return this.#aim(now as Job, "SuccessCriteriaMet", "CompletionsReached")
    if (this.#parts.now() - Date.parse(String(job.metadata.creationTimestamp)) > activeDeadlineSeconds * 1000) {
      return this.#fail(now as Job, "DeadlineExceeded")
    }
    if (now.metadata.deletionTimestamp !== undefined) return // no Pod is made or deleted any more
    const staying = active.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    if ((podReplacementPolicy === "Failed" ? active : staying).length === 0 || extra) {
      if (!extra && this.#parts.now() < counted.waitsUntil) return
      if (this.hasRoomForPods) return this.#makePod(job)
      counted.waitsUntil = this.#parts.now() + 10_000
      return this.#warn(job, "FailedCreate", `Error creating: pods "${job.metadata.name}-" is forbidden: exceeded quota: pods`)
    }
    const [, ...tooMany] = [...staying].sort((a, b) => Number(isReady(b)) - Number(isReady(a)))
    for (const pod of tooMany) this.deletePod(pod)
  }

  /** Deletes a Job that finished longer ago than its TTL. */
  expireJob(job: Job): void {
    const ended = job.status?.completionTime
    if (
      job.metadata.deletionTimestamp === undefined && isFinished(job) &&
      this.#parts.now() - Date.parse(String(ended)) >= (job.spec.ttlSecondsAfterFinished ?? Infinity) * 1000
    ) {
      this.#setFinalizers(jobs, job, [...job.metadata.finalizers ?? [], podsFirst])
      this.#server.remove(jobs, job.metadata)
    }
  }

  // ── Pods and their nodes ──

  deletePod(pod: Pod): void {
    this.#server.remove(pods, pod.metadata)
  }
  schedule(pod: Pod, node: string): void {
    if (pod.spec.nodeName !== undefined || pod.metadata.deletionTimestamp !== undefined) return
    this.#write(pods, pod, {
      metadata: {
        name: pod.metadata.name,
        namespace: pod.metadata.namespace,
        labels: pod.metadata.labels,
        ownerReferences: pod.metadata.ownerReferences,
        finalizers: [...pod.metadata.finalizers ?? [], kubeletHas]
      },
      spec: { ...pod.spec, nodeName: node },
      status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }] }
    })
  }
  cannotSchedule(pod: Pod): void {
    if (pod.spec.nodeName === undefined) {
      this.#setStatus(pod, {
        phase: "Pending",
        conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/2 nodes are available" }]
      })
    }
  }

  #nodeOf(pod: Pod): Node | undefined {
    return this.nodes.get(pod.spec.nodeName ?? "")
  }
  #running(pod: Pod): ReadonlyArray<Container> {
    return (this.containers.get(pod.metadata.uid) ?? []).filter(({ exitCode, process }) => exitCode === undefined && process.alive)
  }

  /** Reports whether a volume of the Pod waits for its Secret, and warns of that; until the Secret exists, no container starts. */
  #wantsSecret(pod: Pod): boolean {
    const { metadata: { namespace }, spec: { volumes = [] } } = pod
    const lacking = volumes.find(({ secret }) =>
      secret?.secretName !== undefined && secret.optional !== true &&
      this.#server.find(secrets, { name: secret.secretName, namespace }) === undefined
    )
    if (lacking === undefined) return false
    const note = `MountVolume.SetUp failed for volume "${lacking.name}" : secret "${lacking.secret?.secretName}" not found`
    this.#warn(pod, "FailedMount", note)
    return true
  }
  /** Starts the worker, as the kubelet does; `again` starts it once more in the same Pod, as if the kubelet had forgotten the first. */
  startContainer(pod: Pod, again = false): void {
    const node = this.#nodeOf(pod)
    if (node?.reachable !== true || node.lost || pod.metadata.deletionTimestamp !== undefined || isOver(pod)) return
    if (this.containers.has(pod.metadata.uid) !== again || this.#wantsSecret(pod)) return
    const env = Object.fromEntries(
      (pod.spec.containers.find(({ name }) => name === "worker")?.env ?? []).map((
        { name, value, valueFrom }
      ) => [
        name,
        value ??
          ({
            "metadata.namespace": pod.metadata.namespace,
            "metadata.name": pod.metadata.name,
            "metadata.uid": pod.metadata.uid,
            "spec.nodeName": pod.spec.nodeName
          } as Record<string, string | undefined>)[valueFrom?.fieldRef?.fieldPath ?? ""] ?? ""
      ])
    )
    this.containers.set(pod.metadata.uid, [
      ...this.containers.get(pod.metadata.uid) ?? [],
      this.#parts.start({ uid: pod.metadata.uid, name: pod.metadata.name, env, node: pod.spec.nodeName ?? "" })
    ])
    this.report(pod.metadata)
  }
  cannotStart(pod: Pod, reason: string): void {
    if (pod.spec.nodeName === undefined || this.containers.has(pod.metadata.uid) || this.#nodeOf(pod)?.reachable !== true) return
    this.#setStatus(pod, {
      phase: "Pending",
      containerStatuses: [{
        name: "worker",
        state: { waiting: { reason, message: "the registry says no" } },
        image: "",
        imageID: "",
        ready: false,
        restartCount: 0
      }]
    })
  }

  /** Kills the worker; the runner, and the engine in it, goes on until it is stopped. */
  killWorker(pod: Pod): void {
    for (const container of this.#running(pod)) {
      container.process.kill()
      container.exitCode = 137
    }
  }
  /** Kills the engine of a Pod in which no other container runs, as the kubelet ends what is left of a Pod. */
  stopRunner(pod: Pod): void {
    if (this.#running(pod).length === 0 && !isKept(pod)) this.#killEngine(pod)
  }
  #killEngine(pod: Pod): void {
    this.#parts.engineOf(pod.metadata.uid)?.end(killed)
  }
  /** Ends a deleted Pod: sends SIGTERM to its worker, or kills everything in it if the grace period is over. */
  terminate(pod: Pod, graceOver: boolean): void {
    if (pod.metadata.deletionTimestamp === undefined || this.#nodeOf(pod)?.reachable === false) return
    if (!graceOver) { for (const container of this.#running(pod)) container.sigterm() }
    else this.#killAll(pod)
  }
  #killAll(pod: Pod): void {
    this.killWorker(pod)
    this.#killEngine(pod)
  }
  /** Evicts a Pod, as a node under pressure does: everything in it is killed at once, and it never starts again. */
  evict(pod: Pod): void {
    if (this.#nodeOf(pod)?.reachable !== true || isOver(pod)) return
    this.#killAll(pod)
    this.#setStatus(pod, {
      phase: "Failed",
      reason: "Evicted",
      message: "The node was low on resource: memory.",
      conditions: [{ type: "DisruptionTarget", status: "True" }]
    })
    this.#letGo(pod)
  }
  /** Refuses a Pod that was given to a node, as a kubelet does whose node has too little left: nothing of the Pod starts. */
  refuse(pod: Pod): void {
    if (pod.spec.nodeName === undefined || this.containers.has(pod.metadata.uid) || this.#nodeOf(pod)?.reachable !== true) return
    if (isOver(pod)) return
    const message = "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 3900, capacity: 4000"
    this.#setStatus(pod, { phase: "Failed", reason: "OutOfcpu", message })
    this.#letGo(pod)
  }
  #letGo({ metadata }: Pick<Pod, "metadata">): void {
    const now = this.#server.find(pods, metadata)
    if (now?.metadata.deletionTimestamp !== undefined) this.#strip(pods, now, kubeletHas)
  }

  /** Says that the Pod is not ready, as a kubelet does before its first probe, after a failed one, and while a container is started again. */
  notReady(pod: Pod): void {
    if (this.#nodeOf(pod)?.reachable !== true || !isReady(pod)) return
    this.#setStatus(pod, {
      conditions: [{ type: "Ready", status: "False" }, { type: "ContainersReady", status: "False" }],
      containerStatuses: (pod.status.containerStatuses ?? []).map((container) => ({ ...container, ready: false }))
    })
  }

  /** Writes the Pod's status, as its kubelet does. */
  report({ name, namespace }: { readonly name: string; readonly namespace?: string | undefined }): void {
    const pod = this.#server.find(pods, { name, namespace }) as Pod | undefined
    const node = pod === undefined ? undefined : this.#nodeOf(pod)
    if (pod === undefined || node?.reachable !== true || node.lost) return
    const starts = this.containers.get(pod.metadata.uid) ?? []
    const last = starts.at(-1)
    const engine = this.#parts.engineOf(pod.metadata.uid)
    if (last !== undefined && !isOver(pod)) {
      const running = this.#running(pod).length > 0
      const winner = starts.find(({ exitCode }) => exitCode !== claimLostExitCode) ?? last
      const code = running ? undefined : winner.exitCode ?? killed // killed in some other way
      const words = code === undefined || code === claimLostExitCode ? "" : winner.lastWords()
      const terminated = code === undefined
        ? undefined
        : { exitCode: code, reason: code === 0 ? "Completed" : code === killed ? "OOMKilled" : "Error", message: words }
      const runnerRuns = engine?.running === true
      const ready = running && starts.some((_) => _.ready)
      const rest = { image: "", imageID: "", restartCount: 0 }
      const kept = isKept(pod)
      this.#setStatus(pod, {
        phase: code === undefined || runnerRuns || kept ? "Running" : code === 0 ? "Succeeded" : "Failed",
        conditions: [
          { type: "PodScheduled", status: "True" },
          ...["Ready", "ContainersReady"].map((type) => ({ type, status: ready ? "True" : "False" }))
        ],
        initContainerStatuses: [{
          ...rest,
          name: "runner",
          ready: true,
          state: runnerRuns || running || kept ? { running: {} } : { terminated: { exitCode: 0, reason: "Completed" } }
        }],
        containerStatuses: [
          { ...rest, name: "worker", ready, state: terminated === undefined ? { running: {} } : { terminated } },
          ...kept ? [{ ...rest, name: proxy, ready: true, state: { running: {} } }] : []
        ]
      })
    }
    if (this.#running(pod).length === 0 && engine?.running !== true) {
      const now = this.#server.find(pods, { name, namespace }) as Pod | undefined
      if (now?.metadata.deletionTimestamp !== undefined && !isOver(now)) this.#setStatus(now, { phase: "Failed" })
      this.#letGo(pod)
    }
  }

  setNode(name: string, what: "cut off" | "healed" | "lost" | "removed"): void {
    const node = this.nodes.get(name)
    if (node === undefined) return
    const here = this.pods.filter(({ spec }) => spec.nodeName === name)
    if (what === "lost") {
      node.lost = true
      for (const pod of here) this.#killAll(pod)
    }
    if (what === "removed" && node.lost) { // PodGC marks and deletes the Pods of a node that no longer exists; the Job controller counts them
      const condition = { type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC", message: "PodGC: node no longer exists" }
      for (const pod of here) {
        if (!isOver(pod)) this.#setStatus(pod, { phase: "Failed", conditions: [...pod.status.conditions ?? [], condition] })
        this.deletePod(pod)
        this.#letGo(pod)
      }
      node.lost = false
      node.reachable = true
      return
    }
    node.reachable = what === "healed" && !node.lost
    for (const pod of here) {
      if (!node.reachable && isReady(pod)) { // of a Pod that is not ready, the control plane has nothing to change
        this.#setStatus(pod, { conditions: [{ type: "Ready", status: "False" }, { type: "ContainersReady", status: "True" }] })
      }
      if (node.reachable) this.report(pod.metadata)
    }
  }

  reaches(podUid: string, node: string): true | "cut off" | "token revoked" {
    if (this.nodes.get(node)?.reachable === false) return "cut off"
    return this.pods.some(({ metadata }) => metadata.uid === podUid) ? true : "token revoked"
  }

  // ── garbage collection ──

  /** Deletes the objects whose owners are all gone, and says of Pods that were deleted before they had a node that they have failed. */
  collect(): void {
    const { revision } = this.#server
    if (revision === this.#collected) return
    this.#collected = revision // what is written here may leave something to collect
    for (const pod of this.pods) if (isGone(pod) && !isOver(pod)) this.#setStatus(pod, { phase: "Failed" })
    for (const job of this.jobs.filter(({ metadata }) => metadata.finalizers?.includes(podsFirst))) {
      const left = this.#podsOf(job)
      for (const pod of left) this.deletePod(pod)
      if (left.length === 0) this.#strip(jobs, job, podsFirst)
    }
    const there = new Set([agentTasks, jobs, pods].flatMap((kind) => this.#server.all(kind).map(({ metadata }) => metadata.uid)))
    for (const kind of [jobs, pods, secrets, leases, agentTasks]) {
      for (const object of this.#server.all(kind)) {
        const owners = object.metadata.ownerReferences ?? []
        if (owners.length === 0 || owners.some(({ uid }) => there.has(uid))) continue
        if (object.metadata.deletionTimestamp === undefined) this.#server.remove(kind, object.metadata)
        const now = this.#server.find(kind, object.metadata)
        if (kind === pods && now !== undefined) this.#strip(pods, now, jobCounts)
      }
    }
  }
}
