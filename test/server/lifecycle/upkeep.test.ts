import { describe, expect, it } from "@effect/vitest"
import { type Duration, Effect, Function, Layer } from "effect"
import { TestClock } from "effect/testing"
import { LittleRoom } from "../../../src/server/lifecycle/little-room.ts"
import { MissingStates } from "../../../src/server/lifecycle/missing-states.ts"
import { Retention } from "../../../src/server/lifecycle/retention.ts"
import { upkeep } from "../../../src/server/lifecycle/upkeep.ts"
import { Agents } from "../../../src/server/run/agents.ts"
import { RunQueue } from "../../../src/server/run/run-queue.ts"
import { NamedBlobs } from "../../../src/server/store/named-blobs.ts"

describe("the upkeep", () =>
  it.effect("does each chore again in its time, though the one before came to nothing, and what is old at once where there is more", () =>
    Effect.gen(function*() {
      const done: Array<string> = []
      /** Comes to nothing the first time, by a mistake of this program. */
      const chore = <A>(name: string, answers: ReadonlyArray<A>) => {
        const left = [Effect.die(new Error("a stored row does not decode")), ...answers.map((answer) => Effect.succeed(answer))]
        return Effect.suspend(() => {
          done.push(name)
          return left.shift() ?? Effect.never
        })
      }
      const during = (time: Duration.Input) => Effect.map(TestClock.adjust(time), () => done.splice(0).sort())
      yield* Layer.build(upkeep).pipe(Effect.provide([
        Layer.mock(Agents, { forget: chore("agents", [undefined]) }),
        Layer.mock(LittleRoom, { tell: chore("room", [undefined]) }),
        Layer.mock(MissingStates, { tell: chore("missing", [undefined]) }),
        Layer.mock(RunQueue, { advanceAll: chore("plans", [undefined]) }),
        Layer.mock(NamedBlobs, { sweep: Function.constant(chore("files", [{ files: 0, bytes: 0 }])) }),
        Layer.mock(Retention, { pass: Function.constant(chore("old", [true, false])) })
      ]))
      expect(yield* during("1 second")).toEqual(["agents", "files", "missing", "old", "room"])
      expect(yield* during("1 minute")).toEqual(["room"])
      expect(yield* during("4 minutes")).toEqual(["plans", "room"])
      expect(yield* during("55 minutes")).toEqual(["old", "plans", "plans"])
      expect(yield* during("5 seconds")).toEqual(["old"])
      expect(yield* during("1 day")).toEqual(["agents", "files", "missing", "old"])
    })))
