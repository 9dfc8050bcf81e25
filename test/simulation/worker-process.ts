// A worker as a process of the simulation: the product's claim, stop and report around an engine that ends when the schedule wants.
// Always holds: what the engine really did is noted beside it, where no product code can reach.
// Started by the kubelet in test/simulation/cluster.
import { Cause, ConfigProvider, Effect, Exit, Fiber, Layer, Option } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { claimLostExitCode } from "../../src/core/manifest/places.ts"
import type { StopCause } from "../../src/core/outcome.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { AgentTask } from "../../src/schema/agent-task.ts"
import { Sha256 } from "../../src/schema/names.ts"
import type { StageResult } from "../../src/schema/stage-result.ts"
import { claimTask } from "../../src/worker/claim.ts"
import { report, type TellPool } from "../../src/worker/report.ts"
import { Settings } from "../../src/worker/settings.ts"
import { Stop } from "../../src/worker/stop.ts"
import type { ApiServer } from "./api-server.ts"
import { clientOf, type Watch } from "./client.ts"
import { type OneThread, Process } from "./one-thread.ts"

/** The engine of one Pod, as it really is. */
export class Engine {
  readonly task: AgentTask
  readonly podUid: string
  running = true
  interrupts = 0
  exitCode: number | undefined
  #ended: (code: number) => void = () => undefined
  constructor(task: AgentTask, podUid: string) {
    this.task = task
    this.podUid = podUid
  }
  onEnd(ended: (code: number) => void): void {
    this.#ended = ended
  }
  end(code: number): void {
    if (!this.running) return
    this.running = false
    this.exitCode = code
    this.#ended(code)
  }
}

/** What really happened, whatever anybody wrote down. */
export interface Truth {
  readonly engines: Array<Engine>
  /** By task: what its worker made of its engine's end. */
  readonly results: Map<string, StageResult>
  /** Tasks whose state the server has confirmed. */
  readonly states: Set<string>
}

export interface Container {
  readonly process: Process
  readonly watches: ReadonlySet<Watch>
  readonly reaches: Start["reaches"]
  /** Undefined while it runs. */
  exitCode: number | undefined
  ready: boolean
  readonly lastWords: () => string
  readonly sigterm: () => void
}

const directory = mkdtempSync(join(tmpdir(), "simulation-"))
process.once("exit", () => rmSync(directory, { recursive: true, force: true }))

const resultOf = (task: AgentTask, code: number, stopped: StopCause | undefined, saved: boolean): Omit<StageResult, "finishedAt"> => {
  const state = task.spec.stage === "plan" ? {} : { statePushed: saved }
  if (!saved) return { outcome: "failed", reason: "StateNotSaved", message: "The server has not confirmed the state.", exitCode: code, ...state }
  if (stopped !== undefined) return { outcome: stopped === "Cancelled" ? "cancelled" : "failed", reason: stopped, message: "The stage was stopped.", ...state }
  if (code !== 0) return { outcome: "failed", reason: "ExitCode", message: "The engine failed.", exitCode: code, ...state }
  return { outcome: "succeeded", reason: "Completed", message: "Done.", exitCode: 0, ...(task.spec.stage === "plan" ? { hasChanges: true, planDigest: Sha256.make("c".repeat(64)) } : state) }
}

export interface Start {
  readonly thread: OneThread
  readonly server: ApiServer
  readonly truth: Truth
  readonly seed: number
  readonly pod: { readonly uid: string; readonly env: Readonly<Record<string, string>> }
  readonly reaches: () => true | "cut off" | "token revoked"
  readonly tellPool: (process: Process, task: AgentTask) => Option.Option<TellPool>
}

export const startWorker = ({ pod, reaches, seed, server, tellPool, thread, truth }: Start): Container => {
  const process = new Process(thread, pod.uid, seed)
  const { kubernetes, watches } = clientOf(server, process, reaches)
  const terminationLog = join(directory, `${pod.uid}-${seed}`)
  let sigterm = (): void => undefined
  const signal = process.hear<void>((tell) => {
    sigterm = tell
  })

  /** The product's server and own backends are behind this: it answers once the state is stored. */
  const save = (task: AgentTask) =>
    task.spec.stage === "plan" ? Effect.succeed(true) : process.ask("push the state", (fault) => {
      const heard = reaches() === true && fault !== "not sent" && fault !== "too many requests" && fault !== "conflict"
      if (heard) truth.states.add(task.metadata.uid)
      return heard && fault !== "lost answer" ? Effect.succeed(true) : Effect.fail("not confirmed" as const)
    }).pipe(Effect.retry({ times: 2 }), Effect.orElseSucceed(() => false))

  const program = Effect.gen(function*() {
    const { claim, task } = yield* claimTask()
    container.ready = true
    const { asked, begin } = yield* Stop
    yield* begin("2 hours")
    const engine = new Engine(task, pod.uid)
    truth.engines.push(engine)
    let stopped: StopCause | undefined
    const stopping = yield* Effect.forkChild(Effect.tap(asked, (cause) => Effect.sync(() => {
      stopped = cause
      engine.interrupts++
    })))
    const code = yield* process.hear<number>((tell) => engine.onEnd(tell))
    yield* Fiber.interrupt(stopping)
    const saved = yield* save(task)
    const result: StageResult = { ...resultOf(task, code, stopped, saved), finishedAt: new Date(thread.now).toISOString() }
    truth.results.set(task.metadata.uid, result)
    yield* report(claim, result, { flushLog: () => Effect.void, tellPool: tellPool(process, task) })
    return result.outcome === "succeeded" ? 0 : 1
  }).pipe(
    Effect.provide(Stop.layerOn(signal)),
    Effect.provide(Settings.layer),
    Effect.provide(Layer.mergeAll(Layer.succeed(Kubernetes, kubernetes), ConfigProvider.layer(ConfigProvider.fromUnknown({ ...pod.env, AGENT_JOB_TERMINATION_LOG: terminationLog })))),
    Effect.scoped,
    Effect.exit,
    Effect.map((exit) => Exit.isSuccess(exit) ? exit.value : Option.exists(Cause.findErrorOption(exit.cause), ({ _tag }) => _tag === "ClaimLost") ? claimLostExitCode : 1),
    Effect.tap((code) => Effect.sync(() => {
      container.exitCode = code
    }))
  )
  const container: Container = {
    process,
    watches,
    reaches,
    exitCode: undefined,
    ready: false,
    lastWords: () => {
      try {
        const words = readFileSync(terminationLog, "utf8")
        rmSync(terminationLog)
        return words
      } catch {
        return ""
      }
    },
    sigterm: () => sigterm()
  }
  process.run(program)
  return container
}
