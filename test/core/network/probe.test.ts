// The doctor's Pods, which say something of a task's Pod only as far as whatever watches for Pods makes no difference between them.
import { expect, it } from "@effect/vitest"
import type { V1NetworkPolicySpec } from "@kubernetes/client-node"
import { job } from "../../../src/core/manifest/job.ts"
import { listenerPort, probePod, probePolicies } from "../../../src/core/network/probe.ts"
import { configOf, taskOf } from "../configs.ts"

it.each(["listener", "task-listener", "open", "closed", "task"] as const)(
  "the Pod of %s has the annotations of a task's, which keep a mesh out or attach a network, and its runtime class",
  (probe) => {
    const config = configOf({
      global: { podAnnotations: { "k8s.v1.cni.cncf.io/networks": "other" } },
      task: {
        podAnnotations: {
          "linkerd.io/inject": "disabled",
          "container.apparmor.security.beta.kubernetes.io/runner": "localhost/mine" // refused for a Pod without such a container
        },
        runtimeClassName: "kata"
      }
    })
    const { metadata, spec } = probePod(config, "id", probe, [])
    const ofTask = job(taskOf(), config, 0).spec?.template
    expect(metadata.annotations).toEqual({ "k8s.v1.cni.cncf.io/networks": "other", "linkerd.io/inject": "disabled" })
    expect(ofTask?.metadata?.annotations).toMatchObject({ ...metadata.annotations })
    expect([spec?.runtimeClassName, ofTask?.spec?.runtimeClassName]).toEqual(["kata", "kata"])
  }
)

it("only the Pods that listen have a readiness probe, by which the kubelet tells when they do: others may not reach them", () => {
  const probes = (["listener", "task-listener", "open", "closed", "task"] as const).map((probe) => [
    probe,
    probePod(configOf(), "id", probe, []).spec?.containers[0]?.readinessProbe?.tcpSocket?.port
  ])
  expect(Object.fromEntries(probes)).toEqual({ listener: listenerPort, "task-listener": listenerPort })
})

it("a probe's Pod has no annotations where the values give none", () =>
  expect(probePod(configOf(), "id", "task", []).metadata).not.toHaveProperty("annotations"))

it("the doctor lets everybody in to its listener, and nobody in to the one like a task's: what keeps a Pod from the first is then its egress", () => {
  const letsIn = ({ ingress = [], policyTypes = [] }: V1NetworkPolicySpec) => policyTypes.includes("Ingress") && ingress.length > 0
  const opened = probePolicies(configOf(), "id").flatMap(({ spec }) => spec !== undefined && letsIn(spec) ? [spec] : [])
  expect(opened).toEqual([{
    podSelector: { matchLabels: { "scalr.io/doctor": "id", "scalr.io/probe": "listener" } },
    policyTypes: ["Ingress"],
    ingress: [{}]
  }])
})

it("of two Pods that no policy of tasks selects, one may reach everything and the other nothing, whatever is said for others", () => {
  const egress = probePolicies(configOf(), "id").flatMap(({ spec }) => spec?.policyTypes?.includes("Egress") === true ? [spec] : [])
  const only = (probe: string) => ({ matchLabels: { "scalr.io/doctor": "id", "scalr.io/probe": probe } })
  expect(egress).toEqual([
    { podSelector: only("open"), policyTypes: ["Egress"], egress: [{}] },
    { podSelector: only("closed"), policyTypes: ["Egress"] }
  ])
})

it.each([["listener", false], ["task-listener", true], ["open", false], ["closed", false], ["task", true]] as const)(
  "the Pod of %s has the labels by which policies select the Pods of tasks: %s",
  (probe, isSelected) => {
    const { labels = {} } = probePod(configOf(), "id", probe, []).metadata
    expect(labels["app.kubernetes.io/component"] === "task").toBe(isSelected)
  }
)

it.each(["listener", "task-listener", "open", "closed", "task"] as const)(
  "the Pod of %s has no token, and ends by itself",
  (probe) =>
    expect(probePod(configOf(), "id", probe, []).spec).toMatchObject({
      activeDeadlineSeconds: 300,
      automountServiceAccountToken: false,
      restartPolicy: "Never"
    })
)
