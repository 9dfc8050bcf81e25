// What the log tells while a pool's stage waits for its last state: that the worker tries, or what a person has to do.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { settlingLastState } from "../../../src/worker/backing/last-state.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { Refuge, SettledState, StateDelivery } from "../../../src/worker/state/state-delivery.ts"
import type { Stop } from "../../../src/worker/task/stop.ts"
import { TaskStatus } from "../../../src/worker/task/task-status.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"

interface Given {
  readonly settle: Effect.Effect<SettledState>
  /** What has the state that is on its way. */
  readonly refuge?: Refuge
  /** What the engine left of it in a file. */
  readonly left?: "nothing" | "a state" | "what cannot be read"
  readonly stop?: Partial<Stop["Service"]>
  readonly environment?: Readonly<Record<string, string>>
}

/** Begins to settle the last state of an engine that has ended. */
const settling = Effect.fnUntraced(function*({ environment, left = "nothing", refuge, settle, stop }: Given) {
  const path = yield* temporaryFolder("last-state")
  if (left === "a state") writeFileSync(join(path, "errored.tfstate"), "{}")
  const directory = left === "what cannot be read" ? ["x".repeat(300)] : [] // no file in a directory of this name can be opened
  const told: Array<string> = []
  const first = Deferred.makeUnsafe<void>()
  const log = Log.layer({
    secrets: [],
    parts: [],
    ship: Option.none(),
    print: (bytes) => {
      told.push(Buffer.from(bytes).toString("utf8"))
      return Effect.asVoid(Deferred.succeed(first, undefined))
    }
  })
  const delivery = Layer.mock(StateDelivery, { settle: () => settle, refuge: Effect.succeed(Option.fromUndefinedOr(refuge)) })
  const settings = Layer.orDie(podSettings(path, path, { AGENT_JOB_STATE_PATIENCE: "1 hour", ...environment }))
  let isUnsaved = false // as the status of the task would say after a while
  const status = Layer.succeed(TaskStatus, {
    unansweredDuring: (work) => work,
    unwrittenDuring: (work) => work,
    unsavedDuring: (work) =>
      Effect.suspend(() => {
        isUnsaved = true
        return work
      })
  })
  const layer = Layer.mergeAll(log, delivery, settings, status, neverStops(stop))
  const root = yield* openFolder(path)
  const settled = yield* Effect.forkChild(
    Effect.provide(Effect.flatMap(settlingLastState, (settleState) => settleState({ root, directory, path })), layer)
  )
  return { path, told, toldFirst: Deferred.await(first), settled, isUnsaved: () => isUnsaved }
})

describe("a last state that the server does not take", () => {
  const saving = (container: string, prints: string) =>
    ` Nothing but this Pod has it; if you have to end that, save the state first: kubectl -n tasks exec demo-abcde -c ${container} -- ${prints} >errored.tfstate`
  const full = Refuge.Memory({ because: "It is full." })
  it.effect.each<Omit<Given, "settle"> & { readonly where: string; readonly advice: string }>([
    { where: "the volume that tasks share has it", refuge: Refuge.Shared({ file: "/cache/a" }), left: "a state", advice: "" },
    { where: "the server has it as evidence", refuge: Refuge.Server(), left: "a state", advice: "" },
    {
      where: "the worker's own volume has it",
      refuge: Refuge.Pod(),
      left: "a state",
      advice: saving("worker", "node --eval 'fs.createReadStream(\"PATH/unsaved.tfstate\").pipe(process.stdout)'")
    },
    {
      where: "that is full, and the engine left it",
      refuge: full,
      left: "a state",
      advice: saving("runner", "cat PATH/errored.tfstate")
    },
    { where: "that is full, and the engine left nothing", refuge: full, advice: "" },
    {
      where: "the engine left a later one that the worker cannot read",
      refuge: Refuge.Shared({ file: "/cache/a" }),
      left: "what cannot be read",
      advice: saving("runner", "cat PATH/errored.tfstate")
    }
  ])(
    "is told after 20 seconds as one that the worker goes on trying to send, and how to save it meanwhile: $where",
    ({ advice, ...given }) =>
      Effect.gen(function*() {
        const { path, told, toldFirst } = yield* settling({ ...given, settle: Effect.never })
        yield* Effect.forkChild(Effect.forever(Effect.andThen(TestClock.adjust("20 seconds"), Effect.yieldNow)))
        yield* toldFirst
        expect(told).toEqual([
          `The engine has ended, but the pool's server has not yet taken its last state. The worker goes on trying for up to 1h.${
            advice.replace("PATH", path)
          }\n`
        ])
      })
  )

  const unreadable = { settle: Effect.succeed(SettledState.Untouched()), left: "what cannot be read" } as const

  it.effect("is never told so once only a person can save it, for as long as the Pod stays", () =>
    Effect.gen(function*() {
      const { settled, told, toldFirst } = yield* settling(unreadable)
      yield* toldFirst
      yield* TestClock.adjust("2 hours")
      expect((yield* Effect.flip(Fiber.join(settled))).reason).toBe("StateNotSaved")
      expect(told).toEqual([expect.stringMatching(/^The last state is in .* The Pod stays for 1h, and .* Cancel the run only after/u)])
    }))

  it.effect("is told with the limit of what its Job may live, where there is one", () =>
    Effect.gen(function*() {
      const { told, toldFirst } = yield* settling({ ...unreadable, environment: { AGENT_JOB_TIMEOUT_LIMIT_SECONDS: "60" } })
      yield* toldFirst
      expect(told).toEqual([
        expect.stringMatching(
          / The Pod stays for 1h at most, and no longer than its Job may live \(task\.job\.activeDeadlineSeconds\), and /u
        )
      ])
    }))

  it.effect("is taken on from the shared volume by another workspace's stage, or by a person where the pool has none", () =>
    Effect.gen(function*() {
      const unsaved = SettledState.Unsaved({ why: "It is down.", refuge: Refuge.Shared({ file: "/cache/a.state" }) })
      const { settled } = yield* settling({ settle: Effect.succeed(unsaved) })
      expect((yield* Effect.flip(Fiber.join(settled))).message).toBe(
        "The last state is kept, encrypted, as /cache/a.state on the volume that tasks share. The next stage of another workspace of the pool takes it to the server, which has not confirmed it yet; or bring that file: agent-job state rescue NAME --file FILE. It is down."
      )
    }))

  it.effect("is to be saved at once when somebody ends the stage, even after its own time, since its Pod does not stay", () =>
    Effect.gen(function*() {
      const stop = { now: Effect.succeedSome("DeadlineExceeded" as const), isEnding: Effect.succeed(true) }
      const { told, toldFirst } = yield* settling({ ...unreadable, stop })
      yield* toldFirst
      expect(told).toEqual([expect.stringMatching(/ The Pod is about to end, .* at once, by this command: kubectl /u)])
    }))

  it.effect("is told as one that is sent until then, and to be saved at once, when the server is away while somebody ends the stage", () =>
    Effect.gen(function*() {
      const { told, toldFirst } = yield* settling({
        settle: Effect.never,
        refuge: Refuge.Pod(),
        stop: { isEnding: Effect.succeed(true) }
      })
      yield* Effect.forkChild(Effect.forever(Effect.andThen(TestClock.adjust("20 seconds"), Effect.yieldNow)))
      yield* toldFirst
      expect(told).toEqual([
        expect.stringMatching(
          / The worker goes on trying until its Pod ends, which is soon\. Nothing but this Pod has it, so save the state at once: kubectl /u
        )
      ])
    }))

  it.effect("is sent for no longer than its Job may live, where there is such a limit", () =>
    Effect.gen(function*() {
      const { told, toldFirst } = yield* settling({ settle: Effect.never, environment: { AGENT_JOB_TIMEOUT_LIMIT_SECONDS: "60" } })
      yield* Effect.forkChild(Effect.forever(Effect.andThen(TestClock.adjust("20 seconds"), Effect.yieldNow)))
      yield* toldFirst
      expect(told).toEqual([
        expect.stringMatching(
          / The worker goes on trying for up to 1h, and no longer than its Job may live \(task\.job\.activeDeadlineSeconds\)\.\n$/u
        )
      ])
    }))

  it.effect("is said in the status to be unsaved while a person can save it, and given up before a Pod that somebody ends is killed", () =>
    Effect.gen(function*() {
      const { isUnsaved, settled, toldFirst } = yield* settling({ ...unreadable, stop: { tooLate: Effect.sleep("1 minute") } })
      yield* toldFirst
      yield* TestClock.adjust("59 seconds")
      expect([isUnsaved(), settled.pollUnsafe()]).toEqual([true, undefined])
      yield* TestClock.adjust("1 second")
      expect(settled.pollUnsafe()).toBeDefined()
      expect((yield* Effect.flip(Fiber.join(settled))).reason).toBe("StateNotSaved")
    }))

  it.effect.each<{ readonly given: string } & Given>([
    { given: "the grace period is over", ...unreadable, stop: { tooLate: Effect.void } },
    { given: "the time for it is over", ...unreadable, settle: Effect.as(Effect.sleep("1 hour"), SettledState.Untouched()) }
  ])("is told with no command that comes too late: $given", (given) =>
    Effect.gen(function*() {
      const { settled, told } = yield* settling({ ...given, settle: Effect.delay(given.settle, "1 second") })
      yield* TestClock.adjust("10 seconds")
      yield* TestClock.adjust("2 hours")
      expect((yield* Effect.flip(Fiber.join(settled))).message).toMatch(/^The last state was in /u)
      expect(told.filter((line) => !line.startsWith("The engine has ended"))).toEqual([])
    }))
})
