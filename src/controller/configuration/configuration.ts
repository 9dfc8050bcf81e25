// The current configuration: read at the start, and again whenever the values files may have changed.
// Invariant: it is always complete; wrong files only cause a warning and set a metric, until good ones take their place.
// Used by controller/lifecycle/controller and all code that works by the values.
import { Cause, Context, Deferred, Effect, Layer, Metric, Ref, Result, Stream, SubscriptionRef } from "effect"
import { takenIdentities } from "../../core/manifest/own-objects.ts"
import { reload } from "../../core/resolve/reload.ts"
import { type Release, resolve, type ResolvedConfig } from "../../core/resolve/resolve.ts"
import { metrics } from "../../schema/api/metrics.ts"
import { shown } from "../../schema/document/explain.ts"
import { allTold, located } from "../../schema/document/fault.ts"
import { difference, leaves } from "../../schema/document/layers.ts"
import { loadValues, ValuesInvalid } from "./values-files.ts"

export interface Settings {
  /** The values file, or a directory of layers. */
  readonly path: string
  readonly release: Release
  /** Ticks when the files may have changed. */
  readonly ticks: Stream.Stream<void>
}

export class Configuration extends Context.Service<Configuration, {
  /** The current configuration. A pass reads it once, so that what the pass decides, builds and writes is of one piece. */
  readonly current: Effect.Effect<ResolvedConfig>
  /** The current configuration, and then each one that takes its place. */
  readonly changes: Stream.Stream<ResolvedConfig>
  /** Completes when the values have a change that only a new process can take over. */
  readonly outdated: Effect.Effect<void>
}>()("agent-job/controller/Configuration") {
  static readonly layer = (settings: Settings): Layer.Layer<Configuration, ValuesInvalid> => Layer.effect(Configuration, make(settings))
}

const valid = Metric.gauge("agent_job_config_valid", metrics.agent_job_config_valid)

const load = Effect.fnUntraced(function*({ path, release }: Settings) {
  const { layers, values } = yield* loadValues([path])
  const config = resolve(values, release)
  const taken = takenIdentities(config)
  if (taken.length > 0) return yield* new ValuesInvalid({ files: layers.map(({ name }) => name), faults: located(layers, taken) })
  return config
})

const changedKeys = (running: ResolvedConfig, wanted: ResolvedConfig): ReadonlyArray<string> =>
  leaves(difference(running.controllerValues, wanted.controllerValues)).map(({ path }) => shown(path))

const make = Effect.fnUntraced(function*(settings: Settings) {
  const holds = yield* SubscriptionRef.make(yield* load(settings))
  const outdated = yield* Deferred.make<void>()
  const warnedOf = yield* Ref.make("")
  yield* Metric.update(valid, 1)

  const refuse = Effect.fnUntraced(function*({ faults }: ValuesInvalid) {
    const problems = allTold(faults)
    const wrong = problems.join("; ")
    yield* Metric.update(valid, 0)
    if ((yield* Ref.getAndSet(warnedOf, wrong)) !== wrong) {
      yield* Effect.logWarning("the new values cannot be used, so those from before still hold; correct the file", { problems })
    }
  })

  const take = Effect.fnUntraced(function*(wanted: ResolvedConfig) {
    yield* Metric.update(valid, 1)
    if ((yield* Ref.getAndSet(warnedOf, "")) !== "") yield* Effect.logInfo("the values can be used again")
    const running = yield* SubscriptionRef.get(holds)
    switch (reload(running, wanted)) {
      case "Keep":
        return
      case "TakeOver":
        yield* Effect.logInfo("new values hold from now on", { keys: changedKeys(running, wanted), configHash: wanted.policy.configHash })
        return yield* SubscriptionRef.set(holds, wanted)
      case "StartAgain":
        yield* Effect.logInfo("ends, to be started again with the new values", { keys: changedKeys(running, wanted) })
        return yield* Deferred.succeed(outdated, undefined)
    }
  })

  /** Logs a defect, because a bug in one reload must not end all later ones unnoticed. */
  const unexpected = (cause: Cause.Cause<never>) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause)
      : Effect.andThen(
        Metric.update(valid, 0),
        Effect.logError("the new values could not be taken over, so those from before still hold", cause)
      )

  const again = Effect.flatMap(Effect.result(load(settings)), Result.match({ onFailure: refuse, onSuccess: take })).pipe(
    Effect.catchCause(unexpected)
  )
  yield* Effect.forkScoped(Stream.runForEach(settings.ticks, () => again))

  return Configuration.of({
    current: SubscriptionRef.get(holds),
    changes: SubscriptionRef.changes(holds),
    outdated: Deferred.await(outdated)
  })
})
