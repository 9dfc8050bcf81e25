// What the findings of the probes mean, case by case, and when they prove isolation.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { metadataTargets, networkChecks, type NetworkFindings, provesIsolation } from "../../../src/core/doctor/network.ts"
import type { Finding } from "../../../src/schema/kubernetes/probe.ts"
import { configOf } from "../configs.ts"

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
  networkChecks({ config: configOf(values), found, apiServer, isClosedElsewhere: closedElsewhere }).map(({ outcome }) => outcome)

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
    const checks = networkChecks({
      config: configOf(given),
      found: { ...found, findings: { ...found.findings, task } },
      apiServer,
      isClosedElsewhere: true
    })
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
    provesIsolation(networkChecks({ config: configOf(values), found: seen(what), apiServer, isClosedElsewhere: elsewhere }))
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
