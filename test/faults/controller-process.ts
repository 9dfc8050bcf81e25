// The controller as a program of its own, which a test may kill, stop for a while and start again under the same name.
// A controller that is started again leads at once, because its name still holds the Lease.
// Used by the tests of this folder that kill it again and again.
import { Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
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

/** The program: the sources, or in long runs the bundle that is built for the image. */
const main = process.env.CONTROLLER_PROGRAM ?? fileURLToPath(new URL("../../src/main.ts", import.meta.url))
/** Node's flags as in the image, and the heap that Node would derive from the container's memory limit: half of 256 MiB. */
const asInItsPod = ["--disable-warning=ExperimentalWarning", "--max-old-space-size=128", "--max-semi-space-size=2"]
const measured = ["--expose-gc", "--import", new URL("live-heap.ts", import.meta.url).href]

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
        env: {
          PATH: process.env.PATH,
          HOME: place,
          MALLOC_ARENA_MAX: "2",
          KUBECONFIG: kubeconfig,
          POD_NAME: identity,
          NODE_COMPILE_CACHE: join(tmpdir(), "controller-compile-cache"),
          LIVE_HEAP_FILE: heapFile
        },
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
