// Runs commands in the runner's container through named pipes and directories on a shared volume; the other side: src/runner/exec-loop.sh.
// Invariant: a command starts at most once, and what the runner writes can only end, delay or fill the output of its own commands.
// Used by worker/engine/engine.ts; started by worker/stage/stage.ts.
import { Context, Data, Deferred, type Duration, Effect, Layer, Schedule, type Scope, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { constants, fchmodSync, mkdirSync, openSync, renameSync, unlinkSync, watch, writeFileSync } from "node:fs"
import { openDirectory, pathIn, untilScopeCloses, using } from "../volume/descriptor.ts"
import { type Command, commandScript } from "./command-script.ts"
import { readReplies, type Reply } from "./exec-replies.ts"
import { type FifoReader, fileCall, type FileUnusable, isFifo, readFifo, writeFifo } from "./fifo.ts"

export interface OutputChunk {
  readonly stream: "stdout" | "stderr"
  readonly bytes: Uint8Array
}

export type CommandEnded = Data.TaggedEnum<{
  /** The program ended; 0–255, and 128 + n when signal n killed it. */
  Exited: { readonly code: number }
  /** The runner has no such program: exit 127 of its shell, which says so on stderr. */
  ProgramMissing: {}
  /** The runner could not start the program: disk full, directory gone, or a signal came first. Nothing has run. */
  NotStarted: { readonly code: number }
  /** The runner's container ended, most likely because it ran out of memory, and the command died with it. */
  Aborted: {}
}>
export const CommandEnded = Data.taggedEnum<CommandEnded>()

export interface RunningCommand {
  /** Has to be consumed, or the command blocks. Order is kept within stdout and stderr, not between them. Ends soon after `ended`. */
  readonly output: Stream.Stream<OutputChunk>
  /** What the command writes to its pipe for events, if it has one. Has to be consumed as well. */
  readonly events: Stream.Stream<Uint8Array>
  readonly ended: Effect.Effect<CommandEnded>
  /** Sends a signal to the command's process group, INT at most once however often it is asked for. Does not wait for its effect. */
  readonly signal: (name: Signal) => Effect.Effect<void>
}

export type Signal = "INT" | "TERM" | "KILL"

export class ExecLoopError extends Data.TaggedError("ExecLoopError")<{
  readonly reason: "RunnerNotReady" | "VolumeUnusable" | "InvalidCommand"
  readonly detail: string
  readonly cause?: FileUnusable
}> {
  override get message() {
    return `${this.detail}${advice[this.reason]}`
  }
}

const advice = {
  RunnerNotReady:
    "; the runner's image needs /bin/sh, mkdir, mkfifo, mv and cat, and a sandbox (task.runtimeClassName) has to share the volume between containers: read the log of the container runner",
  VolumeUnusable: "; check who owns the data volume, and what else writes to it",
  InvalidCommand: ""
}

const unusable = (reason: ExecLoopError["reason"]) => (cause: FileUnusable) => new ExecLoopError({ reason, detail: cause.message, cause })

interface Options {
  /** The directory in which the exec loop runs. It exists before the worker starts, and serves one worker. */
  readonly directory: string
  /** How long the runner may take to answer for the first time. */
  readonly startDeadline: Duration.Input
  /** Run when, during a command, the runner's container has come to 80 % of its memory limit. */
  readonly onCrowded?: Effect.Effect<unknown>
  /** How long processes that a command left behind may still write. */
  readonly linger?: Duration.Input
  /** How long a runner that died may take to end for good, or to start again and say itself what died with it. */
  readonly dying?: Duration.Input
}

export class ExecLoop extends Context.Service<ExecLoop, {
  /**
   * Succeeds when the runner has taken the command, which is after the commands before it have ended. Closing the scope before the command
   * has ended withdraws the command or, once it is taken, interrupts it and drops its output.
   */
  readonly run: (command: Command) => Effect.Effect<RunningCommand, ExecLoopError, Scope.Scope>
}>()("agent-job/worker/ExecLoop") {
  /** Closing the layer tells the loop that its worker is gone: a command that still runs gets an INT, and no other starts. */
  static readonly layer = (options: Options) => Layer.effect(ExecLoop, connect(options))
}

/** What is known about one command. `taken` and `started` complete with false when they can no longer happen. */
interface Entry {
  readonly id: string
  readonly taken: Deferred.Deferred<boolean>
  readonly started: Deferred.Deferred<boolean>
  readonly ended: Deferred.Deferred<CommandEnded>
  /** Completes when the caller does not want the command any more. */
  readonly abandoned: Deferred.Deferred<void>
  /** Completes with the open pipes of its output; with none of them if the command was withdrawn. */
  readonly opened: Deferred.Deferred<ReadonlyArray<FifoReader>, ExecLoopError>
}

const connect = Effect.fnUntraced(function*(
  { directory, dying = "5 seconds", linger = "2 seconds", onCrowded = Effect.void, startDeadline }: Options
) {
  const layerScope = yield* Effect.scope
  const entries = new Map<string, Entry>()
  const booted = Deferred.makeUnsafe<void>()
  let count = 0

  const follow = Effect.fnUntraced(function*(reply: Reply) {
    if (reply.what === "boot") return yield* Deferred.succeed(booted, undefined)
    const entry = entries.get(reply.name)
    if (entry === undefined) return
    if (reply.what === "exit") return yield* end(entry, yield* exited(entry, reply.code))
    if (reply.what === "memory") return yield* onCrowded
    if (reply.what === "aborted") return yield* end(entry, CommandEnded.Aborted())
    return yield* Deferred.succeed(entry[reply.what], true)
  })

  /** Follows the replies of one loop to its end: a loop has this pipe open for as long as it lives, and the program of a command has not. */
  const hear = (replies: FifoReader) =>
    replies.chunks.pipe(
      Stream.mapAccum(() => "", readReplies),
      Stream.filter(({ name, what }) => what === "boot" || entries.has(name)),
      Stream.tap(() => Effect.sync(replies.endWithWriters)), // a loop may take a command before its watcher says `boot`
      Stream.runForEach(follow)
    )

  /** Ends what the loop that died had taken. No other loop runs that again, and the kubelet may start none, as while it removes the Pod. */
  const bury = Effect.suspend(() => {
    const taken = [...entries.values()].filter((entry) => Deferred.isDoneUnsafe(entry.taken))
    return Effect.andThen(Effect.sleep(dying), Effect.forEach(taken, (entry) => end(entry, CommandEnded.Aborted())))
  })

  const { commands, request, send } = yield* Effect.gen(function*() {
    const base = yield* openFolder(directory)
    const path = pathIn(base, "replies")
    yield* fifoAppears(directory, path) // the last pipe that the loop makes
    const replies = yield* readFifo(path)
    const nextLoop = Effect.andThen(Effect.forkIn(bury, layerScope), Effect.scoped(Effect.flatMap(readFifo(path), hear)))
    yield* Effect.forkIn(Effect.andThen(hear(replies), Effect.ignore(Effect.forever(nextLoop))), layerScope)
    const opened = {
      commands: yield* openFolder(pathIn(base, "commands")),
      request: yield* writeFifo(pathIn(base, "requests")),
      send: yield* writeFifo(pathIn(base, "signals"))
    }
    yield* Deferred.await(booted)
    return opened
  }).pipe(
    Effect.mapError(unusable("RunnerNotReady")),
    Effect.timeoutOrElse({
      duration: startDeadline,
      orElse: () => Effect.fail(new ExecLoopError({ reason: "RunnerNotReady", detail: `No exec loop answers in ${directory}` }))
    })
  )

  /**
   * Puts the command where the loop finds it, complete from the first moment. Returns a descriptor of its directory, which stays right when
   * the loop moves the directory.
   */
  const publish = Effect.fnUntraced(function*(id: string, script: string) {
    const hidden = pathIn(commands, `.${id}`)
    yield* fileCall("commands", () => mkdirSync(hidden))
    const folder = yield* openFolder(hidden)
    yield* Effect.addFinalizer(() => removeScript(folder))
    yield* fileCall("command", () => {
      fchmodSync(folder, 0o2770) // whatever the umask: the runner may be another user of the worker's group
      writeScript(pathIn(folder, "command"), script)
      renameSync(hidden, pathIn(commands, id))
    })
    yield* request(`run ${id}`)
    return folder
  })

  /** Takes the command back; returns true if the loop has not taken it and now never will. */
  const withdraw = (id: string) => Effect.isSuccess(fileCall(id, () => renameSync(pathIn(commands, id), pathIn(commands, `.${id}`))))

  /** Attends to a command until the loop is done with it, whether or not its caller still wants it. */
  const attend = Effect.fnUntraced(
    function*(entry: Entry, script: string, pipes: ReadonlyArray<string>) {
      const folder = yield* publish(entry.id, script)
      if (!(yield* Deferred.await(entry.taken))) return yield* Deferred.succeed(entry.opened, [])
      const outputs = yield* Effect.forEach(pipes, (name) => readFifo(pathIn(folder, name)))
      yield* Deferred.succeed(entry.opened, outputs)

      yield* Effect.raceFirst(Deferred.await(entry.started), Deferred.await(entry.abandoned))
      outputs.forEach((output) => output.endWithWriters())
      yield* removeScript(folder)
      yield* Effect.raceFirst(Deferred.await(entry.ended), Deferred.await(entry.abandoned))
      if (!Deferred.isDoneUnsafe(entry.ended)) {
        outputs.forEach((output) => output.discard())
        yield* send(`INT ${entry.id}`)
        yield* Deferred.await(entry.ended)
      }
      yield* Effect.raceFirst(Effect.sleep(linger), Deferred.await(entry.abandoned))
      outputs.forEach((output) => output.cut())
      return yield* Deferred.await(entry.abandoned)
    }
  )

  const run = Effect.fn("ExecLoop.run")(function*(command: Command) {
    const id = `${String(++count).padStart(6, "0")}-${randomUUID()}` // the loop runs commands in the order of their names
    const script = yield* Effect.mapError(
      Effect.fromResult(commandScript(id, command)),
      (detail) => new ExecLoopError({ reason: "InvalidCommand", detail })
    )
    const entry = newEntry(id)
    entries.set(id, entry)
    yield* Effect.addFinalizer(Effect.fnUntraced(function*() {
      if (yield* withdraw(id)) yield* Deferred.succeed(entry.taken, false)
      yield* Deferred.succeed(entry.abandoned, undefined)
    }))
    yield* attend(entry, script, command.events === true ? ["stdout", "stderr", "events"] : ["stdout", "stderr"]).pipe(
      Effect.scoped,
      Effect.catch((error) => Effect.andThen(send(`KILL ${id}`), Deferred.fail(entry.opened, unusable("VolumeUnusable")(error)))),
      Effect.ensuring(Effect.sync(() => entries.delete(id))),
      Effect.forkIn(layerScope, { startImmediately: true }) // so that the command is published by now, and can be withdrawn
    )
    const [stdout, stderr, events] = yield* Deferred.await(entry.opened)
    return {
      output: Stream.merge(labelled("stdout", stdout), labelled("stderr", stderr)),
      events: events?.chunks ?? Stream.empty,
      ended: Deferred.await(entry.ended),
      signal: (name: Signal) => Deferred.isDoneUnsafe(entry.ended) ? Effect.void : send(`${name} ${id}`)
    }
  })

  return ExecLoop.of({ run })
})

const newEntry = (id: string): Entry => ({
  id,
  taken: Deferred.makeUnsafe(),
  started: Deferred.makeUnsafe(),
  ended: Deferred.makeUnsafe(),
  abandoned: Deferred.makeUnsafe(),
  opened: Deferred.makeUnsafe()
})

const end = Effect.fnUntraced(function*(entry: Entry, ended: CommandEnded) {
  yield* Deferred.succeed(entry.ended, ended)
  yield* Deferred.succeed(entry.started, false)
  yield* Deferred.succeed(entry.taken, false)
})

const exited = Effect.fnUntraced(function*(entry: Entry, code: number) {
  const started = Deferred.isDoneUnsafe(entry.started) && (yield* Deferred.await(entry.started))
  if (!started) return CommandEnded.NotStarted({ code })
  return code === 127 ? CommandEnded.ProgramMissing() : CommandEnded.Exited({ code })
})

const labelled = (stream: OutputChunk["stream"], reader: FifoReader | undefined): Stream.Stream<OutputChunk> =>
  reader === undefined ? Stream.empty : Stream.map(reader.chunks, (bytes) => ({ stream, bytes }))

const openFolder = (path: string) => untilScopeCloses(fileCall(path, () => openDirectory(path)))

const writeScript = (path: string, script: string) => {
  using(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL), (fd) => {
    fchmodSync(fd, 0o640)
    writeFileSync(fd, script)
  })
}

/** Removes the script, because it contains the secrets of the environment. A shell that has it open can still read it. */
const removeScript = (folder: number) => Effect.ignore(fileCall("command", () => unlinkSync(pathIn(folder, "command"))))

/**
 * Waits for the named pipe at `path`. Besides watching, it looks once a second, in case the node has no inotify instance left or the kernel
 * loses an event.
 */
const fifoAppears = (directory: string, path: string) => {
  const seen = Effect.repeat(Effect.sync(() => isFifo(path)), { until: (there) => there, schedule: Schedule.spaced("1 second") })
  const told = Effect.acquireUseRelease(
    fileCall(directory, () => watch(directory)),
    (watcher) =>
      Effect.callback<void>((resume) => {
        const look = () => {
          if (isFifo(path)) resume(Effect.void)
        }
        watcher.on("change", look).on("error", look)
        look()
      }),
    (watcher) => Effect.sync(() => watcher.close())
  )
  return Effect.suspend(() => isFifo(path) ? Effect.void : Effect.raceFirst(Effect.catch(told, () => Effect.never), seen))
}
