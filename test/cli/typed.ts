// The command line in this process: what it says through the console and how it ends, and what it prints for programs.
// Used by the tests of commands.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Effect, Layer } from "effect"
import { CliConfig, CliOutput } from "effect/cli"
import { TestConsole } from "effect/testing"
import { vi } from "vitest"
import { commandLine } from "../../src/cli/agent-job.ts"
import { exitCodeOf, isPrinted } from "../../src/cli/terminal/failure.ts"
import { builtIns, presenter } from "../../src/cli/terminal/help.ts"

/** Runs the command line in this process, with these arguments and this environment. */
export const typed = (environment: Record<string, string>, ...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(commandLine(args))
    const error = exit._tag === "Failure"
      ? exit.cause.reasons.map((reason) => reason._tag === "Fail" ? reason.error : reason)[0]
      : undefined
    return {
      code: exit._tag === "Success" ? 0 : exitCodeOf(error),
      said: [
        ...(yield* TestConsole.errorLines),
        ...(error instanceof Error && !isPrinted(error) ? [`error: ${error.message}`] : [])
      ].join("\n"),
      out: (yield* TestConsole.logLines).join("\n")
    }
  }).pipe(
    Effect.provide(Layer.mergeAll(
      NodeServices.layer,
      CliConfig.layer({ builtIns }),
      CliOutput.layerPresenter(presenter),
      Layer.fresh(TestConsole.layer),
      ConfigProvider.layer(ConfigProvider.fromUnknown(environment))
    ))
  )

/** Runs a command, and returns its value and what it wrote to stdout and stderr. */
const printing = <A, E, R>(command: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, "write").mockImplementation(() => true))),
    (writes) =>
      Effect.map(command, (value) => {
        const [text = "", beside = ""] = writes.map(({ mock }) => Buffer.concat(mock.calls.map(([text]) => Buffer.from(text))).toString())
        return { value, text, beside }
      }),
    (writes) => Effect.sync(() => writes.forEach((write) => write.mockRestore()))
  )

/** Runs a command, and returns what it wrote to stdout. */
export const printed = <A, E, R>(command: Effect.Effect<A, E, R>) => Effect.map(printing(command), ({ text }) => text)

/** Runs the command line in this process, and returns what `run` of program.ts returns. A process takes a second or more longer. */
export const ran = (environment: Record<string, string>, ...args: ReadonlyArray<string>) =>
  Effect.map(
    printing(typed(environment, ...args)),
    ({ beside, text, value: { code, said } }) => ({ code, out: text, error: `${beside}${said === "" ? "" : `${said}\n`}` })
  )
