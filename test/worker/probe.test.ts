// A probe on real sockets: which targets it reached at its first try and at its last.
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber } from "effect"
import { mkdtempSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { listen, tryTargets } from "../../src/worker/probe.ts"
import { freePort } from "../free-port.ts"

it.live("tells which targets it reached, at first and in the end", () =>
  Effect.gen(function*() {
    const [open, shut, late] = [yield* freePort, yield* freePort, yield* freePort]
    const terminationLog = join(mkdtempSync(join(tmpdir(), "probe-")), "log")
    yield* Effect.forkScoped(listen(open))
    const targets = [open, shut, late].map((port) => ({ address: "127.0.0.1", port }))
    const trying = yield* Effect.forkScoped(
      Effect.provide(
        tryTargets,
        ConfigProvider.layer(
          ConfigProvider.fromUnknown({ AGENT_JOB_PROBE_TARGETS: JSON.stringify(targets), AGENT_JOB_TERMINATION_LOG: terminationLog })
        )
      )
    )
    yield* Effect.forkScoped(Effect.andThen(Effect.sleep("1500 millis"), listen(late)))
    yield* Fiber.join(trying)
    expect(JSON.parse(readFileSync(terminationLog, "utf8"))).toEqual([
      { address: "127.0.0.1", port: open, first: true, last: true },
      { address: "127.0.0.1", port: shut, first: false, last: false },
      { address: "127.0.0.1", port: late, first: false, last: true }
    ])
  }).pipe(Effect.scoped), 20_000)
