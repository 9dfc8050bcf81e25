// From an artifact of Flux to an approved apply, with the real engine and no server: what was planned is what is applied.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { Sha256 } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { Forbidden } from "../../../src/worker/network/archive-url.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { fakeKubernetes } from "../fake-kubernetes.ts"
import { sha256, tarGz } from "../fake-task-api.ts"
import { type Pod, pod } from "../pod.ts"

const infra = (size: number) =>
  tarGz({ "live/main.tf": `resource "terraform_data" "box" {\n  input = file("size.txt")\n}\n`, "live/size.txt": `${size}` })

/** Serves one archive after another under one address, as a branch moves. */
const sourceController = Effect.map(
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly serve: (next: Uint8Array) => void; readonly close: () => void }>((resume) => {
      let archive: Uint8Array = new Uint8Array()
      const server = createServer((_, response) => void response.end(archive)).listen(
        0,
        "127.0.0.1",
        () =>
          resume(Effect.succeed({
            url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/infra.tar.gz`,
            serve: (next) => void (archive = next),
            close: () => void server.close()
          }))
      )
    }),
    ({ close }) => Effect.sync(close)
  ),
  ({ serve, url }) => ({
    moveTo: (archive: Uint8Array) => {
      serve(archive)
      return { revision: "main@sha1:a", url, sha256: Sha256.make(sha256(archive)) }
    }
  })
)

/** Runs the worker with no address forbidden, because the source-controller of this file is on loopback. */
const reaching = (running: ReturnType<Pod["run"]>) => Effect.provideService(running, Forbidden, () => false)

/** Directories that outlive the Pods, for plans, for the state and for another state, and what the tasks of both stages have in common. */
const claims = Effect.map(
  temporaryFolder("claims"),
  (outlives) => {
    const [plans, state, elsewhere] = [join(outlives, "plans"), join(outlives, "state"), join(outlives, "elsewhere")]
    for (const directory of [plans, state, elsewhere]) mkdirSync(directory)
    const shared = {
      workspace: "demo",
      backend: { type: "local", config: { path: join(state, "terraform.tfstate") } },
      jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: state }] }
    }
    return { plans, state, elsewhere, shared }
  }
)

/**
 * Returns how a task is run in a Pod that mounts the claim of plans and has these variables by itself: with its result, its log, and the states
 * that are in its Pod.
 */
const runsOf = ({ plans, shared }: { readonly plans: string; readonly shared: object }) =>
(
  spec: Record<string, unknown>,
  status: AgentTaskStatus = { phase: "Starting" },
  environment: Readonly<Record<string, string>> = {}
) =>
  Effect.gen(function*() {
    const kubernetes = fakeKubernetes({ ...shared, ...spec }, status)
    const { dataDirectory, log, run } = yield* pod({}, undefined, environment)
    yield* reaching(run(kubernetes, { AGENT_JOB_PLANS_DIR: plans }))
    return { ...kubernetes.task().status.result, log: log(), inPod: globSync(join(dataDirectory, "work/**/*.tfstate")) }
  }).pipe(Effect.scoped)

describe("a kept plan", () => {
  it.live("is applied as it was approved, though the source has moved on, and once, though its state is gone", () =>
    Effect.gen(function*() {
      const { moveTo } = yield* sourceController
      const { plans, shared, state } = yield* claims
      const plan = {
        stage: "plan",
        source: { fluxSource: { kind: "GitRepository", name: "infra", path: "live" } },
        savePlan: { claimName: "plans" }
      }
      const ran = runsOf({ plans, shared })
      const planned = yield* ran(plan, { phase: "Starting", source: moveTo(infra(1)) })
      expect(planned, planned.log).toMatchObject({
        outcome: "succeeded",
        hasChanges: true,
        changes: { add: 1 },
        planDigest: expect.stringMatching(/^[0-9a-f]{64}$/u)
      })

      moveTo(infra(2))
      const approval = {
        stage: "apply",
        source: { savedPlan: { claimName: "plans", sha256: planned.planDigest } },
        workingDirectory: "live"
      }
      const applied = yield* ran(approval)
      expect(applied, applied.log).toMatchObject({ outcome: "succeeded", changes: { add: 1 } })
      const box = JSON.parse(readFileSync(join(state, "terraform.tfstate"), "utf8")).resources[0].instances[0].attributes
      expect(box.input.value ?? box.input).toBe("1")

      rmSync(join(state, "terraform.tfstate"))
      expect(yield* ran(approval)).toMatchObject({
        outcome: "failed",
        reason: "InvalidConfiguration",
        message: expect.stringMatching(/^An apply of the plan [0-9a-f]{64} of workspace demo has begun, or was about to, /u)
      })
      expect(readdirSync(state)).toEqual([])
    }))

  it.live("is refused by the engine if another one that was approved with it came first", () =>
    Effect.gen(function*() {
      const { moveTo } = yield* sourceController
      const { plans, shared } = yield* claims
      const ran = runsOf({ plans, shared })
      const planning = (size: number) =>
        ran(
          {
            stage: "plan",
            source: { fluxSource: { kind: "GitRepository", name: "infra", path: "live" } },
            savePlan: { claimName: "plans" }
          },
          { phase: "Starting", source: moveTo(infra(size)) }
        )
      const digests = [(yield* planning(1)).planDigest, (yield* planning(2)).planDigest]
      const ends = yield* Effect.forEach(
        digests,
        (sha256) => ran({ stage: "apply", source: { savedPlan: { claimName: "plans", sha256 } }, workingDirectory: "live" })
      )
      expect(ends).toMatchObject([{ outcome: "succeeded", changes: { add: 1 } }, {
        outcome: "failed",
        reason: "DigestMismatch",
        message: "tofu apply refused the saved plan, because the state is no longer the one that it was made from; plan again."
      }])
    }))

  it.live("is applied with the values it was made with, and with no others", () =>
    Effect.gen(function*() {
      const { moveTo } = yield* sourceController
      const { plans, shared, state } = yield* claims
      const variables = (
        password: string
      ) => [{ name: "password", value: password, sensitive: true }, { name: "REGION", value: "eu", category: "env" }]
      const ran = runsOf({ plans, shared })
      const source = moveTo(
        tarGz({
          "main.tf": "variable \"password\" { sensitive = true }\nresource \"terraform_data\" \"box\" {\n  input = var.password\n}\n"
        })
      )
      const { log, planDigest } = yield* ran({
        stage: "plan",
        source: { fluxSource: { kind: "GitRepository", name: "infra" } },
        savePlan: { claimName: "plans" },
        variables: variables("swordfish")
      }, { phase: "Starting", source })
      expect(planDigest, log).toBeDefined()
      const apply = (more: object) => ran({ stage: "apply", source: { savedPlan: { claimName: "plans", sha256: planDigest } }, ...more })
      expect(yield* apply({ variables: variables("swordfisk") })).toMatchObject({
        reason: "DigestMismatch",
        message: "The saved plan was made with other variables (password) than this apply would get; plan again."
      })
      expect(yield* apply({})).toMatchObject({
        reason: "DigestMismatch",
        message: expect.stringContaining("other variables (password) and other environment variables (REGION)")
      })
      expect(existsSync(join(state, "terraform.tfstate"))).toBe(false)
      expect(yield* apply({ variables: variables("swordfish") })).toMatchObject({ outcome: "succeeded", changes: { add: 1 } })
    }))

  it.live.each([
    {
      given: "another backend",
      apply: ({ elsewhere }: { readonly elsewhere: string }) => ({
        backend: { type: "local", config: { path: join(elsewhere, "terraform.tfstate") } },
        jobTemplate: { volumeClaims: [{ claimName: "elsewhere", mountPath: elsewhere }] }
      })
    },
    {
      given: "the same path on another claim",
      apply: ({ state }: { readonly state: string }) => ({ jobTemplate: { volumeClaims: [{ claimName: "elsewhere", mountPath: state }] } })
    }
  ])("is applied nowhere if the apply names $given", ({ apply }) =>
    Effect.gen(function*() {
      const { moveTo } = yield* sourceController
      const { elsewhere, plans, shared, state } = yield* claims
      const ran = runsOf({ plans, shared })
      const source = { fluxSource: { kind: "GitRepository", name: "infra", path: "live" } }
      const { planDigest } = yield* ran({ stage: "plan", source, savePlan: { claimName: "plans" } }, {
        phase: "Starting",
        source: moveTo(infra(1))
      })
      const approval = { stage: "apply", source: { savedPlan: { claimName: "plans", sha256: planDigest } }, workingDirectory: "live" }
      expect(yield* ran({ ...approval, ...apply({ elsewhere, state }) })).toMatchObject({
        outcome: "failed",
        reason: "DigestMismatch",
        message: "The saved plan was made with another backend of the state than this apply would get; plan again.",
        inPod: []
      })
      expect([...readdirSync(state), ...readdirSync(elsewhere)]).toEqual([])
      expect(yield* ran(approval)).toMatchObject({ outcome: "succeeded" })
      expect(readdirSync(state)).toEqual(["terraform.tfstate"])
    }))

  it.live.each([
    { name: "TF_WORKSPACE", harm: "a workspace that has no state yet" },
    { name: "TF_VAR_size", harm: "another value than the default that was planned, which the engine takes" }
  ])("is applied nowhere if the runner then has $name by itself: $harm", ({ name }) =>
    Effect.gen(function*() {
      const { moveTo } = yield* sourceController
      const { plans, shared, state } = yield* claims
      const backend = { ...shared.backend, config: { ...shared.backend.config, workspace_dir: join(state, "workspaces") } }
      const ran = runsOf({ plans, shared: { ...shared, backend } })
      const sized = `variable "size" {\n  default = "1"\n}\nresource "terraform_data" "box" {\n  input = var.size\n}\n`
      const { log, planDigest } = yield* ran(
        { stage: "plan", source: { fluxSource: { kind: "GitRepository", name: "infra" } }, savePlan: { claimName: "plans" } },
        { phase: "Starting", source: moveTo(tarGz({ "main.tf": sized })) }
      )
      expect(planDigest, log).toBeDefined()
      const approval = { stage: "apply", source: { savedPlan: { claimName: "plans", sha256: planDigest } } }
      const refused = yield* ran(approval, undefined, { [name]: "2" })
      expect(refused, refused.log).toMatchObject({
        outcome: "failed",
        reason: "DigestMismatch",
        message: `The saved plan was made with other environment variables (${name}) than this apply would get; plan again.`
      })
      expect(refused.log).not.toContain("$ tofu")
      expect(readdirSync(state)).toEqual([])
      expect(yield* ran(approval, undefined, { TF_LOG: "error" })).toMatchObject({ outcome: "succeeded", changes: { add: 1 } })
    }))

  it.live("is not made where its state would be deleted with the Pod, for its apply would go there whatever backend that names", () =>
    Effect.gen(function*() {
      const { moveTo } = yield* sourceController
      const { plans } = yield* claims
      const planning = (more: object) =>
        Effect.gen(function*() {
          const source = { fluxSource: { kind: "GitRepository", name: "infra", path: "live" } }
          const kubernetes = fakeKubernetes({ workspace: "demo", stage: "plan", source, ...more }, {
            phase: "Starting",
            source: moveTo(infra(1))
          })
          const { run } = yield* pod()
          yield* reaching(run(kubernetes, { AGENT_JOB_PLANS_DIR: plans }))
          return kubernetes.task().status.result
        }).pipe(Effect.scoped)
      expect(yield* planning({ savePlan: { claimName: "plans" } })).toMatchObject({
        outcome: "failed",
        reason: "InvalidConfiguration",
        message:
          "The configuration has no backend for its state, so it would be deleted with the Pod; give the configuration a backend, or set spec.backend. For a plan that nobody will apply, leave spec.savePlan out."
      })
      expect(readdirSync(plans)).toEqual([])
      expect(yield* planning({})).toMatchObject({ outcome: "succeeded", changes: { add: 1 } })
    }))

  it.live("is never made of other bytes than the status says", () =>
    Effect.gen(function*() {
      const { moveTo } = yield* sourceController
      const said = moveTo(infra(1))
      moveTo(infra(2))
      const kubernetes = fakeKubernetes({
        workspace: "demo",
        stage: "plan",
        source: { fluxSource: { kind: "GitRepository", name: "infra" } }
      }, { phase: "Starting", source: said })
      const { log, run } = yield* pod()
      yield* reaching(run(kubernetes))
      expect(kubernetes.task().status.result).toMatchObject({ outcome: "failed", reason: "DigestMismatch" })
      expect(log()).not.toContain("tofu init")
    }))
})
