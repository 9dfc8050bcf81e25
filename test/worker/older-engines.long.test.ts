// Whole runs with real engines in whose log the worker reads what newer ones tell as events: OpenTofu before 1.12, and the last Terraform
// under the Mozilla Public License; 1.15.9 and 1.16.0-rc2, tried by hand, print the same sentences. API server and pool are in memory.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type FakeTaskApi, tarGz, taskApi } from "./fake-task-api.ts"
import { find, pod } from "./pod.ts"
import { addresses, chain, poolTask, providers, text, token } from "./whole-stage.ts"

/** An engine as an image has it, and the program that is it here. */
interface Real {
  readonly engine: "terraform" | "tofu"
  readonly program: string
  readonly version: string
}

describe.each<Real>([
  { engine: "terraform", program: "terraform", version: "1.5.7" },
  { engine: "tofu", program: "tofu-1.11", version: "1.11.6" }
])("a run with $engine $version", ({ engine, program, version }) => {
  /** Starts a stage in a Pod of its own, whose image has no other engine. */
  const started = Effect.fnUntraced(function*(api: FakeTaskApi, stage: string, more: Record<string, unknown> = {}) {
    const here = yield* pod({ [engine]: `#!/bin/sh\nexec ${find(program)} "$@"\n` })
    const kubernetes = poolTask(api, stage, more)
    const running = yield* Effect.forkChild(here.run(kubernetes, { ...token(here, api), AGENT_JOB_GRACE_SECONDS: "60" }))
    return { ...here, kubernetes, ended: Effect.map(Fiber.join(running), () => kubernetes.task().status) }
  })

  /** Runs a stage to its end, which must be a success. */
  const done = Effect.fnUntraced(function*(api: FakeTaskApi, stage: string, more: Record<string, unknown> = {}) {
    const { ended, log } = yield* started(api, stage, more)
    const { reason, result } = yield* ended
    expect(reason, log()).toBe("Completed")
    return { log: log(), changes: result?.changes, hasChanges: result?.hasChanges, approved: { plan: { sha256: result?.planDigest } } }
  }, Effect.scoped)

  /** Plans these files and starts the apply of that plan. */
  const applying = Effect.fnUntraced(function*(api: FakeTaskApi, main: string) {
    api.archive = tarGz({ "main.tf": main })
    const { approved } = yield* done(api, "plan")
    return yield* started(api, "apply", approved)
  })

  /** Starts the apply of `chain` and waits until it is at its last resource. Returns also the ids of what was made by then. */
  const underWay = Effect.gen(function*() {
    const api = yield* taskApi
    const outside = join((yield* pod()).claim, "outside")
    const apply = yield* applying(api, chain(outside))
    yield* apply.logged("time_sleep.last: Creating...")
    return { ...apply, api, made: readFileSync(outside, "utf8").trim().split("\n") }
  })

  it.live("applies the plan that was approved, finds nothing to change after it, and destroys", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const main = `${providers}
resource "time_static" "now" {}
output "hushed" {
  value     = "hush-${"${time_static.now.unix}"}"
  sensitive = true
}
`
      api.archive = tarGz({ "main.tf": main })
      const plan = yield* done(api, "plan")
      expect(plan.log).toContain(`Engine: ${engine} ${version}\n`)
      expect(plan).toMatchObject({ changes: { add: 1, change: 0, destroy: 0 }, hasChanges: true })
      const apply = yield* done(api, "apply", plan.approved)
      expect(apply.changes).toEqual(plan.changes)
      expect(apply.log).not.toContain("hush-")
      expect(text(api.state)).toContain("hush-")
      expect([addresses(api), api.serials, api.lock]).toEqual([["time_static.now"], [1], undefined])

      expect(yield* done(api, "plan")).toMatchObject({ changes: { add: 0, change: 0, destroy: 0 }, hasChanges: false })
      const last = yield* done(api, "plan", { options: { destroy: true } })
      expect(last.changes).toEqual({ add: 0, change: 0, destroy: 1 })
      yield* done(api, "destroy", last.approved)
      expect([addresses(api), api.serials, api.lock]).toEqual([[], [1, 2], undefined])
    }))

  it.live("that fails while it applies says why, and has in its state what was made before", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const { ended } = yield* applying(
        api,
        `${providers}
resource "time_static" "first" {}
resource "terraform_data" "second" {
  depends_on = [time_static.first]
  provisioner "local-exec" {
    command = "exit 3"
  }
}
`
      )
      expect((yield* ended).result).toMatchObject({
        outcome: "failed",
        reason: "ExitCode",
        exitCode: 1,
        message: `${engine} apply failed with exit code 1: local-exec provisioner error; the log has the details.`,
        statePushed: true
      })
      expect(addresses(api)).toContain("time_static.first")
    }))

  it.live("that is cancelled while it applies is interrupted once, and has in its state what was made", () =>
    Effect.gen(function*() {
      const { api, ended, kubernetes, log } = yield* underWay
      yield* kubernetes.cancel
      expect((yield* ended).result, log()).toMatchObject({
        outcome: "cancelled",
        message: `The stage was cancelled during ${engine} apply, which was interrupted; what it had made is in the state.`,
        statePushed: true
      })
      expect(log().split("Interrupt received.")).toHaveLength(2)
      expect(addresses(api)).toContain("terraform_data.made")
      expect(api.lock).toBeUndefined()
    }))

  it.live("names what its engine had made when it was killed, and what it was making", () =>
    Effect.gen(function*() {
      const { ended, killEngine, log, made } = yield* underWay
      yield* killEngine
      const { result } = yield* ended
      expect(result, log()).toMatchObject({ outcome: "failed", reason: "OutOfMemory", changes: { add: 3, change: 0, destroy: 0 } })
      expect(made).toHaveLength(3)
      for (const id of made) expect(result?.message).toContain(`[id=${id}]`)
      expect(result?.message).toMatch(/Begun, outcome unknown: time_sleep\.last \(create\)\.$/u)
    }))

  it.live("names what a provider was making that died alone, though the engine ended in order", () =>
    Effect.gen(function*() {
      const { api, ended, killProviders, log } = yield* underWay
      yield* killProviders
      expect((yield* ended).result, log()).toMatchObject({
        exitCode: 1,
        statePushed: true,
        message: expect.stringMatching(/Begun, outcome unknown: time_sleep\.last \(create\)\.$/u)
      })
      expect(addresses(api)).not.toContain("time_sleep.last")
      expect(api.lock).toBeUndefined()
    }))
})
