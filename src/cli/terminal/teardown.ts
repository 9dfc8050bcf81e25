// How the process ends: its exit code, once what was printed has arrived.
// Used by main.
import { Cause, Exit, type Runtime } from "effect"
import { exitCode, exitCodeOf } from "./failure.ts"
import { afterReaders } from "./readers.ts"

/** An interrupted command may set process.exitCode. If it did not, the exit code is 130, which a shell expects after an interrupt. */
const codeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return Number(process.exitCode ?? exitCode.interrupted)
  return exitCodeOf(Cause.squash(exit.cause))
}

export const teardown: Runtime.Teardown = (exit, onExit) => afterReaders(codeOf(exit), onExit)
