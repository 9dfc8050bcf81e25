// While the pool's server is away, the status of the AgentTask says that a state waits for it, but never in place of what matters more.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import type { TaskStatus } from "../../../src/worker/task/task-status.ts"
import { claim, claimed, claimedTask } from "../claimed-task.ts"

/** Starts work that goes on until `finish` or `fail`, beside the status of its task. */
const working = (before?: AgentTaskStatus, during: keyof TaskStatus["Service"] = "unsavedDuring") =>
  Effect.gen(function*() {
    const { kubernetes, status, taskStatus } = yield* claimedTask(before)
    const { unansweredDuring, unsavedDuring } = taskStatus
    const done = Deferred.makeUnsafe<string, string>()
    const work = yield* Effect.forkChild(taskStatus[during](Deferred.await(done)))
    return {
      kubernetes,
      status,
      unansweredDuring,
      unsavedDuring,
      finish: Effect.andThen(Deferred.succeed(done, "stored"), Fiber.join(work)),
      fail: Effect.andThen(Deferred.fail(done, "refused"), Effect.flip(Fiber.join(work)))
    }
  })

describe("a state that is not saved", () => {
  it.effect("is no news when it is saved soon", () =>
    Effect.gen(function*() {
      const { finish, kubernetes } = yield* working()
      yield* TestClock.adjust("19 seconds")
      expect([yield* finish, kubernetes.writes()]).toEqual(["stored", 0])
    }))

  it.effect("is said after 20 seconds, once, and taken back when it is saved", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status } = yield* working()
      yield* TestClock.adjust("5 minutes")
      expect([status().phase, status().reason, status().message, kubernetes.writes()]).toEqual([
        "Running",
        "StateUnsaved",
        expect.stringContaining("do not delete its Pod"),
        1
      ])
      expect(yield* finish).toBe("stored")
      expect([status().reason, status().message, kubernetes.writes()]).toEqual(["Claimed", "Running in Pod demo-abcde on node node-1.", 2])
    }))

  it.effect.each([{ during: "unwrittenDuring", stalled: "True" }, { during: "unsavedDuring", stalled: "False" }] as const)(
    "needs a person where nothing but the Pod of a task without a pool has it: $during",
    ({ during, stalled }) =>
      Effect.gen(function*() {
        const { status } = yield* working(claimed, during)
        yield* TestClock.adjust("20 seconds")
        expect(status().reason).toBe("StateUnsaved")
        expect(status().conditions?.map((_) => `${_.type}=${_.status}`)).toContain(`Stalled=${stalled}`)
      })
  )

  it.effect("is said again when somebody has said something else, and through a conflict", () =>
    Effect.gen(function*() {
      const { kubernetes, status } = yield* working()
      kubernetes.disturb("conflict")
      yield* TestClock.adjust("20 seconds")
      yield* kubernetes.change(({ status }) => ({ status: { ...status, reason: "NodeUnreachable" } }))
      yield* TestClock.adjust("20 seconds")
      expect([status().reason, kubernetes.writes()]).toEqual(["StateUnsaved", 2])
    }))

  it.effect("is taken back once the API server is there again, and then no more", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status } = yield* working()
      yield* TestClock.adjust("20 seconds")
      kubernetes.disturb("drop")
      yield* finish
      yield* TestClock.adjust("19 seconds")
      expect(status().reason).toBe("StateUnsaved")
      yield* TestClock.adjust("1 second")
      expect([status().reason, kubernetes.writes()]).toEqual(["Claimed", 2])
      yield* TestClock.adjust("1 hour")
      expect(kubernetes.writes()).toBe(2)
    }))

  it.effect("is said after a mistake of ours", () =>
    Effect.gen(function*() {
      const { kubernetes, status } = yield* working()
      kubernetes.disturb("mistake")
      yield* TestClock.adjust("20 seconds")
      expect(status().reason).not.toBe("StateUnsaved")
      yield* TestClock.adjust("20 seconds")
      expect(status().reason).toBe("StateUnsaved")
    }))

  it.effect("is not taken back any more once something else could not be saved", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status, unsavedDuring } = yield* working()
      yield* TestClock.adjust("20 seconds")
      kubernetes.disturb("drop")
      yield* finish
      yield* Effect.ignore(unsavedDuring(Effect.fail("refused")))
      yield* TestClock.adjust("10 minutes")
      expect([status().reason, kubernetes.writes()]).toEqual(["StateUnsaved", 1])
    }))

  it.effect("is not said of what is refused at once, also after it was said of another and taken back", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status, unsavedDuring } = yield* working()
      yield* TestClock.adjust("20 seconds")
      yield* finish
      yield* Effect.ignore(unsavedDuring(Effect.fail("refused")))
      yield* TestClock.adjust("10 minutes")
      expect([status().reason, kubernetes.writes()]).toEqual(["Claimed", 2])
    }))

  it.effect("is taken back by one write at a time, however many states were saved meanwhile", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status, unsavedDuring } = yield* working()
      yield* TestClock.adjust("20 seconds")
      kubernetes.disturb("drop", "drop")
      yield* finish
      for (let saved = 0; saved < 9; saved++) yield* unsavedDuring(Effect.void)
      yield* TestClock.adjust("20 seconds")
      expect(status().reason).toBe("StateUnsaved")
      yield* TestClock.adjust("20 seconds")
      expect([status().reason, kubernetes.writes()]).toEqual(["Claimed", 2])
    }))

  it.effect("stays said when it is given up, for the result to replace it", () =>
    Effect.gen(function*() {
      const { fail, status } = yield* working()
      yield* TestClock.adjust("1 minute")
      expect([yield* fail, status().reason]).toEqual(["refused", "StateUnsaved"])
    }))

  it.effect("stays said through what the controller says meanwhile, also when it is given up", () =>
    Effect.gen(function*() {
      const { fail, kubernetes, status } = yield* working()
      yield* TestClock.adjust("1 minute")
      yield* fail
      for (const reason of ["NodeUnreachable", "Claimed"]) {
        yield* kubernetes.change(({ status }) => ({ status: { ...status, reason } }))
        yield* TestClock.adjust("20 seconds")
        expect(status().reason).toBe("StateUnsaved")
      }
    }))

  it.effect("is said after it was given up, when the API server was away before", () =>
    Effect.gen(function*() {
      const { fail, kubernetes, status } = yield* working()
      kubernetes.disturb("drop", "drop")
      yield* TestClock.adjust("21 seconds")
      yield* fail
      yield* TestClock.adjust("1 minute")
      expect([status().reason, kubernetes.writes()]).toEqual(["StateUnsaved", 1])
    }))

  it.effect("is taken back also when the word on it comes only after it was looked for", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status } = yield* working()
      kubernetes.disturb("hold")
      yield* TestClock.adjust("20 seconds")
      yield* finish
      yield* TestClock.adjust("10 seconds")
      yield* kubernetes.land
      expect(status().reason).toBe("StateUnsaved")
      yield* TestClock.adjust("10 seconds")
      expect([status().reason, kubernetes.writes()]).toEqual(["Claimed", 2])
    }))

  it.effect.each(["NodeUnreachable", "Stopping"])(
    "leaves %s when it is saved, which the controller has said since",
    (reason) =>
      Effect.gen(function*() {
        const { finish, kubernetes, status } = yield* working()
        yield* TestClock.adjust("20 seconds")
        yield* kubernetes.change(({ status }) => ({ status: { ...status, reason } }))
        yield* finish
        yield* TestClock.adjust("10 minutes")
        expect([status().reason, kubernetes.writes()]).toEqual([reason, 1])
      })
  )

  it.effect("holds up nothing while the API server is slow to hear that it is saved, and is said in order", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status, unsavedDuring } = yield* working()
      yield* TestClock.adjust("20 seconds")
      const slow = kubernetes.slow("3 seconds")
      expect(yield* finish).toBe("stored") // although the clock has not moved
      const next = yield* Effect.forkChild(unsavedDuring(Effect.never))
      yield* TestClock.adjust("2 seconds")
      expect(status().reason).toBe("StateUnsaved")
      yield* TestClock.adjust("1 second")
      expect(status().reason).toBe("Claimed")
      slow()
      yield* TestClock.adjust("20 seconds")
      expect([status().reason, kubernetes.writes()]).toEqual(["StateUnsaved", 3])
      yield* Fiber.interrupt(next)
    }))

  it.effect("is taken back though it was still being said when the state was saved", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status } = yield* working()
      kubernetes.slow("3 seconds")
      yield* TestClock.adjust("21 seconds")
      expect([yield* finish, kubernetes.writes()]).toEqual(["stored", 0])
      yield* TestClock.adjust("10 seconds")
      expect([status().reason, kubernetes.writes()]).toEqual(["Claimed", 2])
    }))

  it.effect("is said, and taken back, where a webhook takes 20 seconds for each write", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status } = yield* working()
      kubernetes.slow("20 seconds")
      yield* TestClock.adjust("40 seconds")
      expect(status().reason).toBe("StateUnsaved")
      yield* finish
      yield* TestClock.adjust("20 seconds")
      expect([status().reason, kubernetes.writes()]).toEqual(["Claimed", 2])
    }))

  it.effect("is said although the API server never answered the first word on it", () =>
    Effect.gen(function*() {
      const { kubernetes, status } = yield* working()
      const slow = kubernetes.slow("1 hour")
      yield* TestClock.adjust("50 seconds")
      slow()
      yield* TestClock.adjust("20 seconds")
      expect(status().reason).toBe("StateUnsaved")
    }))

  it.effect.each(
    [
      ["is over", { ...claimed, phase: "Failed", reason: "NodeLost" }],
      ["was claimed by another", { ...claimed, claim: { ...claim, nonce: "another" } }]
    ] as const
  )("is not said of a task that %s", ([, before]) =>
    Effect.gen(function*() {
      const { finish, kubernetes } = yield* working(before)
      yield* TestClock.adjust("1 minute")
      expect([yield* finish, kubernetes.writes()]).toEqual(["stored", 0])
    }))

  it.effect("is saved all the same when the API server does not take the word on it", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status } = yield* working()
      kubernetes.disturb("drop")
      yield* TestClock.adjust("25 seconds")
      expect(status().reason).toBe("Claimed")
      expect(yield* finish).toBe("stored")
    }))
})

describe("a server that does not answer the worker", () => {
  const runs = "Running in Pod demo-abcde on node node-1."
  const waits =
    "Running in Pod demo-abcde on node node-1, but its worker has no answer from the pool's server yet; see the log of the worker, and let the Pod reach that server."

  it.effect("is said after 20 seconds, once, and taken back when it answers", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status } = yield* working(claimed, "unansweredDuring")
      yield* TestClock.adjust("19 seconds")
      expect([status().message, kubernetes.writes()]).toEqual([runs, 0])
      yield* TestClock.adjust("4 minutes")
      expect([status().phase, status().reason, status().message, kubernetes.writes()]).toEqual(["Running", "Claimed", waits, 1])
      yield* finish
      expect([status().reason, status().message, kubernetes.writes()]).toEqual(["Claimed", runs, 2])
    }))

  it.effect("gives way to a state that is not saved, which is taken back in its turn", () =>
    Effect.gen(function*() {
      const { finish, kubernetes, status, unsavedDuring } = yield* working(claimed, "unansweredDuring")
      yield* TestClock.adjust("20 seconds")
      kubernetes.disturb("drop")
      yield* finish
      const saving = yield* Effect.forkChild(unsavedDuring(Effect.sleep("1 minute")))
      yield* TestClock.adjust("20 seconds")
      expect(status().reason).toBe("StateUnsaved")
      yield* TestClock.adjust("40 seconds")
      yield* Fiber.join(saving)
      expect([status().reason, status().message]).toEqual(["Claimed", runs])
    }))
})
