// The program as a process of its own: what it writes, and how it ends.
// Used by the tests of main, of some commands and of test/gitops, and by test/faults/controller-process.
import { Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"

export interface Ended {
  readonly code: number | null
  readonly out: string
  /** Without what a busy machine adds: that the server, which is here, has not answered for two seconds. */
  readonly error: string
}

const waits = /^.* {2}Waiting for an answer from .*\n/gmu

export interface Program {
  readonly child: ChildProcess
  readonly out: () => string
  readonly error: () => string
  /** Waits until stdout or stderr contains this, and fails after five minutes. */
  readonly until: (part: string | RegExp) => Effect.Effect<void>
  readonly ended: Effect.Effect<Ended>
}

const root = new URL("../..", import.meta.url).pathname

/** The program: the sources, or in scripts/test the bundle that is built for the image, which starts in less than half of the time. */
export const main = process.env["TEST_PROGRAM"] ?? join(root, "src/main.ts")

/** Starts a command in the repository's root and kills it when the scope closes. It inherits only three variables of ours. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  environment: Record<string, string> = {}
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { HOME, NODE_COMPILE_CACHE, PATH } = process.env
      const child = spawn(command, args, {
        cwd: root,
        stdio: "pipe",
        env: { PATH, HOME, NODE_COMPILE_CACHE, ...environment }
      })
      let out = ""
      let error = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        out += text
      })
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        error += text
      })
      const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, out, error: error.replace(waits, "") })))
      const until = (part: string | RegExp) =>
        Effect.sync(() => typeof part === "string" ? (out + error).includes(part) : part.test(out + error)).pipe(
          Effect.repeat({ until: (seen) => seen, schedule: Schedule.spaced("10 millis") }),
          Effect.timeoutOrElse({
            duration: "5 minutes",
            orElse: () => Effect.die(new Error(`never said: ${part}\nstdout: ${out}\nstderr: ${error}`))
          }),
          Effect.asVoid
        )
      return { child, out: () => out, error: () => error, until, ended: Effect.promise(() => ended) }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )

export const agentJob = (args: ReadonlyArray<string>, environment: Record<string, string> = {}) =>
  start(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args], environment)

/** Runs the program to its end. */
export const run = (args: ReadonlyArray<string>, environment: Record<string, string> = {}) =>
  Effect.flatMap(agentJob(args, environment), ({ ended }) => ended)
