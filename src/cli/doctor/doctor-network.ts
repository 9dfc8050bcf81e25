// Finds out what the network enforces: starts Pods that try to connect under its own NetworkPolicies, and reads their termination messages.
// Invariant: it deletes what it made, however it ends. What it could not within a minute, or seconds after Ctrl-C, stays: Pods end by their deadline, and policies select no other Pods.
// Used by examination.
import { type Duration, Effect, Exit, Option, Random, Schedule, Schema, type Scope } from "effect"
import { metadataTargets } from "../../core/doctor/metadata-services.ts"
import { type Listening, type NetworkFindings, type Told, told } from "../../core/doctor/network-findings.ts"
import { type Listener, listenerPort, type Probe, probeContainer, probePod, probePolicies } from "../../core/network/probe.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { proven, unproven } from "../../core/scheduling/isolation.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { decoding, type Kind, networkPolicies, pods } from "../../kubernetes/kinds.ts"
import type { NamespacedName, Writable } from "../../kubernetes/object.ts"
import { ProbeReport, type ProbeTarget } from "../../schema/kubernetes/probe.ts"
import { markLeader } from "../cluster/leader-lease.ts"
import { Screen } from "../terminal/screen.ts"

const maybe = Schema.optionalKey
const ProbePod = Schema.Struct({
  status: maybe(Schema.Struct({
    phase: maybe(Schema.String),
    podIPs: maybe(Schema.Array(Schema.Struct({ ip: Schema.String }))),
    containerStatuses: maybe(Schema.Array(Schema.Struct({
      name: Schema.String,
      ready: maybe(Schema.Boolean),
      state: maybe(Schema.Struct({ terminated: maybe(Schema.Struct({ message: maybe(Schema.String) })) }))
    })))
  }))
})
type ProbePod = typeof ProbePod.Type
const probePods = decoding(pods, ProbePod)

interface Made {
  readonly kind: Kind<unknown>
  readonly name: NamespacedName
}

/**
 * Returns a function that creates an object and returns its name. When the scope closes, all these objects are deleted at once, also one
 * that no answer came for.
 */
const makingForNow = Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  const { line } = yield* Screen
  const remove = ({ kind, name }: Made) => Effect.ignore(kubernetes.delete(kind, name, { gracePeriodSeconds: 0 }))
  const made = yield* Effect.acquireRelease(
    Effect.sync((): Array<Made> => []),
    (made, exit) => {
      const within = (limit: Duration.Input) =>
        Effect.timeoutOption(Effect.interruptible(Effect.forEach(made, remove, { concurrency: "unbounded", discard: true })), limit)
      const hurried = Effect.andThen(
        made.length === 0 ? Effect.void : line("Removing the Pods and policies that were made to try the network, for 5 seconds at most."),
        within("5 seconds")
      )
      return Exit.hasInterrupts(exit) ? hurried : Effect.onInterrupt(Effect.interruptible(within("1 minute")), () => hurried)
    }
  )
  return <O extends Writable & { readonly metadata: NamespacedName }>(kind: Kind<unknown>, object: O) =>
    Effect.suspend(() => {
      made.push({ kind, name: object.metadata })
      return Effect.as(kubernetes.create(kind, object), object.metadata)
    })
})

const podAt = (name: NamespacedName) => Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(probePods, name))

const limit = "90 seconds"

/** Polls the Pod until it is `wanted`, and returns it. Returns none if that takes longer than `limit`. */
const waitForPod = (
  name: NamespacedName,
  wanted: (pod: ProbePod) => boolean
): Effect.Effect<Option.Option<ProbePod>, KubernetesError, Kubernetes> =>
  podAt(name).pipe(
    Effect.repeat({ until: wanted, schedule: Schedule.spaced("500 millis") }),
    Effect.timeoutOption(limit)
  )

/** Returns the status of our container. Its Pod may have others, which somebody else has put into it, and go on with them. */
const ours = ({ status }: ProbePod) => status?.containerStatuses?.find(({ name }) => name === probeContainer)
const ended = (pod: ProbePod) => ours(pod)?.state?.terminated

const isOver = (pod: ProbePod): boolean => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed" || ended(pod) !== undefined
const runs = (pod: ProbePod): boolean => pod.status?.phase === "Running" && ended(pod) === undefined
const listens = (pod: ProbePod): boolean => isOver(pod) || ours(pod)?.ready === true

const decodeReport = Schema.decodeUnknownOption(Schema.fromJsonString(ProbeReport))

const lastWords = (pod: ProbePod): Option.Option<Told> =>
  Option.map(decodeReport(ended(pod)?.message), (report) => told(report, (pod.status?.podIPs ?? []).map(({ ip }) => ip)))

/**
 * Records on the leader's Lease whether the isolation is proven, where a controller that requires the proof reads it. Does nothing without
 * a Lease, because then no controller has ever run.
 */
export const keepProof = Effect.fn("doctor.keepProof")(function*(config: ResolvedConfig, isProof: boolean) {
  const now = yield* currentInstant
  yield* markLeader(config, (annotations) => isProof ? proven(annotations, config, now) : unproven(annotations)).pipe(
    Effect.catchTag("NotFound", () => Effect.void)
  )
})

const inTheEnd = ({ name, targets }: Pick<Listening, "targets"> & { readonly name: NamespacedName }) =>
  podAt(name).pipe(
    Effect.map(runs),
    Effect.catchTag("NotFound", () => Effect.succeed(false)),
    Effect.map((stayed): Listening => ({ targets, stayed }))
  )

/** Returns what each probe reached, or none if the listener did not start. `needed`: the addresses that a worker has to reach. */
export const examineNetwork = Effect.fn("doctor.network")(
  function*(
    config: ResolvedConfig,
    needed: ReadonlyArray<ProbeTarget>
  ): Effect.fn.Return<Option.Option<NetworkFindings>, KubernetesError, Kubernetes | Scope.Scope | Screen> {
    const forNow = yield* makingForNow
    const id = (yield* Random.nextIntBetween(36 ** 4, 36 ** 5)).toString(36)
    for (const policy of probePolicies(config, id)) yield* forNow(networkPolicies, policy)
    const start = (probe: Probe, targets: ReadonlyArray<ProbeTarget>) => forNow(pods, probePod(config, id, probe, targets))
    const listen = Effect.fnUntraced(function*(probe: Listener) {
      const name = yield* start(probe, [])
      const pod = yield* waitForPod(name, listens)
      const podIPs = Option.isSome(pod) ? pod.value.status?.podIPs ?? [] : []
      return { name, targets: podIPs.map(({ ip }) => ({ address: ip, port: listenerPort })) }
    })
    const [listener, taskListener] = yield* Effect.all([listen("listener"), listen("task-listener")], { concurrency: "unbounded" })
    if (listener.targets.length === 0) return Option.none()
    const reportOf = (probe: Probe, targets: ReadonlyArray<ProbeTarget>) =>
      Effect.map(Effect.flatMap(start(probe, targets), (name) => waitForPod(name, isOver)), Option.flatMap(lastWords))
    const reports = yield* Effect.all({
      open: reportOf("open", [...listener.targets, ...taskListener.targets]),
      closed: reportOf("closed", listener.targets),
      task: reportOf("task", [...listener.targets, ...metadataTargets, ...needed])
    }, { concurrency: "unbounded" })
    return Option.some({ listener: yield* inTheEnd(listener), taskListener: yield* inTheEnd(taskListener), reports })
  }
)
