// Pools: the names of the tokens of controllers, to which workspaces are bound. Agents of one pool alone take the stages of such a workspace.
// Invariant: a pool is asked about only while a stage belongs to no task. From then on the task's UID proves whose the stage is.
// Used by assignments, run-queue, run-view, the metrics, and the routes that show and bind pools.
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import type { Reach } from "../../core/text/token-lines.ts"
import { poolId, type PoolList, type PoolView } from "../../schema/api/pools.ts"
import { Tokens } from "../access/tokens.ts"
import { invalid, type Refused } from "../refused.ts"
import { Settings } from "../settings.ts"
import { rows } from "../store/database.ts"
import { within, type Workspace } from "../workspace/workspaces.ts"
import { Agents, connected, CountOfPool, isAnyHeard, type Present } from "./agents.ts"
import type { StageRow } from "./stages.ts"

/** Of which agents and pools there are stages that a task has and that are not over, begun by their worker or not. */
const Acknowledged = Schema.Struct({
  agent: Schema.NullOr(Schema.String),
  agentPool: Schema.NullOr(Schema.String),
  begun: Schema.Literals([0, 1])
})

type Counts = ReadonlyArray<typeof CountOfPool.Type>

const countOf = (counts: Counts, pool: string | null): number => counts.find((count) => count.pool === pool)?.n ?? 0

export class Pools extends Context.Service<Pools, {
  /** Returns the pool whose agents alone take the stages of the workspace; null if all may. */
  readonly of: (workspace: Pick<Workspace, "pool">) => string | null
  /** Returns the pool whose agents say what becomes of a stage; null if it is not known, or its token has another name by now. */
  readonly ofStage: (stage: Pick<StageRow, "agentPool">) => string | null
  /**
   * Reports whether an agent of the pool of a stage that one has was heard within the last 90 s; the agent that has it, by whatever token,
   * if its pool is not known.
   */
  readonly isHeard: (stage: Pick<StageRow, "agent" | "agentPool">) => Effect.Effect<boolean, SqlError.SqlError>
  /** Returns since when the agent that has a stage has not been heard; undefined if it was within the last 90 s, or none has the stage. */
  readonly silentSince: (stage: Pick<StageRow, "agent" | "agentPool">) => Effect.Effect<string | undefined, SqlError.SqlError>
  /**
   * What `of` says in SQL, of a row of `stages`: holds if an agent with a token of that pool may take the stage. `null` is a token that was
   * offered before pools were noted, which takes what any may. The pool may be a column too.
   */
  readonly mayTake: (pool: string | null | Statement.Fragment) => Statement.Fragment
  /** Reports whether a token has that name. */
  readonly hasToken: (pool: string) => boolean
  /** Fails with 422, and the names that there are, if no token has that one. */
  readonly existing: (pool: string) => Effect.Effect<string, Refused>
  /**
   * How many stages wait that no agent has taken, and none takes: `unasked` if none that may was heard within the last 90 s, `drained` if
   * all that were are drained.
   */
  readonly untaken: Effect.Effect<{ readonly unasked: number; readonly drained: number }, SqlError.SqlError>
  /**
   * The pools for which runs or stages wait, while of none of theirs is it known that it is at work; null is what any may take, for which
   * any may be at work.
   */
  readonly idle: Effect.Effect<ReadonlyArray<string | null>, SqlError.SqlError>
  /** All pools that tokens, these workspaces or the default name, sorted by name, with what there is of these workspaces. */
  readonly list: (reach: Reach) => Effect.Effect<PoolList, SqlError.SqlError>
}>()("agent-job/server/Pools") {
  static readonly layer = Layer.effect(Pools, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const agents = yield* Agents
  const { defaultPool = null } = yield* Settings
  const { pools } = yield* Tokens

  const hasToken = (pool: string) => pools().includes(pool)
  if (defaultPool !== null && !hasToken(defaultPool)) {
    yield* Effect.logWarning("no token has the name of the default pool, so what is bound to no pool waits", {
      defaultPool,
      pools: pools()
    })
  }

  const of = ({ pool }: Pick<Workspace, "pool">) => pool ?? defaultPool
  const ofStage = ({ agentPool }: Pick<StageRow, "agentPool">) => agentPool !== null && hasToken(agentPool) ? agentPool : null
  const ofRow = sql`COALESCE(workspaces.pool, ${defaultPool})`

  const waitingOf = (reach: Reach) =>
    rows(CountOfPool)(
      sql`SELECT ${ofRow} AS pool, count(*) AS n FROM stages JOIN runs ON runs.id = stages.runId JOIN workspaces ON workspaces.id = runs.workspaceId
        WHERE ${within(sql, reach)} AND stages.acknowledgedAt IS NULL AND stages.endedAt IS NULL GROUP BY 1`
    )
  const waiting = waitingOf("all")
  const pending = rows(CountOfPool)(
    sql`SELECT ${ofRow} AS pool, count(*) AS n FROM runs JOIN workspaces ON workspaces.id = runs.workspaceId WHERE runs.status = 'pending' GROUP BY 1`
  )
  const acknowledged = rows(Acknowledged)(
    sql`SELECT agent, agentPool, startedAt IS NOT NULL AS begun FROM stages
      WHERE acknowledgedAt IS NOT NULL AND endedAt IS NULL GROUP BY 1, 2, 3`
  )
  const boundOf = (reach: Reach) =>
    rows(CountOfPool)(sql`SELECT pool, count(*) AS n FROM workspaces WHERE ${within(sql, reach)} GROUP BY pool`)

  /** Who is there of a pool. One whose token has another name by now asks under that. */
  const presentNow = Effect.map(
    agents.present,
    (present) => (pool: string | null): Present => pool === null || hasToken(pool) ? present(pool) : { asking: 0, full: 0, drained: 0 }
  )

  const untaken = Effect.map(Effect.all([presentNow, waiting]), ([present, waits]) => {
    const sumOf = (counts: (of: Present) => boolean) => waits.reduce((sum, { n, pool }) => counts(present(pool)) ? sum + n : sum, 0)
    return {
      unasked: sumOf((of) => connected(of) === 0 && of.drained === 0),
      drained: sumOf((of) => connected(of) === 0 && of.drained > 0)
    }
  })

  const silentSince = (stage: Pick<StageRow, "agent" | "agentPool">) =>
    stage.agent === null ? Effect.undefined : agents.silentSince(stage.agent, ofStage(stage))
  const isHeard = (stage: Pick<StageRow, "agent" | "agentPool">) => {
    const pool = ofStage(stage)
    return pool === null
      ? Effect.map(silentSince(stage), (since) => since === undefined)
      : Effect.map(agents.present, (present) => isAnyHeard(present(pool)))
  }

  const idle = Effect.gen(function*() {
    const told = yield* Effect.filter(yield* acknowledged, isHeard)
    const atWork = new Set(told.flatMap((of) => of.begun === 1 ? [ofStage(of)] : []))
    const inCluster = told.flatMap((of) => of.begun === 0 ? [ofStage(of)] : [])
    const waits = new Set([...[...yield* pending, ...yield* waiting].map(({ pool }) => pool), ...inCluster])
    // What is at work for a pool that is not known may be so for each.
    return [...waits].filter((pool) => !(atWork.has(pool) || atWork.has(null) || (pool === null && atWork.size > 0)))
  })

  const list = Effect.fnUntraced(function*(reach: Reach) {
    const [present, waits, perName] = yield* Effect.all([presentNow, waitingOf(reach), boundOf(reach)])
    const workspacesOf = (pool: string | null) =>
      perName.reduce((sum, { n, pool: named }) => of({ pool: named }) === pool ? sum + n : sum, 0)
    const counts = (pool: string | null) => ({ waiting: countOf(waits, pool), workspaces: workspacesOf(pool) })
    const named = [...pools(), defaultPool, ...perName.map(({ pool }) => pool)].filter((pool) => pool !== null)
    return {
      pools: [...new Set(named)].sort().map((name): PoolView => ({
        id: poolId(name),
        name,
        agents: connected(present(name)),
        ...counts(name),
        ...(name === defaultPool && { isDefault: true }),
        ...(!hasToken(name) && { withoutToken: true })
      })),
      ...(defaultPool === null && { anyPool: counts(null) })
    }
  })

  return Pools.of({
    of,
    ofStage,
    isHeard,
    silentSince,
    mayTake: (pool) =>
      sql`EXISTS (SELECT 1 FROM runs JOIN workspaces ON workspaces.id = runs.workspaceId
        WHERE runs.id = stages.runId AND (${ofRow} IS NULL OR ${ofRow} = ${pool}))`,
    hasToken,
    existing: (pool) =>
      hasToken(pool)
        ? Effect.succeed(pool)
        : Effect.fail(
          invalid(`There is no pool ${JSON.stringify(pool)}: no token has that name. The pools of this server are: ${pools().join(", ")}.`)
        ),
    untaken,
    idle,
    list
  })
})
