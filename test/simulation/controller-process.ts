// A controller as a process of the simulation: the product's mirror, queue, reconciler and executor, from its start to its crash.
// It leads at once, and again at once if it loses the lead: two at a time are what an election should prevent, and even then they must do no harm.
// Used by test/simulation/simulation.
import { Effect, Layer, Option, Ref, Stream, SubscriptionRef } from "effect"
import { Configuration } from "../../src/controller/configuration/configuration.ts"
import { makeAttention } from "../../src/controller/lifecycle/attention.ts"
import { answerAnnotations, takeOver } from "../../src/controller/lifecycle/controller.ts"
import { whileLeader } from "../../src/controller/lifecycle/leader.ts"
import { Pool } from "../../src/controller/pool/pool.ts"
import { Executor } from "../../src/controller/reconcile/execute.ts"
import { tellNotUnderstood } from "../../src/controller/reconcile/not-understood.ts"
import { Reconciler } from "../../src/controller/reconcile/reconcile.ts"
import { mirror } from "../../src/controller/world/mirror.ts"
import * as World from "../../src/controller/world/world.ts"
import type { ResolvedConfig } from "../../src/core/resolve/resolve.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { ApiServer } from "./api-server.ts"
import { clientOf, type Watch } from "./client.ts"
import type { OneThread } from "./one-thread.ts"
import { Process } from "./one-thread.ts"

/** Those of the Lease of the lead. */
export type Annotations = Readonly<Record<string, string>>

export interface ControllerProcess {
  readonly process: Process
  readonly watches: ReadonlySet<Watch>
  readonly world: World.World
  /** Has the controller read the annotations, as each renewal of its lead does. Returns them with its answer. */
  readonly renew: (annotations: Annotations) => Annotations
  /** Ends the lead of the controller, which drains what runs and then, after these milliseconds, leads again. */
  readonly loseLead: (forMillis: number) => void
  /** Has the controller take over other values, as when it has read its files anew. */
  readonly takeOver: (config: ResolvedConfig) => void
}

interface Start {
  readonly thread: OneThread
  readonly server: ApiServer
  readonly config: ResolvedConfig
  readonly name: string
  readonly seed: number
  readonly skew: number
  readonly pool: Option.Option<(process: Process) => Pool["Service"]>
}

export const startController = ({ config, name, pool, seed, server, skew, thread }: Start): ControllerProcess => {
  const process = new Process(thread, name, seed)
  process.skew = skew
  const { kubernetes, watches } = clientOf(server, process)
  const world = World.make(config.policy)
  const attention = makeAttention(world.cache)
  const drained = Effect.runSync(SubscriptionRef.make(false))
  const holds = Ref.makeUnsafe(config)
  const current = Ref.get(holds)
  const annotationsSeen = Ref.makeUnsafe({})
  const answer = answerAnnotations({ annotationsSeen, attention, current, drained, world })
  const parts = Executor.layer(name).pipe(
    Layer.provideMerge(Option.match(pool, { onNone: () => Layer.empty, onSome: (of) => Layer.succeed(Pool, of(process)) })),
    Layer.provideMerge(Layer.succeed(Kubernetes, kubernetes)),
    Layer.provideMerge(
      Layer.succeed(Configuration, Configuration.of({ current, changes: Stream.never, outdated: Effect.never }))
    )
  )
  let loseLead: (forMillis: number) => void = () => undefined
  const leadLost = process.hear<number>((tell) => {
    loseLead = tell
  })
  process.run(
    Effect.gen(function*() {
      const { tell, telling } = yield* tellNotUnderstood(name)
      const { resyncs, synced } = yield* mirror(world, config.taskNamespace, attention.look, tell)
      yield* synced
      const lead = Effect.provide(
        Effect.scoped(whileLeader({ world, config, identity: name, attention, drained })),
        Reconciler.layer(world)
      )
      const leads = Effect.forever(Effect.flatMap(Effect.raceFirst(Effect.as(lead, 0), leadLost), Effect.sleep))
      yield* Effect.raceAllFirst([leads, resyncs, telling])
    }).pipe(Effect.scoped, Effect.provide(parts))
  )
  const renew = (annotations: Annotations): Annotations => {
    let answered = annotations
    process.run(Effect.map(answer(annotations, false), (_) => {
      answered = _
    }))
    return answered
  }
  return {
    process,
    watches,
    world,
    renew,
    loseLead: (forMillis) => loseLead(forMillis),
    takeOver: (next) => process.run(Effect.andThen(Ref.set(holds, next), takeOver(next, { annotationsSeen, attention, world })))
  }
}
