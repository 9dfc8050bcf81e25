// What an examination means: what was found, case by case, and the line that a person reads.
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
  userNamespaces
} from "../../src/core/doctor.ts"
import type { Finding } from "../../src/schema/probe.ts"
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
}

const seen = ({ closed = both(false), metadata = false, needed = true, open = both(true), pods = true }: Seen = {}): NetworkFindings => {
  const ofListener = (found: Partial<Finding> | "nothing") =>
    found === "nothing" ? Option.none() : Option.some([{ ...listener, ...both(false), ...found }])
  return {
    listener: [listener],
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
    for (const what of [{ open: both(false) }, { closed: both(true) }, { open: "nothing" as const }, { closed: "nothing" as const }]) {
      expect(outcomes(walled, seen(what))[1]).toBe("unknown")
    }
  })
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
    { given: "another version's definition", check: definition(Option.some({ differs: true })), is: "failed" },
    { given: "the definition", check: definition(Option.some({ differs: false })), is: "ok" },
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
    { given: "a restricted namespace", check: podSecurity("tasks", { "pod-security.kubernetes.io/enforce": "restricted" }), is: "ok" },
    { given: "user namespaces that are used", check: userNamespaces(true, 3, 3), is: "ok" },
    { given: "user namespaces that some nodes lack", check: userNamespaces(true, 3, 2), is: "failed" },
    { given: "user namespaces that nobody uses", check: userNamespaces(false, 3, 3), is: "warning" },
    { given: "no user namespaces, and none asked for", check: userNamespaces(false, 3, 0), is: "ok" }
  ])("with $given is $is", ({ check, is }) => {
    expect(check.outcome).toBe(is)
    expect(check.message).not.toBe("")
  })
})
