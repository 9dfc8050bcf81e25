// One exec loop in a directory of its own, under a given shell, with the real client.
// Invariant: when the scope closes, neither the loop nor any of its commands is left.
// Used by the tests of src/runner/exec-loop.sh and of src/worker/engine/exec-loop.ts.
import { type Duration, Effect, Layer, Schedule, Stream } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import type { Command } from "../../src/worker/engine/command-script.ts"
import { ExecLoop, type RunningCommand } from "../../src/worker/engine/exec-loop.ts"

const script = join(import.meta.dirname, "../../src/runner/exec-loop.sh")
/** A user who has no processes beside those of one loop. */
const nobodyElse = 60_000 + process.pid % 4_000

/** The shells that runner images have as /bin/sh: those of Debian, Red Hat and Alpine. Each is started under the name sh, as there. */
export const shells = ["dash", "bash", "busybox"] as const

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
  /** The directory in which the loop runs. */
  readonly directory: string
  /** A directory for the files of the test itself. */
  readonly scratch: string
  readonly sh: string
  /** The script of the loop, if it is not that of the sources, and the user and group who run it, if not those of the tests. */
  readonly loop?: string
  readonly user?: number
}

export const place = (shell: string) =>
  Effect.acquireRelease(
    Effect.sync((): Place => {
      const root = mkdtempSync(join(tmpdir(), "exec loop -"))
      const [directory, scratch, sh] = [join(root, "exec"), join(root, "scratch"), join(root, "sh")]
      mkdirSync(directory)
      mkdirSync(scratch)
      symlinkSync(find(shell), sh)
      return { directory, scratch, sh }
    }),
    ({ directory }) => Effect.sync(() => rmSync(join(directory, ".."), { recursive: true, force: true }))
  )

/** Returns a PATH with these programs and nothing else. */
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
  /** Kills the loop and its commands, as the death of the container does. */
  readonly killAll: Effect.Effect<void>
}

const signalGroup = (pid: number, name: NodeJS.Signals) => {
  if (pid <= 0) return // the process ID is not written yet, and 0 would mean our own group
  try {
    process.kill(-pid, name)
  } catch {
    // The group has ended.
  }
}

/** A place whose loop has a user of its own, since root has no limit of processes; without root, the user who runs the tests. */
export const placeOfUser = (shell: string) =>
  Effect.map(place(shell), (at): Place => {
    if (process.getuid?.() !== 0) return at
    const loop = join(at.directory, "../exec-loop.sh") // the folder of the sources may be root's alone
    copyFileSync(script, loop)
    for (const path of [join(at.directory, ".."), at.directory, at.scratch]) chownSync(path, nobodyElse, nobodyElse)
    return { ...at, loop, user: nobodyElse }
  })

/** The folder that the loop takes for its cgroup. Unless a test makes it, there is no limit to watch. */
export const cgroupOf = ({ scratch }: Pick<Place, "scratch">) => join(scratch, "cgroup")

export const startLoop = (
  { directory, loop = script, scratch, sh, user }: Place,
  path = process.env.PATH,
  environment: Readonly<Record<string, string>> = {}
) =>
  Effect.acquireRelease(
    Effect.sync((): Loop => {
      const child: ChildProcess = spawn(sh, [loop, directory, sh, cgroupOf({ scratch })], {
        stdio: "ignore",
        detached: true,
        uid: user,
        gid: user,
        env: { PATH: path, ...environment }
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

/** The process IDs of the commands that the loop has taken and whose end it has not seen. */
export const runningPids = (directory: string) =>
  isThere(directory, "taken")
    ? readdirSync(join(directory, "taken")).flatMap((id) =>
      isThere(join(directory, "taken", id), "pid") ? [Number(readFileSync(join(directory, "taken", id, "pid"), "utf8"))] : []
    )
    : []

/**
 * A client that by default gives longer to linger, and to die, than any test runs, so that no test passes only because such a time is over.
 */
export const client = (
  { directory }: Place,
  linger: Duration.Input = "1 hour",
  onCrowded: Effect.Effect<unknown> = Effect.void,
  dying: Duration.Input = "1 hour"
) =>
  Layer.build(ExecLoop.layer({ directory, startDeadline: "30 seconds", linger, onCrowded, dying })).pipe(
    Effect.flatMap((context) => Effect.provide(ExecLoop, context))
  )

/** A loop and its client. */
export const session = Effect.fnUntraced(function*(shell: string, path?: string) {
  const at = yield* place(shell)
  const loop = yield* startLoop(at, path)
  return { ...at, loop, execLoop: yield* client(at) }
})

/** All that a command wrote, and how it ended. */
export const collect = Effect.fnUntraced(function*(running: RunningCommand) {
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

/** Waits until `holds` returns true, for at most 30 seconds. */
export const eventually = (holds: () => boolean) =>
  Effect.sync(holds).pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (held) => held }),
    Effect.timeout("5 minutes")
  )
