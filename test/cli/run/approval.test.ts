// What the server is asked for by the answer to the question; the conversation is in test/cli/run/run-directory.
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { decide } from "../../../src/cli/run/approval.ts"
import { ServerClient } from "../../../src/cli/server/server-client.ts"
import { applied, sealed } from "../run-views.ts"
import { answers, toldScreen } from "../told-screen.ts"

it.effect("yes approves the plan that the question was about, by its seal, because the run may have another by then", () =>
  Effect.gen(function*() {
    const approved: Array<unknown> = []
    const server = Layer.mock(ServerClient, {
      url: "http://server",
      run: () => Effect.sync(() => approved.length === 0 ? sealed : applied),
      approve: (id, seal) => Effect.sync(() => void approved.push([id, seal]))
    })
    yield* decide(sealed, Effect.void).pipe(Effect.provide([server, toldScreen(answers("yes")).layer]))
    expect(approved).toEqual([[sealed.id, sealed.planSha256]])
  }))
