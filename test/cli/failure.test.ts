// What the errors of other folders mean to a script.
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { exitCode, exitCodeOf } from "../../src/cli/failure.ts"
import { toServer } from "../../src/http/connections.ts"

it.effect("a proxy that cannot be used is a variable that is wrong", () =>
  Effect.gen(function*() {
    const error = yield* Layer.build(toServer({ connections: 1 })).pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ HTTPS_PROXY: "10.0.0.1:3128" }))),
      Effect.flip
    )
    expect(exitCodeOf(error)).toBe(exitCode.usage)
  }).pipe(Effect.scoped))
