// One exec loop in a directory of its own, under a given shell, and the real client on it.
// Always holds: when the scope closes, neither the loop nor a command of its is left.
// Used by the tests of src/runner/exec-loop.sh and of src/worker/exec-loop.ts.
import { type Duration, Effect, Layer, Schedule, Stream } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import type { Command } from "../../src/worker/command-script.ts"
import { ExecLoop, type Running } from "../../src/worker/exec-loop.ts"

const script = join(import.meta.dirname, "../../src/runner/exec-loop.sh")

/** The three that runner images have as /bin/sh: Debian's, Red Hat's and Alpine's. Each is started by the name sh, as there. */
export const shells = ["dash", "bash", "busybox"] as const
export type Shell = typeof shells[number]

const find = (program: string) => {
  const found = (process.env.PATH ?? "").split(delimiter).find((folder) => isThere(folder, program))
  if (found === undefined) {
    throw new Error(`these tests need ${program}; install the Debian package ${program === "busybox" ? "busybox-static" : program}`)
  }
  return join(found, program)
}
const isThere = (folder: string, name: string) => {
  try {
    return readdirSync(folder).includes(name)
  } catch {
    return false
  }
}

export interface Place {
  /** Where the loop runs. */
  readonly directory: string
  /** A directory for what the test itself leaves. */
  readonly scratch: string
  readonly sh: string
}

export const place = (shell: Shell) =>
  Effect.acquireRelease(
    Effect.sync((): Place => {
      const root = mkdtempSync(join(tmpdir(), "exec-loop-"))
      const [directory, scratch, sh] = [join(root, "exec"), join(root, "scratch"), join(root, "sh")]
      mkdirSync(directory)
      mkdirSync(scratch)
      symlinkSync(find(shell), sh)
      return { directory, scratch, sh }
    }),
    ({ directory }) => Effect.sync(() => rmSync(join(directory, ".."), { recursive: true, force: true }))
  )

/** A PATH with these programs and nothing else. */
export const onlyPrograms = ({ scratch }: Place, programs: ReadonlyArray<string>) => {
  const folder = mkdtempSync(join(scratch, "bin-"))
  for (const program of programs) symlinkSync(find(program), join(folder, program))
  return folder
}

export interface Loop {
  readonly pid: number
  /** Exit code and signal, when the loop has ended. */
  readonly exit: Effect.Effect<readonly [number | null, NodeJS.Signals | null]>
  readonly signal: (name: NodeJS.Signals) => void
  /** What the death of the container is to the loop and its command. */
  readonly killAll: Effect.Effect<void>
}

const signalGroup = (pid: number, name: NodeJS.Signals) => {
  if (pid <= 0) return // its number is not written yet, and 0 would be our own group
  try {
    process.kill(-pid, name)
  } catch {
    // It has ended.
  }
}

/** Without one there is no limit to watch. */
export const cgroupOf = ({ scratch }: Pick<Place, "scratch">) => join(scratch, "cgroup")

export const startLoop = ({ directory, scratch, sh }: Place, path = process.env.PATH) =>
  Effect.acquireRelease(
    Effect.sync((): Loop => {
      const child: ChildProcess = spawn(sh, [script, directory, sh, cgroupOf({ scratch })], {
        stdio: "ignore",
        detached: true,
        env: { PATH: path }
      })
      const pid = child.pid ?? 0
      const ended = new Promise<readonly [number | null, NodeJS.Signals | null]>((resolve) =>
        child.on("exit", (code, signal) => resolve([code, signal]))
      )
      const exit = Effect.promise(() => ended)
      return {
        pid,
        exit,
        signal: (name) => process.kill(pid, name),
        killAll: Effect.suspend(() => {
          signalGroup(pid, "SIGKILL")
          runningPids(directory).forEach((command) => signalGroup(command, "SIGKILL"))
          return Effect.asVoid(exit)
        })
      }
    }),
    (loop) => loop.killAll
  )

/** The processes of the commands that the loop has taken and not seen end. */
export const runningPids = (directory: string) =>
  isThere(directory, "taken")
    ? readdirSync(join(directory, "taken")).flatMap((id) =>
      isThere(join(directory, "taken", id), "pid") ? [Number(readFileSync(join(directory, "taken", id, "pid"), "utf8"))] : []
    )
    : []

/** With a time to linger that no test outlives, so that nothing passes only because of it. */
export const client = ({ directory }: Place, linger: Duration.Input = "1 hour", onCrowded: Effect.Effect<unknown> = Effect.void) =>
  Layer.build(ExecLoop.layer({ directory, startDeadline: "10 seconds", linger, onCrowded })).pipe(
    Effect.flatMap((context) => Effect.provide(ExecLoop, context))
  )

/** A loop and its client. */
export const session = Effect.fnUntraced(function*(shell: Shell, path?: string) {
  const at = yield* place(shell)
  const loop = yield* startLoop(at, path)
  return { ...at, loop, execLoop: yield* client(at) }
})

/** All that a command wrote, and how it ended. */
export const collect = Effect.fnUntraced(function*(running: Running) {
  const output = yield* Stream.runCollect(running.output)
  const written = (stream: "stdout" | "stderr") =>
    Buffer.concat(output.filter((chunk) => chunk.stream === stream).map(({ bytes }) => bytes))
  return { ended: yield* running.ended, stdout: written("stdout"), stderr: written("stderr") }
})

export const execute = (execLoop: ExecLoop["Service"], command: Command) => Effect.scoped(Effect.flatMap(execLoop.run(command), collect))

export const shellCommand = ({ scratch }: { readonly scratch: string }, text: string, ...args: ReadonlyArray<string>): Command => ({
  argv: ["sh", "-c", text, "sh", ...args],
  env: {},
  cwd: scratch
})

/** Waits until `holds`; ten seconds at most. */
export const eventually = (holds: () => boolean) =>
  Effect.sync(holds).pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (held) => held }),
    Effect.timeout("30 seconds")
  )
