// Who hears which tasks are to be looked at: the lead, as long as there is one.
import { expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { makeAttention } from "../../../src/controller/lifecycle/attention.ts"
import { make } from "../../../src/controller/world/world.ts"
import { plainSeed, policy, worldOf } from "../../core/worlds.ts"

it.effect("goes to the lead as long as it leads: one task that changed, or all that are there by then", () =>
  Effect.gen(function*() {
    const world = make(policy)
    const { look, lookAtAll, attach } = makeAttention(world.cache)
    const heard: Array<string> = []
    yield* look("tasks/before")
    yield* Effect.scoped(Effect.gen(function*() {
      yield* attach((key) => Effect.sync(() => void heard.push(key)))
      yield* look("tasks/changed")
      world.setTask("tasks/task", Option.some(worldOf(plainSeed).task))
      yield* lookAtAll
    }))
    yield* Effect.andThen(look("tasks/after"), lookAtAll)
    expect(heard).toEqual(["tasks/changed", "tasks/task"])
  }))
