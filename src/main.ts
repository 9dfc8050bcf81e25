// The entry point: runs the command line on Node, prints an error as one sentence and sets the exit code. Layers and run, nothing else.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, References, type Runtime, Stdio } from "effect"
import { CliConfig, CliOutput, TerminalCapabilities } from "effect/cli"
import { HttpClient } from "effect/http"
import { commandLine } from "./cli/agent-job.ts"
import { programVersion } from "./cli/commands/version.ts"
import { exitCodeOf, isPrinted, lastSentence } from "./cli/terminal/failure.ts"
import { builtIns, presenter } from "./cli/terminal/help.ts"
import { afterReaders } from "./cli/terminal/readers.ts"

/** An interrupted command may set process.exitCode. If it did not, the exit code is 130, which a shell expects after an interrupt. */
const codeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return Number(process.exitCode ?? 130)
  return exitCodeOf(Cause.squash(exit.cause))
}

const teardown: Runtime.Teardown = (exit, onExit) => afterReaders(codeOf(exit), onExit)

/** Turns tracing off: nothing reads the spans, and making them takes a quarter of the time of a request. */
const untraced = Layer.merge(Layer.succeed(References.TracerEnabled, false), Layer.succeed(HttpClient.TracerDisabledWhen, () => true))

const surroundings = Layer.mergeAll(
  TerminalCapabilities.layer,
  CliConfig.layer({ builtIns }),
  CliOutput.layerPresenter(presenter),
  untraced
).pipe(Layer.provideMerge(NodeServices.layer))

Stdio.Stdio.use(({ args }) => Effect.flatMap(args, commandLine(programVersion))).pipe(
  Effect.tapCause((cause) =>
    Cause.hasInterruptsOnly(cause) || isPrinted(Cause.squash(cause))
      ? Effect.void
      : Console.error(lastSentence(cause, process.env.AGENT_JOB_DEBUG !== undefined))
  ),
  Effect.provide(surroundings),
  NodeRuntime.runMain({ teardown, disableErrorReporting: true })
)
