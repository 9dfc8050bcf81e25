// A volume that hangs, as NFS does without its server: calls to it come back later or never.
// Used by the tests of the states on the volume that tasks share.
import { Deferred, Effect, type Scope } from "effect"
import fs from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { vi } from "vitest"

interface Hanging {
  /** Returns how many calls have been made. */
  readonly begun: () => number
  /** Lets all of them go on. */
  readonly answer: Effect.Effect<unknown>
}

/** Until the scope closes, calls of this name hang. */
export const hanging = Effect.fnUntraced(function*(name: "readdir" | "writeFile"): Effect.fn.Return<Hanging, never, Scope.Scope> {
  const call: (...given: ReadonlyArray<never>) => unknown = fs[name]
  const answers = Deferred.makeUnsafe<void>()
  const spy = vi.spyOn(fs, name).mockImplementation(async (...given: ReadonlyArray<unknown>) => {
    await Effect.runPromise(Deferred.await(answers))
    return Reflect.apply(call, fs, given)
  })
  syncBuiltinESMExports()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      spy.mockRestore()
      syncBuiltinESMExports()
    })
  )
  return { begun: () => spy.mock.calls.length, answer: Deferred.succeed(answers, undefined) }
})
