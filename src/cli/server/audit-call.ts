// The call that reads the audit trail: who changed what, of all, of one run or of one workspace.
// Used by cli/server/server-client, whose call it is, and by get, which says whose entries are meant.
import { Data, Effect, Option, Schema } from "effect"
import { HttpClientRequest as Request } from "effect/http"
import { type AuditEntry, AuditList, auditPath } from "../../schema/api/audit.ts"
import type { ServerClient } from "./server-client.ts"
import type { Requests } from "./server-requests.ts"

/** Whose entries of the audit trail are meant. */
export type AuditOf = Data.TaggedEnum<{
  All: {}
  Run: { readonly id: string }
  Workspace: { readonly name: string }
}>
export const AuditOf = Data.taggedEnum<AuditOf>()

/** How many entries of the audit trail to ask for, of which the server may give a part at a time. */
const auditEntries = 100

const trailOf = AuditOf.$match({
  All: () => ({ path: auditPath.all, thing: "audit trail" }),
  Run: ({ id }) => ({ path: auditPath.run(id), thing: `run ${id}` }),
  Workspace: ({ name }) => ({ path: auditPath.workspace(name), thing: `workspace ${name}` })
})

export const auditCall = ({ decoded }: Requests): ServerClient["Service"]["audit"] =>
  Effect.fn("ServerClient.audit")(function*(about, before) {
    const { path, thing } = trailOf(about)
    const entries: Array<AuditEntry> = []
    let older = Option.getOrUndefined(before)
    do {
      const place = older
      const part = AuditList.check(Schema.makeFilter((page) => (page.older ?? -1) < (place ?? Infinity))) // else it would never end
      const asked = Request.get(path, { urlParams: { ...(place !== undefined && { before: place }) } })
      const page = yield* decoded(part, asked, thing)
      entries.push(...page.entries)
      older = page.older
    } while (older !== undefined && entries.length < auditEntries)
    return { entries, ...(older !== undefined && { older }) }
  })
