// When NetworkPolicies count as closing all egress of the tasks' namespace, which of them let others in to tasks, and which close nothing: policies
// add up, so one can open what another closes.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readPolicies } from "../../../src/cli/doctor/doctor-policies.ts"
import { taskLabels } from "../../../src/core/manifest/labels.ts"
import { everywhere, internet } from "../../../src/core/network/network-addresses.ts"
import { networkPolicies } from "../../../src/core/network/network-policy.ts"
import type { ResolvedConfig } from "../../../src/core/resolve/resolve.ts"
import { configOf, taskOf } from "../../core/configs.ts"
import { against, list } from "../scripted-cluster.ts"

const policy = (spec: object) => ({ metadata: { name: "p", namespace: "agent-job-tasks", uid: "u", resourceVersion: "1" }, spec })
const ofAll = (...egress: ReadonlyArray<object>) => policy({ podSelector: {}, policyTypes: ["Egress"], egress })
const ofSome = (podSelector: object, ...egress: ReadonlyArray<object>) => policy({ podSelector, policyTypes: ["Egress"], egress })
const closed = policy({ podSelector: {}, policyTypes: ["Egress"] })
const to = (cidr: string, ...except: ReadonlyArray<string>) => ({ to: [{ ipBlock: { cidr, ...(except.length > 0 && { except }) } }] })
const on = (port: object) => ({ ...to("0.0.0.0/0"), ports: [port] })

const config = configOf({ task: { podLabels: { team: "a" } } }, { namespace: "agent-job" })
const labelsOfTask = taskLabels(taskOf({ stage: "apply" }), config, {})
const readOf = (config: ResolvedConfig, ...policies: ReadonlyArray<object>) =>
  against(readPolicies(config), {
    [`/apis/networking.k8s.io/v1/namespaces/${config.taskNamespace}/networkpolicies`]: list(...policies)
  })
const isClosedBy = (...given: Parameters<typeof readOf>) => Effect.map(readOf(...given), ({ isClosedElsewhere }) => isClosedElsewhere)
const isClosed = (...policies: ReadonlyArray<object>) => isClosedBy(config, ...policies)

describe("the egress of the tasks' namespace", () => {
  it.live.each<{ by: string; policies: ReadonlyArray<object> }>([
    { by: "a policy of all Pods that allows nothing", policies: [closed] },
    { by: "a policy of all Pods that allows some addresses", policies: [ofAll(to("10.0.0.0/8"))] },
    { by: "one that allows the internet without metadata services", policies: [ofAll({ to: internet([]) })] },
    { by: "one that allows everything but metadata services", policies: [ofAll({ to: everywhere })] },
    { by: "one that allows all addresses of IPv6 but the private ones", policies: [ofAll(to("::/0", "fc00::/7", "fe80::/10"))] },
    { by: "one that allows all addresses, but not at the port of metadata services", policies: [ofAll(on({ port: 443 }))] },
    { by: "one that allows all addresses for datagrams", policies: [ofAll(on({ port: 80, protocol: "UDP" }))] },
    { by: "one that allows all Pods", policies: [ofAll({ to: [{ namespaceSelector: {} }] })] },
    { by: "one beside a policy for other Pods that allows them everything", policies: [closed, ofSome({ matchLabels: { app: "x" } }, {})] },
    {
      by: "one beside a policy for Pods without a stage that allows them everything",
      policies: [closed, ofSome({ matchExpressions: [{ key: "scalr.io/stage", operator: "DoesNotExist" }] }, {})]
    },
    {
      by: "one beside a policy for all but tasks that allows them everything",
      policies: [
        closed,
        ofSome({ matchExpressions: [{ key: "app.kubernetes.io/component", operator: "NotIn", values: ["task"] }] }, {})
      ]
    }
  ])("is closed by $by", ({ policies }) =>
    Effect.gen(function*() {
      expect(yield* isClosed(...policies)).toBe(true)
    }))

  it.live.each<{ by: string; policies: ReadonlyArray<object> }>([
    { by: "no policy", policies: [] },
    { by: "a policy of some Pods", policies: [ofSome({ matchLabels: { team: "a" } })] },
    { by: "a policy of ingress", policies: [policy({ podSelector: {}, policyTypes: ["Ingress"] })] },
    { by: "a rule that allows everything", policies: [ofAll({})] },
    { by: "a rule to no address in particular", policies: [ofAll({ to: [], ports: [] })] },
    { by: "all addresses", policies: [ofAll(to("0.0.0.0/0"))] },
    { by: "all addresses of IPv6", policies: [ofAll(to("::/0"))] },
    { by: "all addresses but private ones", policies: [ofAll(to("0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))] },
    { by: "half of all addresses", policies: [ofAll(to("128.0.0.0/1"))] },
    { by: "a metadata service alone", policies: [ofAll(to("169.254.169.254/32"))] },
    { by: "a private network of IPv6 in which metadata services are", policies: [ofAll(to("fd00::/8"))] },
    { by: "all addresses at the port of metadata services", policies: [ofAll(on({ port: 80 }))] },
    { by: "all addresses at ports around that one", policies: [ofAll(on({ port: 1, endPort: 1024 }))] },
    { by: "all addresses at any port", policies: [ofAll(on({ protocol: "TCP" }))] },
    { by: "a second policy of all Pods that allows everything", policies: [closed, ofAll({})] },
    {
      by: "a second policy of the Pods of tasks that allows everything",
      policies: [closed, ofSome({ matchLabels: { "app.kubernetes.io/component": "task", team: "a" } }, {})]
    },
    {
      by: "a second policy of Pods with a label that those of tasks have",
      policies: [closed, ofSome({ matchExpressions: [{ key: "team", operator: "Exists" }] }, {})]
    }
  ])("is open with $by", ({ policies }) =>
    Effect.gen(function*() {
      expect(yield* isClosed(...policies)).toBe(false)
    }))

  it.live.each([...Object.keys(labelsOfTask), "job-name", "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"])(
    "is open with a second policy of Pods by the label %s that allows them everything",
    (key) =>
      Effect.gen(function*() {
        const value = labelsOfTask[key] ?? "some"
        expect(yield* isClosed(closed, ofSome({ matchLabels: { [key]: value } }, {}))).toBe(false)
        expect(yield* isClosed(closed, ofSome({ matchExpressions: [{ key, operator: "In", values: [value] }] }, {}))).toBe(false)
      })
  )

  it.live("is open with a second policy of Pods without a workspace, whose name need not be a label", () =>
    Effect.gen(function*() {
      const unlabelled = { matchExpressions: [{ key: "scalr.io/workspace", operator: "DoesNotExist" }] }
      expect(yield* isClosed(closed, ofSome(unlabelled, {}))).toBe(false)
    }))

  it.live.each(["eks", "gke"] as const)(
    "is closed though the values open the identities of %s to tasks, but not with what opens more",
    (cloudIdentity) =>
      Effect.gen(function*() {
        const given = configOf({ restrictMetadataService: true, task: { networkPolicy: { cloudIdentity } } }, { namespace: "agent-job" })
        const ours = networkPolicies(given).map((_) => policy(_.spec ?? {}))
        expect(ours.length).toBeGreaterThan(1)
        expect(yield* isClosedBy(given, closed, ...ours)).toBe(true)
        expect(yield* isClosedBy(given, closed, ...ours, ofAll(to("169.254.0.0/16")))).toBe(false)
      })
  )

  it.live.each([
    { podSelector: "all" },
    { podSelector: {}, ingress: "all" },
    ...["all", "10.0.0.0", "10.0.0.0/33", "010.0.0.0/8"].map((cidr) => ofAll(to(cidr)).spec)
  ])(
    "is unknown where a policy has a shape that is not known: %j",
    (spec) =>
      Effect.gen(function*() {
        expect(yield* Effect.flip(isClosed(closed, policy(spec)))).toMatchObject({ _tag: "Malformed" })
      })
  )
})

describe("the policies that open metadata services to some tasks", () => {
  const opening = (given: ResolvedConfig, ...policies: ReadonlyArray<object>) => Effect.map(readOf(given, ...policies), (_) => _.opening)
  const stage = (operator: string, ...values: ReadonlyArray<string>) => ({
    matchExpressions: [{ key: "scalr.io/stage", operator, values }]
  })

  it.live.each<{ which: string; podSelector: object; opens: boolean }>([
    {
      which: "the Pods that agent-job manages",
      podSelector: { matchLabels: { "app.kubernetes.io/managed-by": "agent-job", "app.kubernetes.io/component": "task" } },
      opens: true
    },
    { which: "the Pods of one task", podSelector: { matchLabels: { "scalr.io/task-uid": "u" } }, opens: true },
    { which: "applies", podSelector: stage("In", "apply"), opens: true },
    { which: "all but plans", podSelector: stage("NotIn", "plan"), opens: true },
    { which: "other Pods", podSelector: { matchLabels: { app: "x" } }, opens: false },
    {
      which: "all but tasks",
      podSelector: { matchExpressions: [{ key: "app.kubernetes.io/component", operator: "NotIn", values: ["task"] }] },
      opens: false
    }
  ])("are named: one of $which is, $opens", ({ opens, podSelector }) =>
    Effect.gen(function*() {
      expect(yield* opening(config, ofSome(podSelector, to("0.0.0.0/0")))).toEqual(opens ? ["p"] : [])
      expect(yield* opening(config, ofSome(podSelector, { to: everywhere }))).toEqual([])
    }))

  it.live.each<object>([
    { restrictMetadataService: true },
    { task: { networkPolicy: { denyPods: true } } },
    { restrictMetadataService: true, task: { networkPolicy: { cloudIdentity: "eks", denyPods: true } } },
    { restrictMetadataService: true, task: { networkPolicy: { cloudIdentity: "gke" } } }
  ])("are none of those of the values %j", (values) =>
    Effect.gen(function*() {
      const given = configOf(values, { namespace: "agent-job" })
      const ours = networkPolicies(given).map((_) => policy(_.spec ?? {}))
      expect(ours.length).toBeGreaterThan(0)
      expect(yield* opening(given, ...ours)).toEqual([])
    }))
})

describe("the policies that let others in to tasks", () => {
  const ingress = (podSelector: object, ...ingress: ReadonlyArray<object>) => policy({ podSelector, policyTypes: ["Ingress"], ingress })
  const fromMonitoring = { from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }] }
  const ofTasks = { matchLabels: { "app.kubernetes.io/component": "task" } }

  it.live.each<{ which: string; policy: object; lets: boolean }>([
    { which: "one of all Pods that lets somebody in", policy: ingress({}, fromMonitoring), lets: true },
    { which: "one of the Pods of tasks that lets somebody in", policy: ingress(ofTasks, fromMonitoring), lets: true },
    {
      which: "one of the Pods of a workspace that lets everybody in",
      policy: ingress({ matchLabels: { "scalr.io/workspace": "w" } }, {}),
      lets: true
    },
    {
      which: "one of ingress and egress",
      policy: policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"], ingress: [{}] }),
      lets: true
    },
    { which: "one of other Pods", policy: ingress({ matchLabels: { app: "x" } }, {}), lets: false },
    { which: "one that lets nobody in", policy: ingress({}), lets: false },
    { which: "one without rules", policy: policy({ podSelector: {}, policyTypes: ["Ingress"] }), lets: false },
    { which: "one of egress", policy: ofAll({}), lets: false }
  ])("$which: $lets", ({ lets, policy }) =>
    Effect.gen(function*() {
      expect((yield* readOf(config, policy)).letIn).toEqual(lets ? ["p"] : [])
    }))

  it.live("are none of those of the values", () =>
    Effect.gen(function*() {
      const given = configOf({ task: { networkPolicy: { denyIngress: true, denyPods: true } } }, { namespace: "agent-job" })
      expect((yield* readOf(given, ...networkPolicies(given).map((_) => policy(_.spec ?? {})))).letIn).toEqual([])
    }))
})

describe("the policies of egress that close nothing, since beside them one opens all but metadata services to tasks", () => {
  const named = (name: string, { spec }: { readonly spec: object }) => ({ ...policy(spec), metadata: { ...policy({}).metadata, name } })
  const identity = { task: { networkPolicy: { cloudIdentity: "gke" } } }
  const given = configOf({ restrictMetadataService: true, ...identity }, { namespace: "agent-job" })
  const ours = networkPolicies(given).map(({ metadata, spec }) => named(metadata?.name ?? "", { spec: spec ?? {} }))
  const inVain = (...policies: ReadonlyArray<object>) => Effect.map(readOf(given, ...policies), (_) => _.inVain)

  it.live.each<{ which: string; policy: { readonly spec: object }; closes: boolean }>([
    { which: "one that closes all egress", policy: closed, closes: false },
    { which: "one that allows a network", policy: ofAll(to("10.0.0.0/8")), closes: false },
    { which: "one that allows the internet", policy: ofAll({ to: internet([]) }), closes: false },
    { which: "one that allows Pods", policy: ofAll({ to: [{ podSelector: {} }] }), closes: false },
    { which: "one of the Pods of tasks", policy: ofSome({ matchLabels: { "app.kubernetes.io/component": "task" } }), closes: false },
    { which: "one of other Pods", policy: ofSome({ matchLabels: { app: "x" } }), closes: true },
    { which: "one that opens a metadata service, which is meant to add", policy: ofAll(to("169.254.169.254/32")), closes: true },
    { which: "one of ingress", policy: policy({ podSelector: {}, policyTypes: ["Ingress"] }), closes: true }
  ])("are not spoken of as such without it; and with it, $which closes something: $closes", ({ closes, policy }) =>
    Effect.gen(function*() {
      expect(yield* inVain(...ours, named("theirs", policy))).toEqual(closes ? [] : ["theirs"])
      expect(yield* inVain(named("theirs", policy))).toEqual([])
    }))

  it.live("are none where that one is of the controller alone, as with denyPods", () =>
    Effect.gen(function*() {
      const config = configOf({ restrictMetadataService: true, task: { networkPolicy: { denyPods: true } } }, { namespace: "agent-job" })
      const policies = networkPolicies(config).map(({ metadata, spec }) => named(metadata?.name ?? "", { spec: spec ?? {} }))
      expect((yield* readOf(config, ...policies, named("theirs", closed))).inVain).toEqual([])
    }))
})
