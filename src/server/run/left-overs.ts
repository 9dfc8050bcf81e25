// What stages have made, or may have made, and the state lacks: their journals, held against the state.
// Invariant: of a stage that succeeded, with a state that is here, no journal is kept.
// Used by stage-ends (store, of), what settles rescues (storeSettled) and what looks at them (look).
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { namesAny } from "../../core/state/left-over-message.ts"
import { endedInOrder, leftOverOf, unansweredOf } from "../../core/state/left-over.ts"
import { contentOf, type StateContent, unreadable } from "../../core/state/state-objects.ts"
import { type JournalEntry, journalLimitBytes, type LeftOver, namedLimit } from "../../schema/api/effects.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"
import { Bodies } from "../access/bodies.ts"
import type { Caller } from "../access/tokens.ts"
import type { StoreFailure } from "../refused.ts"
import type { Rescue } from "../workspace/rescues.ts"
import { Heap } from "../workspace/state-body.ts"
import { type StateVersion, StateVersions } from "../workspace/state-versions.ts"
import { Journals } from "./journals.ts"
import { type StageRow, Stages } from "./stages.ts"

/** What is left over by the id of its stage; a stage that left nothing is not in it. */
type ByStage = ReadonlyMap<string, LeftOver>

type Doubted = ReadonlyArray<Pick<Rescue, "stageId">>

interface Ended extends Pick<StageRow, "id" | "runId" | "stage"> {
  readonly result: ToldResult
}

/** A state, empty where none is stored; undefined if its file is damaged or cannot be read. */
export type StateBytes = Uint8Array | undefined

export class LeftOvers extends Context.Service<LeftOvers, {
  /** Returns what `state` lacks of what the stages of these rescues made; all are of one workspace. */
  readonly of: <E>(state: Effect.Effect<StateBytes, E>, doubted: Doubted) => Effect.Effect<ByStage, E | StoreFailure>
  /**
   * Returns the same for requests that only look, using the stored state. There may be many of them, so the state is read only when there
   * is room for it, of the caller's too; fails with 503 if there is none in time. Never call it in a transaction, because it may wait for that room.
   */
  readonly look: (caller: Caller, workspaceId: string, doubted: Doubted) => Effect.Effect<ByStage, StoreFailure>
  /** Stores what the state lacks when the stage ends, for the stage's view, and returns it. */
  readonly store: (ended: StageRow, workspaceId: string, result: ToldResult) => Effect.Effect<LeftOver | undefined, StoreFailure>
  /**
   * Stores the same once more in the transaction that settles the rescues of these stages: the rescues show it no longer, and what came
   * late would be named nowhere.
   */
  readonly storeSettled: <E>(state: Effect.Effect<StateBytes, E>, doubted: Doubted) => Effect.Effect<void, E | StoreFailure>
  /**
   * Returns an effect that gives the current state. Everything in one transaction uses the same one, so the state is read once, and only if
   * it is looked into.
   */
  readonly stateNow: (workspaceId: string) => Effect.Effect<Effect.Effect<StateBytes, SqlError.SqlError>>
  /**
   * Reports whether the last state of the stage was confirmed, and yet is not here: this database is a copy from before that state came. The
   * rows of states are never removed, and the result of a stage that pushed none does not speak of it. A worker of an earlier release does
   * not say which state was the last: then any state of the run counts, since an engine pushes no state as it has read it.
   */
  readonly isConfirmedElsewhere: (of: Pick<Ended, "result" | "runId">) => Effect.Effect<boolean, SqlError.SqlError>
}>()("agent-job/server/LeftOvers") {
  static readonly layer = Layer.effect(LeftOvers, Effect.suspend(() => make))
}

const nothing = new Uint8Array()

/** The journal of a stage, and in `wanted` that of its run's last plan. */
interface StageJournals {
  readonly stageId: string
  readonly entries: ReadonlyArray<JournalEntry>
  readonly wanted: ReadonlyArray<JournalEntry>
  readonly inOrder: boolean
  readonly onlyDestroys: boolean
  readonly limit: number
}

/**
 * The most characters of the journals that are held in memory together. A server with many long journals parses the state more than once.
 */
const heldAtMost = journalLimitBytes
const sizeOf = ({ entries, wanted }: StageJournals): number =>
  [entries, wanted].flat().reduce((size, { address, id = "" }) => size + 100 + address.length + id.length, 0)

const leftIn = (
  { objects, unread }: StateContent,
  { entries, inOrder, limit, onlyDestroys, wanted }: StageJournals
): LeftOver | undefined => {
  const left = inOrder && unread !== undefined
    ? unansweredOf({ journal: entries, onlyDestroys, limit })
    : leftOverOf({ journal: entries, state: objects, inOrder, onlyDestroys, planned: wanted, limit })
  if (!namesAny(left) && left.incomplete === undefined) return undefined
  return unread === undefined || inOrder ? left : { ...left, unread: true }
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const bodies = yield* Bodies
  const heapBytes = yield* Heap
  const journals = yield* Journals
  const stages = yield* Stages
  const states = yield* StateVersions

  const isConfirmedElsewhere = ({ result: { stateDigest, statePushed }, runId }: Pick<Ended, "result" | "runId">) =>
    statePushed === true
      ? Effect.map(stateDigest === undefined ? states.hasAnyOf(runId) : states.hasEver(runId, stateDigest), (has) => !has)
      : Effect.succeed(false)

  const stored = (version: StateVersion | undefined): Effect.Effect<StateBytes> =>
    version === undefined ? Effect.succeed(nothing) : Effect.orElseSucceed(states.read(version), () => undefined)

  const stateNow = (workspaceId: string) => Effect.cached(Effect.flatMap(states.current(workspaceId), stored))

  /**
   * Returns by stage what stages have made, or may have made, and the state lacks; a stage that lacks nothing is left out. A state that
   * cannot be looked into is taken to have all that was made if the engine ended in order and its last state is here. All requests wait
   * while the state is parsed, so it is parsed once for all journals that are held together.
   */
  const leftBy = Effect.fn("LeftOvers.leftBy")(
    function*<E>(ended: ReadonlyArray<Ended>, state: Effect.Effect<StateBytes, E>, limit: number) {
      const found = new Map<string, LeftOver>()
      let held: ReadonlyArray<StageJournals> = []
      let heldSize = 0
      const compare = Effect.suspend(() =>
        held.length === 0 ? Effect.void : Effect.map(state, (bytes) => {
          const content = bytes === undefined ? unreadable("not-here") : contentOf(heapBytes, bytes)
          for (const one of held) {
            const left = leftIn(content, one)
            if (left !== undefined) found.set(one.stageId, left)
          }
          held = []
          heldSize = 0
        })
      )
      for (const { id, result, runId, stage } of ended) {
        const next = {
          stageId: id,
          entries: yield* journals.ofStage(id),
          wanted: yield* journals.planned(runId),
          inOrder: endedInOrder(result) && !(yield* isConfirmedElsewhere({ result, runId })),
          onlyDestroys: stage === "destroy",
          limit
        }
        if (next.entries.length + next.wanted.length === 0) continue
        const size = sizeOf(next)
        if (heldSize + size > heldAtMost) yield* compare
        held = [...held, next]
        heldSize += size
      }
      yield* compare
      return found
    }
  )

  /** Returns the stages of the rescues that are over. */
  const endedOf = (doubted: Doubted) =>
    Effect.map(
      Effect.forEach(doubted, ({ stageId }) => stages.get(stageId)),
      (all) => all.flatMap((stage) => stage.result === null ? [] : [{ ...stage, result: stage.result }])
    )

  const of = <E>(state: Effect.Effect<StateBytes, E>, doubted: Doubted) =>
    Effect.flatMap(endedOf(doubted), (ended) => leftBy(ended, state, namedLimit.rescue))

  const look = Effect.fn("LeftOvers.look")(function*(caller: Caller, workspaceId: string, doubted: Doubted) {
    if (doubted.length === 0) return new Map<string, never>()
    const version = yield* states.current(workspaceId)
    return yield* bodies.room(
      caller,
      version?.sizeBytes ?? 0,
      Effect.flatMap(Effect.cached(stored(version)), (state) => of(state, doubted))
    )
  })

  /**
   * Stores by stage what the state lacks, for the stages' views, and returns it. Forgets the journals of stages that succeeded, with a
   * state that is here.
   */
  const storeOf = Effect.fnUntraced(function*<E>(ended: ReadonlyArray<Ended>, state: Effect.Effect<StateBytes, E>) {
    const looked: Array<Ended> = []
    for (const stage of ended.filter(({ stage }) => stage !== "plan")) {
      if (stage.result.outcome !== "succeeded" || (yield* isConfirmedElsewhere(stage))) {
        looked.push(stage)
        continue
      }
      yield* journals.forget(stage.id)
      yield* journals.forgetPlanned(stage.runId)
    }
    const left = yield* leftBy(looked, state, namedLimit.run)
    for (const { id } of looked) {
      const ofStage = left.get(id)
      yield* sql`UPDATE stages SET effects = ${ofStage === undefined ? null : JSON.stringify(ofStage)} WHERE id = ${id}`
    }
    return left
  })

  const store = Effect.fn("LeftOvers.store")(function*(ended: StageRow, workspaceId: string, result: ToldResult) {
    return (yield* storeOf([{ ...ended, result }], yield* stateNow(workspaceId))).get(ended.id)
  })

  const storeSettled = Effect.fn("LeftOvers.storeSettled")(<E>(state: Effect.Effect<StateBytes, E>, doubted: Doubted) =>
    Effect.flatMap(endedOf(doubted), (ended) => Effect.asVoid(storeOf(ended, state)))
  )

  return LeftOvers.of({ of, look, store, storeSettled, stateNow, isConfirmedElsewhere })
})
