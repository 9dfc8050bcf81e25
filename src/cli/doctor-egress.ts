// Finds out whether NetworkPolicies close all egress of the tasks' namespace, as component restricted-egress does.
// Invariant: policies add up, so one that allows the Pods of tasks everything opens what all others close.
// Used by examination.
import { Effect, Schema, Stream } from "effect"
import { labels } from "../core/manifest/labels.ts"
import type { ResolvedConfig } from "../core/resolve.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import type { KubernetesError } from "../kubernetes/errors.ts"
import { networkPolicies } from "../kubernetes/kinds.ts"
import { decodedAs } from "./doctor-unknown.ts"

const maybe = Schema.optionalKey
const Selector = Schema.Struct({
  matchLabels: maybe(Schema.Record(Schema.String, Schema.String)),
  matchExpressions: maybe(Schema.Array(Schema.Struct({
    key: Schema.String,
    operator: Schema.Literals(["In", "NotIn", "Exists", "DoesNotExist"]),
    values: maybe(Schema.Array(Schema.String))
  })))
})
const Rule = Schema.Struct({
  to: maybe(Schema.Array(Schema.Struct({
    ipBlock: maybe(Schema.Struct({ cidr: Schema.String, except: maybe(Schema.Array(Schema.String)) }))
  }))),
  ports: maybe(Schema.Array(Schema.Struct({
    protocol: maybe(Schema.String),
    port: maybe(Schema.Union([Schema.Int, Schema.String])),
    endPort: maybe(Schema.Int)
  })))
})
const Policy = Schema.Struct({
  spec: Schema.Struct({ podSelector: Selector, policyTypes: maybe(Schema.Array(Schema.String)), egress: maybe(Schema.Array(Rule)) })
})
const decodePolicy = decodedAs(Policy, { verb: "list", object: "NetworkPolicies" })

const selectsAll = ({ matchExpressions = [], matchLabels = {} }: typeof Selector.Type): boolean =>
  Object.keys(matchLabels).length === 0 && matchExpressions.length === 0

const selects = ({ matchExpressions = [], matchLabels = {} }: typeof Selector.Type, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
  matchExpressions.every(({ key, operator, values = [] }) => {
    const label = labels[key]
    switch (operator) {
      case "In":
        return label !== undefined && values.includes(label)
      case "NotIn":
        return label === undefined || !values.includes(label)
      case "Exists":
        return label !== undefined
      case "DoesNotExist":
        return label === undefined
    }
  })

/** Reports whether a rule allows all addresses, at all ports or at the one where metadata services answer. */
const allowsAll = ({ ports = [], to = [] }: typeof Rule.Type): boolean =>
  (to.length === 0 || to.some(({ ipBlock }) => ipBlock?.cidr.endsWith("/0") === true && (ipBlock.except ?? []).length === 0)) &&
  (ports.length === 0 ||
    ports.some(({ endPort, port = 80, protocol = "TCP" }) =>
      protocol === "TCP" && typeof port === "number" && port <= 80 && 80 <= (endPort ?? port)
    ))

/** Reports whether a policy restricts the egress of all Pods of the tasks' namespace, and none allows the Pods of tasks everything. */
export const isClosedWhole = Effect.fnUntraced(
  function*(config: ResolvedConfig): Effect.fn.Return<boolean, KubernetesError, Kubernetes> {
    const found = yield* Stream.runCollect((yield* Kubernetes).listAll(networkPolicies, { namespace: config.taskNamespace }))
    const policies = (yield* Effect.forEach(found, decodePolicy)).map(({ spec }) => spec)
      .filter(({ policyTypes = [] }) => policyTypes.includes("Egress"))
    const ofTasks = { ...config.task.pod.labels, ...labels(config, "task") }
    return policies.some(({ podSelector }) => selectsAll(podSelector)) &&
      !policies.some(({ egress = [], podSelector }) => selects(podSelector, ofTasks) && egress.some(allowsAll))
  }
)
