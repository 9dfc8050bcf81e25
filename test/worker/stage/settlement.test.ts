// What the server has to know before a stage gives back its state, above all when its engine did not end in order.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Ref } from "effect"
import { TestClock } from "effect/testing"
import type { UnnumberedEntry } from "../../../src/core/stage/engine-events.ts"
import type { JournalEntry } from "../../../src/schema/api/effects.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import type { Backing } from "../../../src/worker/backing/backing.ts"
import { makeJournal, type SendJournal } from "../../../src/worker/engine/journal.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { StageFailed } from "../../../src/worker/stage-failed.ts"
import { makeSettlement, type StageFacts } from "../../../src/worker/stage/settlement.ts"
import { SettledState } from "../../../src/worker/state/state-delivery.ts"
import { StageStopped } from "../../../src/worker/task/stage-stopped.ts"
import type { Stop } from "../../../src/worker/task/stop.ts"
import { claimedTask } from "../claimed-task.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"

const parts = (print: (text: string) => void, stop: Partial<Stop["Service"]>) =>
  Layer.mergeAll(
    podSettings("/none", "/none", { AGENT_JOB_STATE_PATIENCE: "1 hour" }),
    neverStops(stop),
    Log.layer({
      secrets: [],
      parts: [],
      ship: Option.none(),
      print: (bytes) => Effect.sync(() => print(Buffer.from(bytes).toString("utf8")))
    })
  )

const digest = Sha256.make("5".repeat(64))

/** Settles a stage whose engine made one resource and whose last state is saved. `heard` is what the server hears, in order. */
const settling = Effect.fnUntraced(
  function*(
    failure: ConstructorParameters<typeof StageFailed>[0] | StageStopped | undefined,
    { onlyDestroys = false, ...waits }: Partial<Pick<Backing, "giveStateBack" | "settleState" | "storedState">> & {
      onlyDestroys?: boolean
    } = {},
    more: ReadonlyArray<UnnumberedEntry> = [],
    stop: Partial<Stop["Service"]> = {}
  ) {
    const heard: Array<string> = []
    const told: Array<string> = []
    let isUp = false
    const send: SendJournal = (entries: ReadonlyArray<JournalEntry>) =>
      Effect.suspend(() => {
        if (!isUp) return Effect.fail({ message: "down" })
        heard.push(...entries.map(({ kind }) => kind))
        return Effect.succeed({ _tag: "StoredUpTo", end: entries.at(-1)?.number ?? 0 } as const)
      })
    const journal = yield* makeJournal({ redact: (text) => text, redactKey: (key) => key }, Option.some(send))
    journal.add({ kind: "done", action: "create", address: "a.b" })
    for (const entry of more) journal.add(entry)
    const { status, taskStatus: { unsavedDuring: showWaitingDuring } } = yield* claimedTask()
    const backing = {
      settleState: () => Effect.succeed(SettledState.Saved({ digest })),
      storedState: Effect.succeedNone,
      giveStateBack: Effect.sync(() => void heard.push("unlocked")),
      showWaitingDuring,
      ...waits
    }
    const place = { root: 0, directory: [], path: "/none" }
    const facts = yield* Ref.make<StageFacts>({})
    const work = yield* Effect.forkChild(
      makeSettlement({ backing, journal, facts, onlyDestroys }).after(
        failure === undefined ? Exit.void : Exit.fail("_tag" in failure ? failure : new StageFailed(failure)),
        place
      )
        .pipe(
          Effect.provide(parts((text) => void told.push(text), stop))
        )
    )
    yield* TestClock.adjust("1 minute")
    return {
      heard,
      told,
      facts: Ref.get(facts),
      reason: () => status().reason,
      goUp: Effect.sync(() => {
        isUp = true
      }),
      work
    }
  }
)

const failed = { reason: "ExitCode", message: "Failed.", exitCode: 1 } as const
const killed = { reason: "OutOfMemory", message: "Killed.", exitCode: 137 } as const

describe("a lock of the state", () => {
  it.effect("is given back only when the journal of an engine that was killed has come to its end", () =>
    Effect.gen(function*() {
      const { goUp, heard, work } = yield* settling(killed)
      expect(heard).toEqual([])
      yield* goUp
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(work)
      expect(heard).toEqual(["done", "closed", "unlocked"])
    }))

  it.effect("is kept when that journal never arrives, so that the server compares what was planned", () =>
    Effect.gen(function*() {
      const { heard, work } = yield* settling(killed)
      yield* TestClock.adjust("3 hours")
      yield* Fiber.join(work)
      expect(heard).toEqual([])
    }))

  it.effect("is kept when the grace period is over before that, and then neither the journal nor the stored state is waited for", () =>
    Effect.gen(function*() {
      const { facts, heard, work } = yield* settling(killed, { storedState: Effect.never }, [], { tooLate: Effect.sleep("2 minutes") })
      expect(work.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 minute")
      expect([work.pollUnsafe(), heard, (yield* facts).unsavedEffects]).toEqual([Exit.void, [], expect.stringContaining("a.b")])
    }))

  it.effect("is not waited for longer than a state is, where both never arrive", () =>
    Effect.gen(function*() {
      const unsaved = new StageFailed({ reason: "StateNotSaved", message: "Unsaved." })
      const { work } = yield* settling(killed, { settleState: () => Effect.andThen(Effect.sleep("1 hour"), Effect.fail(unsaved)) })
      yield* TestClock.adjust("65 minutes")
      expect(work.pollUnsafe()).toEqual(Exit.fail(expect.objectContaining({ reason: "StateNotSaved" })))
    }))

  it.effect("is kept when the engine may go on", () =>
    Effect.gen(function*() {
      const { goUp, heard, work } = yield* settling({ reason: "Lost", message: "Lost." })
      yield* goUp
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(work)
      expect(heard).toEqual(["done"])
    }))

  it.effect("is given back at once, and only once, after an engine that failed in order, since its state has everything", () =>
    Effect.gen(function*() {
      const { goUp, heard, work } = yield* settling(failed)
      expect(heard).toEqual(["unlocked"])
      yield* goUp
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(work)
      expect(heard).toEqual(["unlocked", "done"])
    }))

  it.effect("is given back only when the journal has come where a provider gave no answer, and what that may have made is named", () =>
    Effect.gen(function*() {
      const begun = { action: "create", address: "a.c" } as const
      const { facts, goUp, heard, work } = yield* settling(failed, {}, [
        { ...begun, kind: "started" },
        { ...begun, kind: "failed" },
        { ...begun, kind: "failed", unanswered: true }
      ])
      expect(heard).toEqual([])
      yield* goUp
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(work)
      expect(heard).toEqual(["done", "started", "failed", "failed", "unlocked"])
      expect((yield* facts).unsavedEffects).toBe("Begun, outcome unknown: a.c (create).")
    }))

  it.effect("of an engine that succeeded is not waited for very long, since the server opens it itself", () =>
    Effect.gen(function*() {
      const { work } = yield* settling(undefined, { giveStateBack: Effect.never })
      yield* TestClock.adjust("4 minutes")
      yield* Fiber.join(work)
    }))
})

describe("the last state of a stage", () => {
  it.effect.each([
    { given: "is beyond what the worker parses", more: `"outputs":${"[".repeat(500)}${"]".repeat(500)}`, why: /too much in it/u },
    { given: "is encrypted, whatever else it has", more: `"encrypted_data":"x"`, why: /encrypted/u }
  ])(
    "that $given tells nothing, so that all is named that was made, and why it is not known to be saved",
    ({ more, why }) =>
      Effect.gen(function*() {
        const state = `{"version":4,"resources":[{"mode":"managed","type":"a","name":"b","instances":[{}]}],${more}}`
        const { facts, goUp, work } = yield* settling(killed, { storedState: Effect.succeedSome(new TextEncoder().encode(state)) })
        yield* goUp
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(work)
        const { unsavedEffects } = yield* facts
        expect(unsavedEffects).toContain("Made by this stage; see that the state has it: a.b. ")
        expect(unsavedEffects).toMatch(why)
      })
  )

  it.effect.each([{ onlyDestroys: false, says: /^Its journal was full/u }, { onlyDestroys: true, says: /^$/u }])(
    "that a full journal tells of may lack something unless the stage only destroys: $onlyDestroys",
    ({ onlyDestroys, says }) =>
      Effect.gen(function*() {
        const { facts, goUp, work } = yield* settling(failed, { onlyDestroys }, [{ kind: "full", action: "create", address: "" }])
        yield* goUp
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(work)
        expect((yield* facts).unsavedEffects).toMatch(says)
      })
  )

  const unsaved = new StageFailed({ reason: "StateNotSaved", message: "Unsaved." })

  it.effect("that is not saved has all named that the stored one lacks, though the engine succeeded, and counted", () =>
    Effect.gen(function*() {
      const { facts, goUp, work } = yield* settling(undefined, {
        settleState: () => Effect.fail(unsaved),
        storedState: Effect.succeedSome(new TextEncoder().encode(`{"version":4,"resources":[]}`))
      })
      yield* goUp
      yield* TestClock.adjust("1 minute")
      yield* Effect.flip(Fiber.join(work))
      expect(yield* facts).toMatchObject({
        changes: { add: 1, change: 0, destroy: 0 },
        unsavedEffects: "Made, but not in the state: a.b."
      })
    }))

  it.effect.each([
    { end: "saved", settled: Effect.succeed(SettledState.Saved({ digest })), known: { statePushed: true, stateDigest: digest } },
    { end: "never written", settled: Effect.succeed(SettledState.Unwritten()), known: {} },
    { end: "not saved", settled: Effect.fail(unsaved), known: { statePushed: false } }
  ])("is known by its digest where it is saved: $end", ({ known, settled }) =>
    Effect.gen(function*() {
      const { facts, goUp, work } = yield* settling(failed, { settleState: () => settled })
      yield* goUp
      yield* TestClock.adjust("1 minute")
      yield* Effect.exit(Fiber.join(work))
      const { stateDigest, statePushed } = yield* facts
      expect({ ...(statePushed !== undefined && { statePushed }), ...(stateDigest !== undefined && { stateDigest }) }).toEqual(known)
    }))
})

describe("a state that only the engine knows, of a stage without a pool", () => {
  const stopped = (killed: boolean, exitCode?: number) =>
    new StageStopped({
      cause: "DeadlineExceeded",
      during: Option.some({ name: "tofu apply", mutates: true, killed }),
      ...(exitCode !== undefined && { exitCode })
    })
  const begun = { action: "create", address: "a.c" } as const
  const unanswered = [{ ...begun, kind: "started" }, { ...begun, kind: "failed" }, { ...begun, kind: "failed", unanswered: true }] as const

  it.effect.each<{ given: string; end: Parameters<typeof settling>[0]; more?: ReadonlyArray<UnnumberedEntry>; lacks: boolean }>([
    { given: "the engine was killed", end: killed, lacks: true },
    { given: "its container ended", end: { reason: "OutOfMemory", message: "Ended.", exitCode: 137 }, lacks: true },
    { given: "it could not be ended", end: { reason: "Lost", message: "Lost." }, lacks: true },
    { given: "it was killed after its time", end: stopped(true), lacks: true },
    { given: "it gave up at a second interrupt", end: stopped(false), lacks: true },
    { given: "a provider died", end: failed, more: unanswered, lacks: true },
    { given: "it was interrupted, and a provider died", end: stopped(false, 1), more: unanswered, lacks: true },
    { given: "it was interrupted in order", end: stopped(false, 1), lacks: false },
    { given: "it failed in order", end: failed, lacks: false },
    { given: "it succeeded", end: undefined, lacks: false },
    { given: "it was not begun", end: { reason: "InvalidConfiguration", message: "Not started." }, lacks: false },
    {
      given: "it was stopped before it was begun",
      end: new StageStopped({ cause: "Evicted", during: Option.none() }),
      lacks: false
    }
  ])("may lack what was made only if it did not end in order, and had begun: $given", ({ end, lacks, more }) =>
    Effect.gen(function*() {
      for (const [settled, isPushed] of [["Elsewhere", lacks ? false : undefined], ["Unwritten", undefined]] as const) {
        const { facts, goUp, work } = yield* settling(end, { settleState: () => Effect.succeed(SettledState[settled]()) }, more)
        yield* goUp
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(work)
        expect([settled, (yield* facts).statePushed]).toEqual([settled, isPushed])
      }
    }))
})

describe("an apply that ended with success and never locked its state", () => {
  it.effect("is a failure, since nothing was applied, and says where to look", () =>
    Effect.gen(function*() {
      const { work } = yield* settling(undefined, { settleState: () => Effect.succeed(SettledState.Untouched()) })
      expect(yield* Effect.flip(Fiber.join(work))).toMatchObject({
        reason: "InvalidConfiguration",
        message: expect.stringMatching(/never locked the state, so it applied nothing; read its log, .*TF_CLI_ARGS_apply/u),
        exitCode: 0
      })
    }))

  it.effect("is what it was when it failed by itself", () =>
    Effect.gen(function*() {
      const { goUp, work } = yield* settling(failed, { settleState: () => Effect.succeed(SettledState.Untouched()) })
      yield* goUp
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(work)
    }))

  it.effect("is none when it had the lock and found nothing to write", () =>
    Effect.gen(function*() {
      const { work } = yield* settling(undefined, { settleState: () => Effect.succeed(SettledState.Unwritten()) })
      yield* Fiber.join(work)
    }))
})

describe("whoever waits for a stage whose engine has ended", () => {
  it.effect.each(
    [
      ["the end of the journal of what was made", "1h", killed, {}],
      ["back the lock on its state", "1h", failed, { giveStateBack: Effect.never }],
      ["back the lock on its state", "5m", undefined, { giveStateBack: Effect.never }]
    ] as const
  )(
    "is told after 20 seconds that the server has not yet taken %s, and for how long it is waited: %s",
    ([what, patience, failure, waits]) =>
      Effect.gen(function*() {
        const { told } = yield* settling(failure, waits)
        expect(told).toEqual([
          `The engine has ended, but the pool's server has not yet taken ${what}. The worker goes on trying for up to ${patience}.\n`
        ])
      })
  )

  it.effect("is not told so for long once somebody has ended the stage", () =>
    Effect.gen(function*() {
      const { told } = yield* settling(killed, {}, [], { isEnding: Effect.succeed(true) })
      expect(told).toEqual([expect.stringMatching(/ The worker goes on trying until its Pod ends, which is soon\.\n$/u)])
    }))

  it.effect("reads in the AgentTask too that the journal is waited for, until it has arrived", () =>
    Effect.gen(function*() {
      const { goUp, reason, work } = yield* settling(killed)
      expect(reason()).toBe("StateUnsaved")
      yield* goUp
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(work)
      expect(reason()).toBe("Claimed")
    }))

  it.effect("reads it there until the result when the journal is given up, also while the state is asked for", () =>
    Effect.gen(function*() {
      const { reason, work } = yield* settling(killed, { storedState: Effect.delay(Effect.succeedNone, "2 hours") })
      yield* TestClock.adjust("70 minutes")
      expect([reason(), work.pollUnsafe()]).toEqual(["StateUnsaved", undefined])
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(work)
      expect(reason()).toBe("StateUnsaved")
    }))

  it.effect("reads it there until the result when the state is not saved, though the journal arrives and the lock goes back", () =>
    Effect.gen(function*() {
      const unsaved = new StageFailed({ reason: "StateNotSaved", message: "Unsaved." })
      const { goUp, heard, reason, work } = yield* settling(killed, {
        settleState: () => Effect.fail(unsaved),
        storedState: Effect.delay(Effect.succeedNone, "1 hour")
      })
      yield* goUp
      yield* TestClock.adjust("30 minutes")
      expect([heard, reason()]).toEqual([["done", "closed"], "StateUnsaved"])
      yield* TestClock.adjust("30 minutes")
      yield* Effect.flip(Fiber.join(work))
      expect([heard, reason()]).toEqual([["done", "closed", "unlocked"], "StateUnsaved"])
    }))

  it.effect("reads nothing of it there any more when only the lock is given up, and the stage goes on", () =>
    Effect.gen(function*() {
      const { reason, work } = yield* settling(undefined, { giveStateBack: Effect.never })
      expect(reason()).toBe("StateUnsaved")
      yield* TestClock.adjust("4 minutes")
      yield* Fiber.join(work)
      expect(reason()).toBe("Claimed")
    }))
})
