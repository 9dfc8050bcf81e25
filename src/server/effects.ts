// The journals of stages: what each is to make by its plan, or has made, changed and destroyed, as its worker heard it; and at its end, what of it the state lacks.
// Invariant: a journal has no gap and no number twice; of a stage that succeeded nothing is kept but what its plan wants, for as long as its run may need it.
// Used by the task API (append), by stage-ends (account) and by what looks at a rescue (missingFor).
import { Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { endedInOrder, stageEffects } from "../core/stage-effects.ts"
import { isEncrypted, stateObjects } from "../core/state-objects.ts"
import { JournalEntry, namedLimit } from "../schema/effects.ts"
import type { StageResult } from "../schema/stage-result.ts"
import { row, rows } from "./database.ts"
import { conflict, invalid } from "./refused.ts"
import type { Rescue } from "./rescues.ts"
import { type StageRow, Stages } from "./stages.ts"
import { StateVersions } from "./state-versions.ts"

const Stored = Schema.Struct({ entry: Schema.fromJsonString(JournalEntry) })

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const stages = yield* Stages
  const states = yield* StateVersions

  const last = (stageId: string) =>
    Effect.map(
      row(Schema.Struct({ number: Schema.Int }))(sql`SELECT COALESCE(MAX(number), 0) AS number FROM effects WHERE stageId = ${stageId}`),
      (found) => found?.number ?? 0
    )

  /**
   * Gives the last number that is stored, and how many are new. What is stored already may be sent again; a gap is refused with the true
   * end.
   */
  const append = Effect.fn("Effects.append")((stageId: string, entries: ReadonlyArray<JournalEntry>) =>
    sql.withTransaction(Effect.gen(function*() {
      const first = entries[0]?.number ?? 0
      if (entries.some(({ number }, at) => number !== first + at)) {
        return yield* invalid(
          `The entries of the journal of ${stageId} do not follow each other by number, so none was stored; send them again in order.`
        )
      }
      const stored = yield* last(stageId)
      if (first > stored + 1) {
        return yield* conflict("journal-gap", `The journal ends with ${stored}, not before ${first}; go on from there.`, { number: stored })
      }
      const fresh = entries.slice(stored + 1 - first)
      yield* Effect.forEach(
        fresh,
        (entry) => sql`INSERT INTO effects ${sql.insert({ stageId, number: entry.number, entry: JSON.stringify(entry) })}`,
        { discard: true }
      )
      return { number: stored + fresh.length, added: fresh.length }
    }))
  )

  const journal = (stageId: string) =>
    Effect.map(
      rows(Stored)(sql`SELECT entry FROM effects WHERE stageId = ${stageId} ORDER BY number`),
      (found) => found.map(({ entry }) => entry)
    )

  /** The state as it is stored; of one that is damaged nothing is believed. */
  const state = (workspaceId: string) =>
    Effect.gen(function*() {
      const version = yield* states.current(workspaceId)
      if (version === undefined) return ""
      const bytes = yield* Effect.option(states.read(version))
      return Option.match(bytes, { onNone: () => "", onSome: (found) => new TextDecoder().decode(found) })
    })

  /** What the last plan of the run wants to be made. */
  const planned = (runId: string) =>
    Effect.flatMap(
      row(Schema.Struct({ id: Schema.String }))(
        sql`SELECT id FROM stages WHERE runId = ${runId} AND stage = 'plan' ORDER BY seq DESC LIMIT 1`
      ),
      (plan) => plan === undefined ? Effect.succeed([]) : journal(plan.id)
    )

  /**
   * What the state, as it is now, lacks of what a stage that did not succeed has made, or may have made; nothing where it has all. An
   * encrypted one has what an end in order says.
   */
  const missing = Effect.fn("Effects.missing")(
    function*(stageId: string, workspaceId: string, result: StageResult, wanted: ReadonlyArray<JournalEntry>, limit: number) {
      const entries = yield* journal(stageId)
      if (entries.length + wanted.length === 0) return undefined
      const [text, inOrder] = [yield* state(workspaceId), endedInOrder(result)]
      if (inOrder && isEncrypted(text)) return undefined
      const effects = stageEffects(entries, stateObjects(text), inOrder, limit, wanted)
      return effects.unsavedCount + effects.unknownCount + (effects.unseenCount ?? 0) === 0 && effects.incomplete === undefined
        ? undefined
        : effects
    }
  )

  /** The same of the stage of a rescue, by now. */
  const missingFor = Effect.fnUntraced(function*({ stageId, workspaceId }: Pick<Rescue, "stageId" | "workspaceId">) {
    const { result, runId } = yield* stages.get(stageId)
    return result === null ? undefined : yield* missing(stageId, workspaceId, result, yield* planned(runId), namedLimit.rescue)
  })

  /** What its plan wants is no matter any more. */
  const forgetPlanned = (runId: string) =>
    Effect.asVoid(sql`DELETE FROM effects WHERE stageId IN (SELECT id FROM stages WHERE runId = ${runId} AND stage = 'plan')`)

  /** The same when the stage ends, for its view. */
  const account = Effect.fn("Effects.account")(function*({ id, runId, stage }: StageRow, workspaceId: string, result: StageResult) {
    if (stage === "plan") return undefined
    if (result.outcome === "succeeded") {
      yield* sql`DELETE FROM effects WHERE stageId = ${id}`
      yield* forgetPlanned(runId)
      return undefined
    }
    const effects = yield* missing(id, workspaceId, result, yield* planned(runId), namedLimit.run)
    yield* sql`UPDATE stages SET effects = ${effects === undefined ? null : JSON.stringify(effects)} WHERE id = ${id}`
    return effects
  })

  return { append, account, forgetPlanned, missingFor }
})

export class Effects extends Context.Service<Effects>()("agent-job/server/Effects", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
