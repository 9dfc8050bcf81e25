import { describe, expect, it } from "@effect/vitest"
import type { V1Container, V1PodSpec, V1ResourceQuota } from "@kubernetes/client-node"
import { job } from "../../../src/core/manifest/job.ts"
import { quota } from "../../../src/generate/components/quota.ts"
import { installationOf } from "../../../src/generate/files/installation.ts"
import { taskOf } from "../../core/configs.ts"

const units: Readonly<Record<string, number>> = { "": 1, m: 0.001, Mi: 2 ** 20, Gi: 2 ** 30 }
const amount = (quantity: string): number => parseFloat(quantity) * (units[quantity.replace(/^[\d.]+/u, "")] ?? NaN)

/** Returns what a Pod counts for in a quota: containers and sidecars together, or one init container if that is more. */
const counted = ({ containers, initContainers = [] }: V1PodSpec, of: "requests" | "limits", resource: string): number => {
  const value = ({ resources }: V1Container) => amount(resources?.[of]?.[resource] ?? "0")
  const [sidecars, once] = [
    initContainers.filter((_) => _.restartPolicy === "Always"),
    initContainers.filter((_) => _.restartPolicy !== "Always")
  ]
  return Math.max([...containers, ...sidecars].map(value).reduce((a, b) => a + b, 0), ...once.map(value))
}

describe("the quota", () => {
  const config = installationOf(quota.layer ?? {})
  const found = quota.objects?.(config).find(({ kind }) => kind === "ResourceQuota") as V1ResourceQuota
  const pod = job(taskOf(), config, 0).spec?.template.spec ?? { containers: [] }

  it.each([["requests", "cpu"], ["requests", "memory"], ["limits", "cpu"], ["limits", "memory"]] as const)(
    "has room for %s.%s of all the tasks that may run at once, and not for twice as many",
    (of, resource) => {
      const [hard, needed] = [
        amount(found.spec?.hard?.[`${of}.${resource}`] ?? "0"),
        config.policy.limits.total * counted(pod, of, resource)
      ]
      expect(hard).toBeGreaterThanOrEqual(needed)
      expect(hard).toBeLessThan(2 * needed)
    }
  )

  it("names the priority class that it makes, at which nothing of others is pushed out", () => {
    expect(quota.objects?.(config).find(({ kind }) => kind === "PriorityClass")).toMatchObject({
      metadata: { name: pod.priorityClassName },
      preemptionPolicy: "Never"
    })
  })
})
