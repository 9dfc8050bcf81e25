// A result goes to the termination message, the pool and the status: a way that fails stops no other, and none overwrites a result.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Option, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { StopCause } from "../../../src/core/stage/outcome.ts"
import { Sha256, Uid } from "../../../src/schema/names.ts"
import type { Claim } from "../../../src/schema/task/agent-task.ts"
import type { StageResult, ToldResult } from "../../../src/schema/task/stage-result.ts"
import { NoAnswer } from "../../../src/worker/network/task-api-error.ts"
import { report, type TellPool } from "../../../src/worker/task/report.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { type FakeKubernetes, fakeKubernetes } from "../fake-kubernetes.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"

const result: StageResult = {
  outcome: "succeeded",
  reason: "Completed",
  message: "tofu plan ended with success.",
  exitCode: 0,
  finishedAt: "2026-01-01T00:01:00Z"
}
const claim: Claim = { podUid: Uid.make("pod-uid"), nonce: "nonce", epoch: 0, at: "2026-01-01T00:00:00Z" }
const running = { phase: "Running", startedAt: claim.at, claim } as const
const plainSpec = { workspace: "demo", stage: "plan", source: { inline: {} } }

interface World {
  readonly kubernetes: FakeKubernetes
  readonly lastWords: () => unknown
  readonly send: (
    tellPool: Option.Option<TellPool>,
    how?: {
      readonly sent?: StageResult
      readonly terminationLog?: string
      readonly stopped?: StopCause | undefined
      readonly flushLog?: Effect.Effect<void>
      readonly tooLate?: Effect.Effect<void>
    }
  ) => Effect.Effect<void>
}

const world = (
  status: Parameters<typeof fakeKubernetes>[1] = running,
  spec: Parameters<typeof fakeKubernetes>[0] = plainSpec
): Effect.Effect<World, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* temporaryFolder("report")
    const kubernetes = fakeKubernetes(spec, status)
    const file = join(directory, "termination-log")
    const send: World["send"] = (
      tellPool,
      { flushLog = Effect.void, sent = result, stopped, terminationLog = file, tooLate = Effect.never } = {}
    ) =>
      report(claim, sent, {
        flushLog: () => flushLog,
        tellPool
      }).pipe(Effect.provide(Layer.mergeAll(
        kubernetes.layer,
        neverStops({ now: Effect.succeed(Option.fromUndefinedOr(stopped)), isLeaving: Effect.succeed(stopped === "Evicted"), tooLate }),
        podSettings(directory, directory, { AGENT_JOB_TERMINATION_LOG: terminationLog })
      )))
    return { kubernetes, lastWords: () => JSON.parse(readFileSync(file, "utf8")), send }
  })

const soon = <A>(effect: Effect.Effect<A>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    for (let minute = 0; minute < 5; minute++) yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

describe("the report", () => {
  it.effect.each([
    { time: "while there is time", tooLate: Effect.never, arrives: true },
    { time: "but no longer than that", tooLate: Effect.sleep("3 seconds"), arrives: false }
  ])("waits for the end of the log also when the Pod has to go, $time", ({ arrives, tooLate }) =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      const told: Array<string> = []
      let flushed = 0
      const flushLog = Effect.suspend(() =>
        ++flushed === 1 ? Effect.sleep("2 seconds") : Effect.delay(Effect.sync(() => void told.push("the log")), "5 seconds")
      )
      const pool = Option.some(() => Effect.sync(() => void told.push("the pool")))
      yield* soon(send(pool, { stopped: "Evicted", flushLog, tooLate }))
      expect(told).toEqual([...arrives ? ["the log"] : [], "the pool"])
      expect(kubernetes.task().status.result).toEqual(result)
    }))

  it.effect("goes to the kubelet, the pool and the status, which says that the pool knows", () =>
    Effect.gen(function*() {
      const { kubernetes, lastWords, send } = yield* world()
      const told: Array<StageResult> = []
      yield* send(Option.some((_) => Effect.sync(() => void told.push(_))))
      expect(lastWords()).toEqual(result)
      expect(told).toEqual([result])
      expect(kubernetes.task().status).toMatchObject({ phase: "Succeeded", result, reportedAt: result.finishedAt, duration: "1m0s" })
    }))

  it.effect("does not make a task Ready that applies its plan by itself", () =>
    Effect.gen(function*() {
      const fluxSource = { kind: "GitRepository", name: "infra", onChange: "planAndApply" }
      const { kubernetes, send } = yield* world(running, { ...plainSpec, source: { fluxSource }, savePlan: { claimName: "plans" } })
      yield* send(Option.none(), { sent: { ...result, hasChanges: true, planDigest: Sha256.make("a".repeat(64)) } })
      const { conditions, phase } = kubernetes.task().status
      expect([phase, conditions?.find(({ type }) => type === "Ready")?.status]).toEqual(["Succeeded", "False"])
    }))

  it.effect("goes to the status although the pool and the kubelet do not take it", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      yield* send(Option.some(() => Effect.fail({ message: "no" })), { terminationLog: "/no/such/directory/log" })
      expect(kubernetes.task().status).toMatchObject({ phase: "Succeeded", result })
      expect(kubernetes.task().status.reportedAt).toBeUndefined()
    }))

  it.effect("goes to the status although a mistake of this program keeps it from the pool", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      yield* Effect.exit(send(Option.some(() => Effect.die(new Error("a mistake")))))
      expect(kubernetes.task().status.result).toEqual(result)
    }))

  it.effect("goes to the status although the pool never answers", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      const said: Array<unknown> = []
      const logger = Logger.layer([Logger.make(({ message }) => said.push(message))])
      yield* soon(Effect.provide(send(Option.some(() => Effect.never)), logger))
      expect(kubernetes.task().status.result).toEqual(result)
      expect(said.flat()).toEqual(["The result could not be given to the pool", "The pool's server did not answer within 20 seconds."])
    }))

  it.effect.each([undefined, "Evicted"] as const)(
    "says what kept it from the pool last, when its time for that is over (%s)",
    (stopped) =>
      Effect.gen(function*() {
        const { kubernetes, send } = yield* world()
        const said: Array<unknown> = []
        const logger = Logger.layer([Logger.make(({ message }) => said.push(message))])
        const away = new NoAnswer({ url: "http://pool", detail: "connection refused" })
        const pool: TellPool = (_, note) => Effect.andThen(note(away), Effect.never)
        yield* soon(Effect.provide(send(Option.some(pool), { stopped }), logger))
        expect(said.flat()).toEqual(["The result could not be given to the pool", away.message])
        expect(kubernetes.task().status.reportedAt).toBeUndefined()
      })
  )

  it.effect("goes to the pool although the status cannot be written", () =>
    Effect.gen(function*() {
      const { kubernetes, lastWords, send } = yield* world()
      kubernetes.disturb(...Array.from({ length: 1000 }, () => "drop" as const))
      let told = 0
      yield* soon(send(Option.some(() => Effect.sync(() => void told++))))
      expect(told).toBe(1)
      expect(lastWords()).toEqual(result)
      expect(kubernetes.task().status.result).toBeUndefined()
    }))

  it.effect("is written once through conflicts and answers that are lost", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      kubernetes.disturb("conflict", "drop", "lose answer")
      yield* soon(send(Option.none()))
      expect(kubernetes.writes()).toBe(1)
      expect(kubernetes.task().status.result).toEqual(result)
    }))

  it.effect("is written to the status once a policy or a webhook no longer denies it", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      kubernetes.disturb(...Array.from({ length: 20 }, () => "deny" as const))
      yield* soon(send(Option.none()))
      expect(kubernetes.task().status.result).toEqual(result)
    }))

  it.effect("never replaces a result that is there", () =>
    Effect.gen(function*() {
      const lost: StageResult = { outcome: "failed", reason: "Lost", message: "Gone.", finishedAt: "2026-01-01T00:00:30Z" }
      const { kubernetes, send } = yield* world({ phase: "Failed", result: lost, claim })
      yield* send(Option.none())
      expect(kubernetes.writes()).toBe(0)
      expect(kubernetes.task().status.result).toEqual(lost)
    }))

  it.effect("knows its own result again, of which an older CRD stored only a part, or with a plain reason", () =>
    Effect.gen(function*() {
      const { exitCode: _, ...part } = result
      const said: Array<unknown> = []
      const logger = Logger.layer([Logger.make(({ message }) => said.push(message))])
      const send = (stored: StageResult, sent: StageResult) =>
        Effect.flatMap(
          world({ phase: "Succeeded", result: stored, claim }),
          ({ send }) => Effect.provide(send(Option.none(), { sent }), logger)
        )
      const rescue: StageResult = { ...result, outcome: "failed", reason: "StateRescuePending" }
      yield* send(part, result)
      yield* send({ ...rescue, reason: "ExitCode" }, rescue)
      expect(said).toEqual([])
      yield* send({ ...part, message: "Another one." }, result)
      yield* send({ ...rescue, reason: "Evicted" }, rescue)
      expect(said.flat()).toEqual(Array(2).fill(expect.stringContaining("has another result already")))
    }))

  it.effect("adds the result to a task that was given up meanwhile, whose phase stays", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world({ phase: "Failed", reason: "Lost", claim })
      yield* send(Option.none())
      expect(kubernetes.task().status).toMatchObject({ phase: "Failed", result })
    }))

  it.effect("never goes to a later task of the same name, or to one that another has claimed", () =>
    Effect.gen(function*() {
      for (const status of [{ phase: "Pending" }, { phase: "Running", claim: { ...claim, nonce: "another" } }] as const) {
        const { kubernetes, send } = yield* world(status)
        yield* send(Option.none())
        expect(kubernetes.writes()).toBe(0)
      }
    }))

  it.effect("is not tried again where this worker cannot read the task, since another version has written it", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      yield* kubernetes.change(() => ({ status: JSON.parse(`{ "phase": "Running", "claim": 7 }`) }))
      const sending = yield* Effect.forkChild(send(Option.none()))
      yield* TestClock.adjust("1 millis")
      expect(sending.pollUnsafe()).toEqual(Exit.void)
    }))

  it.effect("tells the pool only after the log, since that ends the token", () =>
    Effect.gen(function*() {
      const { send } = yield* world()
      const order: Array<string> = []
      yield* send(Option.some(() => Effect.sync(() => void order.push("result"))), { flushLog: Effect.sync(() => void order.push("log")) })
      expect(order).toEqual(["log", "result"])
    }))

  it.effect.each(["Cancelled", "DeadlineExceeded", "Evicted"] as const)(
    "waits for the log before it writes the status of a stage that was stopped (%s), since the controller tells the pool what it reads there",
    (stopped) =>
      Effect.gen(function*() {
        const { kubernetes, send } = yield* world()
        let before: ToldResult | undefined = result
        yield* send(Option.some(() => Effect.void), {
          stopped,
          flushLog: Effect.sync(() => {
            before = kubernetes.task().status.result
          })
        })
        expect(before).toBeUndefined()
        expect(kubernetes.task().status.result).toEqual(result)
      })
  )

  it.effect("says in the status of a cancelled stage that the pool knows", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      yield* send(Option.some(() => Effect.void), { stopped: "Cancelled" })
      expect(kubernetes.task().status.reportedAt).toBe(result.finishedAt)
    }))

  it.effect("writes the status at once when the Pod has to go", () =>
    Effect.gen(function*() {
      const { kubernetes, send } = yield* world()
      const sending = yield* Effect.forkChild(send(Option.some(() => Effect.never), { stopped: "Evicted" }))
      yield* TestClock.adjust("1 millis")
      expect(kubernetes.task().status.result).toEqual(result)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(sending)
    }))
})
