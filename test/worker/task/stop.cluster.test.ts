// Whole stages with the real engine that have to stop: in order, once, and in time.
import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Fiber } from "effect"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tarGz, taskApi } from "../fake-task-api.ts"
import { pod } from "../pod.ts"
import { addresses, applying, exitCode, inline, main, planned, poolTask, providers, ran, slow, text, token } from "../whole-stage.ts"

const nineSeconds = 9

/** A clock on which a wait of nine seconds, the time of a stage, is over when the test says so, since no test knows how long an init takes. */
const stageTime = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const over = yield* Deferred.make<void>()
  const stopped: Clock.Clock = {
    ...clock,
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    sleep: (wait) => Duration.toSeconds(wait) === nineSeconds ? Deferred.await(over) : clock.sleep(wait)
  }
  return { onIt: Effect.provideService(Clock.Clock, stopped), over: Deferred.succeed(over, undefined) }
})

describe("a stage that has to stop", () => {
  it.live("is cancelled in mid-apply with one interrupt, and its state is kept", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow })
      const { logged, log, kubernetes, running } = yield* applying(api, digest)
      yield* logged("time_sleep.second: Creating...")
      yield* kubernetes.cancel
      const exit = yield* Fiber.join(running)
      expect(kubernetes.task().status, log()).toMatchObject({
        phase: "Cancelled",
        reason: "Cancelled",
        result: { outcome: "cancelled", statePushed: true, exitCode: 1, changes: { add: 1, change: 0, destroy: 0 } }
      })
      expect(log().match(/Interrupt received/gu)).toHaveLength(1)
      expect(addresses(api)).toContain("time_static.first")
      expect(api.lock).toBeUndefined()
      expect(exitCode(exit)).toBe(1)
    }))

  it.live.each([
    { given: "its time is over", timeoutSeconds: nineSeconds, env: {} },
    {
      given: "the time of all Jobs is over, though it may take longer itself",
      timeoutSeconds: 3600,
      env: { AGENT_JOB_TIMEOUT_LIMIT_SECONDS: String(nineSeconds) }
    }
  ])("ends with DeadlineExceeded when $given", ({ env, timeoutSeconds }) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow })
      const { onIt, over } = yield* stageTime
      const { logged, log, kubernetes, running } = yield* onIt(applying(api, digest, { timeoutSeconds }, env))
      yield* logged("time_sleep.second: Creating...")
      yield* over
      yield* Fiber.join(running)
      expect(text(api.log).includes("Timeout: 9 seconds, since task.job.activeDeadlineSeconds")).toBe(timeoutSeconds > nineSeconds)
      expect(kubernetes.task().status, log()).toMatchObject({
        phase: "Failed",
        reason: "DeadlineExceeded",
        result: { outcome: "failed", statePushed: true }
      })
    }))

  it.live("when its time is over goes on saving its last state for as long as the server is away", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow })
      const { onIt, over } = yield* stageTime
      const stage = applying(api, digest, { timeoutSeconds: nineSeconds }, { AGENT_JOB_GRACE_SECONDS: "4" })
      const { logged, log, kubernetes, running } = yield* onIt(stage)
      yield* logged("time_sleep.second: Creating...")
      const up = api.goDown()
      yield* over
      yield* logged("The worker goes on trying") // printed some seconds after the whole grace
      up()
      yield* Fiber.join(running)
      expect(kubernetes.task().status, log()).toMatchObject({
        phase: "Failed",
        reason: "DeadlineExceeded",
        result: { outcome: "failed", statePushed: true }
      })
      expect(addresses(api)).toContain("time_static.first")
    }))

  it.live("saves what ended after its interrupt too, though the server was away until the engine was gone", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.state = Buffer.from(
        JSON.stringify({ version: 4, terraform_version: "1.0.0", serial: 1, lineage: "one", outputs: {}, resources: [] })
      )
      const sleeps = Object.entries({ quick: 2, next: 4, long: 60 })
      const files = sleeps.map(([name, seconds]) => `resource "time_sleep" "${name}" {\n  create_duration = "${seconds}s"\n}\n`)
      const digest = yield* planned(api, { "main.tf": [providers, ...files].join("") })
      const { logged, log, kubernetes, running } = yield* applying(api, digest, {}, { AGENT_JOB_GRACE_SECONDS: "40" })
      yield* logged("time_sleep.quick: Creating...")
      const up = api.goDown()
      yield* logged("time_sleep.quick: Creation complete")
      yield* kubernetes.cancel
      yield* logged("errored.tfstate")
      up()
      yield* Fiber.join(running)
      expect(kubernetes.task().status, log()).toMatchObject({ phase: "Cancelled", result: { statePushed: true, exitCode: 1 } })
      expect(addresses(api)).toEqual(["time_sleep.next", "time_sleep.quick"])
    }))

  it.live("gets one interrupt for a cancel, a SIGTERM and another cancel", () =>
    Effect.gen(function*() {
      const here = yield* pod({
        tofu: `#!/bin/sh
case $1 in
version) echo '{"terraform_version": "9.9.9"}' ;;
init) trap 'echo interrupted; n=$((n + 1)); [ $n = 1 ] || echo again' INT; echo waiting; until [ -e told ]; do sleep 0.1; done; i=0; while [ $i -lt 30 ]; do sleep 0.1; i=$((i + 1)); done; exit 1 ;;
esac
`
      })
      const kubernetes = inline("plan", { "main.tf": main })
      const running = yield* Effect.forkChild(here.run(kubernetes, { AGENT_JOB_GRACE_SECONDS: "120" }))
      yield* here.logged("waiting")
      yield* kubernetes.cancel
      process.emit("SIGTERM", "SIGTERM")
      yield* here.logged("interrupted")
      process.emit("SIGTERM", "SIGTERM")
      writeFileSync(join(here.dataDirectory, "work/told"), "") // the engine goes on for three seconds, in which it would hear another one
      yield* Fiber.join(running)
      expect(kubernetes.task().status, here.log()).toMatchObject({
        phase: "Cancelled",
        message: "The stage was cancelled during tofu init; nothing was changed."
      })
      expect(here.log()).not.toContain("again")
      expect(here.log()).not.toContain("$ tofu plan")
    }))

  it.live("starts nothing more, though the command that was interrupted ended well", () =>
    Effect.gen(function*() {
      const here = yield* pod({
        tofu: `#!/bin/sh
case $1 in
version) echo '{"terraform_version": "9.9.9"}' ;;
init) trap 'exit 0' INT; echo waiting; while :; do sleep 0.1; done ;;
*) echo "started $1" >>started ;;
esac
`
      })
      const kubernetes = inline("plan", { "main.tf": main })
      const running = yield* Effect.forkChild(here.run(kubernetes, { AGENT_JOB_GRACE_SECONDS: "60" }))
      yield* here.logged("waiting")
      yield* kubernetes.cancel
      yield* Fiber.join(running)
      expect(kubernetes.task().status, here.log()).toMatchObject({ phase: "Cancelled" })
      expect(existsSync(join(here.dataDirectory, "work/started"))).toBe(false)
    }))

  it.live("is ended by force when it does not listen, within the grace", () =>
    Effect.gen(function*() {
      const here = yield* pod({
        tofu: `#!/bin/sh
[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit
trap 'echo no' INT
trap 'echo never' TERM
echo waiting
while :; do sleep 0.1; done
`
      })
      const kubernetes = inline("plan", { "main.tf": main })
      const running = yield* Effect.forkChild(here.run(kubernetes, { AGENT_JOB_GRACE_SECONDS: "4" }))
      yield* here.logged("waiting")
      process.emit("SIGTERM", "SIGTERM")
      const [, exit] = [yield* here.logged("never"), yield* Fiber.join(running)]
      expect(here.log()).toMatch(/waiting\nno\n[^]*never\n/u)
      expect(kubernetes.task().status).toMatchObject({ phase: "Failed", reason: "Evicted", result: { exitCode: 137 } })
      expect(exitCode(exit)).toBe(1)
    }))

  it.live("starts no engine when the cancel comes while it is still fetching its archive", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": main })
      const kubernetes = poolTask(api, "plan")
      api.fault("GET /archive", ...Array.from({ length: 100 }, () => "break" as const))
      api.onRequest = (request) => void (request === "GET /archive" && Effect.runSync(kubernetes.cancel))
      const { log, status } = yield* ran(kubernetes, {}, (here) => token(here, api))
      expect(status).toMatchObject({ phase: "Cancelled", message: "The stage was cancelled; nothing was changed." })
      expect(log()).not.toContain("$ tofu")
    }))
})
