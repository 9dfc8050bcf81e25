// What the engine of a pool's stage does with its state, by the product's own delivery: lock, read, push twice, unlock.
// Always holds: what the engine really made, and what it was told is stored, is noted in the Engine, which no product code can reach.
// Used by test/simulation/worker-process.
import { Effect, Layer, Option, Schema } from "effect"
import { createHash } from "node:crypto"
import { TaskApi } from "../../src/worker/network/task-api.ts"
import { StateDelivery } from "../../src/worker/state/state-delivery.ts"
import type { Engine } from "./engine.ts"
import type { StatesOfStage } from "./pool-server.ts"

const State = Schema.fromJsonString(
  Schema.Struct({ version: Schema.Literal(4), serial: Schema.Int, lineage: Schema.String, by: Schema.String })
)
type State = typeof State.Type
const decode = Schema.decodeUnknownSync(State)
const bytesOf = (state: State): Uint8Array => Buffer.from(JSON.stringify(state))
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const unused = () => Effect.die(new Error("the simulated worker has its own way for this"))
const taskApiOf = (states: StatesOfStage, patiently: TaskApi["Service"]["patiently"]) =>
  Layer.succeed(TaskApi, {
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
  /** Gives the exit code once the engine's work is done, before its last state is pushed. */
  readonly done: Effect.Effect<number>
  readonly ended: Effect.Effect<number>
}

/** Runs the engine to its end. `epoch` returns the epoch of the lock that the server gave last. */
const live = Effect.fnUntraced(function*(engine: Engine, { done, ended }: Life, epoch: () => number) {
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
    const { lineage, serial } = Option.getOrElse(before, () => ({ lineage: engine.podUid, serial: 0 }))
    const next = (by: number): State => ({ version: 4, serial: serial + by, lineage, by: engine.podUid })
    engine.lastState = digestOf(bytesOf(next(2))) // from now on the engine makes things
    yield* push(next(1))
    const code = yield* done
    yield* push(next(2))
    yield* delivery.unlock(info)
    return code
  })
  yield* Effect.orElseSucceed(work, () => 1).pipe(Effect.tap((code) => Effect.sync(() => engine.finish(code))), Effect.raceFirst(ended))
  const settled = yield* delivery.settle(left)
  yield* delivery.giveBack
  return { code: yield* ended, settled }
})

/** Runs the engine with its state; returns its exit code, and what became of its last state. */
export const liveWithState = (engine: Engine, life: Life, states: StatesOfStage, patiently: TaskApi["Service"]["patiently"]) =>
  Effect.suspend(() => {
    let epoch = 0
    const lockState: StatesOfStage["lockState"] = (info) =>
      Effect.tap(states.lockState(info), (lock) =>
        Effect.sync(() => {
          epoch = lock.epoch
        }))
    return live(engine, life, () => epoch).pipe(
      Effect.provide(StateDelivery.layer.pipe(Layer.provide(taskApiOf({ ...states, lockState }, patiently))))
    )
  })
