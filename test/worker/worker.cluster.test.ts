// Whole stages with the real engine, the real exec loop and a real provider; the API server and the pool are in memory.
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Runtime } from "effect"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { AgentTaskStatus } from "../../src/schema/agent-task.ts"
import { Uid } from "../../src/schema/names.ts"
import { sha256, tarGz, type TaskApi, taskApi } from "./fake-task-api.ts"
import { type FakeKubernetes, fakeKubernetes } from "./fake-kubernetes.ts"
import { type Pod, pod } from "./pod.ts"

const providers = `
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
`
const main = `${providers}
variable "region" {
  type = string
}
resource "time_static" "now" {}
output "region" {
  value = var.region
}
`
/** One resource at once, and then one that takes a minute. */
const slow = `${providers}
resource "time_static" "first" {}
resource "time_sleep" "second" {
  create_duration = "60s"
  depends_on      = [time_static.first]
}
`

const inline = (stage: string, files: Record<string, string>, more: Record<string, unknown> = {}) => fakeKubernetes({ workspace: "demo", stage, source: { inline: files }, ...more })

const poolTask = (api: TaskApi, stage: string, more: Record<string, unknown> = {}) =>
  fakeKubernetes({
    workspace: "demo",
    stage,
    source: { pool: { archiveSha256: sha256(api.archive) } },
    pool: { url: api.url, runId: "run-a", tokenSecret: { name: "token" } },
    ...more
  })

const token = ({ privateDirectory }: Pod, api: TaskApi) => {
  const file = join(privateDirectory, "token")
  writeFileSync(file, `${api.token}\n`)
  return { AGENT_JOB_TOKEN_FILE: file, AGENT_JOB_POOL_PATIENCE: "1 second" }
}

const exitCode = (exit: Exit.Exit<unknown, unknown>): number => Exit.isSuccess(exit) ? 0 : Runtime.getErrorExitCode(Cause.squash(exit.cause))
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? "").toString("utf8")
const addresses = (api: TaskApi): ReadonlyArray<string> =>
  JSON.parse(text(api.state)).resources.map(({ name, type }: { readonly name: string; readonly type: string }) => `${type}.${name}`)

/** Runs a stage in a Pod of its own; gives its status. */
const ran = Effect.fnUntraced(function*(kubernetes: FakeKubernetes, programs: Readonly<Record<string, string>> = {}, env: (here: Pod) => Record<string, string> = () => ({})) {
  const here = yield* pod(programs)
  const exit = yield* here.run(kubernetes, env(here))
  return { ...here, exit, status: kubernetes.task().status }
})

/** Plans for the pool with these files; gives the digest of the approved plan. */
const planned = Effect.fnUntraced(function*(api: TaskApi, files: Record<string, string>) {
  api.archive = tarGz(files)
  const { log, status } = yield* Effect.scoped(ran(poolTask(api, "plan"), {}, (here) => token(here, api)))
  expect(status.reason, log()).toBe("Completed")
  api.log = new Uint8Array()
  return status.result?.planDigest ?? "none"
})

/** Starts the apply of that plan in a Pod of its own. */
const applying = Effect.fnUntraced(function*(api: TaskApi, digest: string, more: Record<string, unknown> = {}, env: Record<string, string> = {}) {
  const here = yield* pod()
  const kubernetes = poolTask(api, "apply", { plan: { sha256: digest }, ...more })
  const running = yield* Effect.forkChild(here.run(kubernetes, { ...token(here, api), AGENT_JOB_GRACE_SECONDS: "60", ...env }))
  return { ...here, kubernetes, running }
})

describe("a stage without a pool", () => {
  it.live("plans an inline configuration and writes its result to status", () =>
    Effect.gen(function*() {
      const { exit, lastWords, log, status } = yield* ran(inline("plan", { "main.tf": main }, { variables: [{ name: "region", value: "eu" }] }))
      expect(status.message, log()).toBe("tofu plan ended with success.")
      expect(exitCode(exit)).toBe(0)
      expect(status).toMatchObject({ phase: "Succeeded", reason: "Completed", result: { exitCode: 0, changes: { add: 1, change: 0, destroy: 0 }, hasChanges: true } })
      expect(lastWords()).toEqual(status.result)
      expect(log().split("\n").slice(0, 3)).toEqual(["Worker: Pod demo-abcde on node node-1", "Engine: tofu 1.12.6", "Workspace: demo, plan"])
      expect(log()).toContain("\u001b[1m$ tofu plan\u001b[0m\n")
      expect(log()).toContain("\u001b[32m+\u001b[0m")
    }))

  it.live("gives the engine every value as it is, and hides what is secret", () =>
    Effect.gen(function*() {
      const values = ["${path.module}", "%{ if true }x%{ endif }", `"quoted" \\ back`, "two\nlines\tand tab", "é ✓ \u0007"]
      const names = values.map((_, at) => `v${at}`)
      const files = { "main.tf": names.map((name) => `variable "${name}" {}\noutput "${name}" {\n  value = var.${name}\n}\n`).join("") + `variable "list" {}\noutput "list" {\n  value = var.list\n}\noutput "env" {\n  value = "s3cret-value-xyz"\n}\n` }
      const here = yield* pod()
      const kubernetes = inline("apply", files, {
        backend: { type: "local", config: { path: join(here.claim, "demo.tfstate") } },
        jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: here.claim }] },
        variables: [
          ...names.map((name, at) => ({ name, value: values[at] })),
          { name: "list", value: `["a", "b"]`, hcl: true },
          { name: "TOKEN", value: "s3cret-value-xyz", category: "env", sensitive: true }
        ]
      })
      yield* here.run(kubernetes)
      expect(kubernetes.task().status.reason, here.log()).toBe("Completed")
      const { outputs } = JSON.parse(readFileSync(join(here.claim, "demo.tfstate"), "utf8"))
      expect(names.map((name) => outputs[name].value)).toEqual(values)
      expect(outputs.list.value).toEqual(["a", "b"])
      expect(here.log()).not.toContain("s3cret-value-xyz")
      expect(here.log()).toContain("***")
    }))

  it.live("applies with a state that outlives the Pod, and destroys from it in another one", () =>
    Effect.gen(function*() {
      const first = yield* pod()
      const task = (stage: string) => inline(stage, { "main.tf": main }, { variables: [{ name: "region", value: "eu" }], backend: { type: "local", config: { path: join(first.claim, "demo.tfstate") } }, jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: first.claim }] } })
      const state = () => JSON.parse(readFileSync(join(first.claim, "demo.tfstate"), "utf8"))
      const applied = task("apply")
      yield* first.run(applied)
      expect(applied.task().status, first.log()).toMatchObject({ phase: "Succeeded", result: { outcome: "succeeded" } })
      expect(state().resources).toHaveLength(1)
      const { status } = yield* ran(task("destroy"))
      expect(status).toMatchObject({ phase: "Succeeded", message: "tofu destroy ended with success.", result: { changes: { add: 0, change: 0, destroy: 1 } } })
      expect(state().resources).toHaveLength(0)
    }))

  it.live.each([
    { given: "no backend", backend: undefined },
    { given: "a backend in the Pod's own files", backend: { type: "local", config: { path: "demo.tfstate" } } }
  ])("refuses an apply with $given before anything is changed", ({ backend }) =>
    Effect.gen(function*() {
      const { exit, log, status } = yield* ran(inline("apply", { "main.tf": main }, { variables: [{ name: "region", value: "eu" }], ...(backend !== undefined && { backend }) }))
      expect(status).toMatchObject({ phase: "Failed", reason: "InvalidConfiguration", message: expect.stringMatching(/would be deleted with the Pod/u) })
      expect(log()).not.toContain("$ tofu apply")
      expect(exitCode(exit)).toBe(1)
    }))

  it.live.each([
    { given: "a syntax error", files: { "main.tf": "resource \"time_static\" \"x\" {" }, reason: "InvalidConfiguration", says: /Unclosed configuration block/u },
    { given: "no configuration", files: { "readme.md": "nothing" }, reason: "ExitCode", says: /No configuration files/u },
    { given: "a provider that is missing", files: { "main.tf": "resource \"random_pet\" \"x\" {}\n" }, reason: "ProviderMissing", says: /provider hashicorp\/random/u },
    { given: "an argument that does not exist", files: { "main.tf": `${providers}resource "time_static" "x" {\n  nope = 1\n}\n` }, reason: "ExitCode", says: /tofu plan failed with exit code 1: Unsupported argument;/u }
  ])("fails with its reason for $given", ({ files, reason, says }) =>
    Effect.gen(function*() {
      const { exit, lastWords, log, status } = yield* ran(inline("plan", files))
      expect(status, log()).toMatchObject({ phase: "Failed", reason, message: expect.stringMatching(says), result: { outcome: "failed", exitCode: 1 } })
      expect(lastWords()).toEqual(status.result)
      expect(log()).toContain(status.message)
      expect(exitCode(exit)).toBe(1)
    }))

  it.live.each([
    { given: "an engine that the image has not", engine: { name: "terraform" }, reason: "EngineMissing", says: /no terraform in its PATH/u },
    { given: "another version than the image has", engine: { name: "tofu", version: "1.0.0" }, reason: "InvalidConfiguration", says: /has tofu 1\.12\.6, but the task asks for 1\.0\.0/u }
  ])("fails with its reason for $given", ({ engine, reason, says }) =>
    Effect.gen(function*() {
      const { status } = yield* ran(inline("plan", { "main.tf": main }, { engine }))
      expect(status).toMatchObject({ phase: "Failed", reason, message: expect.stringMatching(says) })
    }))

  it.live("does nothing at all when another Pod has the task", () =>
    Effect.gen(function*() {
      const claim: AgentTaskStatus["claim"] = { podUid: Uid.make("other"), nonce: "n", epoch: 0, at: "2026-01-01T00:00:00Z" }
      const kubernetes = fakeKubernetes({ workspace: "demo", stage: "plan", source: { inline: {} } }, { phase: "Running", claim })
      const { dataDirectory, exit, log } = yield* ran(kubernetes)
      expect(exitCode(exit)).toBe(75)
      expect(log()).toBe("")
      expect(existsSync(join(dataDirectory, "work"))).toBe(false)
      expect(kubernetes.writes()).toBe(0)
    }))
})

describe("a stage of a pool", () => {
  it.live("plans, and applies that very plan in another Pod", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": main })
      api.variables = [{ name: "region", value: "top-secret-region", sensitive: true }]
      const { log, status: { reportedAt, result } } = yield* ran(poolTask(api, "plan"), {}, (here) => token(here, api))
      expect(result, log()).toMatchObject({ outcome: "succeeded", planDigest: sha256(api.plan ?? new Uint8Array()), hasChanges: true })
      expect(reportedAt).toBe(result?.finishedAt)
      expect(api.results).toEqual([result])
      expect(text(api.log)).toContain("time_static.now")
      expect(text(api.log)).not.toContain("top-secret-region")
      expect(api.requests.filter((request) => request.includes("/state"))).toEqual(api.requests.filter((request) => request.startsWith("GET /state ")))

      api.log = new Uint8Array()
      const applied = yield* ran(poolTask(api, "apply", { plan: { sha256: result?.planDigest } }), {}, (here) => token(here, api))
      expect(applied.status.result, applied.log()).toMatchObject({ outcome: "succeeded", statePushed: true, exitCode: 0, changes: { add: 1, change: 0, destroy: 0 } })
      expect(JSON.parse(text(api.state)).outputs.region.value).toBe("top-secret-region")
      expect(api.lock).toBeUndefined()
      expect(text(api.log)).not.toContain("top-secret-region")
    }))

  it.live("refuses an apply without a saved plan", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": main })
      const { log, status } = yield* ran(poolTask(api, "apply"), {}, (here) => token(here, api))
      expect(status).toMatchObject({ phase: "Failed", reason: "InvalidConfiguration", message: expect.stringContaining("spec.plan is missing") })
      expect(log()).toBe("")
    }))

  it.live.each(["archive", "plan"] as const)("starts nothing when the %s is not the approved one", (changed) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow })
      const kubernetes = poolTask(api, "apply", { plan: { sha256: digest } })
      const bytes = Buffer.from(api[changed] ?? "")
      const middle = bytes.length >> 1
      bytes[middle] = (bytes[middle] ?? 0) ^ 1
      api[changed] = bytes
      const { dataDirectory, log, status } = yield* ran(kubernetes, {}, (here) => token(here, api))
      expect(status).toMatchObject({ phase: "Failed", reason: "DigestMismatch" })
      expect(log()).not.toContain("$ tofu")
      expect(existsSync(join(dataDirectory, "work/plan.tfplan"))).toBe(false)
    }))

  it.live("says so when the archive is hostile", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "../evil.tf": "x" })
      const { dataDirectory, status } = yield* ran(poolTask(api, "plan"), {}, (here) => token(here, api))
      expect(status).toMatchObject({ phase: "Failed", reason: "InvalidArchive" })
      expect(existsSync(join(dataDirectory, "evil.tf"))).toBe(false)
      expect(api.results).toEqual([status.result])
    }))

  it.live("fails when the server does not answer, or refuses the token", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const up = api.goDown()
      const unreachable = yield* ran(poolTask(api, "plan"), {}, (here) => token(here, api))
      expect(unreachable.status).toMatchObject({ phase: "Failed", reason: "PoolUnreachable" })
      up()
      const refused = yield* ran(poolTask(api, "plan"), {}, (here) => {
        const env = token(here, api)
        writeFileSync(env.AGENT_JOB_TOKEN_FILE, "another")
        return env
      })
      expect(refused.status).toMatchObject({ phase: "Failed", reason: "TokenRefused" })
    }))

  it.live("keeps its log and its state through an outage of the server in the middle of an apply", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow.replace("60s", "2s") })
      const { logged, log, kubernetes, running } = yield* applying(api, digest)
      yield* logged("time_sleep.second: Creating...")
      const up = api.goDown()
      yield* logged("time_sleep.second: Creation complete")
      let tries = 0
      api.onRequest = (request) => void (request.endsWith("/state") && tries++)
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => tries > 3 }).pipe(Effect.timeout("20 seconds"))
      expect(kubernetes.task().status.phase).toBe("Running")
      up()
      yield* Fiber.join(running)
      expect(kubernetes.task().status, log()).toMatchObject({ phase: "Succeeded", result: { statePushed: true } })
      expect(addresses(api)).toEqual(["time_sleep.second", "time_static.first"])
      expect(text(api.log)).toBe(log())
    }))

  it.live("says where the state is when the server takes it no more", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow.replace("60s", "1s") })
      const { logged, log, kubernetes, privateDirectory, running } = yield* applying(api, digest)
      yield* logged("time_sleep.second: Creating...")
      api.lock = { ID: "somebody-else" }
      api.epoch++
      yield* Fiber.join(running)
      const { result } = kubernetes.task().status
      expect(result, log()).toMatchObject({ outcome: "failed", reason: "StateNotSaved", statePushed: false, exitCode: 1 })
      expect(result?.message).toContain(join(privateDirectory, "unsaved.tfstate"))
      expect(JSON.parse(readFileSync(join(privateDirectory, "unsaved.tfstate"), "utf8")).resources).toHaveLength(2)
      expect(api.lock).toEqual({ ID: "somebody-else" })
    }))

  it.live("leaves its state encrypted on the shared volume when the server stays away, and the next stage's worker takes it to the server", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow.replace("60s", "1s") })
      const shared = { AGENT_JOB_CACHE_DIR: (yield* pod()).claim, AGENT_JOB_STATE_PATIENCE: "1 second" }
      const folder = join(shared.AGENT_JOB_CACHE_DIR, "kept-states")
      const { logged, log, kubernetes, running } = yield* applying(api, digest, {}, { ...shared, AGENT_JOB_GRACE_SECONDS: "10" })
      yield* logged("time_sleep.second: Creating...")
      let tries = 0
      api.onRequest = (request) => void (request.endsWith("/state") && tries++)
      const up = api.goDown()
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => tries > 2 }).pipe(Effect.timeout("20 seconds"))
      process.emit("SIGTERM", "SIGTERM")
      yield* Fiber.join(running)
      const { result } = kubernetes.task().status
      expect(result, log()).toMatchObject({ outcome: "failed", reason: "StateNotSaved", statePushed: false })
      expect(result?.message).toContain(`It is kept, encrypted, as ${folder}/`)
      expect(readdirSync(folder)).toHaveLength(1)
      up()
      yield* Effect.scoped(ran(poolTask(api, "plan"), {}, (here) => ({ ...token(here, api), ...shared })))
      expect([api.keptStates.length, readdirSync(folder)]).toEqual([1, []])
      expect(text(api.keptStates[0]).startsWith("agent-job-state/1 ")).toBe(true)
      expect(text(api.keptStates[0])).not.toContain("time_sleep")
    }))
})

describe("a stage that has to stop", () => {
  it.live("is cancelled in mid-apply with one interrupt, and its state is kept", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow })
      const { logged, log, kubernetes, running } = yield* applying(api, digest)
      yield* logged("time_sleep.second: Creating...")
      yield* kubernetes.cancel
      const exit = yield* Fiber.join(running)
      expect(kubernetes.task().status, log()).toMatchObject({ phase: "Cancelled", reason: "Cancelled", result: { outcome: "cancelled", statePushed: true, exitCode: 1, changes: { add: 1, change: 0, destroy: 0 } } })
      expect(log().match(/Interrupt received/gu)).toHaveLength(1)
      expect(addresses(api)).toContain("time_static.first")
      expect(api.lock).toBeUndefined()
      expect(exitCode(exit)).toBe(1)
    }))

  it.live.each([
    { given: "its time is over", timeoutSeconds: 3, env: {} },
    { given: "the time of all Jobs is over, though it may take longer itself", timeoutSeconds: 3600, env: { AGENT_JOB_TIMEOUT_LIMIT_SECONDS: "3" } }
  ])("ends with DeadlineExceeded when $given", ({ env, timeoutSeconds }) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow })
      const { log, kubernetes, running } = yield* applying(api, digest, { timeoutSeconds }, env)
      yield* Fiber.join(running)
      expect(text(api.log).includes("Timeout: 3 seconds, since task.job.activeDeadlineSeconds")).toBe(timeoutSeconds > 3)
      expect(kubernetes.task().status, log()).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded", result: { outcome: "failed", statePushed: true } })
    }))

  it.live("gets one interrupt for a cancel, a SIGTERM and another cancel", () =>
    Effect.gen(function*() {
      const here = yield* pod({
        tofu: `#!/bin/sh
case $1 in
version) echo '{"terraform_version": "9.9.9"}' ;;
init) trap 'echo interrupted; n=$((n + 1)); [ $n = 1 ] || echo again' INT; echo waiting; i=0; while [ $i -lt 20 ]; do sleep 0.1; i=$((i + 1)); done; exit 1 ;;
esac
`
      })
      const kubernetes = inline("plan", { "main.tf": main })
      const running = yield* Effect.forkChild(here.run(kubernetes, { AGENT_JOB_GRACE_SECONDS: "120" }))
      yield* here.logged("waiting")
      yield* kubernetes.cancel
      process.emit("SIGTERM", "SIGTERM")
      yield* here.logged("interrupted")
      process.emit("SIGTERM", "SIGTERM")
      yield* Fiber.join(running)
      expect(kubernetes.task().status, here.log()).toMatchObject({ phase: "Cancelled", message: "The stage was cancelled during tofu init; nothing was changed." })
      expect(here.log()).not.toContain("again")
      expect(here.log()).not.toContain("$ tofu plan")
    }))

  it.live("starts nothing more, though the command that was interrupted ended well", () =>
    Effect.gen(function*() {
      const here = yield* pod({
        tofu: `#!/bin/sh
case $1 in
version) echo '{"terraform_version": "9.9.9"}' ;;
init) trap 'exit 0' INT; echo waiting; while :; do sleep 0.1; done ;;
*) echo "started $1" >>started ;;
esac
`
      })
      const kubernetes = inline("plan", { "main.tf": main })
      const running = yield* Effect.forkChild(here.run(kubernetes, { AGENT_JOB_GRACE_SECONDS: "60" }))
      yield* here.logged("waiting")
      yield* kubernetes.cancel
      yield* Fiber.join(running)
      expect(kubernetes.task().status, here.log()).toMatchObject({ phase: "Cancelled" })
      expect(existsSync(join(here.dataDirectory, "work/started"))).toBe(false)
    }))

  it.live("is ended by force when it does not listen, within the grace", () =>
    Effect.gen(function*() {
      const here = yield* pod({
        tofu: `#!/bin/sh
[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit
trap 'echo no' INT
trap 'echo never' TERM
echo waiting
while :; do sleep 0.1; done
`
      })
      const kubernetes = inline("plan", { "main.tf": main })
      const running = yield* Effect.forkChild(here.run(kubernetes, { AGENT_JOB_GRACE_SECONDS: "4" }))
      yield* here.logged("waiting")
      process.emit("SIGTERM", "SIGTERM")
      const [, exit] = [yield* here.logged("never"), yield* Fiber.join(running)]
      expect(here.log()).toMatch(/waiting\nno\n[^]*never\n/u)
      expect(kubernetes.task().status).toMatchObject({ phase: "Failed", reason: "Evicted", result: { exitCode: 137 } })
      expect(exitCode(exit)).toBe(1)
    }))

  it.live("starts no engine when the cancel comes while it is still fetching its archive", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": main })
      const kubernetes = poolTask(api, "plan")
      api.fault("GET /archive", ...Array.from({ length: 100 }, () => "break" as const))
      api.onRequest = (request) => void (request === "GET /archive" && Effect.runSync(kubernetes.cancel))
      const { log, status } = yield* ran(kubernetes, {}, (here) => ({ ...token(here, api), AGENT_JOB_POOL_PATIENCE: "1 minute" }))
      expect(status).toMatchObject({ phase: "Cancelled", message: "The stage was cancelled; nothing was changed." })
      expect(log()).not.toContain("$ tofu")
    }))
})

describe("the journal of an apply", () => {
  /** Made one after another, each at once, with a word to a file outside of the engine; and then one that takes a minute. */
  const chain = (outside: string) => `${providers}
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
  const ids = (file: string) => existsSync(file) ? readFileSync(file, "utf8").split("\n").filter((line) => line !== "") : []
  const numbers = ({ journal }: TaskApi) => journal.map(({ number }) => number)

  it.live("names every resource that an engine made before it was killed, and the one that it was making", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const outside = join((yield* pod()).claim, "outside")
      const digest = yield* planned(api, { "main.tf": chain(outside) })
      const { logged, log, kubernetes, killEngine, running } = yield* applying(api, digest)
      yield* logged("time_sleep.last: Creating...")
      yield* killEngine
      yield* Fiber.join(running)
      const made = ids(outside)
      expect(made).toHaveLength(3)
      expect(api.state).toBeUndefined() // what the engine knew is lost with it
      const { result } = kubernetes.task().status
      expect(result, log()).toMatchObject({ outcome: "failed", reason: "OutOfMemory", changes: { add: 3, change: 0, destroy: 0 } })
      for (const id of made) expect(result?.message).toContain(`[id=${id}]`)
      expect(result?.message).toMatch(/Made, but not in the state: terraform_data\.made.*Begun, with an end that nobody saw: time_sleep\.last \(create\)\.$/u)
      expect(api.journal.filter(({ kind }) => kind === "done").map(({ id }) => id).sort()).toEqual([...made].sort())
      expect(api.journal.at(-1)).toMatchObject({ kind: "started", address: "time_sleep.last" })
      expect(numbers(api)).toEqual(api.journal.map((_, at) => at + 1))
    }))

  it.live("reaches the server while the engine works, and after an outage", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const outside = join((yield* pod()).claim, "outside")
      const digest = yield* planned(api, { "main.tf": chain(outside).replace("60s", "3s") })
      const { logged, log, kubernetes, running } = yield* applying(api, digest)
      yield* logged("terraform_data.made")
      const up = api.goDown()
      yield* logged("time_sleep.last: Creating...")
      expect(api.journal.some(({ address }) => address === "time_sleep.last")).toBe(false)
      up()
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => api.journal.some(({ address }) => address === "time_sleep.last") }).pipe(Effect.timeout("10 seconds"))
      expect(kubernetes.task().status.phase).toBe("Running")
      yield* Fiber.join(running)
      expect(kubernetes.task().status.result, log()).toMatchObject({ outcome: "succeeded", message: "tofu apply ended with success.", changes: { add: 4, change: 0, destroy: 0 } })
      expect(numbers(api)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    }))

  it.live("says nothing of an apply that was interrupted in order, since its state has everything", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const outside = join((yield* pod()).claim, "outside")
      const digest = yield* planned(api, { "main.tf": chain(outside) })
      const { logged, kubernetes, running } = yield* applying(api, digest)
      yield* logged("time_sleep.last: Creating...")
      yield* kubernetes.cancel
      yield* Fiber.join(running)
      expect(kubernetes.task().status.result).toMatchObject({ outcome: "cancelled", statePushed: true, message: expect.stringMatching(/what it had made is in the state\.$/u) })
      expect(addresses(api)).toContain("terraform_data.made")
    }))

  it.live("names what a stage without a pool made, since nobody here can look into its state", () =>
    Effect.gen(function*() {
      const here = yield* pod()
      const outside = join(here.claim, "outside")
      const kubernetes = inline("apply", { "main.tf": chain(outside) }, { backend: { type: "local", config: { path: join(here.claim, "demo.tfstate") } }, jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: here.claim }] } })
      const running = yield* Effect.forkChild(here.run(kubernetes))
      yield* here.logged("time_sleep.last: Creating...")
      yield* here.killEngine
      yield* Fiber.join(running)
      expect(kubernetes.task().status.result?.message).toMatch(/Made by this stage; see that the state has it: terraform_data\.made/u)
    }))
})

describe("an engine that tells what it likes", () => {
  const hostile = (apply: string) => ({
    tofu: `#!/bin/sh
event() { echo "{\\"type\\":\\"apply_complete\\",\\"hook\\":{\\"resource\\":{\\"addr\\":\\"$1\\"},\\"action\\":\\"create\\",\\"id_key\\":\\"id\\",\\"id_value\\":\\"$2\\"}}"; }
case $1 in
version) echo '{"terraform_version": "9.9.9"}' ;;
init) echo '{"backend":{"type":"s3"}}' >"$TF_DATA_DIR/terraform.tfstate" ;;
apply) ${apply} ;;
esac
`
  })
  it.live.each([
    { given: "a line of 30 MB among its events", apply: "head -c 30000000 /dev/zero >/dev/fd/7; echo >/dev/fd/7; event a.b 1 >/dev/fd/7; exit 1", add: 1 },
    { given: "no JSON, and half of one", apply: "{ echo apply_complete; echo '{\"type\":\"apply_complete\"'; event a.b 1; event a.c 2 | head -c 30; } >/dev/fd/7; exit 1", add: 1 },
    { given: "events that it never opens", apply: "exec 7>&-; exit 1", add: 0 },
    { given: "events that a process keeps open which it left behind", apply: "event a.b 1 >/dev/fd/7; (trap '' INT TERM HUP; exec sleep 20) & exit 1", add: 1 }
  ])("ends its stage with $given", ({ add, apply }) =>
    Effect.gen(function*() {
      const { log, status } = yield* ran(inline("apply", {}), hostile(apply))
      expect(status, log()).toMatchObject({ phase: "Failed", reason: "ExitCode", result: { exitCode: 1, changes: { add, change: 0, destroy: 0 } } })
    }))
})

describe("a runner that fails", () => {
  it.live("ends the stage with OutOfMemory when its container is started again, and runs nothing twice", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow })
      const { logged, log, kubernetes, restartRunner, running } = yield* applying(api, digest)
      yield* logged("time_sleep.second: Creating...")
      yield* restartRunner
      yield* Fiber.join(running)
      expect(kubernetes.task().status, log()).toMatchObject({ phase: "Failed", reason: "OutOfMemory", message: expect.stringMatching(/Look at the state before the next run\. Made, but not in the state: time_static\.first \[id=/u) })
      expect(log().match(/time_static\.first: Creating\.\.\./gu)).toHaveLength(1)
      expect(api.lock, "the server is to know that the engine did not end in order").toBeDefined()
    }))

  it.live("says so when it has no exec loop", () =>
    Effect.gen(function*() {
      const { status } = yield* ran(inline("plan", { "main.tf": main }), {}, () => ({ AGENT_JOB_DATA_DIR: "/no/such/directory", AGENT_JOB_RUNNER_PATIENCE: "300 millis" }))
      expect(status).toMatchObject({ phase: "Failed", reason: "InvalidConfiguration" })
    }))
})
