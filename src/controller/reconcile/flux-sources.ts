// What a source of Flux has. It is read when it is needed and not watched, because a cluster need not know these kinds.
// Invariant: a shared answer is at most `answerMillis` old, and older than no change of the task since its first look here.
// Used by controller/reconcile/ask and controller/reconcile/reconcile.
import { Cache, Effect, Exit, Option } from "effect"
import { sourceSeen, unserved } from "../../core/reconcile/flux-source.ts"
import { answerMillis } from "../../core/reconcile/follow.ts"
import { SourceSeen } from "../../core/task/observed.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { monotonicMillis } from "../../kubernetes/clock.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { decoding, fluxSources } from "../../kubernetes/kinds.ts"
import { keyOf } from "../../kubernetes/object.ts"
import { FluxObject } from "../../schema/kubernetes/kubernetes.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { FluxSource } from "../../schema/task/source.ts"

type Source = Pick<FluxSource, "kind" | "name"> & { readonly namespace: string }

type Read<A> = Effect.Effect<A, KubernetesError, Kubernetes>

const ofTask = ({ metadata: { namespace }, spec: { source: { fluxSource } } }: AgentTask): Source | undefined =>
  fluxSource && { kind: fluxSource.kind, name: fluxSource.name, namespace }

const read = ({ kind, name, namespace }: Source): Read<SourceSeen> =>
  Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(decoding(fluxSources[kind], FluxObject), { namespace, name })).pipe(
    Effect.map((found) => sourceSeen({ kind, name }, Option.some(found))),
    Effect.catchTag(
      "NotFound",
      ({ isKindServed }) => Effect.succeed(isKindServed ? sourceSeen({ kind, name }, Option.none()) : unserved(kind))
    ),
    Effect.catchTag(["Forbidden", "Malformed"], ({ message }) => Effect.succeed(SourceSeen.NotReady({ message, changed: false })))
  )

/** Reads the source of the task. */
export const readSource = (task: AgentTask): Read<SourceSeen> => {
  const source = ofTask(task)
  return source === undefined ? Effect.succeed(SourceSeen.NotAsked()) : read(source)
}

/** More sources than one installation follows. Those beyond are only read more often. */
const mostSources = 1_000

/** Reads the sources of tasks that follow them: tasks that follow the same source share its read, and the answer for a while. */
export const sharedSources = Effect.gen(function*() {
  const answers = yield* Cache.makeWith(
    (source: Source) => Effect.flatMap(monotonicMillis, (at) => Effect.map(read(source), (seen) => ({ at, seen }))),
    { capacity: mostSources, timeToLive: (exit) => Exit.isSuccess(exit) ? "Infinity" : 0 } // age is told by `at`, which no change of the clock touches
  )
  /** By key, the version of each task at its last look. */
  const looked = new Map<string, string>()

  return {
    look: Effect.fnUntraced(function*(task: AgentTask) {
      const source = ofTask(task)
      if (source === undefined) return SourceSeen.NotAsked()
      const { metadata: { resourceVersion } } = task
      const before = looked.get(keyOf(task.metadata)) ?? resourceVersion
      looked.set(keyOf(task.metadata), resourceVersion)
      const now = yield* monotonicMillis
      if (before !== resourceVersion) yield* Cache.invalidate(answers, source)
      else yield* Cache.invalidateWhen(answers, source, ({ at }) => now - at >= answerMillis)
      return (yield* Cache.get(answers, source)).seen
    }),
    forget: (key: string): void => void looked.delete(key)
  }
})
