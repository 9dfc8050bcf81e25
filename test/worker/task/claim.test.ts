// Who may run a task: exactly one process, once, whichever answers of the API server are lost.
import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber, Layer, Option, Runtime } from "effect"
import { TestClock } from "effect/testing"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Invalid, TooManyRequests, Unauthorized, Unreachable } from "../../../src/kubernetes/errors.ts"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { claimTask } from "../../../src/worker/task/claim.ts"
import { type FakeKubernetes, fakeKubernetes } from "../fake-kubernetes.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"

const spec = { workspace: "demo", stage: "plan", source: { inline: {} } }
const claim = (podUid: string) => ({ podUid: Uid.make(podUid), nonce: "another", epoch: 0, at: "2026-01-01T00:00:00Z" })

const claiming = (
  kubernetes: FakeKubernetes,
  { env = {}, pod = "pod-uid", stopsAt = Infinity }: {
    readonly env?: Record<string, string>
    readonly pod?: string
    readonly stopsAt?: number
  } = {}
) =>
  claimTask().pipe(
    Effect.provide(Layer.mergeAll(
      kubernetes.layer,
      neverStops({ now: Effect.map(Clock.currentTimeMillis, (at) => at < stopsAt ? Option.none() : Option.some("Evicted")) }),
      podSettings("/none", "/none", { AGENT_JOB_POD_UID: pod, AGENT_JOB_EPOCH: "3", ...env })
    )),
    Effect.exit
  )

const call = { verb: "update the status of", object: "AgentTask demo", detail: "" } as const
const overloaded = new TooManyRequests({ ...call, code: 429, reason: "TooManyRequests", retryAfter: Duration.seconds(1) })

/** Runs the effect and lets two minutes pass, which is longer than its backoffs, or as many as are given. */
const soon = <A, E>(effect: Effect.Effect<A, E>, minutes = 2) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust(Duration.minutes(minutes))
    return yield* Fiber.join(fiber)
  })

const errorOf = <A, E>(exit: Exit.Exit<A, E>): E | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

describe("the claim", () => {
  it.effect("is written with the Pod, a nonce and the epoch, and makes the task Running", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const exit = yield* claiming(kubernetes)
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(kubernetes.task().status).toMatchObject({
        phase: "Running",
        reason: "Claimed",
        claim: { podUid: "pod-uid", epoch: 3, nonce: expect.stringMatching(/^[-0-9a-f]{36}$/u) },
        job: { name: "agent-job-demo" },
        pod: { name: "demo-abcde", uid: "pod-uid", node: "node-1" },
        launches: 1,
        configHash: "c0ffee"
      })
    }))

  it.effect.each(
    [
      { given: "another Pod has it", status: { phase: "Running", claim: claim("other-pod") }, says: /Pod with UID other-pod/u },
      {
        given: "an earlier start of this container has it",
        status: { phase: "Running", claim: claim("pod-uid") },
        says: /earlier start of this container/u
      },
      { given: "it is over", status: { phase: "Failed" }, says: /is over \(Failed\)/u },
      {
        given: "it is in a phase that only a newer version knows",
        status: { phase: "Moonlit" },
        says: /is in the phase Moonlit of a newer version/u
      },
      { given: "it is cancelled", status: { phase: "Starting" }, more: { cancel: true }, says: /is cancelled/u }
    ] satisfies ReadonlyArray<{ given: string; status: AgentTaskStatus; more?: object; says: RegExp }>
  )("is lost when $given, without a write and with exit code 75", ({ more, says, status }) =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes({ ...spec, ...more }, status)
      const error = errorOf(yield* claiming(kubernetes))
      expect(error?._tag).toBe("ClaimLost")
      expect(error?.message).toMatch(says)
      expect(Runtime.getErrorExitCode(error)).toBe(75)
      expect(kubernetes.writes()).toBe(0)
    }))

  it.effect("is lost for a Pod that has to go before it began", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      expect(errorOf(yield* claiming(kubernetes, { stopsAt: 0 }))?._tag).toBe("ClaimLost")
      expect(kubernetes.writes()).toBe(0)
    }))

  it.effect("is lost for a Pod that has to go while nobody answers its first question", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const layer = Layer.mock(Kubernetes, { namespace: "tasks", get: () => Effect.fail(new Unreachable({ ...call, verb: "get" })) })
      expect(errorOf(yield* soon(claiming({ ...kubernetes, layer }, { stopsAt: 1 }), 4))?._tag).toBe("ClaimLost")
    }))

  it.effect.each(
    [
      { given: "is had", write: "lose answer", tag: undefined, writes: 1 },
      { given: "is lost", write: "drop", tag: "ClaimLost", writes: 0 }
    ] as const
  )("$given by a Pod that has to go after its write had no answer ($write)", ({ tag, write, writes }) =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      kubernetes.disturb(write)
      const exit = yield* soon(claiming(kubernetes, { stopsAt: 1 })) // the first write is at 0
      expect([errorOf(exit)?._tag, kubernetes.writes(), kubernetes.task().status.claim !== undefined]).toEqual([tag, writes, writes === 1])
    }))

  it.effect("is lost for a Pod that was made for an earlier task of that name", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      expect(errorOf(yield* claiming(kubernetes, { env: { AGENT_JOB_TASK_UID: "an-earlier-uid" } }))?._tag).toBe("ClaimLost")
    }))

  it.effect("is lost when the task is being deleted", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      yield* kubernetes.change(({ metadata }) => ({ metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:30Z" } }))
      expect(errorOf(yield* claiming(kubernetes))?._tag).toBe("ClaimLost")
      expect(kubernetes.writes()).toBe(0)
    }))

  it.effect("is recognised by its nonce when the answer was lost", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      kubernetes.disturb("lose answer")
      expect(Exit.isSuccess(yield* soon(claiming(kubernetes)))).toBe(true)
      expect(kubernetes.writes()).toBe(1)
    }))

  it.effect("is tried again after a conflict and after a request that got lost", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      kubernetes.disturb("conflict", "drop", "conflict")
      expect(Exit.isSuccess(yield* soon(claiming(kubernetes)))).toBe(true)
      expect(kubernetes.writes()).toBe(1)
    }))

  it.effect.each(
    [
      { given: "a policy denies it", write: "deny" },
      { given: "a webhook denies it", write: "reject" },
      { given: "the Pod's token is refused", write: new Unauthorized({ ...call, code: 401, reason: "Unauthorized" }) },
      { given: "a rule of the CRD forbids it", write: new Invalid({ ...call, code: 422, reason: "Invalid", causes: [] }) }
    ] as const
  )(
    "is tried again while $given, which may be for the minute in which something is rolled out",
    ({ write }) =>
      Effect.gen(function*() {
        const kubernetes = fakeKubernetes(spec)
        kubernetes.disturb(...Array.from({ length: 20 }, () => write))
        expect(Exit.isSuccess(yield* soon(claiming(kubernetes)))).toBe(true)
        expect(kubernetes.writes()).toBe(1)
      })
  )

  it.effect("is had by one of twenty that race for it", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      kubernetes.disturb("lose answer", "drop", "conflict", "lose answer")
      const exits = yield* soon(
        Effect.all(Array.from({ length: 20 }, (_, at) => claiming(kubernetes, { pod: `pod-${at}` })), { concurrency: "unbounded" })
      )
      expect(exits.filter(Exit.isSuccess)).toHaveLength(1)
      expect(exits.filter((exit) => errorOf(exit)?._tag === "ClaimLost")).toHaveLength(19)
      expect(kubernetes.writes()).toBe(1)
    }))

  it.effect.each(
    [{ given: "nobody answers", write: "drop", tag: "Unreachable" }, { given: "it is denied", write: "deny", tag: "Forbidden" }] as const
  )(
    "is given up after a while when $given",
    ({ tag, write }) =>
      Effect.gen(function*() {
        const kubernetes = fakeKubernetes(spec)
        kubernetes.disturb(...Array.from({ length: 1000 }, () => write))
        expect(errorOf(yield* soon(claiming(kubernetes), 4))?._tag).toBe(tag)
      })
  )

  it.effect("is asked for as long as a control plane may take to be upgraded, and then for the minute that a policy may take", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      kubernetes.disturb(
        ...Array.from({ length: 70 }, (_, nth) => nth % 2 === 0 ? "drop" : overloaded),
        ...Array.from({ length: 20 }, () => "deny" as const)
      )
      expect(Exit.isSuccess(yield* soon(claiming(kubernetes), 4))).toBe(true)
      expect(kubernetes.writes()).toBe(1)
    }))
})
