// Runs one command of the engine in the runner: shows its output in the log, returns its end as data, and sends the signals of a stop.
// Invariant: no command starts once the stage has to stop, and none is left running at the end unless even SIGKILL did not end it.
// Used by worker/stage/stage.ts and worker/stage/preparation.ts.
import { Context, Effect, Fiber, Layer, Option, Ref, Stream } from "effect"
import { engineVariables } from "../../core/stage/engine-environment.ts"
import { droppedFault } from "../../core/stage/environment-fault.ts"
import { type CommandEnd, commandFailure, gaveUp } from "../../core/stage/outcome.ts"
import { showVersion, type StageCommand, withoutArguments } from "../../core/stage/stage-commands.ts"
import { linesOf, noLine } from "../../core/text/lines.ts"
import { type EngineName, engineNames } from "../../schema/names.ts"
import type { Seal } from "../../schema/task/seal.ts"
import { fileTrouble, invalid, StageFailed } from "../stage-failed.ts"
import { StageStopped, untilStopped } from "../task/stage-stopped.ts"
import { Stop } from "../task/stop.ts"
import type { Command } from "./command-script.ts"
import { ExecLoop, type ExecLoopError, type OutputChunk, type RunningCommand } from "./exec-loop.ts"
import { Log } from "./log-shipper.ts"

/** Which engine runs, where, and with which environment. */
export interface Workplace {
  readonly engine: EngineName
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
}

/** What one command gets in addition to the workplace's environment; `secrets` are kept out of the log. */
export interface CommandEnv {
  readonly env: Readonly<Record<string, string>>
  readonly secrets: ReadonlyArray<string>
}

/** What is open for one command. */
export interface Opened extends CommandEnv {
  /** Returns why the command was not given what it asked for last, where its engine does not say that; none if it was. */
  readonly notGiven?: Effect.Effect<Option.Option<StageFailed>>
}

export const noCommandEnv: CommandEnv = { env: {}, secrets: [] }

/** What the runner has by itself: the engine, and variables of the engine that `place` does not set. */
export interface Found {
  readonly engine: Seal["engine"]
  readonly variables: Readonly<Record<string, string>>
}

/** Called with what a command tells of its effects (`StageCommand.tells`); has to return at once. */
export interface Listener {
  /** Called with each line, as it comes. */
  readonly line: (line: string) => void
  /** Called once the command has ended, if it tells in its log, with the end of that. */
  readonly end: (log: string) => void
}
const nobody: Listener = { line: () => {}, end: () => {} }

/** The most output that is captured: more than the JSON of a plan with ten thousand resources. */
const captureBytes = 32 * 1024 * 1024
/** The most of the runner's environment that is read: Linux starts no program with more, unless its stack may be larger than usual. */
const environMebibytes = 2
/** How long before each signal what the engine says is heard. */
const hearMillis = 1000
/** The longest line, in bytes, that may tell an effect; longer ones are skipped. */
const longestLine = 64 * 1024

/**
 * Sleeps, the end of it by itself. Where this process stands still meanwhile, what the engine said before is heard by then, such as that it
 * has ended, and the engine has that moment.
 */
const sleepAndHear = (millis: number): Effect.Effect<void> =>
  Effect.andThen(Effect.sleep(millis - Math.min(millis, hearMillis)), Effect.sleep(Math.min(millis, hearMillis)))

export class Engine extends Context.Service<Engine, {
  /**
   * Runs the command to its end. Fails when the command fails, or when the stage has to stop and the command did not end with 0.
   * Returns what the command printed on stdout, if that is captured and not larger than `captureBytes`.
   */
  readonly run: (
    workplace: Workplace,
    command: StageCommand,
    extra?: CommandEnv,
    listener?: Listener
  ) => Effect.Effect<Option.Option<string>, StageFailed | StageStopped>
  /** Finds the engine of that name or, without a name, the first of `engineNames` in the image; the engine's own JSON tells its version. */
  readonly find: (
    name: Option.Option<EngineName>,
    place: Omit<Workplace, "engine">
  ) => Effect.Effect<Found, StageFailed | StageStopped>
}>()("agent-job/worker/Engine") {
  static readonly layer = Layer.effect(
    Engine,
    Effect.gen(function*() {
      const execLoop = yield* ExecLoop
      const stop = yield* Stop
      const log = yield* Log

      /** Waits for a stop, sends its signals in turn, and returns when it is time to give up. Sets `forced` if INT was not enough. */
      const signals = Effect.fnUntraced(function*(running: RunningCommand, forced: Ref.Ref<boolean>) {
        yield* stop.asked
        let past = 0
        for (const { afterMillis, name } of stop.plan.signals) {
          yield* sleepAndHear(afterMillis - past)
          past = afterMillis
          yield* Ref.set(forced, name !== "INT")
          yield* running.signal(name)
        }
        yield* sleepAndHear(stop.plan.giveUpAfterMillis - past)
      })

      const started = ({ argv, directory, env }: Started, command: StageCommand, extra: CommandEnv) =>
        execLoop.run({
          argv,
          env: { ...env, ...extra.env },
          cwd: directory,
          events: command.tells === "events"
        }).pipe(
          Effect.mapError(execLoopFailure),
          untilStopped,
          Effect.provideService(Stop, stop)
        )

      const perform = Effect.fnUntraced(function*(start: Started, command: StageCommand, extra: CommandEnv, listener: Listener) {
        const running = yield* started(start, command, extra)
        const capture = capturing(command.output === "captured")
        const forced = yield* Ref.make(false)
        const heard = inLines(listener.line)
        const shown = Stream.filter(running.output, (part) => {
          if (command.tells === "log" && part.stream === "stdout") heard(part.bytes)
          return !capture.keeps(part)
        })
        const output = yield* Effect.forkChild(log.show(shown, extra.secrets))
        const events = yield* Effect.forkChild(Stream.runForEach(running.events, (bytes) => Effect.sync(() => heard(bytes))))
        const end: CommandEnd = yield* Effect.raceFirst(running.ended, Effect.as(signals(running, forced), { _tag: "Unending" } as const))
        if (end._tag === "Unending") return { end, killed: true, log: "", captured: Option.none<string>() }
        yield* Fiber.join(events)
        const printed = yield* Fiber.join(output)
        if (command.tells === "log") listener.end(printed)
        return { end, killed: yield* Ref.get(forced), log: printed, captured: capture.text() }
      }, Effect.scoped)

      const toItsEnd = Effect.fnUntraced(function*(
        start: Started,
        command: StageCommand,
        extra: CommandEnv = noCommandEnv,
        listener: Listener = nobody
      ) {
        const before = yield* stop.now
        if (Option.isSome(before)) return yield* new StageStopped({ cause: before.value, during: Option.none() })
        if (command.output === "printed") yield* log.line(`\n\u001b[1m$ ${start.called} ${command.subcommand}\u001b[0m`)
        const { captured, end, killed, log: printed } = yield* perform(start, command, extra, listener)
        const asTold = { command: `${start.called} ${command.subcommand}`, end: end._tag, ...("code" in end && { exitCode: end.code }) }
        yield* Effect.logDebug("a command of the engine ended", asTold) // without its arguments, which may have secrets
        const failure = commandFailure(start.called, command, end, printed)
        if (Option.isNone(failure)) return captured
        const cause = yield* stop.now
        if (Option.isNone(cause) || end._tag === "Aborted" || end._tag === "Unending") return yield* new StageFailed(failure.value)
        const { exitCode } = failure.value
        const during = Option.some({ name: `${start.called} ${command.subcommand}`, mutates: command.mutates, killed })
        // A command that was forced may exit with 1 as if it had ended by itself, with its lock given back, but without having written what
        // it was making. Such an exit code is left out. A wrapper that hands on the interrupt forces its engine, too.
        const isHurried = killed || gaveUp(printed)
        const isTold = exitCode !== undefined && (!isHurried || exitCode > 128)
        return yield* new StageStopped({ cause: cause.value, during, ...(isTold && { exitCode }) })
      })

      const run: Engine["Service"]["run"] = Effect.fn("Engine.run")(({ directory, engine, env }, command, extra, listener) => {
        const own = { ...env, ...(command.output === "captured" && withoutArguments(command)) }
        return toItsEnd({ directory, env: own, called: engine, argv: [engine, ...command.args] }, command, extra, listener)
      })

      const find: Engine["Service"]["find"] = Effect.fn("Engine.find")(function*(wanted, place) {
        const names = Option.match(wanted, { onNone: () => engineNames, onSome: (name) => [name] })
        const captured = yield* toItsEnd(
          { ...place, called: names.join(" or "), argv: ["/bin/sh", "-c", searchFor(names)] },
          showVersion
        )
        const told = Option.getOrElse(captured, () => "")
        const environEnd = told.lastIndexOf("\0") + 1
        const said = told.slice(environEnd).trimStart()
        const name = names.find((name) => said.startsWith(`${name}\n`))
        if (name === undefined) return yield* noneOf(names)
        const version = yield* versionOf(name, said)
        if (told.startsWith("\n") || environEnd > 2 * environMebibytes * 1024 ** 2) return yield* untold
        const [environ = "", given = ""] = told.slice(0, environEnd).split("\0\n")
        const dropped = droppedFault(environ, given)
        if (dropped !== undefined) return yield* invalid(`${dropped}.`)
        return { engine: { name, version }, variables: engineVariables(environ, place.env) }
      })

      return Engine.of({ run, find })
    })
  )
}

/** A command as the runner gets it. */
interface Started extends Omit<Workplace, "engine">, Pick<Command, "argv"> {
  /** What messages call its program: the engine, or all names that it may have until it is found. */
  readonly called: string
}

/**
 * Returns a script that prints its environment and, in a new line, that of its parent, the exec loop, which is what the container was given,
 * each variable with a NUL after it, then which engine it found, and becomes the engine's version command, so that the runner is asked once.
 * The script prints no more than these environments if there is no engine.
 */
const searchFor = (names: ReadonlyArray<EngineName>): string =>
  `cat /proc/self/environ; echo; cat /proc/$PPID/environ 2>/dev/null; export ${
    Object.keys(withoutArguments(showVersion)).map((name) => `${name}=`).join(" ")
  }; for engine in ${names.join(" ")}; do if command -v $engine >/dev/null; then echo $engine; exec $engine ${
    showVersion.args.join(" ")
  }; fi; done`

const noneOf = (names: ReadonlyArray<EngineName>): StageFailed => {
  const [none, one] = names.length === 1 ? [`no ${names[0]}`, "it"] : [`neither ${names.join(" nor ")}`, "one of them"]
  return new StageFailed({ reason: "EngineMissing", message: `The runner image has ${none} in its PATH; use an image that has ${one}.` })
}

const untold = invalid(
  `The worker cannot read the runner's environment, on which a plan depends; use a runner image that has cat, in a container that has /proc, and no more than ${environMebibytes} MiB of environment.`
)

const versionOf = (engine: EngineName, said: string): Effect.Effect<string, StageFailed> => {
  const found = Option.fromNullishOr(/"terraform_version"\s*:\s*"([\w.+-]{1,64})"/u.exec(said)?.[1])
  return Effect.mapError(
    Effect.fromOption(found),
    () => invalid(`The program ${engine} of the runner image does not say its version; use an image with OpenTofu or Terraform.`)
  )
}

/** Returns the stage's failure when the runner cannot be given commands. */
export const execLoopFailure = (error: ExecLoopError): StageFailed => {
  const failure = fileTrouble("a command for the runner")(error)
  return failure.reason === "DiskFull" ? failure : invalid(`${error.message}.`)
}

/** Returns a function that takes chunks of bytes and calls `listen` with each whole line. */
const inLines = (listen: Listener["line"]) => {
  let unfinished = noLine
  return (bytes: Uint8Array): void => {
    const [left, lines] = linesOf(unfinished, bytes, longestLine)
    unfinished = left
    lines.forEach(listen)
  }
}

/** Captures the stdout of a command, if that is wanted; drops it when it becomes too large. */
const capturing = (wanted: boolean) => {
  let chunks: Array<Uint8Array> = []
  let size = 0
  return {
    /** Takes a part of the output; returns true when the part is captured, so that the log does not get it. */
    keeps: ({ bytes, stream }: OutputChunk): boolean => {
      if (!wanted || stream !== "stdout") return false
      size += bytes.length
      if (size <= captureBytes) chunks.push(bytes)
      else chunks = []
      return true
    },
    text: () => wanted && size <= captureBytes ? Option.some(Buffer.concat(chunks).toString("utf8")) : Option.none<string>()
  }
}
