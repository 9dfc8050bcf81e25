// What a stop makes of a command that does not end when it is asked to: no word says that its state is safe.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { StopCause } from "../../src/core/outcome.ts"
import { signalPlan } from "../../src/core/signal-plan.ts"
import type { StageCommand } from "../../src/core/stage-commands.ts"
import { Engine } from "../../src/worker/engine.ts"
import { Ended, ExecLoop, type Signal } from "../../src/worker/exec-loop.ts"
import { Log } from "../../src/worker/log-shipper.ts"
import { Stop } from "../../src/worker/stop.ts"

const apply: StageCommand = { subcommand: "apply", args: ["apply"], output: "printed", mutates: true }
const plan = signalPlan(120)

/** How an apply ends whose engine ends at the given signal, if at all, when it is cancelled while it runs. */
const cancelled = (endsAt: Signal | "never", code: number) =>
  Effect.gen(function*() {
    const asked = Deferred.makeUnsafe<StopCause>()
    const ended = Deferred.makeUnsafe<Ended>()
    const execLoop = ExecLoop.of({
      run: () => Effect.succeed({
        output: Stream.empty,
        events: Stream.empty,
        ended: Effect.andThen(Deferred.succeed(asked, "Cancelled"), Deferred.await(ended)),
        signal: (name) => name === endsAt ? Effect.asVoid(Deferred.succeed(ended, Ended.Exited({ code }))) : Effect.void
      })
    })
    const stop = Stop.of({
      asked: Deferred.await(asked),
      now: Effect.suspend(() => Deferred.isDoneUnsafe(asked) ? Effect.asSome(Deferred.await(asked)) : Effect.succeedNone),
      plan,
      tooLate: Effect.never,
      isLeaving: Effect.succeed(false),
      because: () => Effect.void,
      begin: () => Effect.void
    })
    const parts = Layer.mergeAll(Layer.succeed(ExecLoop, execLoop), Layer.succeed(Stop, stop), Log.layer({ secrets: [], ship: Option.none(), print: () => Effect.void }))
    const run = Effect.flatMap(Engine, (engine) => engine.run({ engine: "tofu", directory: "/", env: {} }, apply)).pipe(Effect.provide(Layer.provide(Engine.layer, parts)))
    const fiber = yield* Effect.forkChild(Effect.flip(run))
    yield* TestClock.adjust("3 minutes")
    return yield* Fiber.join(fiber)
  })

describe("an apply that is cancelled", () => {
  it.effect("was interrupted when that was enough", () =>
    Effect.map(cancelled("INT", 1), (end) => expect(end).toMatchObject({ _tag: "StageStopped", exitCode: 1, during: Option.some({ killed: false }) })))

  it.effect("was killed when the kernel did it after the interrupt", () =>
    Effect.map(cancelled("INT", 137), (end) => expect(end).toMatchObject({ _tag: "StageStopped", during: Option.some({ killed: true }) })))

  it.effect.each([["TERM", 143], ["KILL", 137]] as const)("was killed when only %s ended it", ([signal, code]) =>
    Effect.map(cancelled(signal, code), (end) => expect(end).toMatchObject({ _tag: "StageStopped", exitCode: code, during: Option.some({ killed: true }) })))

  it.effect("was killed, too, when it answers SIGTERM with the exit code of an error, which is no word on what it has saved", () =>
    Effect.map(cancelled("TERM", 1), (end) => {
      expect(end).toMatchObject({ _tag: "StageStopped", during: Option.some({ killed: true }) })
      expect(end).not.toMatchObject({ exitCode: expect.anything() })
    }))

  it.effect("is lost when nothing ended it", () =>
    Effect.map(cancelled("never", 0), (end) => expect(end).toMatchObject({ _tag: "StageFailed", reason: "Lost" })))
})
