// How the long-running commands live: logs as JSON lines on stdout, what ends them as the last of these lines, SIGTERM as a good end.
// Used by controller, server and worker.
import { Cause, Config, Effect, Layer, Logger, Option, References } from "effect"
import { AlreadyLogged, exitCodeOf, sentenceOf } from "./failure.ts"
import { outliveReaders } from "./readers.ts"

/** The variable of the Helm chart's agent, which its users have in their values. */
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

/** A failure is one line without a stack trace; a defect keeps it, since only that says where the mistake is. */
const lastWords = (cause: Cause.Cause<unknown>): Effect.Effect<never, AlreadyLogged> => {
  const error = Cause.squash(cause)
  const said = Option.match(Cause.findErrorOption(cause), {
    onNone: () => Effect.logFatal(cause),
    onSome: () => Effect.logFatal(sentenceOf(error))
  })
  const code = exitCodeOf(error)
  // Also for a program that came to its own end after a SIGTERM, as the worker does: then the exit is an interrupt.
  const ended = Effect.suspend(() => {
    process.exitCode = code
    return Effect.fail(new AlreadyLogged({ code }))
  })
  return Effect.andThen(said, ended)
}

/** What a service does matters more than who reads its log. */
export const serve = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.andThen(outliveReaders, program).pipe(
    Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : lastWords(cause)),
    Effect.onInterrupt(() =>
      Effect.sync(() => {
        process.exitCode ??= 0
      })
    ), // how Kubernetes says goodbye
    Effect.provide(Layer.merge(Logger.layer([Logger.consoleJson]), level))
  )
