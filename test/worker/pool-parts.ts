// The parts of the worker that speak to a pool, over the task API in memory, without a Pod around them.
// Used by the tests of the task API, pool backing, state gateway, state delivery and stranded states.
import { Deferred, Effect, Layer, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { signalPlan } from "../../src/core/stage/signal-plan.ts"
import { Sha256 } from "../../src/schema/names.ts"
import { TaskApi } from "../../src/worker/network/task-api.ts"
import { Settings } from "../../src/worker/settings.ts"
import { SettledState, StateDelivery } from "../../src/worker/state/state-delivery.ts"
import { Stop } from "../../src/worker/task/stop.ts"
import { TaskStatus } from "../../src/worker/task/task-status.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { type FakeTaskApi, sha256, taskApi } from "./fake-task-api.ts"
import { neverStops } from "./never-stops.ts"
import { podSettings } from "./pod-settings.ts"

/** The UID of the AgentTask that these parts act for. */
export const taskUid = "task-uid-1"

/** What has become of a state that the server confirmed last. */
export const saved = (state: Uint8Array | string) => SettledState.Saved({ digest: Sha256.make(sha256(Buffer.from(state))) })

/** For tests without an AgentTask in whose status anything could be said. */
export const noTaskStatus = Layer.succeed(TaskStatus, {
  unansweredDuring: (work) => work,
  unwrittenDuring: (work) => work,
  unsavedDuring: (work) => work
})

export interface PoolParts {
  readonly api: FakeTaskApi
  readonly privateDirectory: string
  readonly tokenFile: string
  /** Reports whether a state is on its way or was given up, which the status of an AgentTask would say after a while. */
  readonly isUnsaved: () => boolean
  /** Tells an engine that waits that its state is not taken, as some seconds after its interrupt. */
  readonly release: Effect.Effect<void>
  /** Ends the grace now. */
  readonly endGrace: Effect.Effect<void>
  readonly layer: Layer.Layer<TaskApi | Settings | StateDelivery | Stop | TaskStatus>
}

/** By default as patient as a busy machine may need: a test in which the worker gives up says after how long. */
export const poolParts = (patience = "1 minute", statePatience = "1 minute"): Effect.Effect<PoolParts, never, Scope.Scope> =>
  Effect.gen(function*() {
    const api = yield* taskApi
    const privateDirectory = yield* temporaryFolder("pool")
    const tokenFile = join(privateDirectory, "token")
    writeFileSync(tokenFile, api.token)
    let isUnsaved = false
    const mark = (now: boolean) =>
      Effect.sync(() => {
        isUnsaved = now
      })
    const taskStatus = Layer.succeed(TaskStatus, {
      unansweredDuring: (work) => work,
      unwrittenDuring: (work) => work,
      unsavedDuring: (work) => Effect.andThen(mark(true), Effect.tap(work, mark(false)))
    })
    const released = Deferred.makeUnsafe<void>()
    const tooLate = Deferred.makeUnsafe<void>()
    const stop = neverStops({ plan: signalPlan(8), released: Deferred.await(released), tooLate: Deferred.await(tooLate) })
    const settings = podSettings(privateDirectory, privateDirectory, {
      AGENT_JOB_TOKEN_FILE: tokenFile,
      AGENT_JOB_POOL_PATIENCE: patience,
      AGENT_JOB_STATE_PATIENCE: statePatience,
      AGENT_JOB_CACHE_DIR: join(privateDirectory, "cache")
    })
    const base = Layer.merge(Layer.orDie(settings), stop)
    const layer = StateDelivery.layer.pipe(
      Layer.provideMerge(taskStatus),
      Layer.provideMerge(Layer.orDie(TaskApi.layer(api.url, taskUid))),
      Layer.provideMerge(base)
    )
    return {
      api,
      privateDirectory,
      tokenFile,
      isUnsaved: () => isUnsaved,
      release: Effect.asVoid(Deferred.succeed(released, undefined)),
      endGrace: Effect.asVoid(Deferred.succeed(tooLate, undefined)),
      layer
    }
  })
