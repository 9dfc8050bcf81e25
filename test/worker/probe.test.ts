// A probe on real sockets: which targets it reached at its first try and at its last.
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Schedule } from "effect"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { listen, tryTargets } from "../../src/worker/probe.ts"
import { agentJob } from "../cli/program.ts"
import { freePort } from "../free-port.ts"
import { temporaryFolder } from "../temporary-folder.ts"

it.live(
  "tells which targets it reached, at first and in the end, and which addresses it has itself beside loopback",
  () =>
    Effect.gen(function*() {
      const [open, shut, late] = [yield* freePort, yield* freePort, yield* freePort]
      const terminationLog = join(yield* temporaryFolder("probe"), "log")
      yield* Effect.forkScoped(listen(open))
      const targets = [
        ...[open, shut, late].map((port) => ({ address: "127.0.0.1", port })),
        { address: "KUBERNETES_SERVICE_HOST", port: open }
      ]
      const trying = yield* Effect.forkScoped(
        Effect.provide(
          tryTargets,
          ConfigProvider.layer(
            ConfigProvider.fromUnknown({
              AGENT_JOB_PROBE_TARGETS: JSON.stringify(targets),
              AGENT_JOB_TERMINATION_LOG: terminationLog,
              KUBERNETES_SERVICE_HOST: "127.0.0.1"
            })
          )
        )
      )
      yield* Effect.forkScoped(Effect.andThen(Effect.sleep("1500 millis"), listen(late)))
      yield* Fiber.join(trying)
      const { addresses, findings } = JSON.parse(readFileSync(terminationLog, "utf8"))
      expect(findings).toEqual([
        { address: "127.0.0.1", port: open, first: true, last: true },
        { address: "127.0.0.1", port: shut, first: false, last: false },
        { address: "127.0.0.1", port: late, first: false, last: true },
        { address: "KUBERNETES_SERVICE_HOST", port: open, first: true, last: true }
      ])
      // The loopback interface may have more addresses than 127.0.0.1 and ::1.
      const { lo: _, ...others } = networkInterfaces()
      expect(addresses).toEqual(Object.values(others).flatMap((own = []) => own.map(({ address }) => address)))
    }).pipe(Effect.scoped)
)

it.live("goes on listening when connections are reset", () =>
  Effect.gen(function*() {
    const port = yield* freePort
    const listener = yield* agentJob(["probe", "--listen", String(port)])
    const reset = Effect.tryPromise(async () => {
      const socket = connect({ host: "127.0.0.1", port })
      socket.on("error", () => {})
      await once(socket, "connect")
      socket.resetAndDestroy()
    })
    yield* Effect.retry(reset, Schedule.spaced("50 millis")).pipe(Effect.timeout("5 minutes"))
    for (let more = 0; more < 20; more++) yield* Effect.exit(reset)
    yield* reset
    expect([listener.child.exitCode, listener.error()]).toEqual([null, ""])
  }).pipe(Effect.scoped))
