// The journals of stages: what each plans to make, or has made, changed and destroyed; and at its end, what of it the state lacks.
// Invariant: a journal has no gap and no number twice; of stages that succeeded, with a state that is here, only a plan's entries stay.
// Used by stage-ends (append, storeMissing, missingNow), what settles rescues (storeMissingOfSettled) and what looks at them (missingFor).
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { endedInOrder, stageEffects, unansweredEffects } from "../../core/state/stage-effects.ts"
import { JournalEntry, journalLimitBytes, namedLimit, type StageEffects } from "../../schema/api/effects.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"
import { Bodies } from "../access/bodies.ts"
import { conflict, invalid } from "../refused.ts"
import { row, rows } from "../store/database.ts"
import type { Rescue } from "../workspace/rescues.ts"
import { Heap } from "../workspace/state-body.ts"
import { contentOf, type StateContent } from "../workspace/state-content.ts"
import { type StateVersion, StateVersions } from "../workspace/state-versions.ts"
import { type StageRow, Stages } from "./stages.ts"

const Stored = Schema.Struct({ entry: Schema.fromJsonString(JournalEntry) })
const Heard = JournalEntry.mapFields(({ kind }) => ({ kind }))

const isLast = ({ kind }: Pick<JournalEntry, "kind">): boolean => kind === "closed" || kind === "full"

const nothing = new Uint8Array()

/**
 * Replaces an entry past the limit by a `full` entry without names, which may be so long that a full journal of them would take most of the
 * memory once it is read.
 */
const cutShort = ({ action, number }: JournalEntry): JournalEntry => ({ number, kind: "full", action, address: "" })

interface Ended extends Pick<StageRow, "id" | "runId"> {
  readonly result: ToldResult
}

/** The journal of a stage, and in `wanted` that of its run's last plan. */
interface StageJournals {
  readonly stageId: string
  readonly entries: ReadonlyArray<JournalEntry>
  readonly wanted: ReadonlyArray<JournalEntry>
  readonly inOrder: boolean
  readonly limit: number
}

/**
 * The most characters of the journals that are held in memory together. A server with many long journals parses the state more than once.
 */
const heldAtMost = journalLimitBytes
const sizeOf = ({ entries, wanted }: StageJournals): number =>
  [entries, wanted].flat().reduce((size, { address, id = "" }) => size + 100 + address.length + id.length, 0)

const missingIn = (
  { isReadable, objects }: StateContent,
  { entries, inOrder, limit, wanted }: StageJournals
): StageEffects | undefined => {
  const effects = inOrder && !isReadable
    ? unansweredEffects(entries, limit)
    : stageEffects({ journal: entries, state: objects, inOrder, planned: wanted, limit })
  if (effects.unsavedCount + effects.unknownCount + (effects.unseenCount ?? 0) === 0 && effects.incomplete === undefined) return undefined
  return isReadable || inOrder ? effects : { ...effects, unread: true }
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const bodies = yield* Bodies
  const heapBytes = yield* Heap
  const stages = yield* Stages
  const states = yield* StateVersions

  const last = (stageId: string) =>
    Effect.map(
      row(Schema.Struct({ number: Schema.Int, bytes: Schema.Int }))(
        sql`SELECT COALESCE(MAX(number), 0) AS number, COALESCE(SUM(OCTET_LENGTH(entry)), 0) AS bytes FROM effects WHERE stageId = ${stageId}`
      ),
      (found) => found ?? { number: 0, bytes: 0 }
    )

  /**
   * Stores entries of a journal. Returns the last stored number, how many entries are new, and whether these have a creation, or a last
   * word that was not said before. Entries that are stored already may be sent again; a gap is refused with the true end.
   */
  const append = Effect.fn("Effects.append")((stageId: string, entries: ReadonlyArray<JournalEntry>) =>
    sql.withTransaction(Effect.gen(function*() {
      const first = entries[0]?.number ?? 0
      if (entries.some(({ number }, at) => number !== first + at)) {
        return yield* invalid(
          `The entries of the journal of ${stageId} do not follow each other by number, so none was stored; send them again in order.`
        )
      }
      const { bytes, number: stored } = yield* last(stageId)
      if (first > stored + 1) {
        return yield* conflict("journal-gap", `The journal ends with ${stored}, not before ${first}; go on from there.`, { number: stored })
      }
      let size = bytes
      const fresh = entries.slice(stored + 1 - first).map((entry) =>
        isLast(entry) || (size += Buffer.byteLength(JSON.stringify(entry))) <= journalLimitBytes ? entry : cutShort(entry)
      )
      const heard = fresh.some(isLast)
        ? yield* rows(Heard)(sql`SELECT DISTINCT json_extract(entry, '$.kind') AS kind FROM effects WHERE stageId = ${stageId}`)
        : []
      yield* Effect.forEach(
        fresh,
        (entry) => sql`INSERT INTO effects ${sql.insert({ stageId, number: entry.number, entry: JSON.stringify(entry) })}`,
        { discard: true }
      )
      return {
        number: stored + fresh.length,
        added: fresh.length,
        hasCreation: fresh.some((entry) => entry.action === "create" && !isLast(entry)),
        hasLastWord: fresh.some((entry) => isLast(entry) && heard.every(({ kind }) => kind !== entry.kind))
      }
    }))
  )

  const journal = (stageId: string) =>
    Effect.map(
      rows(Stored)(sql`SELECT entry FROM effects WHERE stageId = ${stageId} ORDER BY number`),
      (found) => found.map(({ entry }) => entry)
    )

  /**
   * Reports whether the last state of the stage was confirmed, and yet is not here: this database is a copy from before that state came. The
   * rows of states are never removed, and the result of a stage that pushed none does not speak of it. A worker of an earlier release does
   * not say which state was the last: then any state of the run counts, since an engine pushes no state as it has read it.
   */
  const isConfirmedElsewhere = ({ result: { stateDigest, statePushed }, runId }: Pick<Ended, "result" | "runId">) =>
    statePushed === true
      ? Effect.map(stateDigest === undefined ? states.hasAnyOf(runId) : states.hasEver(runId, stateDigest), (has) => !has)
      : Effect.succeed(false)

  /** Returns the bytes of a state version; none if there is no version or its file is damaged. */
  const stored = (version: StateVersion | undefined) =>
    version === undefined ? Effect.succeed(nothing) : Effect.orElseSucceed(states.read(version), () => nothing)

  /**
   * Returns an effect that gives the current state. Everything in one transaction uses the same one, so the state is read once, and only if
   * it is looked into.
   */
  const stateNow = (workspaceId: string) => Effect.cached(Effect.flatMap(states.current(workspaceId), stored))

  /** Returns the journal of the run's last plan: what it wants to be made. */
  const planned = (runId: string) =>
    Effect.flatMap(
      row(Schema.Struct({ id: Schema.String }))(
        sql`SELECT id FROM stages WHERE runId = ${runId} AND stage = 'plan' ORDER BY seq DESC LIMIT 1`
      ),
      (plan) => plan === undefined ? Effect.succeed([]) : journal(plan.id)
    )

  /**
   * Returns by stage what stages have made, or may have made, and the state lacks; a stage that lacks nothing is left out. A state that
   * cannot be looked into is taken to have all that was made if the engine ended in order and its last state is here. All requests wait
   * while the state is parsed, so it is parsed once for all journals that are held together.
   */
  const missing = Effect.fn("Effects.missing")(
    function*<E>(ended: ReadonlyArray<Ended>, state: Effect.Effect<Uint8Array, E>, limit: number) {
      const found = new Map<string, StageEffects>()
      let held: ReadonlyArray<StageJournals> = []
      let heldSize = 0
      const look = Effect.suspend(() =>
        held.length === 0 ? Effect.void : Effect.map(state, (bytes) => {
          const content = contentOf(heapBytes, bytes)
          for (const journals of held) {
            const left = missingIn(content, journals)
            if (left !== undefined) found.set(journals.stageId, left)
          }
          held = []
          heldSize = 0
        })
      )
      for (const { id, result, runId } of ended) {
        const inOrder = endedInOrder(result) && !(yield* isConfirmedElsewhere({ result, runId }))
        const next = { stageId: id, entries: yield* journal(id), wanted: yield* planned(runId), inOrder, limit }
        if (next.entries.length + next.wanted.length === 0) continue
        const size = sizeOf(next)
        if (heldSize + size > heldAtMost) yield* look
        held = [...held, next]
        heldSize += size
      }
      yield* look
      return found
    }
  )

  /** Returns the stages of the rescues that are over. */
  const endedOf = (doubted: ReadonlyArray<Pick<Rescue, "stageId">>) =>
    Effect.map(
      Effect.forEach(doubted, ({ stageId }) => stages.get(stageId)),
      (all) => all.flatMap((stage) => stage.result === null ? [] : [{ ...stage, result: stage.result }])
    )

  /** Returns what `state` lacks of what the stages of these rescues made; all are of one workspace. */
  const missingNow = Effect.fnUntraced(
    function*<E>(state: Effect.Effect<Uint8Array, E>, doubted: ReadonlyArray<Pick<Rescue, "stageId">>) {
      return yield* missing(yield* endedOf(doubted), state, namedLimit.rescue)
    }
  )

  /**
   * Returns the same for requests that only look, using the stored state. There may be many of them, so the state is read only when there
   * is room for it. Never call it in a transaction, because it may wait for that room.
   */
  const missingFor = Effect.fn("Effects.missingFor")(function*(workspaceId: string, doubted: ReadonlyArray<Pick<Rescue, "stageId">>) {
    const version = doubted.length === 0 ? undefined : yield* states.current(workspaceId)
    return yield* bodies.room(
      version?.sizeBytes ?? 0,
      Effect.flatMap(Effect.cached(stored(version)), (state) => missingNow(state, doubted))
    )
  })

  /** Removes what the run's plans want, which no longer matters. */
  const forgetPlanned = (runId: string) =>
    Effect.asVoid(sql`DELETE FROM effects WHERE stageId IN (SELECT id FROM stages WHERE runId = ${runId} AND stage = 'plan')`)

  /**
   * Stores by stage what the state lacks, for the stages' views, and returns it. Forgets the journals of stages that succeeded, with a
   * state that is here.
   */
  const storeMissingOf = Effect.fnUntraced(function*<E>(ended: ReadonlyArray<Ended & StageRow>, state: Effect.Effect<Uint8Array, E>) {
    const looked: Array<Ended> = []
    for (const stage of ended.filter(({ stage }) => stage !== "plan")) {
      if (stage.result.outcome !== "succeeded" || (yield* isConfirmedElsewhere(stage))) {
        looked.push(stage)
        continue
      }
      yield* sql`DELETE FROM effects WHERE stageId = ${stage.id}`
      yield* forgetPlanned(stage.runId)
    }
    const left = yield* missing(looked, state, namedLimit.run)
    for (const { id } of looked) {
      const effects = left.get(id)
      yield* sql`UPDATE stages SET effects = ${effects === undefined ? null : JSON.stringify(effects)} WHERE id = ${id}`
    }
    return left
  })

  /** Stores what the state lacks when the stage ends, for the stage's view, and returns it. */
  const storeMissing = Effect.fn("Effects.storeMissing")(function*(ended: StageRow, workspaceId: string, result: ToldResult) {
    return (yield* storeMissingOf([{ ...ended, result }], yield* stateNow(workspaceId))).get(ended.id)
  })

  /**
   * Stores the same once more in the transaction that settles the rescues of these stages: the rescues show it no longer, and what came
   * late would be named nowhere.
   */
  const storeMissingOfSettled = Effect.fn("Effects.storeMissingOfSettled")(
    function*<E>(state: Effect.Effect<Uint8Array, E>, doubted: ReadonlyArray<Pick<Rescue, "stageId">>) {
      yield* storeMissingOf(yield* endedOf(doubted), state)
    }
  )

  return { append, storeMissing, storeMissingOfSettled, forgetPlanned, isConfirmedElsewhere, missingFor, missingNow, stateNow }
})

export class Effects extends Context.Service<Effects>()("agent-job/server/Effects", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
