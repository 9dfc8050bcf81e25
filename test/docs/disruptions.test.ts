// What docs/disruptions.md says to write into values and overlays: the values are valid, and the quota has room for what tasks then request.
import { expect, it } from "@effect/vitest"
import type { V1Container, V1ResourceQuota } from "@kubernetes/client-node"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import { deployment } from "../../src/core/manifest/installation/deployment.ts"
import { server } from "../../src/core/manifest/installation/server.ts"
import { job } from "../../src/core/manifest/job.ts"
import { quota } from "../../src/generate/components/quota.ts"
import { installationOf } from "../../src/generate/files/installation.ts"
import { merge, type Tree } from "../../src/schema/document/layers.ts"
import { amountOf } from "../../src/schema/values/quantity.ts"
import { taskOf } from "../core/configs.ts"

const blocks = readFileSync("docs/disruptions.md", "utf8").match(/(?<=\n\n)(?: {4}[^\n]*\n)+/gu) ?? []
/** Returns the indented block that has this in it, as YAML. */
const shown = (part: string): Tree => parse(blocks.find((block) => block.includes(part)) ?? "") as Tree

/** Returns the containers of a task's Pod that run beside each other: what they request adds up. */
const containersOf = (values: Tree): ReadonlyArray<V1Container> => {
  const { containers = [], initContainers = [] } = job(taskOf(), installationOf(values), 0).spec?.template.spec ?? {}
  return [...containers, ...initContainers.filter(({ restartPolicy }) => restartPolicy === "Always")]
}
const requested = (values: Tree, resource: string): number =>
  containersOf(values).reduce((sum, { resources }) => sum + amountOf(resources?.requests?.[resource] ?? 0), 0)

it("shows valid values that keep tasks off spot nodes", () => {
  const { affinity } = job(taskOf(), installationOf(shown("capacity-type")), 0).spec?.template.spec ?? {}
  expect(affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms).toHaveLength(1)
})

it("shows values by which a task requests all the memory that it may use, and some disk", () => {
  const containers = containersOf(shown("ephemeral-storage: 8Gi"))
  expect(containers).toHaveLength(2)
  for (const { resources: { limits, requests } = {} } of containers) {
    expect(amountOf(requests?.["memory"] ?? 0)).toBe(amountOf(limits?.["memory"] ?? ""))
    expect(amountOf(requests?.["ephemeral-storage"] ?? 0)).toBeGreaterThan(0)
  }
})

it("shows a patch by which the quota has room for these requests of all the tasks that may run at once, and not for twice as many", () => {
  const { patches } = shown("/spec/hard/requests.memory") as { readonly patches: ReadonlyArray<{ readonly patch: string }> }
  const operations = patches.flatMap(({ patch }) =>
    parse(patch) as ReadonlyArray<{ readonly op: string; readonly path: string; readonly value: string }>
  )
  const values = merge(quota.layer ?? {}, shown("ephemeral-storage: 8Gi"))
  const config = installationOf(values)
  const objects = quota.objects?.(config) ?? []
  const { spec: { hard = {} } = {} } = objects.find(({ kind }) => kind === "ResourceQuota") as V1ResourceQuota
  expect(operations.map(({ path }) => path)).toEqual(["/spec/hard/requests.memory", "/spec/hard/requests.ephemeral-storage"])
  for (const { op, path, value } of operations) {
    const resource = path.replace("/spec/hard/requests.", "")
    expect(op).toBe(hard[`requests.${resource}`] === undefined ? "add" : "replace")
    const needed = config.policy.limits.total * requested(values, resource)
    expect(amountOf(value)).toBeGreaterThanOrEqual(needed)
    expect(amountOf(value)).toBeLessThan(2 * needed)
  }
})

it("shows a patch that gives controller and server the priority of tasks", () => {
  const { patches: [shownPatch] } = shown("priorityClassName") as {
    readonly patches: ReadonlyArray<{ readonly target: Readonly<Record<"kind" | "name", string>>; readonly patch: string }>
  }
  const config = installationOf(quota.layer ?? {})
  for (
    const { kind = "", metadata } of [deployment(config), ...server(config)].filter(({ kind }) =>
      /Deployment|StatefulSet/u.test(kind ?? "")
    )
  ) {
    expect(kind).toMatch(new RegExp(`^(?:${shownPatch?.target.kind})$`, "u"))
    expect(metadata?.name).toMatch(new RegExp(`^(?:${shownPatch?.target.name})$`, "u"))
  }
  const value = job(taskOf(), config, 0).spec?.template.spec?.priorityClassName
  expect(parse(shownPatch?.patch ?? "")).toEqual([{ op: "add", path: "/spec/template/spec/priorityClassName", value }])
})
