// What runs in the Pods of the doctor: one listens, the others try to connect and write to their termination message what they reached.
// Invariant: nothing is sent; a probe only finds out whether a connection can be made.
// Run by the command `agent-job probe`.
import { Config, Effect, Schema } from "effect"
import { writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { networkInterfaces } from "node:os"
import { apiServerVariable, ProbeReport, type ProbeTarget, Targets } from "../schema/kubernetes/probe.ts"
import { terminationLog } from "./settings.ts"

/** Accepts connections and closes them at once, until it is interrupted, also when the other side resets one. */
export const listen = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => createServer((socket) => socket.on("error", () => {}).end()).listen(port)),
    (server) => Effect.sync(() => server.close())
  ).pipe(Effect.andThen(Effect.never), Effect.scoped)

const patienceMillis = 2000

const hostOf = ({ address }: ProbeTarget) =>
  address === apiServerVariable ? Config.String(address).pipe(Config.withDefault(address)) : Effect.succeed(address)

const connects = (host: string, port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    // A host may have two addresses, each of which gets half of the time.
    const socket = connect({ host, port, timeout: patienceMillis, autoSelectFamilyAttemptTimeout: patienceMillis / 2 })
    const end = (is: boolean) => () => {
      socket.destroy()
      resume(Effect.succeed(is))
    }
    socket.once("connect", end(true)).once("timeout", end(false)).once("error", end(false))
    return Effect.sync(() => socket.destroy())
  })

const reached = (target: ProbeTarget) => Effect.flatMap(Effect.orDie(hostOf(target)), (host) => connects(host, target.port))

const ownAddresses = (): ReadonlyArray<string> =>
  Object.values(networkInterfaces()).flatMap((_ = []) => _).filter(({ internal }) => !internal).map(({ address }) => address)

const rounds = 5

/**
 * Tries all of AGENT_JOB_PROBE_TARGETS in rounds, a second apart; writes the findings of the first and the last round, and which addresses
 * this Pod has.
 */
export const tryTargets = Effect.gen(function*() {
  const file = yield* terminationLog
  const targets = yield* Effect.orDie(Schema.decodeEffect(Targets)(yield* Config.String("AGENT_JOB_PROBE_TARGETS"))) // the doctor has encoded it
  const round = Effect.forEach(targets, reached, { concurrency: "unbounded" })
  const first = yield* round
  let last = first
  for (let turn = 1; turn < rounds; turn++) last = yield* Effect.andThen(Effect.sleep("1 second"), round)
  const findings = targets.map((target, index) => ({ ...target, first: first[index] ?? false, last: last[index] ?? false }))
  yield* Effect.flatMap(
    Effect.orDie(Schema.encodeEffect(Schema.fromJsonString(ProbeReport))({ addresses: ownAddresses(), findings })),
    (text) => Effect.sync(() => writeFileSync(file, text))
  )
})
