// What Kubernetes' message on a quota tells: whether there may be room some day, or never.
import { describe, expect, it } from "@effect/vitest"
import { isOfQuota, quotaTooSmall } from "../../../src/schema/kubernetes/quota.ts"

const exceeded = (requested: string, used: string, limited: string): string =>
  `Error creating: pods "p" is forbidden: exceeded quota: q, requested: ${requested}, used: ${used}, limited: ${limited}`

describe("a quota", () => {
  it.each<readonly [given: string, message: string, asked: ReadonlyArray<string> | undefined]>([
    ["is full", exceeded("pods=1", "pods=9", "pods=9"), undefined],
    ["gives exactly what is asked", exceeded("limits.memory=32Gi", "limits.memory=1Gi", "limits.memory=32768Mi"), undefined],
    ["is smaller", exceeded("limits.memory=64Gi", "limits.memory=0", "limits.memory=32Gi"), ["limits.memory 64Gi of 32Gi"]],
    ["is smaller, in another unit", exceeded("requests.cpu=1500m", "requests.cpu=0", "requests.cpu=1"), ["requests.cpu 1500m of 1"]],
    [
      "is smaller in one resource of several",
      exceeded("cpu=2,limits.memory=64Gi,pods=1", "cpu=3,limits.memory=0,pods=9", "cpu=4,limits.memory=32Gi,pods=9"),
      ["limits.memory 64Gi of 32Gi"]
    ],
    [
      "is smaller in an extended resource",
      exceeded("requests.nvidia.com/gpu=8", "requests.nvidia.com/gpu=0", "requests.nvidia.com/gpu=4"),
      ["requests.nvidia.com/gpu 8 of 4"]
    ],
    ["is frozen", exceeded("pods=1,requests.cpu=1", "pods=3,requests.cpu=2", "pods=0,requests.cpu=0"), undefined],
    ["is not counted yet", "status unknown for quota: q, resources: pods", undefined],
    ["says something else one day", "exceeded quota: q, by 3 Pods", undefined],
    ["has amounts that are none", exceeded("pods=many", "pods=9", "pods=9"), undefined]
  ])("that %s", (_, message, asked) => {
    expect(isOfQuota(message)).toBe(true)
    const found = quotaTooSmall(message)
    expect(found?.asked.map(({ limited, requested, resource }) => `${resource} ${requested} of ${limited}`)).toEqual(asked)
    if (found !== undefined) expect(found.quota).toBe("q")
  })
})
