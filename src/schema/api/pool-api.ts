// What controller/pool/pool and server/routes/pool-routes say to each other, authorised by the pool token.
// Every answer may be asked for again: an assignment is offered until it is acknowledged, a result is idempotent by its id.
// A stage belongs to the AgentTask that took it first; what another says of it, or before that another pool, is refused with 409 and `taken`.
import { Schema } from "effect"
import { RunId, Sha256, Uid, WorkspaceName } from "../names.ts"
import { Engine, PlanOptions, Stage } from "../task/agent-task.ts"
import { ToldReason } from "../task/stage-result.ts"
import { pathOf } from "./route.ts"

/** The key of a stage at the pool: `<run>.<stage>.<attempt>`; core/task/intake reads it. */
export const assignmentId = (runId: string, stage: string, attempt: number): string => `${runId}.${stage}.${attempt}`

/** One stage of one run, offered to one agent. Its id, by `assignmentId`, is the key of everything said about it. */
export const Assignment = Schema.Struct({
  id: Schema.String,
  runId: RunId,
  workspace: WorkspaceName,
  stage: Stage,
  attempt: Schema.Int,
  engine: Schema.optionalKey(Engine),
  workingDirectory: Schema.optionalKey(Schema.String),
  options: Schema.optionalKey(PlanOptions),
  archiveSha256: Sha256,
  planSha256: Schema.optionalKey(Sha256),
  taskToken: Schema.String.check(Schema.isMaxLength(1024)).annotate({
    description: "For the worker of this assignment alone; ends with the stage."
  })
}).annotate({ identifier: "Assignment" })
export type Assignment = typeof Assignment.Type

/** How long an agent counts as there after it was last heard; a long poll takes up to 60 s. */
export const heardSeconds = 90

/** What an agent calls itself: the name of its Pod, which is no longer. */
const AgentName = Schema.String.check(Schema.isMaxLength(253))

/** `POST /api/pool/v1/acquire`: answers at once when there is work, else after `waitSeconds` with an empty list. */
export const AcquireRequest = Schema.Struct({
  agent: AgentName.annotate({ description: "Who asks, for the list of agents." }),
  waitSeconds: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
  max: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))
})
export const AcquireResponse = Schema.Struct({ assignments: Schema.Array(Assignment) }).annotate({ identifier: "AcquireResponse" })

/** Why an agent that is there asks for no work: its cluster is drained, or as many tasks wait there as it takes. */
export type Resting = "drained" | "full"

/**
 * `POST /api/pool/v1/cancellations`: returns the ids to cancel that came after the cursor, as a long poll. Cursor 0 gives all that still
 * matter.
 */
export const CancellationsRequest = Schema.Struct({
  after: Schema.Int,
  waitSeconds: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
  resting: Schema.optionalKey(
    Schema.Struct({ agent: AgentName, because: Schema.String }).annotate({
      description:
        `Which agent asks for no work at present, and why: drained, or full, which any other word counts as. An agent that neither asks nor says this counts as gone after ${heardSeconds} seconds.`
    })
  )
})
export const CancellationsResponse = Schema.Struct({ ids: Schema.Array(Schema.String), next: Schema.Int }).annotate({
  identifier: "CancellationsResponse"
})

/**
 * `POST /api/pool/v1/assignments/:id/acknowledge`: the stage belongs to this AgentTask of `agent` from now on. Refused with 409 and the word
 * `rescue-pending` when it would change a state that is in doubt by now.
 */
export const AcknowledgeRequest = Schema.Struct({ agent: Schema.optionalKey(AgentName), taskUid: Uid })

/** `POST /api/pool/v1/assignments/:id/wait` */
export const WaitRequest = Schema.Struct({
  agent: Schema.optionalKey(AgentName.annotate({ description: "Who says so, which has the AgentTask from then on." })),
  taskUid: Schema.optionalKey(Uid.annotate({ description: "None while no AgentTask could be made of it." })),
  reason: ToldReason,
  message: Schema.String.check(Schema.isMaxLength(4096))
}).annotate({
  description:
    "Why the stage has not started yet, or why it is doubted that it still runs, shown with the run. Of a stage that runs, any reason but NodeUnreachable and PodNotReady takes that back."
})

/** The query of `POST /api/pool/v1/assignments/:id/result`. */
export const ResultQuery = Schema.Struct({ agent: Schema.optionalKey(AgentName), taskUid: Schema.optionalKey(Uid) })

/** Where the server is told of a stage, with the stage's id as a parameter. */
export const poolRoute = {
  acknowledge: "/api/pool/v1/assignments/:id/acknowledge",
  wait: "/api/pool/v1/assignments/:id/wait",
  result: "/api/pool/v1/assignments/:id/result"
} as const

/** The paths of the API, below the server's URL. */
export const poolPath = {
  acquire: "/api/pool/v1/acquire",
  cancellations: "/api/pool/v1/cancellations",
  acknowledge: pathOf(poolRoute.acknowledge),
  wait: pathOf(poolRoute.wait),
  /**
   * Takes a StageResult, with the AgentTask's UID as `?taskUid=`. A controller that made no task leaves that out, which is accepted only
   * while the stage belongs to no task, and names itself as `?agent=`: where it has the stage, the run says that its task is gone.
   */
  result: pathOf(poolRoute.result)
} as const
