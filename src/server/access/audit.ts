// The record of every write that a person, an agent or a stage made: who did what, when and in which request.
// Invariant: a caller hears of success only when the entry is on disk; entries are only ever added, which the table itself enforces.
// Used by server/access/authorize, which serves every route that writes, and by the route that shows the trail.
import { Context, Effect, Layer, Option } from "effect"
import type { HttpServerResponse } from "effect/http"
import { SqlClient, type SqlError } from "effect/sql"
import { AuditEntry, type AuditList } from "../../schema/api/audit.ts"
import { poolPath } from "../../schema/api/pool-api.ts"
import { taskPath } from "../../schema/api/task-api.ts"
import type { RunId, WorkspaceName } from "../../schema/names.ts"
import { Refused } from "../refused.ts"
import { row, rows } from "../store/database.ts"
import { now } from "../store/instants.ts"
import type { Failure, Params } from "./http-answer.ts"
import type { Caller } from "./tokens.ts"

export interface Asked {
  readonly by: Caller
  readonly method: string
  readonly path: string
  readonly params: Params
  readonly requestId: string
}

/** What the entries that are asked for are about. What a workspace is about has its uploads and its runs in it. */
export type About = { readonly all: true } | { readonly run: { readonly id: RunId; readonly createdAt: string } } | {
  readonly workspace: { readonly id: string; readonly name: WorkspaceName }
}
export const everything: About = { all: true }

const entriesAtOnce = 100
/** How many entries are looked through for one answer, in a few hundredths of a second: the trail only grows. */
const lookedThrough = 20_000

/**
 * Paths that are not recorded. Their requests come all the time and change nothing that is asked about later: looking for work, and the log
 * and the journal of a stage, which are stored themselves.
 */
const unrecordedPaths: ReadonlySet<string> = new Set([poolPath.acquire, poolPath.cancellations, taskPath.log, taskPath.effects])

/** Marks a write that was interrupted. It is recorded because the change may have been made. */
const brokenOff = " (broken off)"

/** Marks a write that was refused although the state that it brought was kept. */
const asEvidence = " (kept as evidence)"

/** Adds to the entry of a request, in brackets, what it was about beyond its path, such as the pool that a workspace was given. */
export const AuditNote = Context.Reference<(note: string) => Effect.Effect<void>>("agent-job/server/AuditNote", {
  defaultValue: () => () => Effect.void
})

/**
 * Returns the id of what a request is about, after the id of what that belongs to. If the request made something, its id is taken from the
 * answer's Location header.
 */
const objectOf = ({ params }: Asked, answer?: HttpServerResponse.HttpServerResponse): string =>
  [params.id, params.variable ?? answer?.headers.location?.split("/").at(-1)].filter((part) => part !== undefined).join("/") ||
  (params.name ?? "")

/**
 * Reports that an entry could not be stored. The change is on disk by then, because it has its own transaction (bodies are read in
 * between), so the log has to be its record.
 */
const unrecorded = (entry: Omit<AuditEntry, "seq">, failure: SqlError.SqlError): Effect.Effect<never, Refused> =>
  Effect.andThen(
    Effect.logError("a change was made, and its entry in the audit trail was not stored", entry, failure),
    Effect.fail(
      new Refused({
        status: 500,
        error: "unrecorded",
        message:
          "The change was made, but its entry in the audit trail could not be stored; check the server's log and its disk, and look at what is there before you repeat it."
      })
    )
  )

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  /**
   * Runs a route; the answer to a write is given once its entry is stored. A write that failed changed nothing and has no entry, unless a
   * state was kept as evidence.
   * A write that its caller, or the stop of this server, broke off has an entry that says so: it may have been done.
   */
  const recorded = <R>(
    asked: Asked,
    answer: Effect.Effect<HttpServerResponse.HttpServerResponse, Failure, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, Failure, R> =>
    asked.method === "GET" || unrecordedPaths.has(asked.path)
      ? answer
      : Effect.uninterruptibleMask((restore) => {
        let noted = ""
        const note = (text: string) => Effect.sync(() => void (noted = ` (${text})`))
        return restore(Effect.provideService(answer, AuditNote, note)).pipe(
          Effect.onInterrupt(() => Effect.ignore(append(asked, objectOf(asked), brokenOff))),
          Effect.tapError((failure) =>
            failure._tag === "Refused" && failure.details?.kept === true ? append(asked, objectOf(asked), asEvidence) : Effect.void
          ),
          Effect.tap((given) => append(asked, objectOf(asked, given), noted))
        )
      })

  const append = Effect.fnUntraced(
    function*({ by, method, path, requestId }: Asked, object: string, end = ""): Effect.fn.Return<void, Refused> {
      const entry = { at: yield* now, kind: by.kind, name: by.name, action: `${method} ${path}${end}`, object, requestId }
      yield* Effect.catch(sql`INSERT INTO audit ${sql.insert(entry)}`, (failure) => unrecorded(entry, failure))
    }
  )

  /** What an entry is about: the stage that wrote, or the object of what anybody else did. */
  const subject = sql`CASE kind WHEN 'task' THEN name ELSE object END`
  const run = sql`substr(${subject}, 1, instr(${subject} || '.', '.') - 1)`
  const isAbout = (about: About) => {
    if ("all" in about) return sql`TRUE`
    if ("run" in about) return sql`${run} = ${about.run.id}`
    const { id, name } = about.workspace
    return sql`(object IN (${id}, ${name}) OR object LIKE ${`${id}/%`}
      OR EXISTS (SELECT 1 FROM runs WHERE runs.id = ${run} AND runs.workspaceId = ${id})
      OR EXISTS (SELECT 1 FROM configurationVersions AS version WHERE version.id = object AND version.workspaceId = ${id}))`
  }

  /** Returns the newest entries before a number, or the newest of all, and where to go on. No entry is older than the run that it is about. */
  const page = Effect.fn("Audit.page")(
    function*(about: About, before: Option.Option<number>): Effect.fn.Return<AuditList, SqlError.SqlError> {
      const newestBefore = (end: number) => row(AuditEntry)(sql`SELECT * FROM audit WHERE seq < ${end} ORDER BY seq DESC LIMIT 1`)
      const newest = yield* newestBefore(Option.getOrElse(before, () => Number.MAX_SAFE_INTEGER))
      const end = (newest?.seq ?? 0) + 1
      const start = end - lookedThrough
      const entries = yield* rows(AuditEntry)(
        sql`SELECT * FROM audit WHERE seq < ${end} AND seq >= ${start} AND ${isAbout(about)} ORDER BY seq DESC LIMIT ${entriesAtOnce}`
      )
      const last = entries.length < entriesAtOnce ? start : entries.at(-1)?.seq ?? start
      const next = yield* newestBefore(last)
      const isOlder = next !== undefined && ("run" in about ? next.at >= about.run.createdAt : true)
      return { entries, ...(isOlder && { older: last }) }
    }
  )

  return { recorded, page }
})

export class Audit extends Context.Service<Audit>()("agent-job/server/Audit", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
