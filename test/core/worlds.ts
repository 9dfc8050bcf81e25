// Worlds for the laws of the core: a small seed that any generator can make, and the world of one task that it stands for.
// `perform` is the one model of what the cluster does with a plan; it knows no time and no faults.
// Used by the tests beside it.
import { Arbitrary, Option, Schema, Struct } from "effect"
import { type Action, Notice } from "../../src/core/reconcile/action.ts"
import type { Plan } from "../../src/core/reconcile/plan.ts"
import { millisSinceEnd } from "../../src/core/reconcile/situation.ts"
import { heldBack } from "../../src/core/scheduling/draining.ts"
import { waitsForProof } from "../../src/core/scheduling/isolation.ts"
import { Holder, type JobWatched, type Observed, type PodSeen, SourceSeen, Turn } from "../../src/core/task/observed.ts"
import { isOver } from "../../src/core/task/status.ts"
import type { TaskPolicy } from "../../src/core/task/task-policy.ts"
import { RunId, Sha256, Uid, WorkspaceName } from "../../src/schema/names.ts"
import { type AgentTask, type AgentTaskStatus, ToldOptions } from "../../src/schema/task/agent-task.ts"
import type { WaitReason } from "../../src/schema/task/reason.ts"
import type { Artifact } from "../../src/schema/task/source.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"

export const noon = "2026-01-01T12:00:00.000Z"
const times = new Map<number, string>()
export const before = (seconds: number): string => {
  const time = times.get(seconds) ?? new Date(Date.parse(noon) - seconds * 1000).toISOString()
  times.set(seconds, time)
  return time
}

export const policy: TaskPolicy = {
  installation: { name: "agent-job", namespace: "agent-job" },
  basename: "agent-job",
  limits: { total: 10, perWorkspace: 5 },
  startupTimeoutSeconds: 180,
  nodeWaitSeconds: 900,
  maxLaunches: 1,
  historyPerWorkspace: 20,
  allowedKeys: ["example.com/"],
  requireProvenIsolation: false,
  accounts: ["agent-job-task"],
  configHash: "c0ffee"
}

const small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 }))
const containers = Schema.Literals([
  "none",
  "running",
  "ImagePullBackOff",
  "InvalidImageName",
  "CreateContainerConfigError",
  "Completed",
  "OOMKilled",
  "Error",
  "ClaimLost"
])

const Seed = Schema.Struct({
  stage: Schema.Literals(["plan", "apply", "destroy"]),
  /** Whether the task's name has a dot, so that the name of its Job does not simply follow from it. */
  dotted: Schema.Boolean,
  pool: Schema.Boolean,
  /** Whether the task's template sets a label that the values do not allow. */
  strangeLabel: Schema.Boolean,
  /** Whether the task has an option that only a newer version knows. */
  newerOption: Schema.Boolean,
  cancel: Schema.Boolean,
  deleted: Schema.Boolean,
  life: Schema.Literals([
    "new",
    "queued",
    "starting",
    "evicted",
    "quota",
    "outlasted",
    "claimed",
    "unsaved",
    "ending",
    "succeeded",
    "failed",
    "cancelled",
    "lost",
    "ofNewerVersion"
  ]),
  reported: Schema.Boolean,
  launches: small,
  maxLaunches: Schema.Literals([1, 2, 3]),
  job: Schema.Literals(["none", "active", "suspended", "complete", "failed"]),
  jobDeleting: Schema.Boolean,
  /** Whether one of the task's Jobs is gone. */
  hadJob: Schema.Boolean,
  jobAgeSeconds: Schema.Literals([0, 10, 179, 180, 4000]),
  pod: Schema.Literals(["none", "Pending", "Running", "Failed", "Succeeded", "silent", "unready", "unschedulable", "Evicted"]),
  unreadySeconds: Schema.Literals([0, 119, 120]),
  /** Whether the Job has had a Pod. */
  hadPod: Schema.Boolean,
  worker: containers,
  runner: containers,
  /** Whether a container that is not ours goes on in the Pod once the worker has ended. */
  kept: Schema.Boolean,
  lastWords: Schema.Boolean,
  turn: Schema.Literals(["admitted", "busy", "far", "limit", "drained", "unproven"]),
  holder: Schema.Literals(["unasked", "free", "mine", "over", "inDoubt", "taken", "left", "foreign"]),
  refusal: Schema.Literals(["none", "QuotaExceeded", "Refused", "Denied", "NameHeld", "NameTaken", "Invalid", "deletion"]),
  deniedSeconds: Schema.Literals([0, 179, 180]),
  warning: Schema.Literals([
    "none",
    "quota",
    "webhook",
    "smallQuota",
    "FailedCreate",
    "FailedMount",
    "FailedCreatePodSandBox",
    "Unhealthy"
  ]),
  expired: Schema.Boolean,
  /**
   * What Flux has. `new` differs from what the task knows, `known` does not, and `moved` is the same content under another revision and
   * URL. `changed` says that the source's spec has changed and that nothing is ready for it yet.
   */
  source: Schema.Literals(["none", "unasked", "notReady", "changed", "new", "known", "moved"]),
  waitsForSource: Schema.Boolean,
  follows: Schema.Literals(["no", "plan", "planAndApply"]),
  latest: Schema.Literals(["none", "alive", "over", "lost", "gone"]),
  latestApply: Schema.Literals(["none", "alive", "over", "lost", "gone"])
})
export type Seed = typeof Seed.Type

export const plainSeed: Seed = {
  stage: "plan",
  dotted: false,
  pool: false,
  strangeLabel: false,
  newerOption: false,
  cancel: false,
  deleted: false,
  life: "new",
  reported: false,
  launches: 0,
  maxLaunches: 1,
  job: "none",
  jobDeleting: false,
  hadJob: false,
  jobAgeSeconds: 0,
  pod: "none",
  unreadySeconds: 0,
  hadPod: false,
  worker: "none",
  runner: "none",
  kept: false,
  lastWords: false,
  turn: "admitted",
  holder: "free",
  refusal: "none",
  deniedSeconds: 0,
  warning: "none",
  expired: false,
  source: "none",
  waitsForSource: false,
  follows: "no",
  latest: "none",
  latestApply: "none"
}

const origins = {
  new: plainSeed,
  queued: { ...plainSeed, life: "queued", stage: "apply" },
  claimed: { ...plainSeed, life: "claimed", job: "active", pod: "Running", worker: "running", runner: "running" },
  followed: { ...plainSeed, life: "succeeded", source: "known", follows: "planAndApply" },
  applying: { ...plainSeed, life: "succeeded", source: "known", follows: "planAndApply", latest: "over", latestApply: "alive" }
} satisfies Readonly<Record<string, Seed>>

const Drawn = Schema.Struct({ origin: Schema.Literals(Struct.keys(origins)), ...Struct.map(Seed.fields, Schema.optionalKey) })

/**
 * Seeds for the laws: each differs in some fields from one of these origins. Were all fields drawn, nearly every task would be over, called
 * off or refused, and a law would say nothing of the situations below these. How many differ grows with the size of the check.
 */
export const seeds = Arbitrary.map(Arbitrary.schema(Drawn), ({ origin, ...drawn }): Seed => ({ ...origins[origin], ...drawn }))

/** The size with which all fields may differ. */
export const everyField = Object.keys(plainSeed).length

const uid = Uid.make("task-uid")
export const success: StageResult = { outcome: "succeeded", reason: "Completed", message: "done", exitCode: 0, finishedAt: before(1) }

const queuedFor = (reason: WaitReason): AgentTaskStatus => ({
  phase: "Queued",
  reason,
  message: "It waits.",
  queue: { position: 1, reason }
})

const smallQuotaMessage =
  "Error creating: pods \"p\" is forbidden: exceeded quota: q, requested: limits.memory=64Gi,pods=1, used: limits.memory=0,pods=9, limited: limits.memory=32Gi,pods=9"
const quotaMessage = "Kubernetes cannot create the Pod: exceeded quota: pods"

const statusOf = ({ launches, life, reported }: Seed): AgentTaskStatus => {
  const claim = { podUid: Uid.make("pod-uid"), nonce: "n", epoch: 1, at: before(60) }
  const reportedAt = { finishedAt: before(1), ...(reported && { reportedAt: noon }) }
  const claimed = {
    claim,
    pod: { name: "pod", uid: claim.podUid, node: "node" },
    job: { name: "agent-job-task" },
    startedAt: claim.at,
    launches: Math.max(launches, 1)
  }
  switch (life) {
    case "new":
      return {}
    case "queued":
      return { ...queuedFor("ConcurrencyLimit"), ...(launches > 0 && { launches }) }
    case "starting":
      return { phase: "Starting", launches: Math.max(launches, 1), job: { name: "agent-job-task", uid: Uid.make("job-uid") } }
    case "evicted":
      return {
        phase: "Starting",
        reason: "Evicted",
        message: "It was evicted.",
        launches: Math.max(launches, 1),
        job: { name: "agent-job-task", uid: Uid.make("job-uid"), replacedFor: "LaunchFailed" }
      }
    case "quota":
      return {
        phase: "Starting",
        reason: "QuotaExceeded",
        message: quotaMessage,
        launches: Math.max(launches, 1),
        job: { name: "agent-job-task" },
        configHash: policy.configHash
      }
    case "outlasted":
      return {
        phase: "Starting",
        reason: "QuotaExceeded",
        message: quotaMessage,
        launches,
        job: { name: "agent-job-task", uid: Uid.make("job-uid"), replacedFor: "QuotaExceeded" },
        configHash: policy.configHash
      }
    case "claimed":
      return { phase: "Running", reason: "Claimed", ...claimed }
    case "unsaved":
      return { phase: "Running", reason: "StateUnsaved", ...claimed }
    case "ending":
      return { phase: "Running", reason: "OutOfMemory", message: "The worker ran out of memory.", ...claimed }
    case "succeeded":
      return { phase: "Succeeded", reason: "Completed", ...claimed, result: success, ...reportedAt }
    case "failed":
      return { phase: "Failed", reason: "ImagePull", message: "no image", ...reportedAt }
    case "cancelled":
      return { phase: "Cancelled", reason: "Cancelled", ...reportedAt, finishedAt: before(61) }
    case "lost":
      return { phase: "Failed", reason: "Lost", ...claimed, ...reportedAt, finishedAt: before(6) }
    case "ofNewerVersion":
      return { phase: "Moonlit", ...(launches > 0 && claimed) }
  }
}

const artifactOf = (digit: string): Artifact => ({
  revision: `main@sha1:${digit}`,
  url: `http://flux/${digit}.tar.gz`,
  sha256: Sha256.make(digit.repeat(64))
})
const known = artifactOf("a")

const fluxStatus = ({ latest, latestApply, life, source, waitsForSource }: Seed): AgentTaskStatus =>
  source === "none" ? {} : {
    source: known,
    ...(life === "succeeded" && { result: { ...success, hasChanges: true, planDigest: known.sha256 } }),
    ...(waitsForSource && life === "queued" && queuedFor("SourceNotReady")),
    ...(latest !== "none" &&
      { latest: { attempt: 2, name: "task-2", sha256: known.sha256, ...(latestApply !== "none" && { apply: "task-2-apply" }) } })
  }

const newerOptions = Schema.decodeUnknownSync(ToldOptions)({ refresh: false, excludes: ["a.b"] })

const taskOf = (seed: Seed): AgentTask => ({
  metadata: {
    name: seed.dotted ? "ta.sk" : "task",
    namespace: "tasks",
    uid,
    resourceVersion: "1",
    generation: 1,
    creationTimestamp: before(600),
    ...(seed.deleted && { deletionTimestamp: noon })
  },
  spec: {
    workspace: WorkspaceName.make("demo"),
    stage: seed.stage,
    source: seed.source === "none"
      ? { inline: { "main.tf": "" } }
      : {
        fluxSource: {
          kind: "GitRepository",
          name: "infra",
          ...(seed.follows !== "no" && seed.stage === "plan" && { onChange: seed.follows })
        }
      },
    ...(seed.follows === "planAndApply" && seed.stage === "plan" && { savePlan: { claimName: "plans" } }),
    ...(seed.cancel && { cancel: true }),
    ...(seed.strangeLabel && { jobTemplate: { labels: { "example.com/team": "a", "sidecar.istio.io/inject": "true" } } }),
    ...(seed.newerOption && { options: newerOptions }),
    ...(seed.pool && { pool: { url: "http://pool", runId: RunId.make("run-1"), tokenSecret: { name: "token" } } })
  },
  status: { ...statusOf(seed), ...fluxStatus(seed) }
})

/** Returns another task, with as much of it as the task in the middle needs to know. */
const other = (name: string, { follows, source }: Seed, life: Seed["latest"]): Option.Option<AgentTask> => {
  const { metadata, spec, status } = taskOf({
    ...plainSeed,
    source,
    follows,
    life: life === "over" ? "succeeded" : life === "lost" ? "lost" : "queued"
  })
  return source === "none" || life === "none" || life === "gone"
    ? Option.none()
    : Option.some({ metadata: { ...metadata, name, uid: Uid.make(`${name}-uid`) }, spec, status })
}

const sources: Readonly<Record<Seed["source"], SourceSeen>> = {
  none: SourceSeen.NotAsked(),
  unasked: SourceSeen.NotAsked(),
  notReady: SourceSeen.NotReady({ message: "It is not ready.", changed: false }),
  changed: SourceSeen.NotReady({ message: "It is not ready.", changed: true }),
  new: SourceSeen.Ready({ artifact: artifactOf("b") }),
  known: SourceSeen.Ready({ artifact: known }),
  moved: SourceSeen.Ready({ artifact: { ...artifactOf("b"), sha256: known.sha256 } })
}

const job = ({ job, jobAgeSeconds, jobDeleting, pod, warning }: Seed): Option.Option<JobWatched> =>
  job === "none" ? Option.none() : Option.some({
    name: "agent-job-task",
    uid: Uid.make("job-uid"),
    resourceVersion: "1",
    state: job === "suspended" ? "active" : job,
    suspended: job === "suspended",
    reason: "",
    message: "",
    deleting: jobDeleting,
    createdAt: before(jobAgeSeconds),
    configHash: policy.configHash,
    knownMillis: jobAgeSeconds * 1000,
    startingMillis: job === "suspended" || ((warning === "quota" || warning === "webhook") && pod === "none") ? 0 : jobAgeSeconds * 1000
  })

const container = (name: Seed["worker"]): PodSeen["worker"] => {
  const ended = name === "Completed" || name === "OOMKilled" || name === "Error" || name === "ClaimLost"
  return name === "none" ? Option.none() : Option.some({
    state: ended ? "terminated" : name === "running" ? "running" : "waiting",
    reason: name === "running" ? "" : name === "ClaimLost" ? "Error" : name,
    message: "",
    lastReason: "",
    exitCode: ended ? Option.some(name === "Completed" ? 0 : name === "ClaimLost" ? 75 : 137) : Option.none()
  })
}

const pod = ({ kept, lastWords, pod, runner, worker }: Seed): Option.Option<PodSeen> =>
  pod === "none" ? Option.none() : Option.some({
    name: "pod",
    uid: Uid.make("pod-uid"),
    owner: Option.some(Uid.make("job-uid")),
    createdAt: noon,
    node: pod === "unschedulable" ? "" : "node",
    account: "agent-job-task",
    phase: pod === "silent" || pod === "unschedulable"
      ? "Pending"
      : pod === "Evicted"
      ? "Failed"
      : pod === "unready"
      ? "Running"
      : pod,
    reason: pod === "Evicted" ? "Evicted" : "",
    message: "",
    deleting: false,
    disruption: "",
    disruptionReason: "",
    unready: pod === "unready",
    nodeAnswers: pod !== "silent",
    unschedulable: pod === "unschedulable" ? "0/1 nodes are available" : "",
    isSetUp: false,
    worker: container(worker),
    runner: container(runner),
    install: Option.none(),
    others: [],
    turnOf: Option.none(),
    keptBy: kept && Option.exists(container(worker), ({ state }) => state === "terminated") ? ["istio-proxy"] : [],
    lastWords: lastWords && worker === "Completed" ? Option.some(success) : Option.none()
  })

const holders: Readonly<Record<Seed["holder"], Holder>> = {
  unasked: Holder.NotAsked(),
  free: Holder.Free(),
  mine: Holder.Mine({ epoch: 1 }),
  over: Holder.Over({ resourceVersion: "7", epoch: 1 }),
  inDoubt: Holder.InDoubt({ by: "other" }),
  taken: Holder.Taken({ by: "other" }),
  left: Holder.Left({ by: "task", pod: "former-pod", node: "node-1" }),
  foreign: Holder.Foreign({ lease: "agent-job-demo" })
}

export const policyOf = ({ maxLaunches }: Seed): TaskPolicy => ({ ...policy, maxLaunches })

/** As of a controller that saw the end at once. */
const overMillis = (task: AgentTask): number => isOver(task.status.phase) ? millisSinceEnd(task, noon) : 0

export const worldOf = (seed: Seed): Observed => ({
  task: taskOf(seed),
  job: job(seed),
  hadJob: seed.hadJob,
  pod: pod(seed),
  unreadyMillis: seed.pod === "unready" ? seed.unreadySeconds * 1000 : 0,
  overMillis: overMillis(taskOf(seed)),
  hadPod: seed.hadPod || seed.pod !== "none",
  turn: seed.turn === "admitted"
    ? Turn.Admitted()
    : seed.turn === "drained"
    ? heldBack
    : seed.turn === "unproven"
    ? waitsForProof
    : Turn.Waiting({
      position: 1,
      why: seed.turn === "busy" || seed.turn === "far"
        ? { reason: "WorkspaceBusy", blockedBy: "other", isNear: seed.turn === "busy" }
        : { reason: "ConcurrencyLimit", limit: "total" }
    }),
  holder: seed.stage === "plan" ? Holder.NotAsked() : holders[seed.holder],
  source: sources[seed.source],
  latest: other("task-2", seed, seed.latest),
  latestApply: other("task-2-apply", seed, seed.latest === "none" ? "none" : seed.latestApply),
  warning: seed.warning === "none"
    ? Option.none()
    : Option.some({
      reason: seed.warning === "quota" || seed.warning === "webhook" || seed.warning === "smallQuota" ? "FailedCreate" : seed.warning,
      message: seed.warning === "quota"
        ? "exceeded quota: pods"
        : seed.warning === "webhook"
        ? "Error creating: Internal error occurred: failed calling webhook \"a\": connection refused"
        : seed.warning === "smallQuota"
        ? smallQuotaMessage
        : "the server's words"
    }),
  refusal: seed.refusal === "none"
    ? Option.none()
    : Option.some({
      ...(seed.refusal === "deletion" ? { kind: "Denied", ofDeletion: true } : { kind: seed.refusal }),
      message: "the server's words",
      againInMillis: 7_000
    }),
  deniedMillis: seed.deniedSeconds * 1000,
  reportedWait: Option.none(),
  expired: seed.expired
})

/** Returns the observation with other facts of its Job, if it has one. */
export const withJob = (observed: Observed, facts: Partial<JobWatched>): Observed => ({
  ...observed,
  job: Option.map(observed.job, (job) => ({ ...job, ...facts }))
})

/** Returns the observation with other facts of its Pod, if it has one. */
export const withPod = (observed: Observed, facts: Partial<PodSeen>): Observed => ({
  ...observed,
  pod: Option.map(observed.pod, (pod) => ({ ...pod, ...facts }))
})

/** Returns the observation with another status of its task. */
export const withStatus = (observed: Observed, status: AgentTaskStatus): Observed => ({ ...observed, task: { ...observed.task, status } })

const after = (world: Observed, action: Action): Observed => {
  switch (action._tag) {
    case "TakeWorkspace":
      return { ...world, holder: Holder.Mine({ epoch: 1 }) }
    case "CreateJob":
      return {
        ...world,
        job: job({ ...plainSeed, job: "active" }),
        pod: Option.none(),
        hadPod: false
      }
    case "DeleteJob":
      return { ...world, job: Option.none(), hadJob: true, pod: Option.none(), hadPod: false }
    case "CreateTask": {
      const made = Option.some({
        ...world.task,
        spec: action.spec,
        metadata: { ...world.task.metadata, name: action.name, uid: Uid.make(`${action.name}-uid`) },
        status: {}
      })
      return action.spec.stage === "plan"
        ? { ...world, latest: made, latestApply: Option.none() }
        : { ...world, latest: Option.orElse(world.latest, () => Option.some(world.task)), latestApply: made }
    }
    case "Cancel": {
      const cancelled = (task: AgentTask): AgentTask =>
        task.metadata.uid === action.uid ? { ...task, spec: { ...task.spec, cancel: true } } : task
      return {
        ...world,
        task: cancelled(world.task),
        latest: Option.map(world.latest, cancelled),
        latestApply: Option.map(world.latestApply, cancelled)
      }
    }
    case "Release":
    case "DeleteTask":
      return { ...world, task: { ...world.task, metadata: { ...world.task.metadata, deletionTimestamp: noon } }, expired: false }
    case "ReportResult":
      return world
  }
}

/**
 * Returns the world once the plan's actions have happened and its status is written. The refusal of a Job is dropped when its task is over.
 */
export const perform = (world: Observed, { actions, status, notices }: Plan): Observed => {
  const changed = actions.reduce(after, world)
  const reportedWait = Option.orElse(Option.fromUndefinedOr(notices.find(Notice.$is("ReportWait"))), () => world.reportedWait)
  return {
    ...changed,
    reportedWait,
    task: { ...changed.task, status },
    ...(isOver(status.phase) &&
      { refusal: Option.none(), overMillis: isOver(world.task.status.phase) ? world.overMillis : 0 })
  }
}
