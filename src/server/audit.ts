// The record of every write that a person, an agent or a stage made: who did what, when and in which request.
// Invariant: a caller hears of success only when the entry is on disk; entries are only ever added, which the table itself enforces.
// Used by server/authorize, which serves every route that writes, and by the route that shows the trail.
import { Context, Effect, Layer, Option } from "effect"
import type { HttpServerResponse } from "effect/http"
import { SqlClient, type SqlError } from "effect/sql"
import { AuditEntry } from "../schema/audit.ts"
import { poolPath } from "../schema/pool-api.ts"
import { taskPath } from "../schema/task-api.ts"
import { rows } from "./database.ts"
import type { Failure, Params } from "./http-answer.ts"
import { now } from "./instants.ts"
import { Refused } from "./refused.ts"
import type { Caller } from "./tokens.ts"

export interface Asked {
  readonly by: Caller
  readonly method: string
  readonly path: string
  readonly params: Params
  readonly requestId: string
}

/**
 * Paths that are not recorded. Their requests come all the time and change nothing that is asked about later: looking for work, and the log
 * and the journal of a stage, which are stored themselves.
 */
const unrecordedPaths: ReadonlySet<string> = new Set([poolPath.acquire, poolPath.cancellations, taskPath.log, taskPath.effects])

/** Marks a write that was interrupted. It is recorded because the change may have been made. */
const brokenOff = " (broken off)"

/** Marks a write that was refused although the state that it brought was kept. */
const asEvidence = " (kept as evidence)"

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
      : Effect.uninterruptibleMask((restore) =>
        restore(answer).pipe(
          Effect.onInterrupt(() => Effect.ignore(append(asked, objectOf(asked), brokenOff))),
          Effect.tapError((failure) =>
            failure._tag === "Refused" && failure.details?.kept === true ? append(asked, objectOf(asked), asEvidence) : Effect.void
          ),
          Effect.tap((given) => append(asked, objectOf(asked, given)))
        )
      )

  const append = Effect.fnUntraced(
    function*({ by, method, path, requestId }: Asked, object: string, end = ""): Effect.fn.Return<void, Refused> {
      const entry = { at: yield* now, kind: by.kind, name: by.name, action: `${method} ${path}${end}`, object, requestId }
      yield* Effect.catch(sql`INSERT INTO audit ${sql.insert(entry)}`, (failure) => unrecorded(entry, failure))
    }
  )

  const newest = (before: Option.Option<number>, limit: number) =>
    rows(AuditEntry)(
      sql`SELECT * FROM audit WHERE seq < ${Option.getOrElse(before, () => Number.MAX_SAFE_INTEGER)} ORDER BY seq DESC LIMIT ${limit}`
    )

  return { recorded, newest }
})

export class Audit extends Context.Service<Audit>()("agent-job/server/Audit", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
