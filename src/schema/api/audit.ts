// Who changed what on the server, or was not allowed to, as people and programs read it back.
// It never contains a token or a variable's value; of a request's body only a pool, and what an agent calls itself and its task.
// Used by server/access/audit, server/routes/run-routes and the CLI.
import { Schema } from "effect"
import { Timestamp } from "../names.ts"
import { pathOf } from "./route.ts"

/** What an entry may have in brackets behind its action; docs/security.md says what each means. */
export const marks = [
  "began the stage",
  "took the stage",
  "has no task",
  "not allowed",
  "kept as evidence",
  "not kept",
  "no archive",
  "repeated",
  "by force",
  "auto-apply",
  "no auto-apply",
  "no pool"
] as const
export type Mark = (typeof marks)[number] | `pool ${string}`

export const AuditEntry = Schema.Struct({
  seq: Schema.Int.annotate({ description: "Counts all entries; a gap means that one was taken out." }),
  at: Timestamp,
  kind: Schema.String.annotate({
    description:
      "The token that was shown: user (a person's), pool (a controller's) or task (that of one stage); or link, the secret in an upload's address; a newer server may have others."
  }),
  name: Schema.String.annotate({
    description: "Who has the token, as its file says, or the beginning of its SHA-256; the stage of a task's token."
  }),
  action: Schema.String.annotate({
    description:
      "The method and the path's pattern, and in brackets what else there is to know of it, such as \"(kept as evidence)\" of a state, \"(not allowed)\" of what the role of a token does not allow, also if it only reads, or \"(pool NAME)\", \"(no pool)\", \"(auto-apply)\" or \"(no auto-apply)\" of a workspace that was bound, let go or set so; two have a comma between them. \"(broken off)\" is of an earlier version: it may have been done."
  }),
  object: Schema.String.annotate({
    description:
      "The id or name in the path, or `workspace` and the name that the query or the body had, where that was not allowed; and after a slash the id of what was made, also of a state, the seal of the plan that was approved, the key of the variable that was deleted, the stage whose state was brought or whose lock was opened by force, or who took a stage; empty if there is none. A part of more than 253 characters is cut."
  }),
  requestId: Schema.String.annotate({ description: "As the answer's header x-request-id had it." })
}).annotate({ identifier: "AuditEntry" })
export type AuditEntry = typeof AuditEntry.Type

/** `GET /api/agent-job/v1/audit?before=SEQ`, and of one workspace or run: newest first, 100 at most. */
export const AuditList = Schema.Struct({
  entries: Schema.Array(AuditEntry),
  older: Schema.optionalKey(
    Schema.Int.annotate({
      description:
        "As `before`, gives what is older; absent: there is nothing. Of one workspace or run, a part of the trail is looked through for each answer, so that there may be fewer entries, or none, and older ones all the same."
    })
  )
}).annotate({ identifier: "AuditList" })
export type AuditList = typeof AuditList.Type

/** Where the server has the audit trail of one thing, with its name or id as a parameter. */
export const auditRoute = { workspace: "/api/agent-job/v1/workspaces/:name/audit", run: "/api/agent-job/v1/runs/:id/audit" } as const

export const auditPath = {
  all: "/api/agent-job/v1/audit",
  workspace: pathOf(auditRoute.workspace),
  run: pathOf(auditRoute.run)
} as const
