// Whole stages with the real engine, the real exec loop and a real provider; only the API server is in memory.
import { expect, describe } from "vitest"
import { it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { fakeKubernetes } from "./fake-kubernetes.ts"
import { pod } from "./pod.ts"

const main = `
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
variable "region" {
  type = string
}
resource "time_static" "now" {}
output "region" {
  value = var.region
}
`

describe("worker", () => {
  it.live("it plans an inline configuration and writes its result to status", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes({ workspace: "demo", stage: "plan", source: { inline: { "main.tf": main } }, variables: [{ name: "region", value: "${eu}\"west" }] })
      const { lastWords, log, run } = yield* pod
      const exit = yield* run(kubernetes)
      const { status } = kubernetes.task()
      expect(status.message, log()).toBe("tofu plan ended with success.")
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(status).toMatchObject({ phase: "Succeeded", reason: "Completed", result: { exitCode: 0, changes: { add: 1, change: 0, destroy: 0 }, hasChanges: true } })
      expect(lastWords()).toEqual(status.result)
      expect(log()).toContain("time_static.now")
    }))
})
