// A worker as a process of the simulation: the product's claim, stop and report around an engine that ends when the schedule says so.
// Invariant: what the engine really did is noted in Truth, which no product code can reach.
// Started by the kubelet in test/simulation/cluster.
import { Cause, ConfigProvider, Effect, Exit, Fiber, Layer, Option, Schedule } from "effect"
import { readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { fromEvent } from "../../src/core/stage/engine-events.ts"
import type { StopCause } from "../../src/core/stage/outcome.ts"
import { claimLostExitCode } from "../../src/core/task/places.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { secrets } from "../../src/kubernetes/kinds.ts"
import type { Sha256 } from "../../src/schema/names.ts"
import type { AgentTask } from "../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { type Journal, makeJournal, type SendJournal } from "../../src/worker/engine/journal.ts"
import { Log } from "../../src/worker/engine/log-shipper.ts"
import type { TaskApiError } from "../../src/worker/network/task-api-error.ts"
import { Settings } from "../../src/worker/settings.ts"
import { type Outcome, tellPlanned } from "../../src/worker/stage/stage.ts"
import { claimTask } from "../../src/worker/task/claim.ts"
import { report, type TellPool } from "../../src/worker/task/report.ts"
import { Stop } from "../../src/worker/task/stop.ts"
import { TaskStatus } from "../../src/worker/task/task-status.ts"
import type { ApiServer } from "./api-server.ts"
import { digestOf, planOf } from "./approvals.ts"
import { clientOf, type Watch } from "./client.ts"
import { stageIdOf } from "./effects.ts"
import { liveWithState } from "./engine-state.ts"
import { Engine, wantedOf } from "./engine.ts"
import { lastWordsOf } from "./last-words.ts"
import { isRefused, isUnheard, type OneThread, Process } from "./one-thread.ts"
import type { PoolServer, StatesOfStage } from "./pool-server.ts"

/** What really happened, whatever the objects say. */
export interface Truth {
  readonly engines: Array<Engine>
  /** The result that the worker made of its engine's end, by the task's UID. */
  readonly results: Map<string, StageResult>
  /** The UIDs of tasks whose worker had no time to wait for the pool before it made that result. */
  readonly hurried: Set<string>
  /** The UIDs of tasks without a pool whose state the backend has stored. */
  readonly states: Set<string>
}

export interface Container {
  readonly process: Process
  readonly watches: ReadonlySet<Watch>
  readonly reaches: Start["reaches"]
  /** The worker's exit code; undefined while it runs. */
  exitCode: number | undefined
  ready: boolean
  readonly lastWords: () => string
  readonly sigterm: () => void
}

/** How an engine ended whose state is not the pool's, and whether its plan, or its last state, is stored. */
interface Ended {
  readonly code: number
  readonly stored: boolean
}

/** Returns the digest of the plan that the task makes. */
const planDigestOf = (task: AgentTask): Sha256 => task.spec.pool === undefined ? digestOf(task.metadata.uid) : planOf(stageIdOf(task))

const outcomeOf = (task: AgentTask, { code, stored }: Ended, stopped: StopCause | undefined): Outcome => {
  const state = task.spec.stage === "plan" ? {} : { statePushed: stored }
  if (!stored && task.spec.stage === "plan") {
    return { outcome: "failed", reason: "PoolUnreachable", message: "The pool has not got the plan.", exitCode: code }
  }
  if (!stored) {
    return { outcome: "failed", reason: "StateNotSaved", message: "The server has not confirmed the state.", exitCode: code, ...state }
  }
  if (stopped !== undefined) {
    return { outcome: stopped === "Cancelled" ? "cancelled" : "failed", reason: stopped, message: "The stage was stopped.", ...state }
  }
  if (code !== 0) return { outcome: "failed", reason: "ExitCode", message: "The engine failed.", exitCode: code, ...state }
  return {
    outcome: "succeeded",
    reason: "Completed",
    message: "Done.",
    exitCode: 0,
    ...(task.spec.stage === "plan" ? { hasChanges: true, planDigest: planDigestOf(task) } : state)
  }
}

/** The result of a worker that the pool does not let begin. */
const refused: Outcome = {
  outcome: "failed",
  reason: "TokenRefused",
  message: "The pool does not know this stage."
}

export interface Start {
  readonly thread: OneThread
  readonly server: ApiServer
  readonly truth: Truth
  readonly seed: number
  readonly pod: { readonly uid: string; readonly env: Readonly<Record<string, string>> }
  readonly reaches: () => true | "cut off" | "token revoked"
  readonly pool: Option.Option<PoolServer>
}

/** What the pool gives a worker: leave to begin, a place for its plan, its states and its journal, and a way to report its result. */
interface Backing {
  readonly mayBegin: Effect.Effect<boolean>
  readonly sendJournal: Option.Option<SendJournal>
  readonly storePlan: Effect.Effect<boolean>
  readonly states: Option.Option<StatesOfStage>
  readonly tellPool: Option.Option<TellPool>
}

const nothing = () => Effect.void
const asItIs = (text: string) => text
/** A log that nobody reads, with no secret in it. */
const quietLog = Log.of({ show: () => Effect.succeed(""), line: nothing, redact: asItIs, redactKey: asItIs, flush: nothing })

const ownBacking: Backing = {
  mayBegin: Effect.succeed(true),
  sendJournal: Option.none(),
  storePlan: Effect.succeed(true),
  states: Option.none(),
  tellPool: Option.none()
}

/** The schedule of retries while there is no answer, like that of the product. */
const patience = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered,
  Schedule.while(({ elapsed }) => elapsed < 300_000)
)
const patiently = <A, E extends { readonly _tag: string }>(ask: Effect.Effect<A, E>) =>
  Effect.retry(ask, { while: ({ _tag }) => _tag === "NoAnswer", schedule: patience })

export const startWorker = ({ pod, pool, reaches, seed, server, thread, truth }: Start): Container => {
  const process = new Process(thread, pod.uid, seed)
  const { kubernetes, watches } = clientOf(server, process, reaches)
  const terminationLog = lastWordsOf(`${pod.uid}-${seed}`)
  let sigterm = (): void => undefined
  const signal = process.hear<void>((tell) => {
    sigterm = tell
  })

  /** Returns the worker's access to its pool; the token is in a file of the Pod from its start. */
  const backingOf = ({ metadata, spec }: AgentTask): Backing => {
    if (spec.pool === undefined || Option.isNone(pool)) return ownBacking
    const secret = server.find(secrets, { name: spec.pool.tokenSecret.name, namespace: metadata.namespace })
    const { token = "" } = (secret?.["data"] ?? {}) as { readonly token?: string }
    const asked = pool.value.forWorker(process, Buffer.from(token, "base64").toString(), metadata.uid, () => reaches() !== "cut off")
    const succeeds = (ask: Effect.Effect<void, TaskApiError>) =>
      Effect.match(patiently(ask), { onFailure: () => false, onSuccess: () => true })
    return {
      mayBegin: succeeds(asked.details),
      sendJournal: Option.some(asked.appendEffects),
      storePlan: succeeds(asked.storePlan),
      states: Option.some(asked.states),
      tellPool: Option.some((result) =>
        Effect.mapError(patiently(asked.result(result)), () => new Error("The pool does not take the result."))
      )
    }
  }

  /** Pushes the state to the task's own backend, which answers once it is stored; returns whether the worker got that answer. */
  const save = (task: AgentTask) =>
    process.ask("push the state", (fault) => {
      const heard = reaches() === true && !isRefused(fault)
      if (heard) truth.states.add(task.metadata.uid)
      return heard && !isUnheard(fault) ? Effect.succeed(true) : Effect.fail("not confirmed" as const)
    }).pipe(Effect.retry({ times: 2 }), Effect.orElseSucceed(() => false))

  /** Tells the pool what an apply of this plan makes, and stores the plan; returns whether that is stored. */
  const keepPlan = Effect.fnUntraced(function*(task: AgentTask, journal: Journal, { storePlan }: Backing) {
    const creations = wantedOf(task).map((address) => ({ address, replaces: false }))
    yield* tellPlanned(Option.some(creations), journal)
    return yield* storePlan
  })

  /** Notes when the worker has no more time to wait until the pool has heard everything. */
  const noteHurry = Effect.fnUntraced(function*(uid: string, ended: Effect.Effect<number>) {
    const [{ poolPatience }, { tooLate }] = [yield* Settings, yield* Stop]
    yield* Effect.raceFirst(tooLate, Effect.andThen(ended, Effect.sleep(poolPatience)))
    truth.hurried.add(uid)
  })

  /** Waits until the engine has ended and its plan or state is stored, or is given up; returns how the stage ended. */
  const untilEnd = Effect.fnUntraced(
    function*(task: AgentTask, engine: Engine, backing: Backing, stopped: () => StopCause | undefined) {
      const { sendJournal, states } = backing
      const journal = yield* makeJournal(quietLog, sendJournal)
      const ended = process.hear<number>((tell) => engine.onEnd(tell))
      if (task.spec.stage !== "plan" && Option.isSome(states)) {
        engine.writesState = true
        engine.hears = (line) => {
          if (process.alive) Option.map(fromEvent(line), journal.add)
        }
        yield* Effect.forkScoped(noteHurry(task.metadata.uid, ended))
        const done = process.hear<number>((tell) => engine.onDone(tell))
        const news = process.hear<ReadonlyArray<string>>((tell) => engine.onNews(tell))
        return yield* liveWithState(engine, { done, ended, news }, { journal, patiently, states: states.value, stopped })
      }
      const code = yield* ended
      const stored = task.spec.stage !== "plan"
        ? yield* save(task)
        : code !== 0 || stopped() !== undefined || (yield* keepPlan(task, journal, backing))
      return outcomeOf(task, { code, stored }, stopped())
    },
    Effect.scoped
  )

  const runEngine = Effect.fnUntraced(function*(task: AgentTask, asked: Effect.Effect<StopCause>, backing: Backing) {
    const engine = new Engine(task, pod.uid)
    truth.engines.push(engine)
    let stopped: StopCause | undefined
    const stopping = yield* Effect.forkChild(Effect.tap(asked, (cause) =>
      Effect.sync(() => {
        stopped = cause
        engine.interrupts++
      })))
    const outcome = yield* untilEnd(task, engine, backing, () => stopped)
    yield* Fiber.interrupt(stopping)
    return outcome
  })

  const program = Effect.gen(function*() {
    const { claim, task } = yield* claimTask()
    container.ready = true
    const { asked, begin } = yield* Stop
    yield* begin("2 hours")
    const backing = backingOf(task)
    const outcome = (yield* backing.mayBegin) ? yield* Effect.provide(runEngine(task, asked, backing), TaskStatus.layer(claim)) : refused
    const result: StageResult = { ...outcome, finishedAt: new Date(thread.now).toISOString() }
    truth.results.set(task.metadata.uid, result)
    yield* report(claim, result, { flushLog: () => Effect.void, tellPool: backing.tellPool })
    return result.outcome === "succeeded" ? 0 : 1
  }).pipe(
    Effect.provide(Stop.layerOn(signal)),
    Effect.provide(Settings.layer),
    Effect.provideService(Log, quietLog),
    Effect.provide(
      Layer.mergeAll(
        Layer.succeed(Kubernetes, kubernetes),
        ConfigProvider.layer(
          ConfigProvider.fromUnknown({
            ...pod.env,
            AGENT_JOB_TERMINATION_LOG: terminationLog,
            AGENT_JOB_PRIVATE_DIR: join(dirname(terminationLog), "missing")
          })
        )
      )
    ),
    Effect.scoped,
    Effect.exit,
    Effect.map((exit) =>
      Exit.isSuccess(exit)
        ? exit.value
        : Option.exists(Cause.findErrorOption(exit.cause), ({ _tag }) => _tag === "ClaimLost")
        ? claimLostExitCode
        : 1
    ),
    Effect.tap((code) =>
      Effect.sync(() => {
        container.exitCode = code
      })
    )
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
