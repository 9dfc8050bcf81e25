// `agent-job doctor`: examines an installation in its cluster, the network by Pods that really try to connect.
// Exit code 0 when no check failed, 1 when one did; a warning or what could not be found out does not fail.
// Used by agent-job.ts.
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { ResolvedConfig } from "../core/resolve.ts"
import { outputFlag, print } from "./answer.ts"
import { Failed } from "./failure.ts"
import { lazily } from "./lazily.ts"
import { clusterFlags, installationFlags, toggle } from "./settings.ts"
import { givenValues, valuesFlag } from "./values-flag.ts"

const flags = {
  values: valuesFlag.pipe(Flag.withDescription("A values file, or a directory of them; without one, what the controller's ConfigMap has.")),
  ...installationFlags,
  context: clusterFlags.context,
  noPods: toggle("no-pods", "Start no Pods, so that nothing is found out about the network."),
  output: outputFlag
}

const apiServer = [{ address: "kubernetes.default.svc", port: 443 }]

export const doctor = Command.make("doctor", flags, Effect.fn("doctor")(function*({ context, name, namespace, noPods, output, values }) {
  return yield* lazily(async () => {
    const [{ resolve }, { appVersion }, { networkChecks, networkPolicies, nothingStarted, provesIsolation }, { examineNetwork, keepProof }, { examineObjects, isClosedWhole }, { orUnknown }, { installedValues }, { cluster }, { table }] = await Promise.all([
      import("../core/resolve.ts"), import("../schema/values.ts"), import("../core/doctor.ts"), import("./doctor-network.ts"), import("./doctor-objects.ts"), import("./doctor-unknown.ts"), import("./installed-values.ts"), import("./tasks.ts"), import("./table.ts")
    ])
    const network = Effect.fnUntraced(function*(config: ResolvedConfig) {
      const closedElsewhere = yield* isClosedWhole(config)
      const found = yield* Effect.scoped(examineNetwork(config, apiServer))
      const checks = Option.isNone(found) ? [nothingStarted(config)] : networkChecks(config, found.value, apiServer, closedElsewhere)
      return [...checks, ...yield* Effect.as(keepProof(config, provesIsolation(checks)), []).pipe(orUnknown("the proof of isolation"))]
    })
    return Effect.gen(function*() {
      const given = yield* values.length > 0 ? givenValues(values) : installedValues(name, namespace, "give --name and --namespace of the installation, or its values with --values")
      const config = resolve(given, { name, namespace, version: appVersion })
      const checks = [...yield* examineObjects(config), ...noPods ? [] : yield* network(config).pipe(orUnknown(networkPolicies))]
      yield* print(output, {
        document: { installation: { name: config.name, namespace }, checks },
        lines: table(["OUTCOME", "CHECK", "WHAT WAS FOUND"], checks.map(({ message, name, outcome }) => [outcome, name, message]))
      })
      const failed = checks.filter(({ outcome }) => outcome === "failed")
      if (failed.length > 0) return yield* new Failed({ message: `${failed.length} of ${checks.length} checks failed: ${failed.map(({ name }) => name).join(", ")}.` })
    }).pipe(Effect.provide(cluster({ context })))
  })
})).pipe(
  Command.withDescription("Examine an installation in its cluster: what is installed, who may do what, and what the network really enforces."),
  Command.withExamples([
    { command: "agent-job doctor", description: "The installation in namespace agent-job" },
    { command: "agent-job doctor -f values.yaml -o json", description: "The one that these values describe, for programs" }
  ])
)
