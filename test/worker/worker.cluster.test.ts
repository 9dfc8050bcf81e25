// Whole stages with the real engine, the real exec loop and a real provider; only the API server is in memory.
import { expect, describe } from "vitest"
import { it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fakeKubernetes } from "./fake-kubernetes.ts"
import { type Pod, pod } from "./pod.ts"
import { sha256, tarGz, type TaskApi, taskApi } from "./fake-task-api.ts"

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


const poolSpec = (api: TaskApi, stage: string, more: Record<string, unknown> = {}) => ({
  workspace: "demo",
  stage,
  source: { pool: { archiveSha256: sha256(api.archive) } },
  pool: { url: api.url, runId: "run-a", tokenSecret: { name: "token" } },
  ...more
})

const withToken = ({ privateDirectory }: Pod, api: TaskApi) => {
  const file = join(privateDirectory, "token")
  writeFileSync(file, `${api.token}\n`)
  return { AGENT_JOB_TOKEN_FILE: file }
}

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

  it.live("it plans for a pool and applies that very plan in another Pod", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": main })
      api.variables = [{ name: "region", value: "top-secret-region", sensitive: true }]
      const planning = fakeKubernetes(poolSpec(api, "plan"))
      const first = yield* pod
      yield* first.run(planning, withToken(first, api))
      const planned = planning.task().status
      expect(planned.message, first.log()).toBe("tofu plan ended with success.")
      expect(planned.result).toMatchObject({ outcome: "succeeded", planDigest: sha256(api.plan ?? new Uint8Array()), hasChanges: true })
      expect(planned.reportedAt).toBe(planned.result?.finishedAt)
      expect(api.results).toEqual([planned.result])
      expect(Buffer.from(api.log).toString()).toContain("time_static.now")
      expect(Buffer.from(api.log).toString()).not.toContain("top-secret-region")
      expect(api.state).toBeUndefined()

      const applying = fakeKubernetes(poolSpec(api, "apply", { plan: { sha256: planned.result?.planDigest } }))
      const second = yield* pod
      api.log = new Uint8Array()
      yield* second.run(applying, withToken(second, api))
      const applied = applying.task().status
      expect(applied.message, second.log()).toBe("tofu apply ended with success.")
      expect(applied.result).toMatchObject({ outcome: "succeeded", statePushed: true, exitCode: 0 })
      expect(JSON.parse(Buffer.from(api.state ?? "").toString()).outputs.region.value).toBe("top-secret-region")
      expect(api.lock).toBeUndefined()
    }))
})
