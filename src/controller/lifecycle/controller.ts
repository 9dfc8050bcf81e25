// The controller as a whole: the mirror feeds a world, this replica works off a queue of tasks while it leads, and the pool gives work.
// Standby replicas only keep their caches warm. A stop, or values that need a new process, drains running passes, gives the lead back and ends with 0.
// Started by cli/commands/controller.
import { Deferred, Effect, Layer, Option, Ref, Stream, SubscriptionRef } from "effect"
import { leaderLeaseName } from "../../core/manifest/controller-names.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { answered, drainAskedAt, formerLeadMillis } from "../../core/scheduling/draining.ts"
import { isProven } from "../../core/scheduling/isolation.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { discover } from "../../kubernetes/credentials.ts"
import * as Election from "../../kubernetes/lease.ts"
import { Configuration } from "../configuration/configuration.ts"
import { valuesWatch } from "../configuration/values-watch.ts"
import { Pool } from "../pool/pool.ts"
import { Executor } from "../reconcile/execute.ts"
import { tellNotUnderstood } from "../reconcile/not-understood.ts"
import { Reconciler } from "../reconcile/reconcile.ts"
import { mirror } from "../world/mirror.ts"
import * as World from "../world/world.ts"
import { makeAttention } from "./attention.ts"
import { Health } from "./health.ts"
import { doesNotLead, type Parts, whileLeader } from "./leader.ts"

export interface ControllerOptions {
  /** The values file, or a directory of them. */
  readonly values: string
  /** The name of the installation. */
  readonly name: string
  readonly namespace: string
  readonly healthPort: number
  /** Unique to this process: its Pod's name. */
  readonly identity: string
  /** The path of the pool's token; the file is read anew for every request. */
  readonly poolTokenFile: string
}

interface AnswerParts extends Pick<Parts, "attention" | "drained" | "world"> {
  readonly current: Effect.Effect<ResolvedConfig>
  /** The annotations of the Lease as last seen. */
  readonly annotationsSeen: Ref.Ref<Readonly<Record<string, string>>>
}

/** Sets whether isolation is proven under these values, and reports whether that is a change. It is told where tasks wait for a proof. */
const applyProof = (world: World.World, annotations: Readonly<Record<string, string>>, config: ResolvedConfig): Effect.Effect<boolean> => {
  const proven = isProven(annotations, config)
  if (!world.turns.setProven(proven)) return Effect.succeed(false)
  const told = proven ? "the isolation of tasks is proven" : "the isolation of tasks is not proven any more: nothing new starts"
  return Effect.as(config.policy.requireProvenIsolation ? Effect.logInfo(told) : Effect.void, true)
}

/**
 * Takes over a configuration and looks at all tasks: new limits or times may change the decision on any task, and what was proven may not
 * hold under these values.
 */
export const takeOver = (
  config: ResolvedConfig,
  { annotationsSeen, attention, world }: Pick<AnswerParts, "annotationsSeen" | "attention" | "world">
) =>
  Ref.get(annotationsSeen).pipe(
    Effect.flatMap((annotations) => {
      world.setPolicy(config.policy)
      return applyProof(world, annotations, config)
    }),
    Effect.andThen(attention.lookAtAll)
  )

/**
 * Applies what the annotations of the Lease say about draining, and about isolation under the current values. Returns the annotations, with
 * the answer about draining.
 */
export const answerAnnotations = ({ annotationsSeen, attention, current, drained, world }: AnswerParts) =>
  Effect.fnUntraced(function*(annotations: Readonly<Record<string, string>>, formerAtWork: boolean) {
    yield* Ref.set(annotationsSeen, annotations)
    const since = drainAskedAt(annotations)
    const isDrained = Option.isSome(since)
    if (world.turns.setDrained(isDrained)) {
      yield* SubscriptionRef.set(drained, isDrained)
      yield* Effect.logInfo(
        isDrained ? "drained: nothing new starts" : "no longer drained",
        Option.isSome(since) ? { since: since.value } : {}
      )
      yield* attention.lookAtAll
    }
    if (yield* applyProof(world, annotations, yield* current)) yield* attention.lookAtAll
    return answered(annotations, formerAtWork || world.turns.launching())
  }, Effect.uninterruptible) // a renewal has a time limit, and what is news now is none at the next

/** Leads whenever it can, until its scope closes. `config` is the one to begin with. */
export const run = Effect.fnUntraced(
  function*({ healthPort, identity }: Pick<ControllerOptions, "healthPort" | "identity">, config: ResolvedConfig, world: World.World) {
    yield* doesNotLead
    const attention = makeAttention(world.cache)
    const drained = yield* SubscriptionRef.make(false)
    const synced = yield* Deferred.make<void>()
    const { tell, telling } = yield* tellNotUnderstood(identity)
    const { resyncs, stale, synced: inStep } = yield* mirror(world, config.taskNamespace, attention.look, tell)
    const ready = Effect.flatMap(
      Deferred.isDone(synced),
      (done) => done ? stale : Effect.succeed(["the first list of tasks, Jobs and Pods"])
    )
    yield* Layer.build(Health(healthPort, ready))
    yield* inStep
    yield* Deferred.succeed(synced, undefined)
    const { changes, current } = yield* Configuration
    const annotationsSeen = yield* Ref.make<Readonly<Record<string, string>>>({})
    yield* Effect.logInfo("ready", { tasks: [...world.cache.tasks()].length })
    const election = yield* Election.make({
      namespace: config.namespace,
      name: leaderLeaseName(config),
      identity,
      aftermath: formerLeadMillis,
      answerAnnotations: answerAnnotations({ annotationsSeen, attention, current, drained, world })
    })
    const lead = Effect.scoped(whileLeader({ world, config, identity, attention, drained }))
    return yield* Effect.raceAllFirst([
      election.lead(Effect.provide(lead, Reconciler.layer(world))), // a new one for each lead, because no pass of ours forgets a task that goes between two leads
      Stream.runForEach(changes, (config) => takeOver(config, { annotationsSeen, attention, world })),
      resyncs,
      telling
    ]) // a bug in one ends all, and not that one alone and unnoticed
  }
)

const withConfiguration = Effect.fnUntraced(function*(options: Omit<ControllerOptions, "values">) {
  const { current, outdated } = yield* Configuration
  const config = yield* current
  const world = World.make(config.policy)
  const pool = config.pool === undefined ? Layer.empty : Pool.layer(config.pool.url, options.poolTokenFile, options.identity)
  const parts = Executor.layer(options.identity).pipe(
    Layer.provideMerge(pool),
    Layer.provideMerge(Kubernetes.layer(discover({})))
  )
  const working = run(options, config, world).pipe(Effect.scoped, Effect.provide(parts)) // the work ends before the client that it uses
  return yield* Effect.raceFirst(working, outdated)
})

/**
 * Runs until it is interrupted, or until its values need a new process. Fails if the values, the credentials or the health port keep it
 * from starting.
 */
export const controller = ({ values, ...options }: ControllerOptions) => {
  const { name, namespace } = options
  return withConfiguration(options).pipe(
    Effect.provide(Configuration.layer({ path: values, release: { name, namespace }, ticks: valuesWatch(values) }))
  )
}
