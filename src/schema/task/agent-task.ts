// The AgentTask: one stage of one run, as users, Git and the controller write it and as the cluster stores it.
// The CRD is generated from these schemas; its CEL rules make claim, result and phases write-once for every client.
// Decoded at the border by the controller and the worker; everything past it is typed.
import { Effect, Schema } from "effect"
import { engineNames, ObjectName, RunId, Sha256, Timestamp, Uid, WorkspaceName } from "../names.ts"
import { text } from "../text.ts"
import { whole } from "../whole.ts"
import { cel, exactlyOneOf, transitions } from "./cel.ts"
import { JobTemplate } from "./job-template.ts"
import { Reason } from "./reason.ts"
import { Artifact, type FluxSource, SavePlan, sources } from "./source.ts"
import { StageResult, ToldResult } from "./stage-result.ts"
import { textMap } from "./text-map.ts"
import { mostVariables, Variable } from "./variable.ts"

export const Stage = Schema.Literals(["plan", "apply", "destroy"])
export type Stage = typeof Stage.Type

/**
 * Reports whether a stage may change real things. Only one such stage at a time runs in a workspace, and once claimed it is never started
 * again.
 */
export const mutates = (stage: string): boolean => stage !== "plan"

export const Engine = Schema.Struct({
  name: Schema.Literals(engineNames).annotate({ description: "Which of the two runs the stage; the runner image must have it." }),
  version: Schema.optionalKey(text(32).annotate({ description: "Must be what the runner image has; absent: whatever it has." }))
})
export type Engine = typeof Engine.Type

/** How many seconds a stage may take if its task does not say. */
export const defaultTimeoutSeconds = 3600

/** How many addresses a plan can be narrowed to, and how many characters each may have. */
export const targetLimits = { count: 64, length: 512 } as const

/** The addresses of resources that a plan is narrowed to, or that it replaces. */
export const Targets = Schema.Array(text(targetLimits.length)).check(Schema.isMaxLength(targetLimits.count))

/** How to plan: the flags of the engine that a run may set. */
export const PlanOptions = Schema.Struct({
  destroy: Schema.optionalKey(Schema.Boolean.annotate({ description: "Plan the destruction of everything." })),
  refresh: Schema.optionalKey(Schema.Boolean.annotate({ description: "Look at the real resources before planning; true if absent." })),
  refreshOnly: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "Plan only to bring state and outputs up to date with the real resources." })
  ),
  targets: Schema.optionalKey(
    Targets.annotate({ description: "Addresses of what to plan, with what that depends on; absent: everything. At most 64." })
  ),
  replace: Schema.optionalKey(
    Targets.annotate({ description: "Addresses of resources to make anew, though nothing else demands it. At most 64." })
  )
})
export type PlanOptions = typeof PlanOptions.Type

/** The options as they are read. One that only a newer version knows is kept, so that it is refused (core/task/unknown-option). */
export const ToldOptions = whole(PlanOptions)

const once = (...keys: ReadonlyArray<string>) =>
  keys.map((key) => `has(self.${key}) == has(oldSelf.${key}) && (!has(self.${key}) || self.${key} == oldSelf.${key})`).join(" && ")

export const WorkingDirectory = text(512)

const TaskPool = Schema.Struct({
  url: text(2048).annotate({ description: "The address of the server." }),
  runId: RunId.annotate({ description: "The run of the server that the stage belongs to." }),
  tokenSecret: Schema.Struct({ name: ObjectName.annotate({ description: "In the namespace of the task." }) }).annotate({
    description: "The Secret with the token of this stage, under the key token."
  })
})

export const AgentTaskSpec = Schema.Struct({
  workspace: WorkspaceName.annotate({
    description: "One apply or destroy at a time runs in it; free places go first to the workspace with the fewest running tasks."
  }),
  stage: Stage.annotate({ description: "plan shows what would change; apply and destroy change it." }),
  attempt: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })).annotate({
      description: "Which attempt this is at the stage of a run, or at a source that is followed; 1 if absent."
    })
  ),
  engine: Schema.optionalKey(
    Engine.annotate({ description: "What runs the stage; absent: tofu, or terraform where the runner image has no tofu." })
  ),
  source: Schema.Struct(sources).check(exactlyOneOf(sources)).annotate({ description: "Where the configuration comes from; exactly one." }),
  workingDirectory: Schema.optionalKey(
    WorkingDirectory.annotate({ description: "Where the engine runs, below the root of the source; absent: the root itself." })
  ),
  options: Schema.optionalKey(PlanOptions.annotate({ description: "How to plan, as the flags of the engine say it." })),
  plan: Schema.optionalKey(
    Schema.Struct({ sha256: Sha256.annotate({ description: "The planDigest in the status of the plan." }) }).annotate({
      description: "The approved saved plan; apply and destroy run it and nothing else."
    })
  ),
  savePlan: Schema.optionalKey(
    SavePlan.annotate({ description: "Keeps the plan for source.savedPlan of a later task; status.result.planDigest names it." })
  ),
  variables: Schema.optionalKey(
    Schema.Array(Variable).check(Schema.isMaxLength(mostVariables)).annotate({
      description: `Input variables of the configuration, and variables of the engine's environment. At most ${mostVariables}.`
    })
  ),
  backend: Schema.optionalKey(
    Schema.Struct({
      type: text(64).annotate({ description: "The name of the backend, such as s3 or local." }),
      config: Schema.optionalKey(
        textMap({ count: 32, key: 128, value: 4096 }).annotate({
          description: "Arguments of the backend, each a text. At most 32."
        })
      )
    })
      .annotate({ description: "Replaces the backend of the configuration." })
  ),
  timeoutSeconds: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 604_800 })).annotate({
      description:
        `Seconds from the claim to the one interrupt of the engine; ${defaultTimeoutSeconds} if absent, and less where the values limit it.`
    })
  ),
  cancel: Schema.optionalKey(Schema.Boolean.annotate({ description: "true stops the task; there is no way back." })),
  jobTemplate: Schema.optionalKey(
    JobTemplate.annotate({ description: "What the task changes in its own Job, or adds to it, beside what the values say." })
  ),
  pool: Schema.optionalKey(TaskPool.annotate({ description: "The server whose run this is; the controller writes it. Absent: no server." }))
}).annotate(transitions(
  [
    `self.workspace == oldSelf.workspace && self.stage == oldSelf.stage && self.source == oldSelf.source && ${
      once(
        "attempt",
        "engine",
        "workingDirectory",
        "options",
        "plan",
        "savePlan",
        "variables",
        "backend",
        "timeoutSeconds",
        "jobTemplate",
        "pool"
      )
    }`,
    "spec is immutable but for cancel; make a new AgentTask instead"
  ],
  ["!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)", "a cancel cannot be taken back"],
  [
    // This rule is newer than the fields that it checks. A cancel of a stored task makes the API server check the whole spec again, and
    // nothing may keep a task from being cancelled.
    "(has(self.cancel) && self.cancel) || !has(self.jobTemplate) || !has(self.jobTemplate.volumeClaims) || self.jobTemplate.volumeClaims.all(c, (!has(self.savePlan) || c.claimName != self.savePlan.claimName) && (!has(self.source.savedPlan) || c.claimName != self.source.savedPlan.claimName))",
    "the claim of the plan is for the worker alone; name another one in volumeClaims"
  ]
)).annotate({ description: "What to run, where and from which source. It stays as it was made, but for cancel." }).check(
  cel(
    "has(self.source.pool) == has(self.pool)",
    "source.pool and pool go together",
    (spec: { readonly source: object; readonly pool?: unknown }) => "pool" in spec.source === (spec.pool !== undefined)
  ),
  cel(
    "!has(self.plan) || self.stage != 'plan'",
    "a plan stage makes a saved plan and cannot be given one",
    (spec: { readonly stage: Stage; readonly plan?: unknown }) => spec.plan === undefined || spec.stage !== "plan"
  ),
  cel(
    "!has(self.savePlan) || (self.stage == 'plan' && (has(self.source.archive) || has(self.source.fluxSource)))",
    "savePlan is for a plan whose source is archive or fluxSource",
    (spec: { readonly stage: Stage; readonly source: object; readonly savePlan?: unknown }) =>
      spec.savePlan === undefined || (spec.stage === "plan" && ("archive" in spec.source || "fluxSource" in spec.source))
  ),
  cel(
    "!has(self.source.savedPlan) || (self.stage != 'plan' && !has(self.options))",
    "source.savedPlan is for an apply or destroy without options of its own",
    (spec: { readonly stage: Stage; readonly source: object; readonly options?: unknown }) =>
      !("savedPlan" in spec.source) || (spec.stage !== "plan" && spec.options === undefined)
  ),
  cel(
    "!has(self.source.fluxSource) || !has(self.source.fluxSource.onChange) || self.source.fluxSource.onChange != 'planAndApply' || has(self.savePlan)",
    "onChange: planAndApply needs savePlan, where its apply finds the plan",
    (spec: { readonly source: { readonly fluxSource?: FluxSource }; readonly savePlan?: unknown }) =>
      spec.source.fluxSource?.onChange !== "planAndApply" || spec.savePlan !== undefined
  ),
  cel(
    "!has(self.source.fluxSource) || !has(self.source.fluxSource.onChange) || self.source.fluxSource.onChange == 'none' || self.stage == 'plan'",
    "source.fluxSource.onChange needs stage plan",
    (spec: { readonly stage: Stage; readonly source: { readonly fluxSource?: FluxSource } }) =>
      (spec.source.fluxSource?.onChange ?? "none") === "none" || spec.stage === "plan"
  )
)
export type AgentTaskSpec = typeof AgentTaskSpec.Type

export const Phase = Schema.Literals(["Pending", "Queued", "Starting", "Running", "Succeeded", "Failed", "Cancelled"])
export type Phase = typeof Phase.Type

/** The order of phases: a phase is only followed by one of a higher rank. Phases of the highest rank are final. */
export const phaseRank: Readonly<Record<Phase, number>> = {
  Pending: 0,
  Queued: 1,
  Starting: 2,
  Running: 3,
  Succeeded: 4,
  Failed: 4,
  Cancelled: 4
}

export const Condition = Schema.Struct({
  type: Schema.Literals(["Ready", "Reconciling", "Stalled"]).annotate({
    description: "Ready: it has succeeded; Reconciling: it is under way; Stalled: it has not succeeded, or needs a person to go on."
  }),
  status: Schema.Literals(["True", "False", "Unknown"]).annotate({ description: "Whether that is so." }),
  reason: Schema.String.annotate({ description: "Why, in one word." }),
  message: Schema.String.annotate({ description: "Why, in sentences for a person." }),
  lastTransitionTime: Timestamp.annotate({ description: "When its status changed last, in UTC." }),
  observedGeneration: Schema.optionalKey(Schema.Int.annotate({ description: "The metadata.generation that it is about." }))
})
export type Condition = typeof Condition.Type

/** A condition as it is read, since a newer version may have written it with a type or status that is unknown here. */
const ToldCondition = Schema.Struct({ ...Condition.fields, type: Schema.String, status: Schema.String })
export type ToldCondition = typeof ToldCondition.Type

/** The claim of a task. The worker that may run the task writes it once; the API server refuses a second claim. */
export const Claim = Schema.Struct({
  podUid: Uid.annotate({ description: "UID of the Pod whose worker has it." }),
  nonce: text(64).annotate({ description: "Of the claiming process: a container started again has another one." }),
  epoch: Schema.Int.annotate({ description: "How often the workspace's Lease changed hands before this claim; 0 for plans." }),
  at: Timestamp.annotate({ description: "When it was written, in UTC." })
})
export type Claim = typeof Claim.Type

/** The newest attempt of a task that follows its source. The conditions of the task are about this attempt. */
const Latest = Schema.Struct({
  attempt: Schema.Int.annotate({ description: "Which one it is; the task itself is the first." }),
  name: Schema.String.annotate({ description: "Of its AgentTask." }),
  sha256: Sha256.annotate({ description: "Of the artifact that it was made for, or has taken since." }),
  again: Schema.optionalKey(
    Schema.Int.annotate({ description: "How often the artifact was planned again, since a plan of it was disrupted." })
  ),
  apply: Schema.optionalKey(Schema.String.annotate({ description: "The AgentTask that applies its plan." }))
}).annotate({ description: "The newest attempt at a source that is followed." })

/** Longest message of a status, in characters. */
export const longestStatusMessage = 4096

const Waiting = Schema.Struct({
  position: Schema.Int.annotate({ description: "1 is next; a place further back is rounded up to 4, 16, 64 and so on." }),
  reason: Reason,
  blockedBy: Schema.optionalKey(Schema.String.annotate({ description: "The AgentTask that goes before it or holds the workspace." }))
}).annotate({ description: "Why it waits, and behind whom." })

const JobMade = Schema.Struct({
  name: Schema.String.annotate({ description: "In the namespace of the task." }),
  uid: Schema.optionalKey(Uid.annotate({ description: "Its UID, once it is counted among the launches; a claim leaves it out." })),
  replacedFor: Schema.optionalKey(
    Schema.Literals(["LaunchFailed", "QuotaExceeded"]).annotate({
      description:
        "Why another Job takes its place: its launch came to nothing, or (QuotaExceeded) it waited too long for a quota or a webhook, which is no launch."
    })
  )
})

const PodOfClaim = Schema.Struct({
  name: Schema.String.annotate({ description: "In the namespace of the task." }),
  uid: Uid.annotate({ description: "Its UID, as in the claim." }),
  node: Schema.optionalKey(Schema.String.annotate({ description: "The node that it runs on." }))
})

/** The status that the API server accepts, as in the CRD. */
export const WritableStatus = Schema.Struct({
  observedGeneration: Schema.optionalKey(
    Schema.Int.annotate({ description: "The metadata.generation that the status is about; -1 before anybody has looked." })
  ),
  phase: Schema.optionalKey(
    Phase.annotate({ description: "How far it is; it only moves forward. Succeeded, Failed and Cancelled are final." })
  ),
  reason: Schema.optionalKey(Reason),
  message: Schema.optionalKey(
    text(longestStatusMessage).annotate({ description: "What happens or happened, and what to do about it, in sentences for a person." })
  ),
  conditions: Schema.optionalKey(
    Schema.Array(Condition).check(Schema.isMaxLength(8)).annotate({
      description: "For kubectl wait and GitOps, as kstatus has them. Of a task that follows its source they are about the newest attempt.",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["type"]
    })
  ),
  queue: Schema.optionalKey(Waiting),
  job: Schema.optionalKey(JobMade.annotate({ description: "The Job that runs it." })),
  pod: Schema.optionalKey(PodOfClaim.annotate({ description: "The Pod whose worker has claimed it." })),
  launches: Schema.optionalKey(Schema.Int.annotate({ description: "Jobs made for this task; more than one only while none was claimed." })),
  claim: Schema.optionalKey(Claim.annotate({ description: "Which worker runs it; written once, so that no second one does." })),
  result: Schema.optionalKey(StageResult.annotate({ description: "How the stage ended, from its worker; written once." })),
  source: Schema.optionalKey(Artifact.annotate({ description: "What source.fluxSource had when the Job was made; it is what runs." })),
  latest: Schema.optionalKey(Latest),
  reportedAt: Schema.optionalKey(Timestamp.annotate({ description: "When the pool confirmed the result." })),
  startedAt: Schema.optionalKey(Timestamp.annotate({ description: "When a worker claimed it, in UTC." })),
  finishedAt: Schema.optionalKey(Timestamp.annotate({ description: "When it ended, in UTC." })),
  changes: Schema.optionalKey(text(64).annotate({ description: "Of a stage that ended: +added ~changed -destroyed." })),
  duration: Schema.optionalKey(text(32).annotate({ description: "From the claim to the end, such as 42s or 3m20s." })),
  configHash: Schema.optionalKey(Schema.String.annotate({ description: "Hash of the configuration that the Job was built from." }))
}).annotate({ description: "How far the task is and how it ended, from controller and worker." })

/**
 * The status as it is read. A phase, a reason, a condition or a field that only a newer version knows is kept: after a rollback to this
 * version no task may vanish, no result may change, and a write without that field would be refused. What this version writes is in the
 * lists.
 */
const AgentTaskStatus = whole(Schema.Struct({
  ...WritableStatus.fields,
  phase: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String),
  conditions: Schema.optionalKey(Schema.Array(ToldCondition)),
  queue: Schema.optionalKey(Schema.Struct({ ...Waiting.fields, reason: Schema.String })),
  job: Schema.optionalKey(Schema.Struct({ ...JobMade.fields, replacedFor: Schema.optionalKey(Schema.String) })),
  result: Schema.optionalKey(ToldResult)
}))
export type AgentTaskStatus = typeof AgentTaskStatus.Type

const rank = `{${Object.entries(phaseRank).map(([phase, rank]) => `'${phase}': ${rank}`).join(", ")}}`
const was = (field: string) => `has(oldSelf.status) && has(oldSelf.status.${field})`
const is = (field: string) => `has(self.status) && has(self.status.${field})`

/** What the API server enforces between one version of an AgentTask and the next (root of the CRD's schema). */
export const agentTaskTransitions = transitions(
  [`!(${was("claim")}) || (${is("claim")} && self.status.claim == oldSelf.status.claim)`, "status.claim is written once"],
  [
    `!(${was("claim")}) || ((${is("source")}) == (${was("source")}) && (!(${
      was("source")
    }) || self.status.source == oldSelf.status.source))`,
    "status.source stays as the worker found it"
  ],
  [`!(${was("result")}) || (${is("result")} && self.status.result == oldSelf.status.result)`, "status.result is written once"],
  [
    `!(${was("phase")}) || (${
      is("phase")
    } && (self.status.phase == oldSelf.status.phase || (${rank}[oldSelf.status.phase] < ${phaseRank.Succeeded} && ${rank}[self.status.phase] > ${rank}[oldSelf.status.phase])))`,
    "status.phase only moves forward, and a final one stays"
  ],
  [
    `!(${is("claim")}) || ${was("claim")} || (!(has(self.spec.cancel) && self.spec.cancel) && ${
      was("phase")
    } && oldSelf.status.phase in ['Pending', 'Queued', 'Starting'])`,
    "a task is claimed only while it starts and is not cancelled"
  ]
)

const ToldSpec = AgentTaskSpec.mapFields(
  (fields) => ({ ...fields, options: Schema.optionalKey(ToldOptions), engine: Schema.optionalKey(whole(Engine)) }),
  { unsafePreserveChecks: true } // none of the rules looks into these
)

/** As read from the API server: the fields of metadata that matter, the spec, and a status that may be absent. */
export const AgentTask = Schema.Struct({
  metadata: Schema.Struct({
    name: Schema.String,
    namespace: Schema.String,
    uid: Uid,
    resourceVersion: Schema.String,
    generation: Schema.Int.pipe(Schema.withDecodingDefaultKey(Effect.succeed(1))),
    creationTimestamp: Timestamp,
    deletionTimestamp: Schema.optionalKey(Timestamp),
    ownerReferences: Schema.optionalKey(
      Schema.Array(Schema.Struct({ kind: Schema.String, uid: Uid, controller: Schema.optionalKey(Schema.Boolean) }))
    )
  }),
  spec: ToldSpec,
  status: AgentTaskStatus.pipe(Schema.withDecodingDefaultKey(Effect.succeed({})))
})
export type AgentTask = typeof AgentTask.Type
