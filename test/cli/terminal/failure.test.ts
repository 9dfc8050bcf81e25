// Which exit code an error of another folder has, and the last sentence that a command prints.
import { expect, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Layer } from "effect"
import { AlreadyLogged, exitCode, exitCodeOf, Failed, HasChanges, isPrinted, lastSentence } from "../../../src/cli/terminal/failure.ts"
import { toServer } from "../../../src/http/connections.ts"

it.effect("a proxy that cannot be used is a variable that is wrong", () =>
  Effect.gen(function*() {
    const error = yield* Layer.build(toServer({ connections: 1 })).pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ HTTPS_PROXY: "10.0.0.1:3128" }))),
      Effect.flip
    )
    expect(exitCodeOf(error)).toBe(exitCode.usage)
  }).pipe(Effect.scoped))

it("what is in the log already is not printed again, what is no error is not called one, and everything else is printed", () =>
  expect([new AlreadyLogged({ code: 1 }), new HasChanges(), new Failed({ message: "No." }), new Error("No.")].map(isPrinted)).toEqual([
    true,
    true,
    false,
    false
  ]))

it("what ends a command says nothing to the terminal that it is told on", () => {
  const message = "The lock \u001b]52;c;eA==\u0007 is of another;\n\tlook at it."
  const told = "The lock \\u001b]52;c;eA==\\u0007 is of another;\n\tlook at it."
  expect(lastSentence(Cause.fail(new Failed({ message })), false)).toBe(`error: ${told}`)
  expect(lastSentence(Cause.die(new Error(message)), false)).toContain(told)
})
