// Whether the nodes for tasks support user namespaces, by the values that choose the nodes.
import { describe, expect, it } from "@effect/vitest"
import { type SeenNode, userNamespaces } from "../../../src/core/doctor/user-namespaces.ts"
import { configOf } from "../configs.ts"

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
      given: "where the only node for tasks lacks them",
      values: used,
      nodes: [old],
      is: "failed",
      share: "the only node for tasks does not support them"
    },
    {
      given: "where only a control plane lacks them",
      values: used,
      nodes: [worker, tainted({ key: "node-role.kubernetes.io/control-plane" })],
      is: "ok",
      share: "the only node for tasks supports them"
    },
    {
      given: "where only nodes lack them that task.nodeSelector leaves out",
      values: inPool,
      nodes: [worker, { ...old, labels: { pool: "web" } }],
      is: "ok",
      share: "the only node for tasks supports them"
    },
    {
      given: "where a node evicts Pods",
      values: used,
      nodes: [worker, tainted({ effect: "NoExecute" })],
      is: "ok",
      share: "the only node for tasks supports them"
    },
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
      { key: "", operator: "Exists" },
      { key: "dedicated", value: "tasks", effect: "NoSchedule" }
    ].map((toleration) => ({
      given: `where tasks tolerate the taint of a node that lacks them: ${JSON.stringify(toleration)}`,
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
      given: `where tasks tolerate another taint: ${JSON.stringify(toleration)}`,
      values: tolerating(toleration),
      nodes: [worker, tainted({ value: "tasks" })],
      is: "ok",
      share: "the only node for tasks supports them"
    })),
    {
      given: "where no node takes tasks",
      values: inPool,
      nodes: [{ ...worker, labels: {} }],
      is: "unknown",
      share: "the taints of the only node"
    },
    {
      given: "that nobody uses, though each node supports them",
      values: {},
      nodes: [worker],
      is: "warning",
      share: "the only node for tasks supports them"
    },
    { given: "that nobody uses, and a node lacks", values: {}, nodes: [worker, old], is: "ok", share: "1 of 2" },
    { given: "that nobody uses, without nodes", values: {}, nodes: [], is: "ok", share: "0 of 0" }
  ])("$given: $is ($share)", ({ is, nodes, share, values }) => {
    const { message, outcome } = userNamespaces(configOf(values), { scheduling: {}, nodes })
    expect([outcome, message.includes(share)]).toEqual([is, true])
  })
})
