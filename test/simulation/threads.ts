// Work of a soak in threads, one for each processor, each of which does its share and posts what it finds.
// Used by test/simulation/main, test/simulation/soak-crashes and test/simulation/soak-small-scope, and by the files that their threads run.
import { Schema } from "effect"
import { once } from "node:events"
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import { untilThreads } from "./last-words.ts"

/** The share of the thread of this number, of so many. */
export const Share = Schema.Struct({ nth: Schema.Int, every: Schema.Int })

interface Work<A> {
  /** What a thread runs. */
  readonly file: URL
  /** What the thread of this number is told, of so many. */
  readonly share: (nth: number, every: number) => object
  /** Called with each thing that a thread posts; ends all threads if it returns "enough". */
  readonly hear: (posted: A) => "enough" | undefined
}

/** Returns once all threads have ended; rejects if one fails. */
export const inThreads = async <A>({ file, hear, share }: Work<A>): Promise<void> => {
  const every = availableParallelism()
  const threads = Array.from(
    { length: every },
    (_, nth) => new Worker(file, { workerData: share(nth, every) })
  )
  const stop = () => Promise.all(threads.map((thread) => thread.terminate()))
  for (const thread of threads) {
    thread.on("message", (posted: A) => {
      if (hear(posted) === "enough") void stop()
    })
  }
  await untilThreads(Promise.all(threads.map((thread) => once(thread, "exit"))), stop)
}
