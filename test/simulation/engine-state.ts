// What the engine of a pool's stage does with its state, by the product's own delivery: lock, read, push twice, unlock. Then the product settles it.
// Invariant: what the engine really made, and what it was told is stored, is noted in the Engine, which no product code can reach.
// Used by test/simulation/worker-process.
import { Effect, Exit, Layer, Option, Ref, Schema } from "effect"
import { createHash } from "node:crypto"
import type { StopCause } from "../../src/core/stage/outcome.ts"
import { withLeft } from "../../src/core/state/left-over-message.ts"
import { storedState } from "../../src/worker/backing/pool-backing.ts"
import type { Journal } from "../../src/worker/engine/journal.ts"
import { TaskApi } from "../../src/worker/network/task-api.ts"
import { StageFailed } from "../../src/worker/stage-failed.ts"
import { makeSettlement, type StageFacts } from "../../src/worker/stage/settlement.ts"
import { orItsFailure, type Outcome } from "../../src/worker/stage/stage.ts"
import { StateDelivery } from "../../src/worker/state/state-delivery.ts"
import { StageStopped } from "../../src/worker/task/stage-stopped.ts"
import { TaskStatus } from "../../src/worker/task/task-status.ts"
import { type Engine, idAt, importedBy, wantedOf } from "./engine.ts"
import type { StatesOfStage } from "./pool-server.ts"

const Thing = Schema.Struct({
  mode: Schema.Literal("managed"),
  type: Schema.String,
  name: Schema.String,
  instances: Schema.Array(Schema.Struct({ attributes: Schema.Struct({ id: Schema.String }) }))
})
const State = Schema.fromJsonString(
  Schema.Struct({
    version: Schema.Literal(4),
    serial: Schema.Int,
    lineage: Schema.String,
    by: Schema.String,
    resources: Schema.Array(Thing)
  })
)
type State = typeof State.Type
const decode = Schema.decodeUnknownSync(State)
const bytesOf = (state: State): Uint8Array => Buffer.from(JSON.stringify(state))
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const thingAt = (address: string): typeof Thing.Type => {
  const [type = "", name = ""] = address.split(".")
  return { mode: "managed", type, name, instances: [{ attributes: { id: idAt(address) } }] }
}
const addressOf = ({ name, type }: typeof Thing.Type): string => `${type}.${name}`
/** Returns the addresses of what is in a state. */
export const addressesIn = (bytes: Uint8Array): ReadonlyArray<string> => decode(new TextDecoder().decode(bytes)).resources.map(addressOf)
/** Returns a state as a person writes it who changes nothing in it. */
export const written = (bytes: Uint8Array, by: string): Uint8Array => {
  const before = decode(new TextDecoder().decode(bytes))
  return bytesOf({ ...before, serial: before.serial + 1, by })
}

const unused = () => Effect.die(new Error("the simulated worker has its own way for this"))
const taskApiOf = (states: StatesOfStage, patiently: TaskApi["Service"]["patiently"]): TaskApi["Service"] => ({
  ...states,
  patiently,
  secrets: Effect.succeed([]),
  details: unused(),
  download: unused,
  storePlan: unused,
  appendLog: unused,
  appendEffects: unused,
  tellResult: unused,
  takeKeptState: unused
})

interface Life {
  /** Gives what the engine knows to be there once it pushes its state for the first time. */
  readonly news: Effect.Effect<ReadonlyArray<string>>
  /** Gives the exit code once the engine's work is done, before its last state is pushed. */
  readonly done: Effect.Effect<number>
  readonly ended: Effect.Effect<number>
}

/**
 * Runs the engine to its end. Returns its exit code, and the state that it leaves in a file. `epoch` returns the epoch of the lock that the
 * server gave last.
 */
const live = Effect.fnUntraced(function*(engine: Engine, { done, ended, news }: Life, epoch: () => number) {
  const delivery = yield* StateDelivery
  const info = { ID: engine.podUid, Operation: "OperationTypeApply", Who: engine.podUid }
  let left = Option.none<Uint8Array>()
  /** Pushes a state; one that is not accepted is kept in `left`, as the engine leaves it in a file. */
  const push = (state: State) => {
    const bytes = bytesOf(state)
    return Effect.match(delivery.push(bytes), {
      onFailure: () => {
        left = Option.some(bytes)
      },
      onSuccess: () => {
        engine.acknowledged.set(digestOf(bytes), epoch())
      }
    })
  }
  const work = Effect.gen(function*() {
    yield* delivery.lock(info)
    const before = Option.map(yield* delivery.read, (bytes) => decode(new TextDecoder().decode(bytes)))
    const { lineage, resources, serial } = Option.getOrElse(before, () => ({ lineage: engine.podUid, resources: [], serial: 0 }))
    const imported = importedBy(engine.task).filter((address) => !resources.map(addressOf).includes(address))
    const next = (by: number, made: ReadonlyArray<string>): State => ({
      version: 4,
      serial: serial + by,
      lineage,
      by: engine.podUid,
      resources: [...resources, ...[...imported, ...made].map(thingAt)]
    })
    engine.begin({ wanted: wantedOf(engine.task), digestOf: (made) => digestOf(bytesOf(next(2, made))) })
    yield* push(next(1, yield* news))
    const code = yield* done
    yield* push(next(2, engine.known))
    yield* delivery.unlock(info)
    return code
  })
  yield* Effect.orElseSucceed(work, () => 1).pipe(Effect.tap((code) => Effect.sync(() => engine.finish(code))), Effect.raceFirst(ended))
  return { code: yield* ended, left }
})

/** Where the engine works, which nobody looks at here. */
const nowhere = { root: 0, directory: [], path: "" }

interface Ended {
  readonly code: number
  readonly left: Option.Option<Uint8Array>
  readonly stopped: StopCause | undefined
}

/** Returns the outcome of the engine's stage, as the product settles it. */
const settled = Effect.fnUntraced(function*({ code, left, stopped }: Ended, journal: Journal) {
  const delivery = yield* StateDelivery
  const { unsavedDuring } = yield* TaskStatus
  const facts = yield* Ref.make<StageFacts>({})
  const backing = {
    settleState: () =>
      Effect.flatMap(delivery.settle(left), (state) =>
        state._tag === "Unsaved"
          ? Effect.fail(new StageFailed({ reason: "StateNotSaved", message: "The server has not confirmed the state." }))
          : Effect.succeed(state)),
    storedState: storedState(yield* TaskApi),
    giveStateBack: delivery.giveBack,
    showWaitingDuring: unsavedDuring
  }
  const done: Exit.Exit<Outcome, StageFailed | StageStopped> = stopped !== undefined
    ? Exit.fail(new StageStopped({ cause: stopped, during: Option.none(), exitCode: code }))
    : code !== 0
    ? Exit.fail(new StageFailed({ reason: "ExitCode", message: "The engine failed.", exitCode: code }))
    : Exit.succeed({ outcome: "succeeded", reason: "Completed", message: "Done.", exitCode: 0 })
  const outcome = yield* orItsFailure(
    Effect.andThen(makeSettlement({ backing, facts, journal, onlyDestroys: false }).after(done, nowhere), done)
  )
  const { unsavedEffects = "", ...known } = yield* Ref.get(facts)
  return { ...outcome, ...known, message: withLeft(outcome.message, unsavedEffects) }
})

interface Stage {
  readonly states: StatesOfStage
  readonly patiently: TaskApi["Service"]["patiently"]
  readonly journal: Journal
  /** Why the stage had to stop, if it had to by now. */
  readonly stopped: () => StopCause | undefined
}

/** Runs the engine with its state; returns the outcome of its stage. */
export const liveWithState = (engine: Engine, life: Life, { journal, patiently, states, stopped }: Stage) =>
  Effect.suspend(() => {
    let epoch = 0
    const lockState: StatesOfStage["lockState"] = (info) =>
      Effect.tap(states.lockState(info), (lock) =>
        Effect.sync(() => {
          epoch = lock.epoch
        }))
    const taskApi = Layer.succeed(TaskApi, taskApiOf({ ...states, lockState }, patiently))
    return live(engine, life, () => epoch).pipe(
      Effect.flatMap((end) => settled({ ...end, stopped: stopped() }, journal)),
      Effect.provide(Layer.provideMerge(StateDelivery.layer, taskApi))
    )
  })
