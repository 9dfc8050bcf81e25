// Runs the long-running commands: their logs are JSON lines on stdout, an error that ends them is the last line, and SIGTERM is a good end.
// Used by controller, server and worker.
import { Cause, Config, Effect, Layer, Logger, Option, References } from "effect"
import { AlreadyLogged, exitCodeOf, sentenceOf } from "./failure.ts"
import { hurry, outliveReaders } from "./readers.ts"

/** The log level by SCALR_AGENT_DEBUG, the variable of the Helm chart's agent that users of the chart have in their values. */
const debug = Config.String("SCALR_AGENT_DEBUG").pipe(
  Config.map((text) => ["", "0", "false", "no", "off"].includes(text.toLowerCase()) ? undefined : "Debug" as const),
  Config.withDefault(undefined)
)

const asked = Effect.all([Config.option(Config.LogLevel("LOG_LEVEL")), debug]).pipe(
  Effect.map(([given, debug]) => Option.orElse(given, () => Option.fromUndefinedOr(debug)))
)

const level = Layer.unwrap(Effect.map(
  asked,
  Option.match({
    onNone: () => Layer.empty,
    onSome: (level) => Layer.succeed(References.MinimumLogLevel, level)
  })
))

/** Logs what ended the program. A failure is one line without a stack trace; a defect has its trace, because only that locates the bug. */
const lastWords = (cause: Cause.Cause<unknown>): Effect.Effect<never, AlreadyLogged> => {
  const error = Cause.squash(cause)
  const said = Option.match(Cause.findErrorOption(cause), {
    onNone: () => Effect.logFatal(cause),
    onSome: () => Effect.logFatal(sentenceOf(error))
  })
  return Effect.andThen(said, Effect.fail(new AlreadyLogged({ code: exitCodeOf(error) })))
}

/** Runs a service. It goes on, and comes to its end, if nobody reads its log, because its work matters more. */
export const serve = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.all([outliveReaders, hurry]).pipe(
    Effect.andThen(program),
    Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : lastWords(cause)),
    Effect.onInterrupt(() =>
      Effect.sync(() => {
        process.exitCode ??= 0
      })
    ), // Kubernetes ends a container with SIGTERM, so an interrupt is a success
    Effect.provide(Layer.merge(Logger.layer([Logger.consoleJson]), level))
  )
