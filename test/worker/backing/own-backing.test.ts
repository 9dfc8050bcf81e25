// What a task without a pool runs: of a Flux source what its status says, of a plan what was kept and approved, and nothing without a place
// for its state where it needs one.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { StageCommand } from "../../../src/core/stage/stage-commands.ts"
import { Sha256, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { ownBacking } from "../../../src/worker/backing/own-backing.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { Forbidden } from "../../../src/worker/network/archive-url.ts"
import { TaskStatus } from "../../../src/worker/task/task-status.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { sha256, tarGz } from "../fake-task-api.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"
import { noTaskStatus } from "../pool-parts.ts"

const archive = tarGz({ "main.tf": "# from Flux" })

/** A source controller that has the archive from the second request on, or at once. */
const sourceController = (from: "the first" | "the second" = "the first") =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      let has = from === "the first"
      const server = createServer((_, response) => {
        response.writeHead(has ? 200 : 404).end(archive)
        has = true
      }).listen(
        0,
        "127.0.0.1",
        () =>
          resume(
            Effect.succeed({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.tar.gz`, close: () => void server.close() })
          )
      )
    }),
    ({ close }) => Effect.sync(close)
  )

const task = (status: AgentTask["status"]): Pick<AgentTask, "spec" | "status"> => ({
  spec: { workspace: WorkspaceName.make("demo"), stage: "plan", source: { fluxSource: { kind: "GitRepository", name: "infra" } } },
  status
})

const pinned = (url: string, digest: string) => task({ source: { revision: "main@sha1:a", url, sha256: Sha256.make(digest) } })

const backingOf = (of: Pick<AgentTask, "spec" | "status">) =>
  Effect.provide(ownBacking(of), Layer.mergeAll(noTaskStatus, neverStops(), podSettings("/none", "/none")))

/** Brings the source into a directory of its own; returns the failure, if any, and what is in the directory. */
const brought = Effect.fnUntraced(function*(of: Pick<AgentTask, "spec" | "status">) {
  const directory = yield* temporaryFolder("backing")
  for (const name of ["work", "private"]) mkdirSync(join(directory, name))
  const settings = podSettings(directory, join(directory, "private"))
  const bring = Effect.gen(function*() {
    const { bringSource } = yield* backingOf(of)
    const root = yield* openFolder(join(directory, "work"))
    if (Option.isSome(bringSource)) yield* bringSource.value(root)
    return undefined
  })
  const failure = yield* bring.pipe(Effect.catch(Effect.succeed), Effect.provide(settings), Effect.provideService(Forbidden, () => false))
  return {
    failure,
    names: readdirSync(join(directory, "work")),
    read: (name: string) => readFileSync(join(directory, "work", name), "utf8")
  }
})

describe("a task whose source Flux keeps", () => {
  it.live("gets what its status says", () =>
    Effect.gen(function*() {
      const { url } = yield* sourceController()
      const { failure, read } = yield* brought(pinned(url, sha256(archive)))
      expect(failure).toBeUndefined()
      expect(read("main.tf")).toBe("# from Flux")
    }))

  it.effect("waits for it while Flux, which was started again, does not have it yet, and says so", () =>
    Effect.gen(function*() {
      const { url } = yield* sourceController("the second")
      const told = yield* Latch.make()
      const bringing = yield* brought(pinned(url, sha256(archive))).pipe(
        Effect.provide(Logger.layer([Logger.make(() => told.openUnsafe())])),
        Effect.forkChild
      )
      yield* Effect.raceFirst(told.await, Fiber.await(bringing))
      yield* TestClock.adjust("1 second")
      const { failure, read } = yield* Fiber.join(bringing)
      expect(failure).toBeUndefined()
      expect(read("main.tf")).toBe("# from Flux")
    }))

  it.live("gets nothing when the bytes are others", () =>
    Effect.gen(function*() {
      const { url } = yield* sourceController()
      expect(yield* brought(pinned(url, "b".repeat(64)))).toMatchObject({ failure: { reason: "DigestMismatch" }, names: [] })
    }))

  it.live("gets nothing when the status does not say what", () =>
    Effect.gen(function*() {
      expect(yield* brought(task({}))).toMatchObject({
        failure: {
          reason: "InvalidConfiguration",
          message: "status.source is missing, so the worker does not know which revision of source.fluxSource to run; make a new AgentTask."
        }
      })
    }))
})

describe("a plan without a lasting place for its state", () => {
  const command: StageCommand = { subcommand: "plan", args: ["plan"], output: "printed", mutates: false }
  const planned = Effect.fnUntraced(function*(savePlan: Pick<AgentTask["spec"], "savePlan">) {
    const { spec, status } = pinned("https://a.example", "a".repeat(64))
    const { mayRun } = yield* backingOf({ spec: { ...spec, ...savePlan }, status })
    return yield* Effect.option(Effect.flip(mayRun(command, yield* temporaryFolder("engine"), Effect.succeed("default"))))
  })

  it.effect("is made, if nobody can apply it", () =>
    Effect.gen(function*() {
      expect(yield* planned({})).toEqual(Option.none())
    }))

  it.effect("is refused if it is to be kept, and told what to do", () =>
    Effect.gen(function*() {
      expect(Option.getOrNull(yield* planned({ savePlan: { claimName: "plans" } }))).toMatchObject({
        reason: "InvalidConfiguration",
        message: expect.stringMatching(/or set spec\.backend\. For a plan that nobody will apply, leave spec\.savePlan out\.$/u)
      })
    }))
})

type Spec = Pick<AgentTask["spec"], "stage" | "source" | "savePlan">
const kept: Readonly<Record<"plan" | "apply", Spec>> = {
  plan: {
    stage: "plan",
    source: { archive: { url: "https://example.com/a.tar.gz", sha256: Sha256.make("a".repeat(64)) } },
    savePlan: { claimName: "plans" }
  },
  apply: { stage: "apply", source: { savedPlan: { claimName: "plans", sha256: Sha256.make("a".repeat(64)) } } }
}

const applied = { workspace: WorkspaceName.make("demo"), stage: "apply", source: kept.plan.source } as const

it.effect("an apply is refused if its state, or the one of the workspace that its engine is on, would go with the Pod", () =>
  Effect.gen(function*() {
    const engine = yield* temporaryFolder("engine")
    const jobTemplate = { volumeClaims: [{ claimName: "state", mountPath: "/state" }] }
    const { mayRun } = yield* backingOf({ spec: { ...applied, jobTemplate }, status: {} })
    const refusal = (workspace: string) =>
      Effect.match(
        mayRun({ subcommand: "apply", args: ["apply"], output: "printed", mutates: true }, engine, Effect.succeed(workspace)),
        { onFailure: ({ message }) => message, onSuccess: () => "none" }
      )
    expect(yield* refusal("default")).toMatch(/has no backend for its state, .* or set spec\.backend\.$/u)
    writeFileSync(join(engine, "terraform.tfstate"), JSON.stringify({ backend: { type: "local", config: { path: "/state/a" } } }))
    expect(yield* refusal("default")).toBe("none")
    expect(yield* refusal("prod")).toContain("keeps the state of its workspace prod in the Pod's own files")
  }))

it.effect("a last state that the worker cannot open is not taken for one that is in its backend, and is said to be unwritten", () =>
  Effect.gen(function*() {
    const path = yield* temporaryFolder("own")
    let isUnwritten = false // as the status of the task would say after a while
    const status = Layer.succeed(TaskStatus, {
      unansweredDuring: (work) => work,
      unsavedDuring: (work) => work,
      unwrittenDuring: (work) => Effect.andThen(Effect.sync(() => void (isUnwritten = true)), work)
    })
    const { settleState } = yield* Effect.provide(
      ownBacking({ spec: applied, status: {} }),
      Layer.mergeAll(status, neverStops({ tooLate: Effect.sleep("1 minute") }), podSettings(path, path))
    )
    const directory = ["x".repeat(300)] // no file in a directory of this name can be opened
    const settling = yield* settleState({ root: yield* openFolder(path), directory, path }).pipe(
      Effect.provide(Log.layer({ secrets: [], parts: [], ship: Option.none(), print: () => Effect.void })),
      Effect.flip,
      Effect.forkChild
    )
    yield* TestClock.adjust("1 minute")
    expect(yield* Fiber.join(settling)).toMatchObject({
      reason: "StateNotSaved",
      message: expect.stringContaining("Its backend did not take this state")
    })
    expect(isUnwritten).toBe(true)
  }))

it.effect("the apply of a kept plan is noted beside the plan when it begins, so that no other begins", () =>
  Effect.gen(function*() {
    const claim = yield* temporaryFolder("claim")
    mkdirSync(join(claim, "demo"))
    writeFileSync(join(claim, "demo", `${"a".repeat(64)}.tar`), "")
    const { beginPlan } = yield* backingOf({ spec: { workspace: WorkspaceName.make("demo"), ...kept.apply }, status: {} })
    yield* Effect.provide(beginPlan, podSettings("/none", "/none", { AGENT_JOB_PLANS_DIR: claim }))
    expect(readdirSync(join(claim, "demo"))).toEqual([`${"a".repeat(64)}.begun.tar`])
  }))

it.effect("a plan that is kept makes the key of its seal, and its apply none, which would fit no seal", () =>
  Effect.gen(function*() {
    const settings = podSettings("/none", "/none", { AGENT_JOB_PLANS_DIR: yield* temporaryFolder("claim") })
    const keyOf = (spec: Spec) =>
      backingOf({ spec: { workspace: WorkspaceName.make("demo"), ...spec }, status: {} }).pipe(
        Effect.flatMap(({ sealing }) => sealing.key),
        Effect.provide(settings)
      )
    expect(yield* Effect.flip(keyOf(kept.apply))).toMatchObject({ reason: "DigestMismatch" })
    const made = yield* keyOf(kept.plan)
    expect(yield* keyOf(kept.apply)).toEqual(made)
  }))

it.effect("a task with the plan of a pool's run, but without the pool that keeps it, is refused, and applies nothing that was not approved", () =>
  Effect.gen(function*() {
    const spec = {
      workspace: WorkspaceName.make("demo"),
      stage: "apply",
      source: { inline: {} },
      plan: { sha256: Sha256.make("a".repeat(64)) }
    } as const
    expect(yield* brought({ spec, status: {} })).toMatchObject({
      failure: { reason: "InvalidConfiguration", message: expect.stringContaining("spec.plan needs spec.pool") },
      names: []
    })
  }))

describe("a task whose runner mounts the claim of its plan, as an earlier CRD took it", () => {
  const jobTemplate = { volumeClaims: [{ claimName: "plans", mountPath: "/more" }] }
  it.live.each([
    { given: "a plan that is kept", spec: kept.plan },
    { given: "an apply of it", spec: kept.apply }
  ])("is refused: $given", ({ spec }) =>
    Effect.gen(function*() {
      expect(yield* brought({ spec: { workspace: WorkspaceName.make("demo"), ...spec, jobTemplate }, status: {} }))
        .toMatchObject({
          failure: { reason: "InvalidConfiguration", message: expect.stringContaining("names plans, the claim of the plan") },
          names: []
        })
    }))
})
