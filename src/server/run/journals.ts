// The journals of stages as they are stored: what each plans to make, or has made, changed and destroyed.
// Invariant: a journal has no gap and no number twice.
// Used by stage-ends (append), left-overs (holds them against the state), runs (forgets what plans want) and rescue (how far they are).
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { JournalEntry, journalLimitBytes } from "../../schema/api/effects.ts"
import { conflict, invalid, type StoreFailure } from "../refused.ts"
import { isAny, row, rows } from "../store/database.ts"

const Stored = Schema.Struct({ entry: Schema.fromJsonString(JournalEntry) })

/** The number of the last entry by now, and what there is among the entries that were not stored before. */
interface Appended {
  readonly number: number
  readonly hasCreation: boolean
  /** Whether one of the new entries is a last word that was not said before. */
  readonly hasLastWord: boolean
}

export class Journals extends Context.Service<Journals, {
  /**
   * Stores entries of a stage's journal, in the caller's transaction. Entries that are stored already may be sent again; fails with 409
   * `journal-gap` and the true end if they do not follow the stored ones, and with 422 if they do not follow each other.
   */
  readonly append: (stageId: string, entries: ReadonlyArray<JournalEntry>) => Effect.Effect<Appended, StoreFailure>
  /** Returns the number of the last entry; 0 if there is none. */
  readonly end: (stageId: string) => Effect.Effect<number, SqlError.SqlError>
  readonly ofStage: (stageId: string) => Effect.Effect<ReadonlyArray<JournalEntry>, SqlError.SqlError>
  /** Returns the journal of the run's last plan: what it wants to be made. */
  readonly planned: (runId: string) => Effect.Effect<ReadonlyArray<JournalEntry>, SqlError.SqlError>
  readonly forget: (stageId: string) => Effect.Effect<void, SqlError.SqlError>
  /** Removes what the run's plans want, once that no longer matters. */
  readonly forgetPlanned: (runId: string) => Effect.Effect<void, SqlError.SqlError>
}>()("agent-job/server/Journals") {
  static readonly layer = Layer.effect(Journals, Effect.suspend(() => make))
}

const isLast = ({ kind }: Pick<JournalEntry, "kind">): boolean => kind === "closed" || kind === "full"

/**
 * Replaces an entry past the limit by a `full` entry without names, which may be so long that a full journal of them would take most of the
 * memory once it is read.
 */
const cutShort = ({ action, number }: JournalEntry): JournalEntry => ({ number, kind: "full", action, address: "" })

/** Returns the entries as they are stored after the `bytes` that their journal has. */
const withinLimit = (entries: ReadonlyArray<JournalEntry>, bytes: number): ReadonlyArray<JournalEntry> => {
  let size = bytes
  return entries.map((entry) =>
    isLast(entry) || (size += Buffer.byteLength(JSON.stringify(entry))) <= journalLimitBytes ? entry : cutShort(entry)
  )
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  const last = (stageId: string) =>
    Effect.map(
      row(Schema.Struct({ number: Schema.Int, journalBytes: Schema.Int }))(
        sql`SELECT number, journalBytes FROM effects WHERE stageId = ${stageId} ORDER BY number DESC LIMIT 1`
      ),
      (found) => found ?? { number: 0, journalBytes: 0 }
    )

  /** Looks from the end of the journal, since each entry past the limit is a `full` one. */
  const isHeard = (stageId: string, kind: JournalEntry["kind"]) =>
    isAny(
      sql`SELECT number FROM effects WHERE stageId = ${stageId} AND json_extract(entry, '$.kind') = ${kind} ORDER BY number DESC LIMIT 1`
    )

  const append = Effect.fn("Journals.append")(function*(stageId: string, entries: ReadonlyArray<JournalEntry>) {
    const first = entries[0]?.number ?? 0
    if (entries.some(({ number }, at) => number !== first + at)) {
      return yield* invalid(
        `The entries of the journal of ${stageId} do not follow each other by number, so none was stored; send them again in order.`
      )
    }
    const { journalBytes: before, number: stored } = yield* last(stageId)
    if (first > stored + 1) {
      return yield* conflict("journal-gap", `The journal ends with ${stored}, not before ${first}; go on from there.`, { number: stored })
    }
    const fresh = withinLimit(entries.slice(stored + 1 - first), before)
    const lastWords = [...new Set(fresh.filter(isLast).map(({ kind }) => kind))]
    const heard = yield* Effect.forEach(lastWords, (kind) => isHeard(stageId, kind))
    let journalBytes = before
    yield* Effect.forEach(fresh, (one) => {
      const entry = JSON.stringify(one)
      journalBytes += Buffer.byteLength(entry)
      return sql`INSERT INTO effects ${sql.insert({ stageId, number: one.number, entry, journalBytes })}`
    }, { discard: true })
    return {
      number: stored + fresh.length,
      hasCreation: fresh.some((entry) => entry.action === "create" && !isLast(entry)),
      hasLastWord: heard.includes(false)
    }
  })

  const ofStage = (stageId: string) =>
    Effect.map(
      rows(Stored)(sql`SELECT entry FROM effects WHERE stageId = ${stageId} ORDER BY number`),
      (found) => found.map(({ entry }) => entry)
    )

  const planned = (runId: string) =>
    Effect.flatMap(
      row(Schema.Struct({ id: Schema.String }))(
        sql`SELECT id FROM stages WHERE runId = ${runId} AND stage = 'plan' ORDER BY seq DESC LIMIT 1`
      ),
      (plan) => plan === undefined ? Effect.succeed([]) : ofStage(plan.id)
    )

  return Journals.of({
    append,
    end: (stageId) => Effect.map(last(stageId), ({ number }) => number),
    ofStage,
    planned,
    forget: (stageId) => Effect.asVoid(sql`DELETE FROM effects WHERE stageId = ${stageId}`),
    forgetPlanned: (runId) =>
      Effect.asVoid(sql`DELETE FROM effects WHERE stageId IN (SELECT id FROM stages WHERE runId = ${runId} AND stage = 'plan')`)
  })
})
