// How often the event loop takes a turn while an effect runs: in one turn, the worker hears neither a signal nor a cancel.
// Used by the tests of this folder.
import { Effect } from "effect"

/** Runs the effect; returns its value, and how many turns the event loop took meanwhile. */
export const turnsDuring = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let turns = 0
    const count = () => {
      turns++
      next = setImmediate(count)
    }
    let next = setImmediate(count)
    return effect.pipe(
      Effect.map((value) => ({ value, turns })),
      Effect.ensuring(Effect.sync(() => clearImmediate(next)))
    )
  })
