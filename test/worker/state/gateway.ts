// The gateway of a command with the pool's server behind it, and an engine that speaks with it.
// Used by state-gateway.test.ts and state-gateway.hostile.test.ts.
import { Effect, Layer, Option, type Scope } from "effect"
import { join } from "node:path"
import type { Opened } from "../../../src/worker/engine/engine.ts"
import { StateDelivery } from "../../../src/worker/state/state-delivery.ts"
import { openGateway } from "../../../src/worker/state/state-gateway.ts"
import { type PoolParts, poolParts } from "../pool-parts.ts"

export type Env = Readonly<Record<string, string>>
export const lockInfo = { ID: "engine-lock", Operation: "OperationTypeApply", Who: "somebody" }
export const state = (serial: number) => JSON.stringify({ version: 4, serial, lineage: "one", resources: [] })

/** One request as the engine's `http` backend makes it. */
export const ask = (env: Env, what: "read" | "write" | "lock" | "unlock", body?: string) =>
  Effect.promise(async (signal) => {
    const url =
      { read: env.TF_HTTP_ADDRESS, write: env.TF_HTTP_ADDRESS, lock: env.TF_HTTP_LOCK_ADDRESS, unlock: env.TF_HTTP_UNLOCK_ADDRESS }[what] ??
        ""
    const response = await fetch(url, {
      method: what === "read" ? "GET" : "POST",
      ...(body !== undefined && { body }),
      signal
    })
    return { status: response.status, text: await response.text() }
  })
export const lock = (env: Env) => ask(env, "lock", JSON.stringify(lockInfo))
export const unlock = (env: Env) => ask(env, "unlock", JSON.stringify(lockInfo))
export const write = (env: Env, serial: number) => ask(env, "write", state(serial))

export const kept = ({ privateDirectory }: PoolParts) => join(privateDirectory, "unsaved.tfstate")

/** Settles the state and then gives the lock back, as the worker does after an engine that ended in order. */
export const settle = (left = Option.none<Uint8Array>()) =>
  Effect.flatMap(StateDelivery, (delivery) => Effect.tap(delivery.settle(left), delivery.giveBack))

export interface GatewayParts extends PoolParts, Pick<Required<Opened>, "notGiven"> {}

/** Runs `use` while the gateway of one command is open, which may write unless `writable` is false. */
export const withGateway = <A, E>(
  use: (env: Env, parts: GatewayParts) => Effect.Effect<A, E, StateDelivery | Scope.Scope>,
  writable = true,
  statePatience?: string,
  patience?: string
) =>
  Effect.gen(function*() {
    const parts = yield* poolParts(patience, statePatience)
    const context = yield* Layer.build(parts.layer)
    return yield* Effect.gen(function*() {
      const { env, notGiven } = yield* openGateway(writable)
      return yield* use(env, { ...parts, notGiven })
    }).pipe(Effect.provide(context))
  }).pipe(Effect.scoped)
