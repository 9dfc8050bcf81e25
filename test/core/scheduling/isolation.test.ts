// A proof of isolation as it is written down: for which values it counts, and for which it does not.
import { describe, expect, it } from "@effect/vitest"
import { isProven, proven, unproven } from "../../../src/core/scheduling/isolation.ts"
import { configOf } from "../configs.ts"

const noon = "2026-01-01T12:00:00Z"
const foreign = { "example.com/a": "b" }
const walled = { restrictMetadataService: true }

describe("a proof of isolation", () => {
  it("is of the values that it was made for, until it is taken back", () => {
    const marked = proven(foreign, configOf(walled), noon)
    expect([isProven(foreign, configOf(walled)), isProven(marked, configOf(walled))]).toEqual([false, true])
    expect(unproven(marked)).toEqual(foreign)
  })

  it("ends with the component that closed the network, and its layer of values", () => {
    const closed = { task: { networkPolicy: { closedElsewhere: true } } }
    const marked = proven({}, configOf(closed), noon)
    expect([isProven(marked, configOf(closed)), isProven(marked, configOf()), isProven(marked, configOf(walled))]).toEqual([
      true,
      false,
      false
    ])
  })

  it("is what it was before the values could say that the network is closed elsewhere", () =>
    expect(proven({}, configOf(walled), noon)).toEqual({ "scalr.io/isolation-proven": `${noon} 1m4fblm` }))

  it("of closed Pods is what it was before the values could say which ports and networks that leaves open and closes", () =>
    expect(proven({}, configOf({ task: { networkPolicy: { denyPods: true } } }), noon)).toEqual({
      "scalr.io/isolation-proven": `${noon} 1ey2eoi`
    }))

  it("is of the server of another installation that denyPods leaves open", () => {
    const closed = (url: string, denyPods = true) => configOf({ agent: { token: "t", url }, task: { networkPolicy: { denyPods } } })
    const [ours, theirs] = ["http://agent-job-server.agent-job.svc:8080", "http://agent-job-server.theirs.svc:8080"]
    expect([
      isProven(proven({}, closed(ours), noon), closed("https://example.com")),
      isProven(proven({}, closed(ours), noon), closed(theirs)),
      isProven(proven({}, closed(ours, false), noon), closed(theirs, false))
    ]).toEqual([true, false, true])
  })

  it("is of the networks and ports that denyPods closes and leaves open, where it does", () => {
    const denying = (more: object = {}) => configOf({ task: { networkPolicy: { denyPods: true, ...more } } })
    const proof = proven({}, denying(), noon)
    expect([
      isProven(proof, denying({ apiServerPorts: [443, 6443] })),
      isProven(proof, denying({ apiServerPorts: [443, 8443] })),
      isProven(proof, denying({ privateCidrs: ["203.0.113.0/24"] })),
      isProven(proven({}, configOf(walled), noon), configOf({ ...walled, task: { networkPolicy: { apiServerPorts: [443, 8443] } } }))
    ]).toEqual([true, false, false, true])
  })

  it("outlives other values that it has nothing to do with", () =>
    expect(isProven(proven({}, configOf(walled), noon), configOf({ ...walled, task: { limits: { total: 3 } } }))).toBe(true))

  it.each([
    { given: "metadata services that are open again", values: {} },
    { given: "other Pods that are to be closed too", values: { ...walled, task: { networkPolicy: { denyPods: true } } } },
    { given: "a cloud's identity that is opened", values: { ...walled, task: { networkPolicy: { cloudIdentity: "eks" } } } },
    { given: "a policy beside the values that they rest on", values: { ...walled, task: { networkPolicy: { closedElsewhere: true } } } },
    {
      given: "annotations that may attach another network",
      values: { ...walled, task: { podAnnotations: { "k8s.v1.cni.cncf.io/networks": "b" } } }
    },
    {
      given: "labels by which policies of others select Pods, or a mesh does",
      values: { ...walled, task: { podLabels: { role: "builder" } } }
    },
    { given: "such labels of all Pods", values: { ...walled, global: { podLabels: { "sidecar.istio.io/inject": "true" } } } },
    { given: "another runtime class", values: { ...walled, task: { runtimeClassName: "kata" } } },
    { given: "another namespace", values: { ...walled, task: { namespace: "tasks" } } },
    { given: "another installation", values: { ...walled, fullnameOverride: "other" } }
  ])("is none of $given", ({ values }) => expect(isProven(proven({}, configOf(walled), noon), configOf(values))).toBe(false))
})
