// The record of the writes that a person, an agent or a stage made, but for those that come all the time (`unrecordedPaths`): who did what, when and in which request.
// Invariant: the transaction of a change has its entry (store/act); entries are only ever added, which the table itself enforces.
// Used by server/access/authorize, which serves every route that writes, and by the route that shows the trail.
import { Clock, Context, Effect, Layer, Option } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import type { AuditEntry, AuditList } from "../../schema/api/audit.ts"
import { poolPath, poolRoute } from "../../schema/api/pool-api.ts"
import { stateRoute } from "../../schema/api/state.ts"
import { taskPath } from "../../schema/api/task-api.ts"
import { tfePath } from "../../schema/api/tfe-api.ts"
import type { RunId, WorkspaceName } from "../../schema/names.ts"
import { Refused } from "../refused.ts"
import { type Act, AuditRow, CurrentAct, workspaceNamed } from "../store/act.ts"
import { row, rows } from "../store/database.ts"
import type { Params } from "./http-answer.ts"
import { type Bucket, fullBucket, type Rate, take } from "./token-bucket.ts"
import type { Caller } from "./tokens.ts"

export interface Asked {
  readonly by: Caller
  readonly method: string
  readonly path: string
  readonly params: Params
  readonly requestId: string
}

/** What the entries that are asked for are about. What a workspace is about has its uploads and its runs in it. */
export type About = { readonly all: true } | { readonly run: { readonly id: RunId } } | {
  readonly workspace: { readonly id: string; readonly name: WorkspaceName }
}
export const everything: About = { all: true }

/** How many refusals of one name have an entry: a token that may only read would fill the disk with them, and entries stay for good. */
const recordedRefusals: Rate = { perSecond: 1 / 60, burst: 30 }

const entriesAtOnce = 100
/** How many entries are looked through for one answer: the trail only grows. */
const lookedThrough = 20_000
/** How many of them at a time, in some milliseconds, so that no other request waits for all. */
const lookedThroughAtOnce = 1000

/**
 * Paths that have no entry of their own. Their requests come all the time and change nothing that is asked about later: looking for work,
 * where each stage that is found has an entry, why a stage waits, which only people are told, and the log and the journal of a stage, which
 * are stored themselves.
 */
const unrecordedPaths: ReadonlySet<string> = new Set([
  poolPath.acquire,
  poolPath.cancellations,
  poolRoute.wait,
  taskPath.log,
  taskPath.effects
])

/** The actions that make a run. */
const makesRun: ReadonlySet<string> = new Set([`POST ${tfePath.runs}`, `POST ${stateRoute.view}/import`])

const isWrite = ({ method, path }: Asked): boolean => method !== "GET" && !unrecordedPaths.has(path)

const actOf = ({ by, method, params, path, requestId }: Asked, isDue: boolean): Act => ({
  ...by,
  action: `${method} ${path}`,
  requestId,
  path: [params.id ?? params.name, params.variable].filter((part) => part !== undefined).map(encodeURIComponent),
  isDue
})

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  /** By the names of those whose token has a role or workspaces. */
  const refusals = new Map<string, Bucket>()
  const isRefusalDue = (name: string) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const { bucket, waitSeconds } = take(refusals.get(name) ?? fullBucket(recordedRefusals, now), recordedRefusals, now)
      refusals.set(name, bucket)
      return waitSeconds === 0
    })

  /** Runs what a request does before its handler. No commit of it writes the request's entry; the stores add what is recorded of it. */
  const beforehand = <A, E, R>(asked: Asked, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, CurrentAct, actOf(asked, false))

  /**
   * Runs a handler. Each write that succeeds has an entry, also where it found nothing to change; and so has whatever the role or the
   * workspaces of a token do not allow, be it only to read, unless there are too many of them.
   */
  const recorded = <A, E, R>(asked: Asked, answer: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError.SqlError, R> => {
    const act = actOf(asked, isWrite(asked))
    const unlessWritten = Effect.suspend(() => act.isDue ? sql.withTransaction(Effect.void) : Effect.void)
    const ifNotAllowed = (failure: unknown) => {
      if (!(failure instanceof Refused) || (failure.status !== 403 && failure.isWithheld !== true)) return Effect.void
      act.ends = ["not allowed"]
      return Effect.flatMap(isRefusalDue(asked.by.name), (isDue) => {
        act.isDue = isDue
        return unlessWritten
      })
    }
    return answer.pipe(Effect.tapError(ifNotAllowed), Effect.tap(() => unlessWritten), Effect.provideService(CurrentAct, act))
  }

  /**
   * Whether the object is the name of a workspace, and maybe an id after it; otherwise it is an id, and maybe more after it, or
   * `workspaceNamed`.
   */
  const isNamed = sql`instr(action, '/:name') > 0`
  const first = sql`substr(object, 1, instr(object || '/', '/') - 1)`
  const rest = sql`substr(object, instr(object || '/', '/') + 1)`
  /** The runs of which an entry is: that of the stage that wrote, and that of its object or of the object's stage. */
  const runOf = (id: Statement.Fragment) => sql`substr(${id}, 1, instr(${id} || '.', '.') - 1)`
  const runs = sql`(CASE kind WHEN 'task' THEN ${runOf(sql`name`)} END, ${runOf(sql`CASE WHEN ${isNamed} THEN ${rest} ELSE ${first} END`)})`
  const isAbout = (about: About) => {
    if ("all" in about) return sql`TRUE`
    if ("run" in about) return sql`${about.run.id} IN ${runs}`
    const { id, name } = about.workspace
    return sql`(${first} = CASE WHEN ${isNamed} THEN ${name} ELSE ${id} END OR object = ${workspaceNamed(name)}
      OR EXISTS (SELECT 1 FROM runs WHERE runs.id IN ${runs} AND runs.workspaceId = ${id})
      OR EXISTS (SELECT 1 FROM configurationVersions AS version WHERE version.id = object AND version.workspaceId = ${id}))`
  }

  /**
   * Returns the newest entries before a number, or the newest of all, and where to go on. Nothing of a run is older than the entry that it
   * was made with; times do not tell, because clocks may be put back.
   */
  const page = Effect.fn("Audit.page")(
    function*(about: About, before: Option.Option<number>): Effect.fn.Return<AuditList, SqlError.SqlError> {
      const newestBefore = (end: number) => row(AuditRow)(sql`SELECT * FROM audit WHERE seq < ${end} ORDER BY seq DESC LIMIT 1`)
      const newest = yield* newestBefore(Option.getOrElse(before, () => Number.MAX_SAFE_INTEGER))
      const end = (newest?.seq ?? 0) + 1
      const start = end - lookedThrough
      const entries: Array<AuditEntry> = []
      const isWhole = () => "run" in about && entries.some(({ action }) => makesRun.has(action))
      for (let to = end; to > Math.max(start, 1) && entries.length < entriesAtOnce && !isWhole(); to -= lookedThroughAtOnce) {
        const some = sql`SELECT * FROM audit WHERE seq < ${to} AND seq >= ${to - lookedThroughAtOnce} AND ${isAbout(about)}
          ORDER BY seq DESC LIMIT ${entriesAtOnce - entries.length}`
        entries.push(...(yield* Effect.tap(rows(AuditRow)(some), Effect.yieldNow)))
      }
      const last = entries.length < entriesAtOnce ? start : entries.at(-1)?.seq ?? start
      const isOlder = !isWhole() && (yield* newestBefore(last)) !== undefined
      return { entries, ...(isOlder && { older: last }) }
    }
  )

  return { beforehand, recorded, page }
})

export class Audit extends Context.Service<Audit>()("agent-job/server/Audit", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
