// What the findings of an examination mean, case by case, and the line that a person reads.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import {
  admission,
  definition,
  metadataTargets,
  networkChecks,
  type NetworkFindings,
  podSecurity,
  provesIsolation,
  rights,
  type SeenNode,
  userNamespaces,
  workerImage
} from "../../src/core/doctor.ts"
import type { Finding } from "../../src/schema/kubernetes/probe.ts"
import { configOf } from "./configs.ts"

const listener = { address: "10.0.0.7", port: 8083 }
const apiServer = [{ address: "kubernetes.default.svc", port: 443 }]
const both = (reached: boolean) => ({ first: reached, last: reached })

interface Seen {
  readonly open?: Partial<Finding> | "nothing"
  readonly closed?: Partial<Finding> | "nothing"
  readonly pods?: boolean
  readonly metadata?: boolean
  readonly needed?: boolean
  readonly stayed?: boolean
}

const seen = (
  { closed = both(false), metadata = false, needed = true, open = both(true), pods = true, stayed = true }: Seen = {}
): NetworkFindings => {
  const ofListener = (found: Partial<Finding> | "nothing") =>
    found === "nothing" ? Option.none() : Option.some([{ ...listener, ...both(false), ...found }])
  return {
    listener: [listener],
    listenerStayed: stayed,
    findings: {
      open: ofListener(open),
      closed: ofListener(closed),
      task: Option.some([
        { ...listener, ...both(pods) },
        ...metadataTargets.map((target) => ({ ...target, ...both(metadata && target.address === "169.254.169.254") })),
        ...apiServer.map((target) => ({ ...target, ...both(needed) }))
      ])
    }
  }
}

const walled = { restrictMetadataService: true }
const closed = { task: { networkPolicy: { closedElsewhere: true } } }
const outcomes = (values: object, found: NetworkFindings, closedElsewhere = false) =>
  networkChecks(configOf(values), found, apiServer, closedElsewhere).map(({ outcome }) => outcome)

describe("the network", () => {
  it.each<{ given: string; values?: object; seen?: Seen; elsewhere?: boolean; is: ReadonlyArray<string> }>([
    { given: "one that enforces, and metadata closed by the values", values: walled, is: ["ok", "ok", "warning", "ok"] },
    {
      given: "one that enforces, and egress closed by a policy of the namespace that the values rest on",
      values: closed,
      elsewhere: true,
      is: ["ok", "ok", "warning", "ok"]
    },
    {
      given: "one that enforces, and egress closed by a policy of the namespace that no value knows",
      elsewhere: true,
      is: ["ok", "warning", "warning", "ok"]
    },
    { given: "one that enforces, and values that rest on a policy that is gone", values: closed, is: ["ok", "failed", "warning", "ok"] },
    { given: "one that enforces, and no policy", is: ["ok", "warning", "warning", "ok"] },
    {
      given: "one that takes policies and does not hold to them",
      values: walled,
      seen: { closed: both(true) },
      is: ["failed", "unknown", "warning", "ok"]
    },
    {
      given: "one where nobody reaches anybody, whatever a policy says",
      values: walled,
      seen: { open: both(false) },
      is: ["unknown", "unknown", "warning", "ok"]
    },
    {
      given: "one whose policies come late",
      values: walled,
      seen: { closed: { first: true, last: false } },
      is: ["warning", "unknown", "warning", "ok"]
    },
    {
      given: "one where the Pod to reach ended before all had tried",
      values: walled,
      seen: { stayed: false, pods: false },
      is: ["unknown", "unknown", "unknown", "ok"]
    },
    {
      given: "one where the Pod to reach ended, after the first Pod alone that a policy closes had reached it",
      values: walled,
      seen: { stayed: false, closed: { first: true, last: false } },
      is: ["unknown", "unknown", "warning", "ok"]
    },
    {
      given: "one that takes policies and does not hold to them, as was seen before the Pod to reach ended",
      values: { task: { networkPolicy: { denyPods: true } } },
      seen: { stayed: false, closed: both(true) },
      is: ["failed", "unknown", "failed", "ok"]
    },
    { given: "a probe that did not tell", values: walled, seen: { closed: "nothing" }, is: ["unknown", "unknown", "warning", "ok"] },
    {
      given: "metadata that answer, though policies are enforced",
      values: walled,
      seen: { metadata: true },
      is: ["ok", "failed", "warning", "ok"]
    },
    {
      given: "other Pods closed",
      values: { task: { networkPolicy: { denyPods: true } } },
      seen: { pods: false },
      is: ["ok", "ok", "ok", "ok"]
    },
    {
      given: "other Pods that should be closed",
      values: { task: { networkPolicy: { denyPods: true } } },
      is: ["ok", "ok", "failed", "ok"]
    },
    {
      given: "other Pods that did not answer where nothing is enforced",
      values: { task: { networkPolicy: { denyPods: true } } },
      seen: { pods: false, open: both(false) },
      is: ["unknown", "unknown", "unknown", "ok"]
    },
    { given: "an API server that a task does not reach", values: walled, seen: { needed: false }, is: ["ok", "ok", "warning", "failed"] }
  ])(
    "of $given is $is",
    ({ elsewhere = false, is, seen: what, values = {} }) => expect(outcomes(values, seen(what), elsewhere)).toEqual(is)
  )

  it("is unknown where the probe of tasks did not tell", () => {
    const found = seen()
    expect(outcomes(walled, { ...found, findings: { ...found.findings, task: Option.none() } })).toEqual(["ok", "unknown"])
  })

  it("never counts as isolated because nobody answered", () => {
    for (
      const what of [
        { open: both(false) },
        { closed: both(true) },
        { open: "nothing" as const },
        { closed: "nothing" as const },
        { stayed: false }
      ]
    ) {
      expect(outcomes(walled, seen(what))[1]).toBe("unknown")
    }
  })
})

describe("the server of agent.url", () => {
  const values = (more: object = {}) => ({
    agent: { token: "t", url: "http://server.elsewhere.example:8080" },
    restrictMetadataService: true,
    ...more
  })
  const target = { address: "server.elsewhere.example", port: 8080 }
  const checked = (given: object, reached: boolean, what: Seen = {}) => {
    const found = seen(what)
    const task = Option.map(found.findings.task, (all) => [...all, { ...target, ...both(reached) }])
    const checks = networkChecks(configOf(given), { ...found, findings: { ...found.findings, task } }, apiServer, true)
    return { needed: checks.find(({ name }) => name === "tasks reach what they need"), proof: provesIsolation(checks) }
  }
  const unreached =
    "a task's Pod does not reach server.elsewhere.example:8080 of agent.url, so no run gets to its end; if that server runs, "

  it("that a task reaches is named", () =>
    expect(checked(values(), true)).toMatchObject({
      needed: { outcome: "ok", message: "the API server, by its name, and server.elsewhere.example:8080 of agent.url" },
      proof: true
    }))

  it.each([
    {
      given: "denyPods",
      values: values({ task: { networkPolicy: { denyPods: true } } }),
      says:
        "NetworkPolicy agent-job/agent-job-task-egress closes it, since in private networks it opens only ports 443 and 6443, and a server that agent.url names as NAME.NAMESPACE.svc; name it so, or give task.networkPolicy.denyPods: false"
    },
    {
      given: "restricted-egress",
      values: values({ task: { networkPolicy: { closedElsewhere: true } } }),
      says: "name it in NetworkPolicy agent-job-egress-named of component restricted-egress, or in what else closes egress in agent-job"
    },
    { given: "neither", values: values(), says: "look for a network policy that selects the Pods of tasks in agent-job" }
  ])(
    "that a task does not reach fails, and is no proof, with what to change: $given",
    ({ says, values }) =>
      expect(checked(values, false, { pods: false })).toEqual({
        needed: { name: "tasks reach what they need", outcome: "failed", message: `${unreached}${says}` },
        proof: false
      })
  )

  it("is not what is missed where the API server is not reached either", () =>
    expect(checked(values(), false, { needed: false }).needed?.message).toContain("does not reach kubernetes.default.svc:443;"))
})

describe("a proof of isolation", () => {
  const proves = (values: object, what?: Seen, elsewhere = false) =>
    provesIsolation(networkChecks(configOf(values), seen(what), apiServer, elsewhere))
  it.each<{ given: string; values: object; seen?: Seen; elsewhere?: boolean; is: boolean }>([
    { given: "policies that are enforced, and metadata that they close", values: walled, is: true },
    { given: "no policy", values: {}, is: false },
    { given: "a policy beside the values that they rest on", values: closed, elsewhere: true, is: true },
    { given: "a policy that could go without any value changing", values: {}, elsewhere: true, is: false },
    { given: "a network that does not hold to policies", values: walled, seen: { closed: both(true) }, is: false },
    { given: "a network that nobody gets through", values: walled, seen: { open: both(false) }, is: false },
    { given: "policies that come late", values: walled, seen: { closed: { first: true, last: false } }, is: false },
    { given: "metadata that answer", values: walled, seen: { metadata: true }, is: false },
    { given: "other Pods that should be closed", values: { task: { networkPolicy: { denyPods: true } } }, is: false }
  ])("is given by $given: $is", ({ elsewhere, is, seen: what, values }) => expect(proves(values, what, elsewhere)).toBe(is))
})

describe("what is installed", () => {
  it.each([
    { given: "no definition", check: definition(Option.none()), is: "failed" },
    {
      given: "a definition that lacks something",
      check: definition(Option.some({ lacks: ["status.a: is not there"], otherRules: [] })),
      is: "failed"
    },
    {
      given: "a definition with a rule of its own",
      check: definition(Option.some({ lacks: [], otherRules: ["status.a: once"] })),
      is: "warning"
    },
    { given: "a definition that lacks nothing", check: definition(Option.some({ lacks: [], otherRules: [] })), is: "ok" },
    { given: "no policies, and none asked for", check: admission(configOf(), [], []), is: "warning" },
    {
      given: "a policy that is missing",
      check: admission(configOf({ admissionPolicies: { enabled: true } }), ["ValidatingAdmissionPolicy a"], []),
      is: "failed"
    },
    {
      given: "a policy that says something else",
      check: admission(configOf({ admissionPolicies: { enabled: true } }), [], ["ValidatingAdmissionPolicy a"]),
      is: "failed"
    },
    { given: "a right that is missing", check: rights("a", ["get jobs"], []), is: "failed" },
    { given: "a right too many", check: rights("a", [], ["get secrets"]), is: "failed" },
    { given: "a namespace without a level", check: podSecurity("tasks", {}), is: "warning" },
    { given: "a restricted namespace", check: podSecurity("tasks", { "pod-security.kubernetes.io/enforce": "restricted" }), is: "ok" }
  ])("with $given is $is", ({ check, is }) => {
    expect(check.outcome).toBe(is)
    expect(check.message).not.toBe("")
  })
})

describe("the worker's image", () => {
  const own = "registry.example.com:5000/agent-job"
  const digest = `sha256:${"0".repeat(64)}`

  const other = `sha256:${"1".repeat(64)}`

  it.each([
    { given: "that of the controller", controller: `${own}:0.2.0`, is: "ok" },
    { given: "from another registry than that of the controller", controller: "mirror.example.com/agent-job:0.2.0", is: "ok" },
    { given: "of the tag that the controller has beside a digest", controller: `${own}:0.2.0@${digest}`, is: "ok" },
    { given: "of another tag than that of the controller", controller: `${own}:0.1.0`, is: "warning" },
    { given: "while the controller has a digest alone", controller: `${own}@${digest}`, is: "unknown" },
    { given: "while the controller has no tag", controller: own, is: "unknown" },
    { given: "of another digest beside the same tag", tag: `main@${other}`, controller: `${own}:main@${digest}`, is: "warning" },
    { given: "of the digest that the controller has alone", tag: `0.2.0@${digest}`, controller: `${own}@${digest}`, is: "ok" },
    { given: "of the digest that the controller has beside another tag", tag: `a@${digest}`, controller: `${own}:b@${digest}`, is: "ok" }
  ])("$given is $is", ({ controller, is, tag = "0.2.0" }) => {
    const config = configOf({ agent: { image: { repository: own, tag } } })
    expect(workerImage(config, Option.some(controller)).outcome).toBe(is)
  })

  it("is unknown without the controller's Deployment", () => expect(workerImage(configOf(), Option.none()).outcome).toBe("unknown"))
})

describe("user namespaces", () => {
  const worker = { labels: { pool: "terraform" }, taints: [], able: true }
  const old = { ...worker, able: false }
  const tainted = (taint: object) => ({ ...old, taints: [{ key: "dedicated", effect: "NoSchedule", ...taint }] })
  const used = { task: { userNamespaces: true } }
  const tolerating = (toleration: object) => ({ task: { userNamespaces: true, tolerations: [toleration] } })
  const inPool = { task: { userNamespaces: true, nodeSelector: { pool: "terraform" } } }

  it.each<{ given: string; values: object; nodes: ReadonlyArray<SeenNode>; is: string; share: string }>([
    { given: "where they are used, and every node supports them", values: used, nodes: [worker, worker], is: "ok", share: "2 of 2" },
    { given: "where some nodes for tasks lack them", values: used, nodes: [worker, old], is: "warning", share: "1 of 2" },
    { given: "where all nodes for tasks lack them", values: used, nodes: [old, old], is: "failed", share: "0 of 2" },
    {
      given: "where only a control plane lacks them",
      values: used,
      nodes: [worker, tainted({ key: "node-role.kubernetes.io/control-plane" })],
      is: "ok",
      share: "1 of 1"
    },
    {
      given: "where only nodes lack them that task.nodeSelector leaves out",
      values: inPool,
      nodes: [worker, { ...old, labels: { pool: "web" } }],
      is: "ok",
      share: "1 of 1"
    },
    { given: "where a node evicts Pods", values: used, nodes: [worker, tainted({ effect: "NoExecute" })], is: "ok", share: "1 of 1" },
    {
      given: "where a node would rather have no Pods",
      values: used,
      nodes: [worker, tainted({ effect: "PreferNoSchedule" })],
      is: "warning",
      share: "1 of 2"
    },
    {
      given: "where a node is cordoned, which passes",
      values: used,
      nodes: [worker, tainted({ key: "node.kubernetes.io/unschedulable" })],
      is: "warning",
      share: "1 of 2"
    },
    ...[
      { key: "dedicated", operator: "Exists" },
      { operator: "Exists" },
      { key: "dedicated", value: "tasks", effect: "NoSchedule" }
    ].map((toleration) => ({
      given: `where tasks tolerate the taint of a node that lacks them (${Object.keys(toleration).join(", ")})`,
      values: tolerating(toleration),
      nodes: [worker, tainted({ value: "tasks" })],
      is: "warning",
      share: "1 of 2"
    })),
    ...[
      { key: "dedicated", value: "web" },
      { key: "other", operator: "Exists" },
      { key: "dedicated", operator: "Exists", effect: "NoExecute" }
    ].map((toleration) => ({
      given: `where tasks tolerate another taint (${Object.values(toleration).join(", ")})`,
      values: tolerating(toleration),
      nodes: [worker, tainted({ value: "tasks" })],
      is: "ok",
      share: "1 of 1"
    })),
    { given: "where no node takes tasks", values: inPool, nodes: [{ ...worker, labels: {} }], is: "unknown", share: "of 1 nodes" },
    { given: "that nobody uses, though each node supports them", values: {}, nodes: [worker], is: "warning", share: "1 of 1" },
    { given: "that nobody uses, and a node lacks", values: {}, nodes: [worker, old], is: "ok", share: "1 of 2" },
    { given: "that nobody uses, without nodes", values: {}, nodes: [], is: "ok", share: "0 of 0" }
  ])("$given: $is ($share)", ({ is, nodes, share, values }) => {
    const { message, outcome } = userNamespaces(configOf(values), {}, nodes)
    expect([outcome, message.includes(share)]).toEqual([is, true])
  })
})
