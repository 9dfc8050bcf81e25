// What one request does, as the audit trail has it. The first transaction of the request that is committed writes its entry.
// Invariant: a change and its entry are on disk together or not at all; what a store tells of an act is told before that commit.
// Used by access/audit (says who asks), store/database (writes the entry) and the stores that know more of the act than its path says.
import { Context, Effect, Schema } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { AuditEntry, type Mark } from "../../schema/api/audit.ts"
import { now } from "./instants.ts"

/** An entry as it is stored. */
export const AuditRow = Schema.Struct({ ...AuditEntry.fields, kind: Schema.Literals(["user", "pool", "task", "link"]) })
type AuditRow = typeof AuditRow.Type

export interface Act extends Pick<AuditRow, "kind" | "name" | "action" | "requestId"> {
  /** The ids or names in the path, as it may have them. */
  readonly path: ReadonlyArray<string>
  /** Whether the next commit writes the entry. */
  isDue: boolean
  /** What the stores add to the path: the id of what was made, for instance. */
  about?: string
  /** How the act ended, beside what the action says. */
  ends?: ReadonlyArray<Mark>
}

export const CurrentAct = Context.Reference<Act | undefined>("agent-job/server/CurrentAct", { defaultValue: () => undefined })

/** The most characters of one part of an object, as many as the longest name may have: who is refused may have sent any. */
const longestPart = 253
const cut = (part: string): string => part.length > longestPart ? `${part.slice(0, longestPart)}…` : part

const entryOf = ({ action, kind, name, requestId }: Act, at: string, object: ReadonlyArray<string>, ends: ReadonlyArray<Mark> = []) => ({
  at,
  kind,
  name,
  action: ends.length === 0 ? action : `${action} (${ends.join(", ")})`,
  object: object.map(cut).join("/"),
  requestId
})

/** Returns the entry that a commit writes; undefined if it is of no request, or of one that has its entry or needs none. */
export const dueEntry = (act: Act | undefined): Effect.Effect<Omit<AuditRow, "seq"> | undefined> =>
  act?.isDue === true
    ? Effect.map(now, (at) => entryOf(act, at, [...act.path, ...(act.about === undefined ? [] : [act.about])], act.ends))
    : Effect.succeed(undefined)

const tell = (told: Pick<Act, "about"> | Pick<Act, "ends">): Effect.Effect<void> =>
  Effect.map(CurrentAct, (act) => void (act !== undefined && Object.assign(act, told)))

/** Adds to what the path names: the id of what the act makes, or what else it is about. */
export const actsOn = (about: string) => tell({ about })

/** Returns what an entry has of a workspace that is named elsewhere than in the path, which no id or name in a path is. */
export const workspaceNamed = (name: string): string => `workspace ${encodeURIComponent(name)}`

/** Says how the act ends, where its action alone would be read as another end. */
export const endsAs = (...ends: ReadonlyArray<Mark>) => tell({ ends })

/** Adds an entry to the caller's transaction, for a request that has one for each thing that it does. */
export const record = Effect.fnUntraced(
  function*(
    sql: SqlClient.SqlClient,
    object: ReadonlyArray<string>,
    ...ends: ReadonlyArray<Mark>
  ): Effect.fn.Return<void, SqlError.SqlError> {
    const act = yield* CurrentAct
    if (act !== undefined) yield* sql`INSERT INTO audit ${sql.insert(entryOf(act, yield* now, object, ends))}`
  }
)
