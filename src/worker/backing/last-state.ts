// The last state of a pool's stage, after its engine is gone: sent to the server, or else a person gets the time and the command to save it.
// Invariant: a state that nothing but its Pod has keeps that for as long as a server that is away would.
// Used by worker/backing/pool-backing.ts.
import { Effect, Option, Result } from "effect"
import { join } from "node:path"
import { stateLimitBytes } from "../../schema/api/task-api.ts"
import type { Log } from "../engine/log-shipper.ts"
import { logWaiting } from "../engine/log-waiting.ts"
import { stopwatch } from "../network/patience.ts"
import { Settings } from "../settings.ts"
import { StageFailed } from "../stage-failed.ts"
import { type NothingUnsaved, Refuge, StateDelivery, type Unsaved } from "../state/state-delivery.ts"
import { unsavedCopyFile } from "../state/unsaved-copy.ts"
import { Stop } from "../task/stop.ts"
import { openFile, readFile } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import type { Provisioned } from "./backing.ts"
import { erroredState, type Only, saving, savingByHand, type Spent } from "./saved-by-hand.ts"

const tooLarge = `It has more than ${inMebibytes(stateLimitBytes)}, which is the most that the server takes.`

const notSaved = (message: string) => new StageFailed({ reason: "StateNotSaved", message })

const refused = (why: string) =>
  notSaved(`The pool's server refused the last state and keeps it as evidence, on which a person has to decide (docs/state.md). ${why}`)

const onSharedVolume = (file: string, why: string) =>
  notSaved(
    `The last state is kept, encrypted, as ${file} on the volume that tasks share. The next stage of another workspace of the pool takes it to the server, which has not confirmed it yet; or bring that file: agent-job state rescue NAME --file FILE. ${why}`
  )

const keptNowhere = (because: string, why: string) =>
  notSaved(
    `The worker could not keep the last state anywhere, and the pool's server has not confirmed it, so it is lost. Before you run the workspace again, look for what the stage made. ${because} ${why}`
  )

/** Returns the function that settles the last state (see `settleState` of the backing). */
export const settlingLastState = Effect.gen(function*() {
  const delivery = yield* StateDelivery
  const settings = yield* Settings
  const stop = yield* Stop
  const byHand = yield* savingByHand("server")
  const kept: Only = { container: "worker", file: unsavedCopyFile(settings.privateDirectory) }
  const unsaved = ({ refuge, why }: Unsaved, left: Option.Option<Only>, spent: Spent) =>
    Refuge.$match(refuge, {
      Server: () => Effect.fail(refused(why)),
      Shared: ({ file }) => Effect.fail(onSharedVolume(file, why)),
      Pod: () => byHand(kept, why, spent),
      Memory: ({ because }) =>
        Option.match(left, {
          onSome: (only) => byHand(only, why, spent), // the worker's own file has an older state
          onNone: () => Effect.fail(keptNowhere(because, why))
        })
    })

  /** Returns what the log tells beside that the server does not answer: how to save what nothing but this Pod has. `left`: by the engine. */
  const advice = (left: Option.Option<Only>, isUnreadable: boolean) =>
    Effect.zipWith(delivery.refuge, stop.isEnding, (refuge, isEnding) => {
      const only = Option.flatMap(refuge, (_) => _._tag === "Pod" ? Option.some(kept) : _._tag === "Memory" ? left : Option.none())
      return Option.match(isUnreadable ? left : only, {
        onNone: () => "",
        onSome: (found) =>
          ` Nothing but this Pod has it${isEnding ? ", so save the state at once" : "; if you have to end that, save the state first"}: ${
            saving(settings, found)
          }`
      })
    })

  /** Reads what the engine left. `why`: why the worker cannot send it, if there is something that it cannot read. */
  const leftBy = Effect.fnUntraced(function*({ directory, root }: Provisioned) {
    const file = [...directory, erroredState]
    const read = yield* Effect.result(readFile(root, file, stateLimitBytes))
    if (Result.isFailure(read)) return { state: Option.none<Uint8Array>(), why: Option.some(read.failure.message) }
    const isTooLarge = Option.isNone(read.success) && Option.isSome(yield* Effect.scoped(openFile(root, file)))
    return { state: read.success, why: isTooLarge ? Option.some(tooLarge) : Option.none<string>() }
  })

  return Effect.fnUntraced(function*(place: Provisioned): Effect.fn.Return<NothingUnsaved, StageFailed, Log> {
    const spent = yield* stopwatch
    const left: Only = { container: "runner", file: join(place.path, erroredState) }
    const { state, why } = yield* leftBy(place)
    const known = Option.as(Option.firstSomeOf([state, why]), left)
    const sending = delivery.settle(state) // also what the engine pushed before a state that cannot be read
    const settled = yield* logWaiting("its last state", settings.statePatience, sending, advice(known, Option.isSome(why))).pipe(
      Effect.provideService(Settings, settings),
      Effect.provideService(Stop, stop)
    )
    if (Option.isSome(why)) return yield* byHand(left, why.value, spent)
    return settled._tag === "Unsaved" ? yield* unsaved(settled, known, spent) : settled
  })
})
