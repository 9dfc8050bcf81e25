// The controller as a program of its own, which a test may kill, stop for a while and start again under the same name.
// A controller that is started again leads at once, because its name still holds the Lease.
// Used by the tests of this folder that kill it again and again.
import { Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { imageEnvironment } from "../bench/controller-process.ts"
import { main } from "../cli/program.ts"
import { Tasks } from "../controller/task-cluster.ts"
import { temporaryFolder } from "../temporary-folder.ts"

export interface Program {
  /** Starts the program, for the first time or again. */
  readonly start: Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Completes with the exit code when the program has ended; null if a signal ended it, or if it was never started. */
  readonly ended: Effect.Effect<number | null>
  readonly isRunning: () => boolean
  /** Returns the resident memory in MiB, as the kernel counts it. 0 when the program does not run. */
  readonly residentMebibytes: () => number
  /** Asks for a full garbage collection, and returns the MiB that the program keeps, as live-types has it. The program must lead already. */
  readonly liveMebibytes: Effect.Effect<number>
  /** Returns how often the program has begun to lead, over all its starts. */
  readonly leads: () => number
}

export interface Options {
  readonly kubeconfig: string
  readonly values?: object
  readonly identity?: string
  readonly poolTokenFile?: string
}

/** The heap that Node would derive from the container's memory limit: half of 256 MiB. */
const asInItsPod = ["--max-old-space-size=128"]
const measured = ["--expose-gc", "--import", new URL("live-heap.ts", import.meta.url).href]

/** Runs the program once to its end, as the build of the image does: what compiles all of it leaves 40 MiB more of resident memory. */
const compileOnce = (env: NodeJS.ProcessEnv) =>
  Effect.promise(() => promisify(execFile)(process.execPath, [...asInItsPod, ...measured, main, "--help"], { env }))

const alive = (child: ChildProcess | undefined): child is ChildProcess =>
  child !== undefined && child.exitCode === null && child.signalCode === null

const end = async (child: ChildProcess | undefined): Promise<void> => {
  if (!alive(child)) return
  const exit = once(child, "exit")
  child.kill("SIGKILL")
  await exit
}

/** Returns a program that is not started yet, and that is killed when the scope closes. */
export const controllerProgram = (
  { identity = "program", kubeconfig, poolTokenFile = "/none", values = {} }: Options
): Effect.Effect<Program, never, Tasks | Scope.Scope> =>
  Effect.gen(function*() {
    const { namespace } = yield* Tasks
    const place = yield* temporaryFolder("controller")
    const [valuesFile, logFile, heapFile] = [join(place, "values.yaml"), join(place, "log"), join(place, "heap")]
    writeFileSync(logFile, "")
    writeFileSync(heapFile, "")
    writeFileSync(valuesFile, JSON.stringify({ task: { nodeSelector: { "test/nowhere": "true" } }, ...values }))
    const env = {
      ...imageEnvironment(join(tmpdir(), "controller")),
      PATH: process.env.PATH,
      HOME: place,
      KUBECONFIG: kubeconfig,
      POD_NAME: identity,
      LIVE_HEAP_FILE: heapFile
    }
    yield* compileOnce(env)
    let child: ChildProcess | undefined
    const start = () => {
      const log = openSync(logFile, "a")
      const args = [
        "controller",
        "--values",
        valuesFile,
        "--namespace",
        namespace,
        "--health-port",
        "0",
        "--pool-token-file",
        poolTokenFile
      ]
      child = spawn(process.execPath, [...asInItsPod, ...measured, main, ...args], {
        env,
        stdio: ["ignore", log, log]
      })
      closeSync(log)
    }
    yield* Effect.addFinalizer(() => Effect.promise(() => end(child)))
    const heaps = () => readFileSync(heapFile, "utf8").trim().split("\n").filter((line) => line !== "")
    const liveMebibytes = Effect.suspend(() => {
      const before = heaps().length
      child?.kill("SIGUSR2")
      return Effect.sync(heaps).pipe(
        Effect.repeat({ until: (all) => all.length > before, schedule: Schedule.spaced("20 millis") }),
        Effect.map((all) => Number(all.at(-1)) / 2 ** 20),
        Effect.timeout("20 seconds"),
        Effect.orDie
      )
    })
    return {
      start: Effect.sync(start),
      signal: (signal) => void child?.kill(signal),
      ended: Effect.promise(async () => {
        if (alive(child)) await once(child, "exit")
        return child?.exitCode ?? null
      }),
      isRunning: () => alive(child),
      residentMebibytes: () =>
        alive(child) ? Number(/^VmRSS:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024 : 0,
      liveMebibytes,
      leads: () => readFileSync(logFile, "utf8").split("\"message\":\"leads\"").length - 1
    }
  })
