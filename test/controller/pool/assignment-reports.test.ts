// What the pool is told of an assignment that has no task.
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { tellWhy } from "../../../src/controller/pool/assignment-reports.ts"
import { Pool } from "../../../src/controller/pool/pool.ts"
import { longestMessage } from "../../../src/schema/task/stage-result.ts"

it.effect("is why no agent has its run, in no more words than the pool takes", () =>
  Effect.gen(function*() {
    const told: Array<string> = []
    const pool = Layer.mock(Pool, { wait: (_, __, ___, message) => Effect.sync(() => void told.push(message)) })
    const words = "x".repeat(longestMessage)
    for (const message of [words, `${words} and more`]) yield* Effect.provide(tellWhy("run-1.plan.1", message), pool)
    expect(told).toEqual([words, words])
  }))
