// Whole stages of a pool with the real engine: only what was approved is applied, and an outage loses no state.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { until } from "../../until.ts"
import { sha256, tarGz, taskApi } from "../fake-task-api.ts"
import { find, pod } from "../pod.ts"
import { addresses, applying, main, planned, poolTask, providers, ran, slow, text, token } from "../whole-stage.ts"

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
      expect(api.requests.filter((request) => request.includes("/state"))).toEqual(
        api.requests.filter((request) => request.startsWith("GET /state "))
      )

      api.log = new Uint8Array()
      const applied = yield* ran(poolTask(api, "apply", { plan: { sha256: result?.planDigest } }), {}, (here) => token(here, api))
      expect(applied.status.result, applied.log()).toMatchObject({
        outcome: "succeeded",
        statePushed: true,
        stateDigest: sha256(api.state ?? new Uint8Array()),
        exitCode: 0,
        changes: { add: 1, change: 0, destroy: 0 }
      })
      expect(JSON.parse(text(api.state)).outputs.region.value).toBe("top-secret-region")
      expect(api.lock).toBeUndefined()
      expect(text(api.log)).not.toContain("top-secret-region")
    }))

  it.live("applies a plan that changes nothing, which may leave its state as it is stored", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": `resource "terraform_data" "a" {}\n` })
      const stage = (task: Parameters<typeof poolTask>[1], plan?: string) =>
        Effect.scoped(ran(poolTask(api, task, plan === undefined ? {} : { plan: { sha256: plan } }), {}, (here) => token(here, api)))
      const planned = (hasChanges: boolean) =>
        Effect.gen(function*() {
          api.plan = undefined
          const { log, status } = yield* stage("plan")
          expect(status.result, log()).toMatchObject({ outcome: "succeeded", hasChanges })
          return status.result?.planDigest
        })
      yield* stage("apply", yield* planned(true))
      const stored = api.state
      const empty = yield* stage("apply", yield* planned(false))
      expect(empty.status.result, empty.log()).toMatchObject({ outcome: "succeeded", changes: { add: 0, change: 0, destroy: 0 } })
      expect(addresses(api)).toEqual(["terraform_data.a"])
      expect(api.state).toEqual(stored)
      expect(api.lock).toBeUndefined()
    }))

  it.live("applies a configuration with a provider of Terraform's registry, whose entry in the lock file OpenTofu takes for its own too", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, {
        "main.tf": `${providers.replace("hashicorp", "registry.terraform.io/hashicorp")}resource "time_static" "now" {}\n`
      })
      const { log, status } = yield* ran(poolTask(api, "apply", { plan: { sha256: digest } }), {}, (here) => token(here, api))
      expect(status.reason, log()).toBe("Completed")
      expect(addresses(api)).toEqual(["time_static.now"])
    }))

  it.live("applies a configuration that looks at its own directory, where each file is as it was when it was planned", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.variables = [{ name: "region", value: "eu" }]
      const looks = `resource "terraform_data" "a" {
  triggers_replace = [for name in fileset(path.root, "**") : "\${name} \${filesha1("\${path.root}/\${name}")}"]
}
`
      const digest = yield* planned(api, { "main.tf": main, "looks.tf": looks })
      const { log, status } = yield* ran(poolTask(api, "apply", { plan: { sha256: digest } }), {}, (here) => token(here, api))
      expect(status.reason, log()).toBe("Completed")
      expect(text(api.state)).toContain(".terraform.lock.hcl ")
    }))

  it.live("takes the lock of its state before it makes anything, whatever the arguments of its apply say", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.variables = [{ name: "TF_CLI_ARGS_apply", value: "-lock=false -state=x -state-out=y", category: "env" }]
      const digest = yield* planned(api, { "main.tf": `resource "terraform_data" "a" {}\n` })
      const { log, status } = yield* ran(poolTask(api, "apply", { plan: { sha256: digest } }), {}, (here) => token(here, api))
      expect(status.reason, log()).toBe("Completed")
      const ofState = api.requests.filter((request) => request.startsWith("POST /state"))
      expect(ofState.map((request) => request.split(" ")[1])).toEqual(["/state/lock", "/state", "/state/unlock"])
    }))

  it.live.each([
    { name: "TF_CLI_ARGS", value: "-input=false" },
    { name: "TF_CLI_ARGS_init", value: "-upgrade" },
    { name: "TF_CLI_ARGS_plan", value: "-detailed-exitcode" },
    { name: "TF_CLI_ARGS_apply", value: "-json" }
  ])("plans, applies and tells what it made with $value in $name", ({ name, value }) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.variables = [{ name, value, category: "env" }]
      const digest = yield* planned(api, { "main.tf": `resource "terraform_data" "a" {}\n` })
      const { log, status } = yield* ran(poolTask(api, "apply", { plan: { sha256: digest } }), {}, (here) => token(here, api))
      expect(status, log()).toMatchObject({ reason: "Completed" })
      expect(api.serials).toEqual([1])
      expect(api.journal.map(({ kind }) => kind)).toContain("started")
    }))

  it.live("has not succeeded when its engine ended well and applied nothing, as an image may have it", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": `resource "terraform_data" "a" {}\n` })
      const helpful = { tofu: `#!/bin/sh\nTF_CLI_ARGS_apply=-help exec ${find("tofu")} "$@"\n` }
      const { log, status } = yield* ran(poolTask(api, "apply", { plan: { sha256: digest } }), helpful, (here) => token(here, api))
      expect(status, log()).toMatchObject({
        phase: "Failed",
        reason: "InvalidConfiguration",
        message: expect.stringMatching(/never locked the state, so it applied nothing/u)
      })
      expect(api.serials).toEqual([])
    }))

  it.live("refuses an apply without a saved plan", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": main })
      const { log, status } = yield* ran(poolTask(api, "apply"), {}, (here) => token(here, api))
      expect(status).toMatchObject({
        phase: "Failed",
        reason: "InvalidConfiguration",
        message: expect.stringContaining("spec.plan is missing")
      })
      expect(log()).toBe("")
    }))

  const own = "terraform {\n  backend \"local\" {}\n}\n"
  it.live.each([
    { given: "an override file that sorts after ours", files: { "übungs_override.tf": own }, found: "the backend local" },
    { given: "the file that OpenTofu reads instead of ours", files: { "zzzz_agent_job_override.tofu": own }, found: "the backend local" },
    { given: "an init without a backend", files: {}, env: { TF_CLI_ARGS_init: "-backend=false" }, found: "no backend" }
  ])("is not even planned when its state would go elsewhere by $given", ({ env = {}, files, found }) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": `resource "terraform_data" "a" {}\n`, ...files })
      const variables = Object.entries(env).map(([name, value]) => ({ name, value, category: "env" }))
      const { log, status } = yield* ran(poolTask(api, "plan", { variables }), {}, (here) => token(here, api))
      expect(status, log()).toMatchObject({
        phase: "Failed",
        reason: "InvalidConfiguration",
        message: expect.stringContaining(`The state would go to ${found} instead of the pool's server`)
      })
      expect([log().includes("$ tofu plan"), api.plan]).toEqual([false, undefined])
    }))

  it.live("fails its plan where the run sets a variable that the configuration does not declare, as the engine does for -var", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": `variable "region" {\n  default = "eu"\n}\noutput "region" {\n  value = var.region\n}\n` })
      const plan = (...variables: typeof api.variables) =>
        Effect.suspend(() => {
          api.variables = variables
          return Effect.scoped(ran(poolTask(api, "plan"), {}, (here) => token(here, api)))
        })
      const failed = yield* plan({ name: "regoin", value: `"us"`, hcl: true, declared: true })
      expect(failed.status.result, failed.log()).toMatchObject({
        outcome: "failed",
        reason: "InvalidConfiguration",
        message: "This run sets the variable regoin, which its configuration does not declare; did you mean region?"
      })
      expect(api.plan).toBeUndefined()
      const good = yield* plan({ name: "of-others", value: "x" }, { name: "region", value: `"us"`, hcl: true, declared: true })
      expect(good.status.result, good.log()).toMatchObject({ outcome: "succeeded", hasChanges: true })
    }))

  it.live("says that a backend of the configuration is not used, while the workspace has no state", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({
        "main.tf": `resource "terraform_data" "a" {}\n`,
        "backend.tf": `terraform {\n  backend "s3" {\n    bucket = "old"\n  }\n}\n`
      })
      const plan = Effect.suspend(() => Effect.scoped(ran(poolTask(api, "plan"), {}, (here) => token(here, api))))
      const { log, status } = yield* plan
      expect(status.result, log()).toMatchObject({ outcome: "succeeded", unusedBackend: "s3" })
      expect(text(api.log)).toContain(
        `The backend s3 of the configuration is not used: the server at ${api.url} keeps the state of workspace demo, and has none yet.`
      )
      const digest = status.result?.planDigest
      api.log = new Uint8Array()
      yield* Effect.scoped(ran(poolTask(api, "apply", { plan: { sha256: digest } }), {}, (here) => token(here, api)))
      expect([addresses(api), text(api.log).includes("not used")]).toEqual([["terraform_data.a"], false])
      api.plan = undefined
      const again = yield* plan
      expect([again.status.result?.outcome, again.status.result?.unusedBackend]).toEqual(["succeeded", undefined])
    }))

  it.live("keeps its state at the server, whatever backend or cloud block the configuration has elsewhere", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const cloud = `terraform {\n  cloud {\n    organization = "o"\n    workspaces {\n      name = "w"\n    }\n  }\n}\n`
      const digest = yield* planned(api, {
        "main.tf": `resource "terraform_data" "a" {}\n`,
        "backend.tf": cloud,
        "backend_override.tf": own
      })
      const { log, status } = yield* ran(poolTask(api, "apply", { plan: { sha256: digest } }), {}, (here) => token(here, api))
      expect(status.result, log()).toMatchObject({ outcome: "succeeded", statePushed: true })
      expect(addresses(api)).toEqual(["terraform_data.a"])
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
      expect(existsSync(join(dataDirectory, "engine/plan.tfplan"))).toBe(false)
    }))

  it.live("keeps what its state has where the next configuration is in another directory, until a destroy is asked for", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const next = Effect.fnUntraced(function*(stage: string, file: string, more: Record<string, unknown> = {}) {
        api.archive = tarGz({ [file]: `resource "terraform_data" "a" {}\n` })
        if (stage === "plan") api.plan = undefined
        const { status } = yield* ran(poolTask(api, stage, more), {}, (here) => token(here, api))
        return { reason: status.reason, plan: { plan: { sha256: status.result?.planDigest } } }
      }, Effect.scoped)
      yield* next("apply", "main.tf", (yield* next("plan", "main.tf")).plan)
      expect(addresses(api)).toEqual(["terraform_data.a"])
      expect((yield* next("plan", "live/main.tf")).reason).toBe("InvalidConfiguration")
      const all = yield* next("plan", "live/main.tf", { options: { destroy: true } })
      expect((yield* next("apply", "live/main.tf", all.plan)).reason).toBe("Completed")
      expect(addresses(api)).toEqual([])
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
      const unreachable = yield* ran(poolTask(api, "plan"), {}, (here) => token(here, api, "1 second"))
      expect(unreachable.status).toMatchObject({ phase: "Failed", reason: "PoolUnreachable" })
      up()
      const refused = yield* ran(poolTask(api, "plan"), {}, (here) => {
        const env = token(here, api, "1 second")
        writeFileSync(env.AGENT_JOB_TOKEN_FILE, "another")
        return env
      })
      expect(refused.status).toMatchObject({ phase: "Failed", reason: "TokenRefused" })
    }))

  it.live.each([
    { given: "from its lock on", stage: "apply" },
    { given: "from its init on", stage: "plan" }
  ])(
    "ends in the words of the server when this does not give the state $given, with no lock and no doubt left",
    ({ stage }) =>
      Effect.gen(function*() {
        const api = yield* taskApi
        const digest = yield* planned(api, { "main.tf": slow })
        const refuse = () => api.fault("GET /state", ...Array.from({ length: 100 }, () => ({ status: 503, error: "damaged" }) as const))
        if (stage === "plan") refuse()
        api.onRequest = (request) => {
          if (request === "POST /state/lock" && api.lock === undefined) refuse()
        }
        const kubernetes = poolTask(api, stage, stage === "plan" ? {} : { plan: { sha256: digest } })
        const { log, status } = yield* ran(kubernetes, {}, (here) => token(here, api, "1 second"))
        expect(status, log()).toMatchObject({
          phase: "Failed",
          reason: "PoolUnreachable",
          message: "Refused as damaged.",
          result: { exitCode: 1 }
        })
        expect(status.result).not.toHaveProperty("statePushed")
        expect(text(api.log)).toContain("Refused as damaged.")
        expect([api.lock, api.journal]).toEqual([undefined, []])
      })
  )

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
      yield* until(() => tries > 3)
      expect(kubernetes.task().status.phase).toBe("Running")
      up()
      yield* Fiber.join(running)
      expect(kubernetes.task().status, log()).toMatchObject({ phase: "Succeeded", result: { statePushed: true } })
      expect(addresses(api)).toEqual(["time_sleep.second", "time_static.first"])
      expect(text(api.log)).toBe(log())
    }))

  it.live("says where the state is when the server keeps it as evidence", () =>
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
      expect(result?.message).toMatch(/^The pool's server refused the last state and keeps it as evidence, /u)
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
      yield* until(() => tries > 2)
      process.emit("SIGTERM", "SIGTERM")
      yield* Fiber.join(running)
      const { result } = kubernetes.task().status
      expect(result, log()).toMatchObject({ outcome: "failed", reason: "StateNotSaved", statePushed: false })
      expect(result?.message).toContain(`The last state is kept, encrypted, as ${folder}/`)
      expect(readdirSync(folder)).toHaveLength(1)
      up()
      yield* Effect.scoped(ran(poolTask(api, "plan"), {}, (here) => ({ ...token(here, api), ...shared })))
      expect([api.keptStates.length, readdirSync(folder)]).toEqual([1, []])
      expect(text(api.keptStates[0]).startsWith("agent-job-state/1 ")).toBe(true)
      expect(text(api.keptStates[0])).not.toContain("time_sleep")
    }))
})
