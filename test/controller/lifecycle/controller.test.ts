// New values in a running controller, and what its Lease says meanwhile.
import { expect, it } from "@effect/vitest"
import { Effect, Option, Ref, SubscriptionRef } from "effect"
import { answerAnnotations, takeOver } from "../../../src/controller/lifecycle/controller.ts"
import { make } from "../../../src/controller/world/world.ts"
import { proven } from "../../../src/core/scheduling/isolation.ts"
import { configOf } from "../../core/configs.ts"
import { noon, plainSeed, worldOf } from "../../core/worlds.ts"

const valuesOf = ({ total = 2, ...values }: { readonly restrictMetadataService?: boolean; readonly total?: number }) =>
  configOf({ ...values, task: { requireProvenIsolation: true, limits: { total } } })

it.effect("a proof of isolation holds for no new values but those that it is of, from the step on that takes them over", () =>
  Effect.gen(function*() {
    const before = valuesOf({ restrictMetadataService: true })
    const world = make(before.policy)
    const { task } = worldOf(plainSeed)
    world.setTask("tasks/task", Option.some(task))
    const looked: Array<unknown> = []
    const sink = yield* Ref.make<(key: string) => Effect.Effect<void>>((key) =>
      Effect.sync(() => void looked.push([key, world.turn(task)._tag]))
    )
    const annotationsSeen = yield* Ref.make<Readonly<Record<string, string>>>({})
    const answer = answerAnnotations({
      current: Effect.succeed(before),
      drained: yield* SubscriptionRef.make(false),
      annotationsSeen,
      sink,
      world
    })
    yield* takeOver(before, { annotationsSeen, sink, world }) // at the start, the Lease is not known yet
    yield* answer(proven({}, before, noon), false)
    yield* takeOver(valuesOf({ restrictMetadataService: false }), { annotationsSeen, sink, world })
    yield* takeOver(before, { annotationsSeen, sink, world })
    yield* takeOver(valuesOf({ restrictMetadataService: true, total: 3 }), { annotationsSeen, sink, world })
    expect(looked).toEqual(["Waiting", "Admitted", "Waiting", "Admitted", "Admitted"].map((turn) => ["tasks/task", turn]))
  }))
