// The folder of what workers say last: one for each process, which its threads share.
// Invariant: it is gone when a file of tests is over, and when a process ends by itself or, while it waits for its threads, by a signal.
// Used by test/simulation/worker-process and threads, and by test/simulation.setup.
import { mkdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isMainThread, threadId } from "node:worker_threads"

const folder = join(tmpdir(), `simulation-${process.pid}`)

/** Returns the path of a file that no other thread has, in a folder that is there. */
export const lastWordsOf = (name: string): string => {
  mkdirSync(folder, { recursive: true })
  return join(folder, `${threadId}-${name}`)
}

export const forgetLastWords = (): void => rmSync(folder, { recursive: true, force: true })

if (isMainThread) process.once("exit", forgetLastWords) // a thread may end before the others

/**
 * Waits for the work of threads, during which a signal ends this process in order, when all have stopped. While it works itself, no handler
 * would hear a signal, which would then not end it.
 */
export const untilThreads = async (end: Promise<unknown>, stop: () => Promise<unknown>): Promise<void> => {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
  const exit = () => void stop().then(() => process.exit(1))
  for (const signal of signals) process.once(signal, exit)
  try {
    await end
  } finally {
    for (const signal of signals) process.off(signal, exit)
    await stop() // the others, if one failed: what goes on makes the folder again
  }
}
