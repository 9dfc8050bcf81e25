// Flux's kinds of source on a real API server, as far as a test needs them, and functions that act as source-controller.
// The kinds are in Flux's real API group, and nothing but the test writes their status.
// Used by flux-source.cluster.test.ts.
import { Effect, Schedule } from "effect"
import { createHash } from "node:crypto"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { definitions, fluxSources } from "../../src/kubernetes/kinds.ts"
import { tellStatus } from "../kubernetes/tell-status.ts"
import { Tasks } from "./task-cluster.ts"

const group = "source.toolkit.fluxcd.io"
const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true }

/** Creates the kinds that are not served yet and waits until all are. They stay in the cluster, as the CRD of AgentTasks does. */
export const installFluxKinds = Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  for (const { kind, plural } of Object.values(fluxSources)) {
    yield* kubernetes.create(definitions, {
      metadata: { name: `${plural}.${group}` },
      spec: {
        group,
        scope: "Namespaced",
        names: { kind, plural, singular: kind.toLowerCase() },
        versions: [{
          name: "v1",
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: { openAPIV3Schema: { type: "object", properties: { spec: anything, status: anything } } }
        }]
      }
    }).pipe(Effect.catchTag("AlreadyExists", () => Effect.void))
  }
  yield* Effect.forEach(
    Object.values(fluxSources),
    (kind) => Effect.retry(kubernetes.list(kind, {}), { times: 300, schedule: Schedule.spaced("100 millis") })
  )
})

const at = "2026-01-01T00:00:00Z"
const ready = (status: string, reason: string, message: string) => ({
  observedGeneration: 1,
  conditions: [{ type: "Ready", status, reason, message, lastTransitionTime: at }]
})

const repository = (name: string) => Effect.map(Tasks, ({ namespace }) => ({ name, namespace }))

type SourceKind = keyof typeof fluxSources

export const createRepository = Effect.fnUntraced(function*(name: string, kind: SourceKind = "GitRepository") {
  return yield* (yield* Kubernetes).create(fluxSources[kind], {
    metadata: yield* repository(name),
    spec: { interval: "1h", url: "https://example.com/infra.git" }
  })
})

export const digestOf = (revision: string): string => createHash("sha256").update(revision).digest("hex")

/** Writes the status that source-controller writes once it has fetched this revision. `content` names what the artifact contains. */
export const serve = Effect.fnUntraced(function*(
  name: string,
  revision: string,
  content = revision,
  kind: SourceKind = "GitRepository"
) {
  yield* tellStatus(fluxSources[kind], yield* repository(name), {
    ...ready("True", "Succeeded", `stored artifact for revision '${revision}'`),
    artifact: {
      revision,
      url: `http://source-controller/${content}.tar.gz`,
      digest: `sha256:${digestOf(content)}`,
      path: `${content}.tar.gz`,
      lastUpdateTime: at
    }
  })
})

export const fail = Effect.fnUntraced(function*(name: string, message: string) {
  yield* tellStatus(fluxSources.GitRepository, yield* repository(name), ready("False", "GitOperationFailed", message))
})
