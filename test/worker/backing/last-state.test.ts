// What the log tells while a pool's stage waits for its last state: that the worker tries, or what a person has to do.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { settlingLastState } from "../../../src/worker/backing/last-state.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { SettledState, StateDelivery } from "../../../src/worker/state/state-delivery.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"
import { noTaskStatus } from "../pool-parts.ts"

/** Begins to settle the last state of an engine that has ended in this directory, with a server that answers so. */
const settling = Effect.fnUntraced(function*(
  directory: ReadonlyArray<string>,
  settle: Effect.Effect<SettledState>,
  shared: Readonly<Record<string, string>> = {}
) {
  const path = yield* temporaryFolder("last-state")
  const told: Array<string> = []
  const first = Deferred.makeUnsafe<void>()
  const log = Log.layer({
    secrets: [],
    parts: [],
    ship: Option.none(),
    print: (bytes) => {
      told.push(Buffer.from(bytes).toString("utf8"))
      return Effect.asVoid(Deferred.succeed(first, undefined))
    }
  })
  const delivery = Layer.mock(StateDelivery, { settle: () => settle })
  const settings = Layer.orDie(podSettings(path, path, { AGENT_JOB_STATE_PATIENCE: "1 hour", ...shared }))
  const layer = Layer.mergeAll(log, delivery, settings, noTaskStatus, neverStops())
  const root = yield* openFolder(path)
  const settled = yield* Effect.forkChild(
    Effect.provide(Effect.flatMap(settlingLastState, (settleState) => settleState({ root, directory, path })), layer)
  )
  return { path, told, toldFirst: Deferred.await(first), settled }
})

describe("a last state that the server does not take", () => {
  it.effect.each([
    { where: "the tasks share a volume, which has it", shared: { AGENT_JOB_CACHE_DIR: "/cache" }, advice: "" },
    {
      where: "nothing but the Pod has it, with the command that saves it",
      shared: {},
      advice:
        " Nothing but this Pod has it; if you have to end that, save the state first: kubectl -n tasks exec demo-abcde -c worker -- node --eval 'fs.createReadStream(\"PATH/unsaved.tfstate\").pipe(process.stdout)' >errored.tfstate"
    }
  ])(
    "is told after 20 seconds as one that the worker goes on trying to send, where $where",
    ({ advice, shared }) =>
      Effect.gen(function*() {
        const { path, told, toldFirst } = yield* settling([], Effect.never, shared)
        yield* Effect.forkChild(Effect.forever(Effect.andThen(TestClock.adjust("20 seconds"), Effect.yieldNow)))
        yield* toldFirst
        expect(told).toEqual([
          `The engine has ended, but the pool's server has not yet taken its last state. The worker goes on trying for up to 1h.${
            advice.replace("PATH", path)
          }\n`
        ])
      })
  )

  it.effect("is never told so once only a person can save it, for as long as the Pod stays", () =>
    Effect.gen(function*() {
      const tooLong = "x".repeat(300) // no file in a directory of this name can be opened
      const { settled, told, toldFirst } = yield* settling([tooLong], Effect.succeed(SettledState.Untouched()))
      yield* toldFirst
      yield* TestClock.adjust("2 hours")
      expect((yield* Effect.flip(Fiber.join(settled))).reason).toBe("StateNotSaved")
      expect(told).toEqual([expect.stringMatching(/^The last state is in .* The Pod stays for 1h, /u)])
    }))
})
