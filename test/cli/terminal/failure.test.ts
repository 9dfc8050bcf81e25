// Which exit code each error of another folder has, and the last sentence that a command prints.
import { expect, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Duration, Effect, Layer } from "effect"
import {
  AlreadyLogged,
  exitCode,
  exitCodeOf,
  Failed,
  HasChanges,
  isPrinted,
  lastSentence,
  sentenceOf
} from "../../../src/cli/terminal/failure.ts"
import { toServer } from "../../../src/http/connections.ts"
import {
  Forbidden,
  Invalid,
  KubeconfigUnusable,
  Malformed,
  NoCredentials,
  NotFound,
  Rejected,
  TooManyRequests,
  Unauthorized,
  Unreachable
} from "../../../src/kubernetes/errors.ts"
import { OptionsUnusable } from "../../../src/server/settings.ts"

const call = { verb: "get", object: "AgentTask one" } as const
const refusal = { ...call, code: 400, reason: "Refused", detail: "no" }

it.each([
  { error: new NotFound({ ...refusal, isKindServed: true }), code: exitCode.notThere },
  { error: new Unreachable({ ...call, detail: "no answer" }), code: exitCode.unreachable },
  { error: new TooManyRequests({ ...refusal, retryAfter: Duration.seconds(1) }), code: exitCode.unreachable },
  { error: new Malformed({ ...call, detail: "see spec" }), code: exitCode.unreachable },
  { error: new NoCredentials({ problem: "No cluster is named", next: "name one" }), code: exitCode.unreachable },
  { error: new Unauthorized(refusal), code: exitCode.tokenRefused },
  { error: new Forbidden(refusal), code: exitCode.tokenRefused },
  { error: new Invalid({ ...refusal, causes: [] }), code: exitCode.usage },
  { error: new KubeconfigUnusable({ problem: "The kubeconfig has no contexts", next: "name one that has" }), code: exitCode.usage },
  { error: new OptionsUnusable({ message: "There is no such pool." }), code: exitCode.usage },
  { error: new Rejected(refusal), code: exitCode.failed }
])("$error._tag ends a command with exit code $code", ({ code, error }) => expect(exitCodeOf(error)).toBe(code))

it.effect.each([
  { is: "missing", environment: {} },
  { is: "no number", environment: { AGENT_JOB_EPOCH: "many" } }
])(
  "a variable that is $is ends a command with the exit code of bad input, and is named in a sentence",
  ({ environment }) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Config.Int("AGENT_JOB_EPOCH").parse(ConfigProvider.fromUnknown(environment)))
      expect(exitCodeOf(error)).toBe(exitCode.usage)
      expect(sentenceOf(error)).toMatch(/^The environment cannot be used: [^\n]*AGENT_JOB_EPOCH[^\n]*; correct that variable\.$/u)
    })
)

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
