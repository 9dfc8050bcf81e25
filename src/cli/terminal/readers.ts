// What a command does about those who read its output: it waits for them at its end; once they are gone it ends, or goes on unheard.
// Both streams keep a listener until the process ends, because a stream reports a failure only after the write.
// Used by main, teardown, screen, serve, run-directory, interrupt, examination and bundle.
import { Effect } from "effect"
import { errorInWords } from "../../schema/system-error.ts"
import { exitCode } from "./failure.ts"

/** Ends the process. A reader that went away (`| head`) is no success, because a run goes on by itself and nobody hears how it ends. */
const end = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") process.exit(exitCode.readerGone)
  if (process.stderr.writable) {
    process.stderr.write(`error: Cannot write what was asked for (${errorInWords(error)}); make room there, or send it elsewhere.\n`)
  }
  process.exit(exitCode.failed)
}

const goOn = (): void => {}

const streams = [process.stdout, process.stderr]

const hurriedMillis = 2000
let hurried = false

const hurryNow = (): void => {
  hurried = true
}

/** From now on the end waits for readers for two seconds at most: one that stands still must not hold up what has to end. */
export const hurry = Effect.sync(hurryNow)

/** Ends once nobody reads, and hurries after a SIGTERM: what sends it, such as `timeout`, is no person who would press Ctrl-C again. */
export const endWithReaders = Effect.sync(() => {
  if (!process.listeners("SIGTERM").includes(hurryNow)) process.on("SIGTERM", hurryNow)
  for (const stream of streams) {
    if (!stream.listeners("error").includes(end)) stream.on("error", end)
  }
})

/** Goes on if nobody reads, because the work matters more. */
export const outliveReaders = Effect.sync(() => {
  for (const stream of streams) {
    stream.off("error", end)
    if (!stream.listeners("error").includes(goOn)) stream.on("error", goOn)
  }
})

const terminate = () => void process.emit("SIGTERM")

/**
 * Lets the effect remove what it has made, also where the terminal is closed: that counts as SIGTERM, as often as it is told, and what is
 * then written to the terminal fails. Not for a run, which SIGTERM cancels and a lost connection must not.
 */
export const inOrder = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.andThen(outliveReaders, Effect.sync(() => process.on("SIGHUP", terminate))),
    () => effect,
    () => Effect.andThen(endWithReaders, Effect.sync(() => process.off("SIGHUP", terminate)))
  )

/** Calls `done` once all that was written to the stream has arrived, or cannot. */
const settle = (stream: NodeJS.WriteStream, done: () => void): void => {
  if (stream.writableLength === 0) return done()
  stream.write("", () => setImmediate(done)) // an error comes after this callback, and ends the program as it always does
}

/** What Node has a thread wait for, which ends in its own time: the lookup of a name, or what a pipe has. */
const waiting: ReadonlyArray<string> = ["GetAddrInfoReqWrap", "FSReqCallback", "FSReqPromise"]

/**
 * Ends an interrupted process by the signal, with the same code for a shell, if a thread is waiting: Node's own end waits for each thread,
 * and so for ever where a pipe has no writer. Where the signal ends nothing, as in the first process of a container, the caller goes on.
 */
const withoutThreads = (): void => {
  if (!process.getActiveResourcesInfo().some((resource) => waiting.includes(resource))) return
  process.removeAllListeners("SIGINT")
  process.kill(process.pid, "SIGINT")
}

/**
 * Calls `exit` once what was printed has arrived: Node writes to a pipe later, and forgets what is left when the process ends. A signal
 * ends the wait. By then only this listens to one, and without a listener the first process of a container would not even hear it.
 */
export const afterReaders = (code: number, exit: (code: number) => void): void => {
  const leave = () => {
    if (code === exitCode.interrupted) withoutThreads()
    process.exit(code)
  }
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, leave)
  const limit = hurried ? setTimeout(leave, hurriedMillis) : undefined
  settle(process.stdout, () =>
    settle(process.stderr, () => {
      clearTimeout(limit)
      if (code === exitCode.interrupted) withoutThreads()
      exit(code)
    }))
}
