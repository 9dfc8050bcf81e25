// Who may connect to which Pods under the component's policy, worked out from what it selects.
import { describe, expect, it } from "@effect/vitest"
import type { V1NetworkPolicy, V1NetworkPolicyPeer, V1NetworkPolicyPort } from "@kubernetes/client-node"
import { secureServer, server } from "../../../src/core/manifest/installation/server.ts"
import { labels } from "../../../src/core/manifest/labels.ts"
import { serverIngress } from "../../../src/generate/components/server-ingress.ts"
import { installationOf } from "../../../src/generate/files/installation.ts"
import { type Labels, selects } from "../../core/network/admits.ts"

const config = installationOf({})
const policies = (serverIngress.objects?.(config) ?? []) as ReadonlyArray<V1NetworkPolicy>

/** A rule as it is written. The client's type has another name for `from`. */
interface Rule {
  readonly from?: ReadonlyArray<V1NetworkPolicyPeer>
  readonly ports?: ReadonlyArray<V1NetworkPolicyPort>
}

interface Pod {
  readonly labels: Labels
  readonly namespace: string
  /** The labels of its namespace, beside the name, which every namespace has as a label. */
  readonly of?: Labels
}

const isPeer = ({ labels, namespace, of = {} }: Pod, own: string) => ({ ipBlock, namespaceSelector, podSelector }: V1NetworkPolicyPeer) =>
  ipBlock === undefined && selects(podSelector ?? {}, labels) &&
  (namespaceSelector === undefined ? namespace === own : selects(namespaceSelector, { "kubernetes.io/metadata.name": namespace, ...of }))

/** Returns the policies that select a Pod for what comes in. */
const closing = ({ labels, namespace }: Pod) =>
  policies.filter(({ metadata, spec }) =>
    metadata?.namespace === namespace && spec?.policyTypes?.includes("Ingress") === true && selects(spec.podSelector ?? {}, labels)
  )

/** Returns the ports at which one Pod may connect to another that a policy selects. A rule without ports or peers is for any. */
const open = (from: Pod, to: Pod): ReadonlyArray<unknown> =>
  closing(to).flatMap(({ spec }) => (spec?.ingress ?? []) as ReadonlyArray<Rule>)
    .filter((rule) => rule.from === undefined || rule.from.some(isPeer(from, to.namespace)))
    .flatMap(({ ports }) => ports?.map(({ port, protocol }) => `${protocol} ${port}`) ?? ["any"])

const [own, tasks] = [config.namespace, config.taskNamespace]
const other = { app: "other" }
const part = (name: string) => ({ "app.kubernetes.io/component": name })
const theServer: Pod = { labels: labels(config, "server"), namespace: own }

describe("the server", () => {
  it.each<{ who: string; pod: Pod; open: boolean }>([
    { who: "the controller", pod: { labels: labels(config, "controller"), namespace: own }, open: true },
    { who: "a task", pod: { labels: labels(config, "task"), namespace: tasks }, open: true },
    { who: "what else is in the tasks' namespace", pod: { labels: other, namespace: tasks }, open: true },
    {
      who: "a namespace that is labelled",
      pod: { labels: other, namespace: "ingress", of: { "scalr.io/reaches-server": "true" } },
      open: true
    },
    {
      who: "one whose label says no",
      pod: { labels: other, namespace: "ingress", of: { "scalr.io/reaches-server": "false" } },
      open: false
    },
    { who: "another namespace", pod: { labels: other, namespace: "default" }, open: false },
    {
      who: "what says in another namespace that it is the controller",
      pod: { labels: labels(config, "controller"), namespace: "default" },
      open: false
    },
    { who: "what says in another namespace that it is a task", pod: { labels: labels(config, "task"), namespace: "default" }, open: false },
    { who: "another Pod of its own namespace", pod: { labels: other, namespace: own }, open: false },
    { who: "the controller of other software there", pod: { labels: part("controller"), namespace: own }, open: false },
    { who: "a task in its own namespace", pod: { labels: labels(config, "task"), namespace: own }, open: false }
  ])("is open to $who: $open, and only at the port where it listens", ({ open: isOpen, pod }) => {
    expect(open(pod, theServer)).toEqual(isOpen ? ["TCP 8080"] : [])
  })

  it.each([{ speaks: "HTTP", objects: server }, { speaks: "HTTPS", objects: secureServer }])(
    "listens at that port where it speaks $speaks",
    ({ objects }) => {
      expect(JSON.stringify(objects(config))).toContain("\"containerPort\":8080")
    }
  )
})

describe("the policy", () => {
  it("closes the server of an installation of any name", () => {
    expect(closing({ labels: labels({ ...config, name: "blue" }, "server"), namespace: own })).toHaveLength(1)
  })

  it.each(["controller", "task"] as const)("leaves the %s as open as it was", (of) => {
    expect(closing({ labels: labels(config, of), namespace: own })).toEqual([])
  })

  it("leaves the server of other software as open as it was", () => {
    expect(closing({ labels: part("server"), namespace: own })).toEqual([])
  })

  it("is no policy of what goes out", () => expect(policies.map(({ spec }) => spec?.policyTypes)).toEqual([["Ingress"]]))
})
