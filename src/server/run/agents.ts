// The agents: who asked for work or said why not, with a token of which pool, and when.
// A name has a row for each pool with whose token it asked. It decides what people are told of a wait, and which waits keep no others waiting;
// nothing about a stage. Used by assignments and pool-routes (which hear them), pools, run-queue, run-view, the metrics and the chores.
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import { heardSeconds, type Resting } from "../../schema/api/pool-api.ts"
import { row, rows } from "../store/database.ts"
import { instantAfter, now } from "../store/instants.ts"

const connectedMillis = heardSeconds * 1000
/**
 * How far ahead of the clock an agent may have been heard and still count as there. One that was heard later was so before the clock was
 * put back, and would count for as long as it was put back.
 */
const aheadMillis = 5_000
/** How long an agent without a stage is remembered after it was last heard. */
const rememberedMillis = 30 * 24 * 3600 * 1000

/** How many of a pool are remembered, beside those with a stage: whoever has a token may give itself any number of names. */
const rememberedOfPool = 1000

/** How many there are of something for a pool; for null, of what is of none, or of one that is not known. */
export const CountOfPool = Schema.Struct({ pool: Schema.NullOr(Schema.String), n: Schema.Int })

/** The agents of a pool that were heard within the last 90 s. */
export interface Present {
  readonly asking: number
  readonly full: number
  readonly drained: number
}

/** Reports whether any is heard, and so says what becomes of what has begun, also where it takes nothing more. */
export const isAnyHeard = ({ asking, drained, full }: Present): boolean => asking + drained + full > 0
/** How many take work now, or once there is room. */
export const connected = ({ asking, full }: Present): number => asking + full

const PresentRow = Schema.Struct({ ...CountOfPool.fields, resting: Schema.NullOr(Schema.String) })

export class Agents extends Context.Service<Agents, {
  /**
   * Notes that the agent asks for work, or why it is resting, with a token of that pool. A new one may push out the one of its pool that was
   * heard longest ago and has no stage.
   */
  readonly heard: (agent: string, pool: string, resting?: Resting) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Returns since when the agent has not been heard, for a sentence; undefined if it was within the last 90 s, or never. `pool` is null if
   * it is not known, here and below.
   */
  readonly silentSince: (agent: string, pool: string | null) => Effect.Effect<string | undefined, SqlError.SqlError>
  /** Returns what holds for a row of `stages`, in SQL, whose agent was heard within so many milliseconds. */
  readonly heardWithin: (millis: number) => Effect.Effect<Statement.Fragment>
  /** Returns what counts the agents of a pool, or of all for null, that were heard within the last 90 s. */
  readonly present: Effect.Effect<(pool: string | null) => Present, SqlError.SqlError>
  /** Removes the agents that have not been heard for 30 days and have no stage: each new name of a controller adds one. */
  readonly forget: Effect.Effect<void, SqlError.SqlError>
}>()("agent-job/server/Agents") {
  static readonly layer = Layer.effect(Agents, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  const seenWithin = Effect.fnUntraced(function*(millis: number) {
    return sql`(seenAt > ${yield* instantAfter(-millis)} AND seenAt <= ${yield* instantAfter(aheadMillis)})`
  })
  const seenLately = seenWithin(connectedMillis)

  const ofPool = (pool: string | null) => pool === null ? sql`TRUE` : sql`pool = ${pool}`

  const hasStage = sql`EXISTS (SELECT 1 FROM stages WHERE agent = agents.name AND endedAt IS NULL)`

  /** Removes the agents of the pool that were heard longest ago, where there are too many. */
  const forgetOf = (pool: string) =>
    sql`DELETE FROM agents WHERE pool = ${pool} AND NOT ${hasStage}
      AND seenAt < (SELECT seenAt FROM agents WHERE pool = ${pool} ORDER BY seenAt DESC LIMIT 1 OFFSET ${rememberedOfPool - 1})`

  return Agents.of({
    heard: Effect.fn("Agents.heard")(function*(agent: string, pool: string, resting?: Resting) {
      const seenAt = yield* now
      const heard = yield* row(Schema.Struct({ firstSeenAt: Schema.String }))(
        sql`INSERT INTO agents ${
          sql.insert({ name: agent, pool, firstSeenAt: seenAt, seenAt, resting: resting ?? null })
        } ON CONFLICT DO UPDATE SET seenAt = excluded.seenAt, resting = excluded.resting RETURNING firstSeenAt`
      )
      if (heard?.firstSeenAt === seenAt) yield* forgetOf(pool)
    }),
    silentSince: Effect.fn("Agents.silentSince")(function*(agent: string, pool: string | null) {
      const soon = yield* instantAfter(aheadMillis)
      const silent = yield* row(Schema.Struct({ seenAt: Schema.String }))(
        sql`SELECT seenAt FROM (SELECT seenAt FROM agents WHERE name = ${agent} AND ${
          ofPool(pool)
        } ORDER BY seenAt DESC LIMIT 1) WHERE NOT ${yield* seenLately}`
      )
      return silent !== undefined && silent.seenAt > soon ? "before the server's clock was put back" : silent?.seenAt
    }),
    heardWithin: (millis) =>
      Effect.map(
        seenWithin(millis),
        (isSeen) =>
          sql`EXISTS (SELECT 1 FROM agents WHERE name = stages.agent AND (stages.agentPool IS NULL OR pool = stages.agentPool) AND ${isSeen})`
      ),
    present: Effect.gen(function*() {
      const heard = yield* rows(PresentRow)(
        sql`SELECT pool, resting, count(*) AS n FROM agents WHERE ${yield* seenLately} GROUP BY pool, resting`
      )
      return (pool) => {
        const count = (resting: Resting | null) =>
          heard.reduce((sum, of) => of.resting === resting && (pool === null || of.pool === pool) ? sum + of.n : sum, 0)
        return { asking: count(null), full: count("full"), drained: count("drained") }
      }
    }),
    forget: Effect.gen(function*() {
      const old = yield* instantAfter(-rememberedMillis)
      yield* sql`DELETE FROM agents WHERE seenAt < ${old} AND NOT ${hasStage}`
    })
  })
})
