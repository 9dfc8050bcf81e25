// The doctor's examination: of the installation's objects and, unless --no-pods is given, of its network. Records the proof of isolation.
// Invariant: what cannot be found out becomes a check of its own, and hides no other.
// Used by doctor.
import { Duration, Effect, Option } from "effect"
import { checkNames } from "../../core/doctor/check.ts"
import { isolationBy, networkChecks, nothingStarted, proofStays } from "../../core/doctor/network.ts"
import { apiServerOf } from "../../core/doctor/task-needs.ts"
import { serverTargets } from "../../core/network/pool-server.ts"
import { resolve, type ResolvedConfig } from "../../core/resolve/resolve.ts"
import type { Answer } from "../terminal/answer.ts"
import { inOrder } from "../terminal/readers.ts"
import { table } from "../terminal/table.ts"
import { sayingMeanwhile } from "../terminal/while-silent.ts"
import { installedValues } from "../values/installed-values.ts"
import { givenValues } from "../values/values-flag.ts"
import { examineNetwork, keepProof } from "./doctor-network.ts"
import { examineObjects } from "./doctor-objects.ts"
import { readPolicies } from "./doctor-policies.ts"
import { orUnknown } from "./doctor-unknown.ts"
import { removeEarlierDoctors } from "./earlier-doctors.ts"

export interface Examination {
  readonly name: string
  readonly namespace: string
  /** Paths of values files; if there are none, the values in the controller's ConfigMap are used. */
  readonly values: ReadonlyArray<string>
  readonly noPods: boolean
}

const forPods = ({ taskNamespace }: ResolvedConfig): string =>
  `Waiting for the Pods that try the network, up to three minutes; kubectl -n ${taskNamespace} get pods,events says what keeps them`

const examineTraffic = Effect.fnUntraced(function*(config: ResolvedConfig) {
  const policies = yield* readPolicies(config)
  yield* removeEarlierDoctors(config)
  const examining = Effect.scoped(examineNetwork(config, [...apiServerOf(config), ...serverTargets(config)]))
  const found = yield* inOrder(sayingMeanwhile(forPods(config), Duration.zero)(examining))
  return Option.match(found, {
    onNone: () => [nothingStarted(config)],
    onSome: (found) => networkChecks({ config, found, ...policies })
  })
})

const examineIsolation = Effect.fnUntraced(function*(config: ResolvedConfig) {
  const checks = yield* examineTraffic(config).pipe(orUnknown(checkNames.networkPolicies))
  const isolation = isolationBy(checks)
  const ofProof = isolation === "unknown"
    ? [proofStays]
    : yield* Effect.as(keepProof(config, isolation === "proven"), []).pipe(orUnknown(checkNames.proof))
  return [...checks, ...ofProof]
})

export const examine = Effect.fn("examine")(function*({ name, namespace, noPods, values }: Examination) {
  const given = yield* values.length > 0
    ? givenValues(values)
    : installedValues(name, namespace, "give --name and --namespace of the installation, or its values with --values")
  const config = resolve(given, { name, namespace })
  const checks = [
    ...yield* examineObjects(config),
    ...noPods ? [] : yield* examineIsolation(config)
  ]
  return {
    document: { installation: { name: config.name, namespace }, checks },
    lines: table(["OUTCOME", "CHECK", "WHAT WAS FOUND"], checks.map(({ message, name, outcome }) => [outcome, name, message]))
  } satisfies Answer
})
