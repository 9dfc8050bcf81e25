// The journal of a real engine names what the engine made, however the engine ends and whatever it prints.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { until } from "../../until.ts"
import { type FakeTaskApi, taskApi } from "../fake-task-api.ts"
import { pod } from "../pod.ts"
import { addresses, applying, chain, inline, planned, ran } from "../whole-stage.ts"

describe("the journal of an apply", () => {
  const ids = (file: string) => existsSync(file) ? readFileSync(file, "utf8").split("\n").filter((line) => line !== "") : []
  const numbers = ({ journal }: FakeTaskApi) => journal.map(({ number }) => number)

  it.live("names every resource that an engine made before it was killed, and the one that it was making", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const outside = join((yield* pod()).claim, "outside")
      const digest = yield* planned(api, { "main.tf": chain(outside) })
      const { logged, log, kubernetes, killEngine, running } = yield* applying(api, digest)
      yield* logged("time_sleep.last: Creating...")
      yield* killEngine
      yield* Fiber.join(running)
      const made = ids(outside)
      expect(made).toHaveLength(3)
      expect(api.state).toBeUndefined() // what the engine knew is lost with it
      const { result } = kubernetes.task().status
      expect(result, log()).toMatchObject({ outcome: "failed", reason: "OutOfMemory", changes: { add: 3, change: 0, destroy: 0 } })
      for (const id of made) expect(result?.message).toContain(`[id=${id}]`)
      expect(result?.message).toMatch(
        /Made, but not in the state: terraform_data\.made.*Begun, outcome unknown: time_sleep\.last \(create\)\.$/u
      )
      expect(api.journal.filter(({ kind }) => kind === "done").map(({ id }) => id).sort()).toEqual([...made].sort())
      expect(api.journal.slice(-2)).toMatchObject([{ kind: "started", address: "time_sleep.last" }, { kind: "closed" }])
      expect(api.planned.map(({ action, address, kind }) => `${kind} ${action} ${address}`).sort()).toEqual([
        "planned create terraform_data.made[\"a\"]",
        "planned create terraform_data.made[\"b\"]",
        "planned create terraform_data.made[\"c \\\"d\\\"\"]",
        "planned create time_sleep.last"
      ])
      expect(numbers(api)).toEqual(api.journal.map((_, at) => at + 1))
    }))

  it.live("reaches the server while the engine works, and after an outage", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const outside = join((yield* pod()).claim, "outside")
      const digest = yield* planned(api, { "main.tf": chain(outside).replace("60s", "10s") })
      let up: (() => void) | undefined
      api.onRequest = (request) => {
        if (request !== "POST /effects") return
        api.onRequest = () => {}
        up = api.goDown()
      }
      const { logged, log, kubernetes, running } = yield* applying(api, digest)
      yield* logged("time_sleep.last: Creating...")
      yield* until(() => up !== undefined) // the log may be there before the journal was first sent
      expect(api.journal).toEqual([])
      up?.()
      yield* until(() => api.journal.some(({ address }) => address === "time_sleep.last"))
      expect(kubernetes.task().status.phase).toBe("Running")
      yield* Fiber.join(running)
      expect(kubernetes.task().status.result, log()).toMatchObject({
        outcome: "succeeded",
        message: "tofu apply ended with success.",
        changes: { add: 4, change: 0, destroy: 0 }
      })
      expect(numbers(api)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    }))

  it.live("says nothing of an apply that was interrupted in order, since its state has everything", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const outside = join((yield* pod()).claim, "outside")
      const digest = yield* planned(api, { "main.tf": chain(outside) })
      const { logged, kubernetes, running } = yield* applying(api, digest)
      yield* logged("time_sleep.last: Creating...")
      yield* kubernetes.cancel
      yield* Fiber.join(running)
      expect(kubernetes.task().status.result).toMatchObject({
        outcome: "cancelled",
        statePushed: true,
        message: expect.stringMatching(/what it had made is in the state\.$/u)
      })
      expect(addresses(api)).toContain("terraform_data.made")
    }))

  it.live("names what a provider was making that died alone, though the engine ended in order", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const outside = join((yield* pod()).claim, "outside")
      const digest = yield* planned(api, { "main.tf": chain(outside) })
      const { logged, log, kubernetes, killProviders, running } = yield* applying(api, digest)
      yield* logged("time_sleep.last: Creating...")
      yield* killProviders
      yield* Fiber.join(running)
      expect(addresses(api), log()).not.toContain("time_sleep.last")
      expect(kubernetes.task().status.result).toMatchObject({
        exitCode: 1,
        statePushed: true,
        message: expect.stringMatching(/Begun, outcome unknown: time_sleep\.last \(create\)\.$/u)
      })
      expect(api.journal.at(-1)).toMatchObject({ kind: "failed", address: "time_sleep.last", unanswered: true })
      expect(api.lock).toBeUndefined()
    }))

  const made = /Made by this stage; see that the state has it: terraform_data\.made/u
  it.live.each(
    [
      { end: "killEngine", says: made },
      { end: "restartRunner", says: made },
      { end: "killProviders", says: /Begun, outcome unknown: time_sleep\.last \(create\)\.$/u }
    ] as const
  )(
    "names what a stage without a pool made, and that its state may lack it, which nobody here can look into: $end",
    ({ end, says }) =>
      Effect.gen(function*() {
        const here = yield* pod()
        const outside = join(here.claim, "outside")
        const kubernetes = inline("apply", { "main.tf": chain(outside) }, {
          backend: { type: "local", config: { path: join(here.claim, "demo.tfstate") } },
          jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: here.claim }] }
        })
        const running = yield* Effect.forkChild(here.run(kubernetes))
        yield* here.logged("time_sleep.last: Creating...")
        yield* here[end]
        yield* Fiber.join(running)
        expect(kubernetes.task().status.result, here.log()).toMatchObject({ statePushed: false, message: expect.stringMatching(says) })
      })
  )
})

describe("an engine that tells what it likes", () => {
  const hostile = (apply: string) => ({
    tofu: `#!/bin/sh
event() { echo "{\\"type\\":\\"apply_complete\\",\\"hook\\":{\\"resource\\":{\\"addr\\":\\"$1\\"},\\"action\\":\\"create\\",\\"id_key\\":\\"id\\",\\"id_value\\":\\"$2\\"}}"; }
case $1 in
version) echo '{"terraform_version": "9.9.9"}' ;;
init) echo '{"backend":{"type":"s3"}}' >"$TF_DATA_DIR/terraform.tfstate" ;;
apply) ${apply} ;;
esac
`
  })
  it.live.each([
    {
      given: "a line of 30 MB among its events",
      apply: "head -c 30000000 /dev/zero >/dev/fd/7; echo >/dev/fd/7; event a.b 1 >/dev/fd/7; exit 1",
      add: 1
    },
    {
      given: "no JSON, and half of one",
      apply: "{ echo apply_complete; echo '{\"type\":\"apply_complete\"'; event a.b 1; event a.c 2 | head -c 30; } >/dev/fd/7; exit 1",
      add: 1
    },
    { given: "events that it never opens", apply: "exec 7>&-; exit 1", add: 0 },
    {
      given: "events that a process keeps open which it left behind",
      apply: "event a.b 1 >/dev/fd/7; (trap '' INT TERM HUP; exec sleep 20) & exit 1",
      add: 1
    }
  ])("ends its stage with $given", ({ add, apply }) =>
    Effect.gen(function*() {
      const { log, status } = yield* ran(inline("apply", {}), hostile(apply))
      expect(status, log()).toMatchObject({
        phase: "Failed",
        reason: "ExitCode",
        result: { exitCode: 1, changes: { add, change: 0, destroy: 0 } }
      })
    }))
})
