// The entry point: runs the command line on Node, prints an error as one sentence and sets the exit code. Layers and run, nothing else.
import "./cli/terminal/early-signal.ts" // first of all
import "./cli/terminal/whole-output.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Layer, References, Stdio } from "effect"
import { CliConfig, CliOutput, TerminalCapabilities } from "effect/cli"
import { HttpClient } from "effect/http"
import { commandLine } from "./cli/agent-job.ts"
import { isPrinted, lastSentence } from "./cli/terminal/failure.ts"
import { builtIns, presenter } from "./cli/terminal/help.ts"
import { endWithReaders } from "./cli/terminal/readers.ts"
import { teardown } from "./cli/terminal/teardown.ts"

/** Turns tracing off: nothing reads the spans, and making them takes a quarter of the time of a request. */
const untraced = Layer.merge(Layer.succeed(References.TracerEnabled, false), Layer.succeed(HttpClient.TracerDisabledWhen, () => true))

const surroundings = Layer.mergeAll(
  TerminalCapabilities.layer,
  CliConfig.layer({ builtIns }),
  CliOutput.layerPresenter(presenter),
  untraced
).pipe(Layer.provideMerge(NodeServices.layer))

Effect.andThen(endWithReaders, Stdio.Stdio.use(({ args }) => Effect.flatMap(args, commandLine))).pipe(
  Effect.tapCause((cause) =>
    Cause.hasInterruptsOnly(cause) || isPrinted(Cause.squash(cause))
      ? Effect.void
      : Console.error(lastSentence(cause, process.env.AGENT_JOB_DEBUG !== undefined))
  ),
  Effect.provide(surroundings),
  NodeRuntime.runMain({ teardown, disableErrorReporting: true })
)
