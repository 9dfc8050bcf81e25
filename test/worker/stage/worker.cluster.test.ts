// Whole stages with the real engine: how a task without a pool ends, and what a broken runner does to a stage.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { fakeKubernetes } from "../fake-kubernetes.ts"
import { taskApi } from "../fake-task-api.ts"
import { find, type Pod, pod } from "../pod.ts"
import { applying, exitCode, inline, main, planned, providers, ran, slow } from "../whole-stage.ts"

/** An apply whose state is on a claim, with these variables in the engine's environment. */
const onClaim = ({ claim }: Pod, env: Readonly<Record<string, string>>) =>
  inline("apply", { "main.tf": main }, {
    variables: [{ name: "region", value: "eu" }, ...Object.entries(env).map(([name, value]) => ({ name, value, category: "env" }))],
    backend: { type: "local", config: { path: join(claim, "demo.tfstate") } },
    jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: claim }] }
  })

describe("a stage without a pool", () => {
  it.live("plans an inline configuration and writes its result to status", () =>
    Effect.gen(function*() {
      const { exit, lastWords, log, status } = yield* ran(
        inline("plan", { "main.tf": main }, { variables: [{ name: "region", value: "eu" }] })
      )
      expect(status.message, log()).toBe("tofu plan ended with success.")
      expect(exitCode(exit)).toBe(0)
      expect(status).toMatchObject({
        phase: "Succeeded",
        reason: "Completed",
        result: { exitCode: 0, changes: { add: 1, change: 0, destroy: 0 }, hasChanges: true }
      })
      expect(lastWords()).toEqual(status.result)
      expect(log().split("\n").slice(0, 3)).toEqual([
        "Worker: Pod demo-abcde on node node-1",
        "Engine: tofu 1.12.6",
        "Workspace: demo, plan"
      ])
      expect(log()).toContain("\u001b[1m$ tofu plan\u001b[0m\n")
      expect(log()).toContain("\u001b[32m+\u001b[0m")
    }))

  it.live("gives the engine every value as it is, over those of the configuration, and hides what is secret", () =>
    Effect.gen(function*() {
      const values = ["${path.module}", "%{ if true }x%{ endif }", `"quoted" \\ back`, "two\nlines\tand tab", "é ✓ \u0007"]
      const names = values.map((_, at) => `v${at}`)
      const files = {
        "main.tf": names.map((name) => `variable "${name}" {}\noutput "${name}" {\n  value = var.${name}\n}\n`).join("") +
          `variable "list" {}\noutput "list" {\n  value = var.list\n}\noutput "env" {\n  value = "s3cret-value-xyz"\n}\n`,
        "\uffee.auto.tfvars": `v0 = "of the configuration"`,
        "😀.auto.tfvars.json": `{"v1":"of the configuration"}`
      }
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
      const task = (stage: string) =>
        inline(stage, { "main.tf": main }, {
          variables: [{ name: "region", value: "eu" }],
          backend: { type: "local", config: { path: join(first.claim, "demo.tfstate") } },
          jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: first.claim }] }
        })
      const state = () => JSON.parse(readFileSync(join(first.claim, "demo.tfstate"), "utf8"))
      const applied = task("apply")
      yield* first.run(applied)
      expect(applied.task().status, first.log()).toMatchObject({ phase: "Succeeded", result: { outcome: "succeeded" } })
      expect(state().resources).toHaveLength(1)
      const { status } = yield* ran(task("destroy"))
      expect(status).toMatchObject({
        phase: "Succeeded",
        message: "tofu destroy ended with success.",
        result: { changes: { add: 0, change: 0, destroy: 1 } }
      })
      expect(state().resources).toHaveLength(0)
    }))

  it.live("says that a backend of the configuration is not used where spec.backend is another one", () =>
    Effect.gen(function*() {
      const files = { "main.tf": main, "backend.tf": `terraform {\n  backend "s3" {\n    bucket = "old"\n  }\n}\n` }
      const variables = [{ name: "region", value: "eu" }]
      const { log, status } = yield* ran(inline("plan", files, { variables, backend: { type: "local" } }))
      expect(status.result, log()).toMatchObject({ outcome: "succeeded" })
      expect(status.result?.unusedBackend).toBeUndefined()
      expect(log()).toContain("The backend s3 of the configuration is not used, since spec.backend says local.")
    }))

  it.live.each([
    { given: "no backend", backend: undefined },
    { given: "a backend in the Pod's own files", backend: { type: "local", config: { path: "demo.tfstate" } } }
  ])("refuses an apply with $given before anything is changed", ({ backend }) =>
    Effect.gen(function*() {
      const { exit, log, status } = yield* ran(
        inline("apply", { "main.tf": main }, { variables: [{ name: "region", value: "eu" }], ...(backend !== undefined && { backend }) })
      )
      expect(status).toMatchObject({
        phase: "Failed",
        reason: "InvalidConfiguration",
        message: expect.stringMatching(/would be deleted with the Pod/u)
      })
      expect(log()).not.toContain("$ tofu apply")
      expect(exitCode(exit)).toBe(1)
    }))

  it.live.each([{ given: "a variable", isOfImage: false }, { given: "its image", isOfImage: true }])(
    "refuses an apply whose state would go to a workspace in the Pod's own files, as $given says, whatever path the backend has",
    ({ isOfImage }) =>
      Effect.gen(function*() {
        const here = yield* pod(isOfImage ? { tofu: `#!/bin/sh\nTF_WORKSPACE=prod exec ${find("tofu")} "$@"\n` } : {})
        const kubernetes = onClaim(here, isOfImage ? {} : { TF_WORKSPACE: "prod" })
        yield* here.run(kubernetes)
        expect(kubernetes.task().status, here.log()).toMatchObject({
          phase: "Failed",
          reason: "InvalidConfiguration",
          message: expect.stringMatching(/^The backend local keeps the state of its workspace prod in the Pod's own files/u)
        })
        expect(here.log()).not.toContain("$ tofu apply")
      })
  )

  it.live("is told the version that the image's version manager picks by the configuration", () =>
    Effect.gen(function*() {
      const picked = `echo "{\\"terraform_version\\": \\"$(cat .opentofu-version)\\"}"`
      const here = yield* pod({ tofu: `#!/bin/sh\nif [ "$1" = version ]; then ${picked}; exit; fi\nexec ${find("tofu")} "$@"\n` })
      yield* here.run(inline("plan", { "main.tf": main, ".opentofu-version": "1.11.3" }))
      expect(here.log()).toContain("Engine: tofu 1.11.3\n")
    }))

  it.live("knows in which workspace it is, whatever arguments others have and the image says beside", () =>
    Effect.gen(function*() {
      const here = yield* pod({ tofu: `#!/bin/sh\n[ "$1" != workspace ] || echo welcome\nexec ${find("tofu")} "$@"\n` })
      const kubernetes = onClaim(here, { TF_CLI_ARGS_workspace_show: "-nonsense" })
      yield* here.run(kubernetes)
      expect(kubernetes.task().status, here.log()).toMatchObject({ phase: "Succeeded" })
    }))

  it.live.each(
    [["plan", "TF_CLI_ARGS", "its task"], ["apply", "TF_CLI_ARGS_apply", "its task"], ["apply", "TF_CLI_ARGS_apply", "the runner"]] as const
  )(
    "runs nothing of a %s whose engine would only tell of itself, as %s of %s says, and end well",
    ([stage, name, whose]) =>
      Effect.gen(function*() {
        const value = "-no-color -help"
        const here = yield* pod({}, undefined, whose === "the runner" ? { [name]: value } : {})
        const kubernetes = inline(stage, { "main.tf": main }, {
          variables: whose === "the runner" ? [] : [{ name, value, category: "env" }]
        })
        yield* here.run(kubernetes)
        expect(kubernetes.task().status, here.log()).toMatchObject({
          phase: "Failed",
          reason: "InvalidConfiguration",
          message: expect.stringContaining(`${name} has -help`)
        })
        expect(here.log()).not.toContain("$ tofu")
      })
  )

  it.live("has its state where its backend says, whatever file the arguments of its apply name", () =>
    Effect.gen(function*() {
      const here = yield* pod()
      const kubernetes = onClaim(here, { TF_CLI_ARGS_apply: "-state=x -state-out=y" })
      yield* here.run(kubernetes)
      expect(kubernetes.task().status.reason, here.log()).toBe("Completed")
      expect(JSON.parse(readFileSync(join(here.claim, "demo.tfstate"), "utf8")).resources).toHaveLength(1)
    }))

  it.live("has something to apply where something drifted and the arguments of its plan say that it only refreshes", () =>
    Effect.gen(function*() {
      const here = yield* pod()
      const rotating = { schema_version: 0, attributes: { id: "2020-01-01T00:00:00Z", rotation_rfc3339: "2020-01-01T00:00:01Z" } }
      const resource = { mode: "managed", type: "time_rotating", name: "r", provider: `provider["registry.opentofu.org/hashicorp/time"]` }
      const state = { version: 4, serial: 1, lineage: "a", resources: [{ ...resource, instances: [rotating] }] }
      writeFileSync(join(here.claim, "demo.tfstate"), JSON.stringify(state))
      const configuration = `${providers}resource "time_rotating" "r" {\n  rotation_rfc3339 = "2020-01-01T00:00:01Z"\n}\n`
      const kubernetes = inline("plan", { "main.tf": configuration }, {
        variables: [{ name: "TF_CLI_ARGS_plan", value: "-refresh-only", category: "env" }],
        backend: { type: "local", config: { path: join(here.claim, "demo.tfstate") } },
        jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: here.claim }] }
      })
      yield* here.run(kubernetes)
      expect(kubernetes.task().status.result, here.log()).toMatchObject({
        changes: { add: 0, change: 0, destroy: 0 },
        hasChanges: true
      })
    }))

  it.live.each([
    {
      given: "a syntax error",
      files: { "main.tf": "resource \"time_static\" \"x\" {" },
      reason: "InvalidConfiguration",
      says: /Unclosed configuration block/u
    },
    { given: "no configuration", files: { "readme.md": "nothing" }, reason: "ExitCode", says: /No configuration files/u },
    {
      given: "a provider that is missing",
      files: { "main.tf": "resource \"random_pet\" \"x\" {}\n" },
      reason: "ProviderMissing",
      says: /provider hashicorp\/random/u
    },
    {
      given: "an argument that does not exist",
      files: { "main.tf": `${providers}resource "time_static" "x" {\n  nope = 1\n}\n` },
      reason: "ExitCode",
      says: /tofu plan failed with exit code 1: Unsupported argument;/u
    }
  ])("fails with its reason for $given", ({ files, reason, says }) =>
    Effect.gen(function*() {
      const { exit, lastWords, log, status } = yield* ran(inline("plan", files))
      expect(status, log()).toMatchObject({
        phase: "Failed",
        reason,
        message: expect.stringMatching(says),
        result: { outcome: "failed", exitCode: 1 }
      })
      expect(lastWords()).toEqual(status.result)
      expect(log()).toContain(status.message)
      expect(exitCode(exit)).toBe(1)
    }))

  it.live.each([
    {
      given: "an engine that the image has not",
      engine: { name: "terraform" },
      reason: "EngineMissing",
      says: /no terraform in its PATH/u
    },
    {
      given: "another version than the image has",
      engine: { name: "tofu", version: "1.0.0" },
      reason: "InvalidConfiguration",
      says: /has tofu 1\.12\.6, but the task asks for 1\.0\.0/u
    }
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

describe("a runner that fails", () => {
  it.live("ends the stage with OutOfMemory when its container is started again, and runs nothing twice", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const digest = yield* planned(api, { "main.tf": slow })
      const { logged, log, kubernetes, restartRunner, running } = yield* applying(api, digest)
      yield* logged("time_sleep.second: Creating...")
      yield* restartRunner
      yield* Fiber.join(running)
      expect(kubernetes.task().status, log()).toMatchObject({
        phase: "Failed",
        reason: "OutOfMemory",
        message: expect.stringMatching(/Look at the state before the next run\. Made, but not in the state: time_static\.first \[id=/u)
      })
      expect(log().match(/time_static\.first: Creating\.\.\./gu)).toHaveLength(1)
      expect(api.lock, "the server is to know that the engine did not end in order").toBeDefined()
    }))

  it.live("says so when it has no exec loop", () =>
    Effect.gen(function*() {
      const { status } = yield* ran(
        inline("plan", { "main.tf": main }),
        {},
        () => ({ AGENT_JOB_DATA_DIR: "/no/such/directory", AGENT_JOB_RUNNER_PATIENCE: "300 millis" })
      )
      expect(status).toMatchObject({ phase: "Failed", reason: "InvalidConfiguration" })
    }))
})
