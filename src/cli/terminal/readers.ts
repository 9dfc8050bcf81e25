// What a command does once nobody reads its output: it ends, or goes on unheard if its work matters more.
// Both streams keep a listener until the process ends, because a stream reports a failure only after the write.
// Used by screen, serve and interrupt.
import { Effect } from "effect"
import { exitCode } from "./failure.ts"

/** Ends the process. A reader that went away (`| head`) is no success, because a run goes on by itself and nobody hears how it ends. */
const end = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") process.exit(exitCode.readerGone)
  if (process.stderr.writable) {
    process.stderr.write(`error: Cannot write what was asked for (${error.message}); make room there, or send it elsewhere.\n`)
  }
  process.exit(exitCode.failed)
}

const goOn = (): void => {}

const streams = [process.stdout, process.stderr]

export const endWithReaders = Effect.sync(() => {
  for (const stream of streams) {
    if (!stream.listeners("error").includes(end)) stream.on("error", end)
  }
})

export const outliveReaders = Effect.sync(() => {
  for (const stream of streams) {
    stream.off("error", end)
    if (!stream.listeners("error").includes(goOn)) stream.on("error", goOn)
  }
})
