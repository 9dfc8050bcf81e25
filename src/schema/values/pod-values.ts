// The Kubernetes pieces of the values: quantities, security contexts, tolerations, mounts, labels, environment.
// Small pieces are closed, so that a typing error is found here. The API server checks the content of volumes, containers and affinities.
// Used in schema/values, and by core/manifest/labels and core/resolve/containers.
import type { V1Affinity, V1Container, V1Volume } from "@kubernetes/client-node"
import { Predicate, Schema } from "effect"
import { keyPattern } from "../document/explain.ts"
import { Subdomain } from "../names.ts"
import { atLeastOne, orEmpty, whole } from "./value.ts"

const maybe = Schema.optionalKey
const text = maybe(Schema.String)
const list = <S extends Schema.Constraint>(item: S) => Schema.mutable(Schema.Array(item))

/** A quantity as in Kubernetes: 500m, 2, 1.5, 512Mi, 20Gi, 1e3. */
export const Quantity = Schema.Union([
  Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  Schema.String.check(
    Schema.isPattern(/^(\d+(\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/u, {
      expected: "a quantity such as 500m, 2, 512Mi or 20Gi"
    })
  )
])
export type Quantity = typeof Quantity.Type

const quantities = Schema.Record(Schema.String, Quantity)
export const Resources = Schema.Struct({
  limits: maybe(quantities),
  requests: maybe(quantities),
  claims: maybe(list(Schema.Struct({ name: Schema.String, request: text })))
})
export type Resources = typeof Resources.Type

export const Capabilities = Schema.Struct({ add: maybe(list(Schema.String)), drop: maybe(list(Schema.String)) })
export const SeLinuxOptions = Schema.Struct({ user: text, role: text, type: text, level: text })
/** A profile of seccomp or of AppArmor. */
export const Profile = Schema.Struct({
  type: Schema.Literals(["RuntimeDefault", "Localhost", "Unconfined"]),
  localhostProfile: text
})
export const ProcMount = Schema.Literals(["Default", "Unmasked"])
export const UserId = whole
const Sysctl = Schema.Struct({ name: Schema.String, value: Schema.String })

/** A container's own security context; where the values leave it empty, another one is inherited. */
export const SecurityContext = Schema.Struct({
  allowPrivilegeEscalation: maybe(Schema.Boolean),
  appArmorProfile: maybe(Profile),
  capabilities: maybe(Capabilities),
  privileged: maybe(Schema.Boolean),
  procMount: maybe(ProcMount),
  readOnlyRootFilesystem: maybe(Schema.Boolean),
  runAsGroup: maybe(UserId),
  runAsNonRoot: maybe(Schema.Boolean),
  runAsUser: maybe(UserId),
  seLinuxOptions: maybe(SeLinuxOptions),
  seccompProfile: maybe(Profile)
})
export type SecurityContext = typeof SecurityContext.Type

const qualifiedName = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/u

const Toleration = Schema.Struct({
  key: maybe(
    orEmpty(Schema.String.check(Schema.isPattern(qualifiedName, { expected: "the name of a taint, such as example.com/purpose" })))
  ),
  operator: maybe(orEmpty(Schema.Literals(["Exists", "Equal", "Lt", "Gt"]))),
  value: text,
  effect: maybe(orEmpty(Schema.Literals(["NoSchedule", "PreferNoSchedule", "NoExecute"]))),
  tolerationSeconds: maybe(Schema.Int)
})
export const Tolerations = list(Toleration)

const LabelSelector = Schema.Struct({
  matchLabels: maybe(Schema.Record(Schema.String, Schema.String)),
  matchExpressions: maybe(
    list(
      Schema.Struct({
        key: Schema.String,
        operator: Schema.Literals(["In", "NotIn", "Exists", "DoesNotExist"]),
        values: maybe(list(Schema.String))
      })
    )
  )
})
const NodePolicy = maybe(Schema.Literals(["Honor", "Ignore"]))
const SpreadConstraint = Schema.Struct({
  labelSelector: maybe(LabelSelector),
  matchLabelKeys: maybe(list(Schema.String)),
  maxSkew: atLeastOne,
  minDomains: maybe(atLeastOne),
  nodeAffinityPolicy: NodePolicy,
  nodeTaintsPolicy: NodePolicy,
  topologyKey: Schema.String,
  whenUnsatisfiable: Schema.Literals(["DoNotSchedule", "ScheduleAnyway"])
})
export const TopologySpread = list(SpreadConstraint)

const VolumeMount = Schema.Struct({
  name: Schema.String,
  mountPath: Schema.String.check(Schema.isPattern(/^[^:]+$/u, { expected: "a path without a ':'" })),
  mountPropagation: text,
  readOnly: maybe(Schema.Boolean),
  recursiveReadOnly: text,
  subPath: text,
  subPathExpr: text
})
export const VolumeMounts = list(VolumeMount)

/** Names of users and groups, as the API server knows them. */
export const UserNames = list(Schema.String.check(Schema.isPattern(/^[^\s"\\]+$/u, { expected: "the name of a user or a group" })))

/** Names of objects. Each is a whole name, or the beginning of names followed by `*`. */
export const NamePatterns = list(
  Schema.String.check(
    Schema.isPattern(/^([a-z0-9][-a-z0-9.]*)?\*$|^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/u, {
      expected: "a name, or the beginning of names and *"
    })
  )
)

export const PullSecrets = list(Schema.Struct({ name: Subdomain }))
const isAddress = Schema.isPattern(/^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}|(?=.*:.*:)[0-9a-fA-F:.]{2,45})$/u, {
  expected: "an IP address"
})
const Address = Schema.String.check(isAddress)

export const HostAliases = list(Schema.Struct({ ip: Address, hostnames: list(Subdomain) }))
export const DnsPolicy = Schema.Literals(["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"])
export const DnsConfig = Schema.Struct({
  nameservers: maybe(list(Address).check(Schema.isMaxLength(3))),
  searches: maybe(list(Schema.String)),
  options: maybe(list(Schema.Struct({ name: Schema.String, value: text })))
})

/** A number of Pods, or a share of them such as 50%. */
export const CountOrPercent = Schema.Union([
  whole,
  Schema.String.check(Schema.isPattern(/^(100|\d?\d)%$/u, { expected: "a number, or a percentage such as 50%" }))
])

export const SupplementalGroups = list(UserId)
export const Sysctls = list(Sysctl)
export const PullPolicy = Schema.Literals(["Always", "IfNotPresent", "Never"])

const isNamed = (input: unknown): boolean => Predicate.isObject(input) && typeof input["name"] === "string"

/**
 * Returns a schema for a part of a Pod, whose content Kubernetes defines. Such a part is JSON already, and the JSON Schema for editors says
 * only what is checked here.
 */
const asInPod = <A>(what: string, isIt: (input: unknown) => input is A, json: { readonly type: "object" }) =>
  Schema.declare<A>(isIt, { expected: what, toCodecJson: () => undefined }).check(
    Schema.makeFilter(() => undefined, { toJsonSchema: () => json })
  ) // checks nothing: it only adds the JSON Schema
const named = { type: "object" as const, properties: { name: { type: "string" } }, required: ["name"] }

export const Affinity = asInPod("an affinity as in a Pod", (input): input is V1Affinity => Predicate.isObject(input), { type: "object" })
export const Volume = asInPod("a volume as in a Pod, with a name", (input): input is V1Volume => isNamed(input), named)
export const Container = asInPod("a container as in a Pod, with a name", (input): input is V1Container => isNamed(input), named)

/** Returns a rule for the keys of a map. It reports each problem at its key, and gives editors the pattern. */
const keysLike = <V>(keys: RegExp, problem: (key: string) => string | undefined) =>
  Schema.makeFilter<Readonly<Record<string, V>>>(
    (record) =>
      Object.keys(record).flatMap((key) => {
        const issue = problem(key)
        return issue === undefined ? [] : [{ path: [key], issue }]
      }),
    { [keyPattern]: keys, toJsonSchema: () => ({ propertyNames: { pattern: keys.source } }) }
  )

/** Keys of labels and annotations with their prefixes, and prefixes that end in `/`. Those of Kubernetes and of agent-job are none of them. */
export const PrefixedKeys = list(
  Schema.String.check(
    Schema.isPattern(
      /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/u,
      { expected: "a key with its prefix, such as example.com/team, or the prefix and /" }
    ),
    Schema.isPattern(/^(?!([-a-z0-9.]+\.)?(kubernetes\.io|k8s\.io|scalr\.io)\/)/u, {
      expected: "no key of Kubernetes or of agent-job itself, which no task may set"
    })
  )
)

const badKey = (key: string): string | undefined =>
  qualifiedName.test(key)
    ? undefined
    : `the key must be a name like example.com/purpose, up to 63 letters, digits, '-', '_' or '.' after the '/'`

const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/u

/** Reports whether a text is a valid label value, as the empty text is. */
export const isLabelValue = (value: string): boolean => labelValue.test(value)

const labels = Schema.Record(
  Schema.String,
  Schema.String.check(Schema.isPattern(labelValue, { expected: "a label's value: up to 63 letters, digits, '-', '_' or '.'" }))
)
export const Annotations = Schema.Record(Schema.String, Schema.String).check(keysLike(qualifiedName, badKey))
export const Labels = labels.check(keysLike(qualifiedName, badKey))

/** The labels by which our objects are selected and told apart. */
const ours = /^(scalr\.io\/.*|app\.kubernetes\.io\/(name|instance|component|managed-by))$/u

/** Labels that the values give our objects, beside our own labels. */
export const OwnLabels = labels.check(
  keysLike(
    new RegExp(`^(?!${ours.source.slice(1)})${qualifiedName.source.slice(1)}`, "u"),
    (key) => ours.test(key) ? "is a label that agent-job itself sets and selects by; choose another key" : badKey(key)
  )
)

const variableName = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/u

/** Variables by name. Numbers and booleans are taken as they are written. */
export const Environment = Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])).check(
  keysLike(
    variableName,
    (key) => variableName.test(key) ? undefined : "a variable's name has letters, digits, '_', '-' or '.', and no digit first"
  )
)
export type Environment = typeof Environment.Type

/** Returns the rule that exactly one of two keys is given. */
const either = <K extends string>(...keys: readonly [K, K]) =>
  Schema.makeFilter<{ readonly [_ in K]?: unknown }>(
    (given) => (given[keys[0]] === undefined) === (given[keys[1]] === undefined) ? `needs ${keys.join(" or ")}, one of them` : undefined,
    {
      toJsonSchema: () => ({ oneOf: keys.map((key) => ({ required: [key] })) })
    }
  )

const SourceRef = Schema.Struct({ name: Subdomain, optional: maybe(Schema.Boolean) })
export const EnvironmentSources = list(
  Schema.Struct({
    prefix: maybe(Schema.String.check(Schema.isPattern(variableName, { expected: "the beginning of a variable's name" }))),
    configMapRef: maybe(SourceRef),
    secretRef: maybe(SourceRef)
  }).check(either("configMapRef", "secretRef"))
)
export type EnvironmentSources = typeof EnvironmentSources.Type

const ExitCodes = Schema.Struct({
  containerName: text,
  operator: Schema.Literals(["In", "NotIn"]),
  values: list(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))).check(Schema.isMinLength(1))
})

/** The rules of a Job's podFailurePolicy, except for the actions that let Kubernetes start a Pod again. */
export const FailureRules = list(
  Schema.Struct({
    action: Schema.Literal("FailJob"),
    onExitCodes: maybe(ExitCodes),
    onPodConditions: maybe(
      list(Schema.Struct({ type: Schema.String, status: maybe(Schema.Literals(["True", "False", "Unknown"])) })).check(
        Schema.isMinLength(1)
      )
    )
  }).check(either("onExitCodes", "onPodConditions"))
).check(Schema.isMaxLength(19))
