// Whole stages in Pods of their own: the real engine, the real exec loop and a real provider; the API server and the pool are in memory.
// Used by the cluster tests beside it, each of one subject, and by stage/stage.test.ts, whose engine is a script.
import { expect } from "@effect/vitest"
import { Cause, Effect, Exit, Runtime } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type FakeKubernetes, fakeKubernetes } from "./fake-kubernetes.ts"
import { type FakeTaskApi, sha256, tarGz } from "./fake-task-api.ts"
import { type Pod, pod } from "./pod.ts"

export const providers = `
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
`
export const main = `${providers}
variable "region" {
  type = string
}
resource "time_static" "now" {}
output "region" {
  value = var.region
}
`
/** One resource that is made at once, and then one that takes a minute. */
export const slow = `${providers}
resource "time_static" "first" {}
resource "time_sleep" "second" {
  create_duration = "60s"
  depends_on      = [time_static.first]
}
`
/** Three resources that are made at once and write their ids to the file `outside`, and then one that takes a minute. */
export const chain = (outside: string) =>
  `${providers}
resource "terraform_data" "made" {
  for_each = toset(["a", "b", "c \\"d\\""])
  provisioner "local-exec" {
    command = "echo ${"${self.id}"} >>${outside}"
  }
}
resource "time_sleep" "last" {
  create_duration = "60s"
  depends_on      = [terraform_data.made]
}
`

export const inline = (stage: string, files: Record<string, string>, more: Record<string, unknown> = {}) =>
  fakeKubernetes({ workspace: "demo", stage, source: { inline: files }, ...more })

export const poolTask = (api: FakeTaskApi, stage: string, more: Record<string, unknown> = {}) =>
  fakeKubernetes({
    workspace: "demo",
    stage,
    source: { pool: { archiveSha256: sha256(api.archive) } },
    pool: { url: api.url, runId: "run-a", tokenSecret: { name: "token" } },
    ...more
  })

export const token = ({ privateDirectory }: Pod, api: FakeTaskApi, patience = "1 minute") => {
  const file = join(privateDirectory, "token")
  writeFileSync(file, `${api.token}\n`)
  return { AGENT_JOB_TOKEN_FILE: file, AGENT_JOB_POOL_PATIENCE: patience }
}

export const exitCode = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.isSuccess(exit) ? 0 : Runtime.getErrorExitCode(Cause.squash(exit.cause))
export const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? "").toString("utf8")
export const addresses = (api: FakeTaskApi): ReadonlyArray<string> =>
  JSON.parse(text(api.state)).resources.map(({ name, type }: { readonly name: string; readonly type: string }) => `${type}.${name}`)

/** Runs a stage in a Pod of its own; returns the Pod, how the worker exited, and the status. */
export const ran = Effect.fnUntraced(
  function*(
    kubernetes: FakeKubernetes,
    programs: Readonly<Record<string, string>> = {},
    env: (here: Pod) => Record<string, string> = () => ({})
  ) {
    const here = yield* pod(programs)
    const exit = yield* here.run(kubernetes, env(here))
    return { ...here, exit, status: kubernetes.task().status }
  }
)

/** Plans for the pool with these files; returns the digest of the saved plan. */
export const planned = Effect.fnUntraced(function*(api: FakeTaskApi, files: Record<string, string>) {
  api.archive = tarGz(files)
  const { log, status } = yield* Effect.scoped(ran(poolTask(api, "plan"), {}, (here) => token(here, api)))
  expect(status.reason, log()).toBe("Completed")
  api.log = new Uint8Array()
  return status.result?.planDigest ?? "none"
})

/** Starts the apply of that plan in a Pod of its own. */
export const applying = Effect.fnUntraced(
  function*(api: FakeTaskApi, digest: string, more: Record<string, unknown> = {}, env: Record<string, string> = {}) {
    const here = yield* pod()
    const kubernetes = poolTask(api, "apply", { plan: { sha256: digest }, ...more })
    const running = yield* Effect.forkChild(here.run(kubernetes, { ...token(here, api), AGENT_JOB_GRACE_SECONDS: "60", ...env }))
    return { ...here, kubernetes, running }
  }
)
