// One AgentTask in memory that behaves like the API server's: versions, conflicts, the write-once rules, and a watch.
// Answers only what the worker asks for; anything else is a defect of the test.
// Used by the tests of the worker's parts; the real API server is in the *.cluster tests.
import { type Duration, Effect, Layer, PubSub, Result, Stream } from "effect"
import { callTimeout, Kubernetes } from "../../src/kubernetes/client.ts"
import { Conflict, Forbidden, Invalid, type KubernetesError, Malformed, Rejected, Unreachable } from "../../src/kubernetes/errors.ts"
import type { Kind } from "../../src/kubernetes/kinds.ts"
import type { KubernetesObject, WatchEvent } from "../../src/kubernetes/object.ts"
import type { AgentTaskStatus } from "../../src/schema/task/agent-task.ts"

export interface Stored extends KubernetesObject {
  readonly spec: Record<string, unknown>
  readonly status: AgentTaskStatus
}

type Disturbance = "lose answer" | "drop" | "conflict" | "deny" | "reject" | "hold" | "mistake" | KubernetesError

export interface FakeKubernetes {
  readonly layer: Layer.Layer<Kubernetes>
  readonly task: () => Stored
  /**
   * Adds what the server does with the next writes of a status, one each, in order. A write that is held gets no answer and happens with
   * `land`; "mistake" is a defect of the client, not an answer of the server; an error is its answer as it is.
   */
  readonly disturb: (...next: ReadonlyArray<Disturbance>) => void
  /** Makes the held write now, unless the task has changed meanwhile. */
  readonly land: Effect.Effect<void>
  /** Every write of a status takes this long until the returned function is called; the client gives up what takes too long. */
  readonly slow: (duration: Duration.Input) => () => void
  readonly change: (next: (task: Stored) => Partial<Stored>) => Effect.Effect<void>
  readonly cancel: Effect.Effect<void>
  readonly writes: () => number
}

const call = { verb: "update the status of", object: "AgentTask demo" } as const

export const fakeKubernetes = (spec: Record<string, unknown>, status: AgentTaskStatus = { phase: "Starting" }): FakeKubernetes => {
  let task: Stored = {
    metadata: {
      name: "demo",
      namespace: "tasks",
      uid: "task-uid",
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z"
    },
    spec,
    status
  }
  let writes = 0
  let takes: Duration.Input | undefined
  const disturbances: Array<Disturbance> = []
  let held = Effect.void
  const noAnswer = new Unreachable({ ...call, detail: "no answer" })
  const changes = Effect.runSync(PubSub.unbounded<WatchEvent>())

  const change: FakeKubernetes["change"] = (next) =>
    Effect.suspend(() => {
      task = {
        ...task,
        ...next(task),
        metadata: { ...task.metadata, ...next(task).metadata, resourceVersion: String(Number(task.metadata.resourceVersion) + 1) }
      }
      return PubSub.publish(changes, { type: "MODIFIED", object: task })
    }).pipe(Effect.asVoid)

  const decode = <A>(kind: Kind<A>): Effect.Effect<A, KubernetesError> =>
    Effect.suspend(() =>
      Effect.fromResult(Result.mapError(kind.decode(task), ({ message }) => new Malformed({ ...call, detail: message })))
    )

  const take = (status: AgentTaskStatus) => {
    writes++
    return change(() => ({ status: JSON.parse(JSON.stringify(status)) }))
  }

  const updateStatus: Kubernetes["Service"]["updateStatus"] = (kind, object) =>
    Effect.gen(function*() {
      const next = (object as unknown as Stored).status
      if (takes !== undefined) {
        yield* Effect.timeoutOrElse(Effect.sleep(takes), { duration: callTimeout, orElse: () => Effect.fail(noAnswer) })
      }
      const disturbance = disturbances.shift()
      if (typeof disturbance === "object") return yield* disturbance
      if (disturbance === "mistake") return yield* Effect.die(new Error("a mistake"))
      if (disturbance === "drop") return yield* new Unreachable({ ...call, detail: "connection reset" })
      if (disturbance === "deny") {
        return yield* new Forbidden({ ...call, code: 422, reason: "Invalid", detail: "is forbidden: not on Fridays" })
      }
      if (disturbance === "reject") {
        return yield* new Rejected({ ...call, code: 400, reason: "BadRequest", detail: "admission webhook denied the request: not yet" })
      }
      if (disturbance === "hold") {
        held = Effect.suspend(() => object.metadata.resourceVersion === task.metadata.resourceVersion ? take(next) : Effect.void)
        return yield* noAnswer
      }
      if (disturbance === "conflict") {
        yield* change(() => ({}))
      }
      if (object.metadata.resourceVersion !== task.metadata.resourceVersion) {
        return yield* new Conflict({ ...call, code: 409, reason: "Conflict", detail: "the object has been modified" })
      }
      const rewritten = (task.status.claim !== undefined && JSON.stringify(next.claim) !== JSON.stringify(task.status.claim)) ||
        task.status.result !== undefined
      if (rewritten) return yield* new Invalid({ ...call, code: 422, reason: "Invalid", detail: "written once", causes: [] })
      yield* take(next)
      if (disturbance === "lose answer") return yield* new Unreachable({ ...call, detail: "connection reset" })
      return yield* decode(kind)
    })

  return {
    layer: Layer.mock(Kubernetes, {
      namespace: "tasks",
      get: decode,
      updateStatus,
      watch: (_, { resourceVersion }) =>
        Stream.concat(
          Stream.suspend(() =>
            Number(task.metadata.resourceVersion) > Number(resourceVersion)
              ? Stream.succeed<WatchEvent>({ type: "MODIFIED", object: task })
              : Stream.empty
          ),
          Stream.fromPubSub(changes)
        )
    }),
    task: () => task,
    disturb: (...next) => void disturbances.push(...next),
    land: Effect.suspend(() => held),
    slow: (duration) => {
      takes = duration
      return () => {
        takes = undefined
      }
    },
    change,
    cancel: change(({ spec: before }) => ({ spec: { ...before, cancel: true } })),
    writes: () => writes
  }
}
