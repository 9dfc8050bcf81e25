// Tasks whose configuration Flux keeps, on a real API server: what they wait for, what they run, and which task runs the next revision.
import { expect, layer } from "@effect/vitest"
import { Effect, Predicate, Result } from "effect"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import { cancellationOf } from "../../src/core/task/cancellation.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, events } from "../../src/kubernetes/kinds.ts"
import { Sha256, WorkspaceName } from "../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../src/schema/task/agent-task.ts"
import type { OnChange } from "../../src/schema/task/source.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { parseTaskFile } from "../../src/schema/task/task-file.ts"
import { createRepository, digestOf, fail, installFluxKinds, serve } from "./flux-cluster.ts"
import {
  claim,
  claimWithoutPod,
  createTask,
  finish,
  getTask,
  isPhase,
  jobNames,
  runController,
  TaskCluster,
  Tasks,
  until,
  untilLaunched,
  untilStatus
} from "./task-cluster.ts"

const from = (name: string, onChange?: OnChange) => ({
  workspace: WorkspaceName.make(name),
  source: { fluxSource: { kind: "GitRepository" as const, name, ...(onChange !== undefined && { onChange }) } }
})
const says = (words: string) => ({ message, reason }: AgentTaskStatus): boolean =>
  reason === "SourceNotReady" && message?.includes(words) === true

/** Changes the task, so that the controller looks at its source at once. */
let looks = 0
const look = Effect.fnUntraced(function*(name: string) {
  const { namespace } = yield* Tasks
  yield* (yield* Kubernetes).apply(agentTasks, { metadata: { name, namespace, annotations: { "test/look": String(++looks) } } })
})

const namesOf = Effect.fnUntraced(function*(prefix: string) {
  const { items } = yield* (yield* Kubernetes).list(agentTasks, { namespace: (yield* Tasks).namespace })
  return items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith(prefix)).sort()
})

const warnings = Effect.fnUntraced(function*(name: string) {
  const { items } = yield* (yield* Kubernetes).list(events, { namespace: (yield* Tasks).namespace, fieldSelector: "type=Warning" })
  return items.filter(({ regarding }) => Predicate.hasProperty(regarding, "name") && regarding.name === name).map(({ note }) =>
    String(note)
  )
})

/** Returns once the controller has looked at the task since the call. */
const looked = Effect.fnUntraced(function*(name: string) {
  yield* look(name)
  yield* createTask(`${name}-after-${looks}`, { workspace: WorkspaceName.make("after") })
  yield* untilLaunched(`${name}-after-${looks}`)
})

/** Returns the task's status once its Job is there. */
const launched = Effect.fnUntraced(function*(name: string) {
  yield* untilLaunched(name)
  return (yield* getTask(name)).status
})

const ran = Effect.fnUntraced(function*(name: string, result: Partial<StageResult> = {}) {
  yield* untilLaunched(name)
  yield* claim(name)
  yield* finish(name, result)
})

const createSample = Effect.fnUntraced(function*(file: string, edit: (text: string) => string = (text) => text) {
  const { namespace } = yield* Tasks
  const text = readFileSync(new URL(`../../kustomize/samples/git-approval/${file}`, import.meta.url), "utf8")
  const { metadata: { name }, spec } = Result.getOrThrow(parseTaskFile(namespace)(parse(edit(text))))
  return yield* createTask(name, spec)
})

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("a task whose source Flux keeps", (it) => {
  it.effect("waits quietly where there is no Flux, takes no slot from others, and starts when the source is ready", () =>
    Effect.gen(function*() {
      yield* runController({ task: { limits: { total: 1 } } })
      yield* createTask("early", from("early"))
      const saysNone = (_: AgentTaskStatus) => says("does not serve GitRepository")(_) || says("There is no GitRepository early")(_)
      yield* untilStatus("early", saysNone) // the kinds stay in the cluster after a test
      yield* createTask("other", { workspace: WorkspaceName.make("other") })
      yield* ran("other")
      yield* installFluxKinds
      yield* createRepository("early")
      yield* look("early")
      yield* untilStatus("early", says("Flux has not looked at GitRepository early yet"))
      yield* fail("early", "authentication required")
      yield* look("early")
      yield* untilStatus("early", says("GitRepository early is not ready: authentication required."))
      expect(yield* jobNames).not.toContain("agent-job-early")
      yield* serve("early", "main@sha1:a")
      yield* look("early")
      expect(yield* launched("early")).toMatchObject({ source: { revision: "main@sha1:a", sha256: digestOf("main@sha1:a") } })
      yield* claim("early")
      yield* serve("early", "main@sha1:b")
      yield* look("early")
      yield* finish("early")
      expect((yield* untilStatus("early", isPhase("Succeeded"))).source?.revision).toBe("main@sha1:a")
    }).pipe(Effect.scoped))

  it.effect.each<{ readonly kind: "OCIRepository" | "Bucket"; readonly revision: string }>([
    { kind: "OCIRepository", revision: "v1.2.3@sha256:a" },
    { kind: "Bucket", revision: "sha256:b" }
  ])("starts from the artifact of a source of kind $kind, too", ({ kind, revision }) =>
    Effect.gen(function*() {
      const name = kind.toLowerCase()
      yield* installFluxKinds
      yield* createRepository(name, kind)
      yield* serve(name, revision, "content", kind)
      yield* runController()
      yield* createTask(name, { workspace: WorkspaceName.make(name), source: { fluxSource: { kind, name } } })
      expect(yield* launched(name)).toMatchObject({ source: { revision, sha256: digestOf("content") } })
      yield* claim(name)
      yield* finish(name)
    }).pipe(Effect.scoped))

  it.effect("that waits for its turn runs what the source has when it comes", () =>
    Effect.gen(function*() {
      yield* installFluxKinds
      yield* createRepository("late")
      yield* serve("late", "main@sha1:a")
      yield* runController({ task: { limits: { total: 1 } } })
      yield* createTask("first", { workspace: WorkspaceName.make("first") })
      yield* launched("first")
      yield* createTask("late", from("late"))
      yield* untilStatus("late", ({ reason }) => reason === "ConcurrencyLimit")
      yield* serve("late", "main@sha1:b")
      yield* claim("first")
      yield* finish("first")
      expect(yield* launched("late")).toMatchObject({ source: { revision: "main@sha1:b" } })
      yield* claim("late")
      yield* finish("late")
    }).pipe(Effect.scoped))

  it.effect("is planned again, at the same revision, when its plan was lost with its Pod", () =>
    Effect.gen(function*() {
      yield* installFluxKinds
      yield* createRepository("lost")
      yield* serve("lost", "main@sha1:a")
      yield* runController()
      yield* createTask("lost", from("lost", "plan"))
      yield* launched("lost")
      yield* claimWithoutPod("lost") // the claim's Pod does not exist, so the task is lost at once
      expect(yield* untilStatus("lost", isPhase("Failed"))).toMatchObject({ reason: "NodeLost" })
      expect(yield* launched("lost-2")).toMatchObject({ source: { revision: "main@sha1:a" } })
      const { latest } = yield* untilStatus("lost", ({ latest }) => latest?.attempt === 2)
      expect(latest).toMatchObject({ name: "lost-2", again: 1 })
      yield* claim("lost-2")
      yield* finish("lost-2")
      yield* looked("lost")
      expect(yield* namesOf("lost")).toEqual(["lost", "lost-2", expect.stringContaining("after")])
    }).pipe(Effect.scoped))

  it.effect("makes one attempt for each new artifact, also when the controller restarts, and speaks for the newest", () =>
    Effect.gen(function*() {
      yield* installFluxKinds
      yield* createRepository("followed")
      yield* serve("followed", "main@sha1:a")
      yield* Effect.scoped(Effect.gen(function*() {
        yield* runController()
        yield* createTask("followed", from("followed", "plan"))
        yield* ran("followed")
        yield* serve("followed", "main@sha1:b")
        yield* look("followed")
        expect(yield* launched("followed-2")).toMatchObject({ source: { revision: "main@sha1:b" } })
      }))
      yield* serve("followed", "main@sha1:c")
      yield* Effect.scoped(Effect.gen(function*() {
        yield* runController()
        yield* looked("followed")
        // The second attempt is not over, so there is no third one.
        expect(yield* namesOf("followed")).toEqual(["followed", "followed-2", expect.stringContaining("after")])
        yield* claim("followed-2")
        yield* finish("followed-2", { outcome: "failed", reason: "ExitCode", exitCode: 1, message: "It does not parse." })
        yield* ran("followed-3") // the end of an attempt alone makes the controller look for the next revision
      }))
      yield* serve("followed", "main@sha1:d", "main@sha1:c") // another commit, the same content
      yield* Effect.scoped(Effect.gen(function*() {
        yield* runController()
        yield* looked("followed")
        const { metadata, spec, status } = yield* getTask("followed-3")
        expect(spec).toMatchObject({ stage: "plan", attempt: 3, source: { fluxSource: { kind: "GitRepository", name: "followed" } } })
        expect(spec.source.fluxSource).not.toHaveProperty("onChange")
        expect(status.source?.revision).toBe("main@sha1:c")
        expect(metadata.ownerReferences).toMatchObject([{
          kind: "AgentTask",
          controller: true,
          uid: (yield* getTask("followed")).metadata.uid
        }])
        const names = yield* namesOf("followed-")
        expect(names.filter((name) => !name.includes("after"))).toEqual(["followed-2", "followed-3"])
        const { conditions, phase } = yield* untilStatus(
          "followed",
          ({ conditions }) =>
            conditions?.some(({ message, status, type }) => type === "Ready" && status === "True" && message.startsWith("followed-3: ")) ===
              true
        )
        expect(phase).toBe("Succeeded")
        expect(conditions?.map(({ status, type }) => `${type}=${status}`)).toEqual(["Ready=True", "Reconciling=False", "Stalled=False"])
      }))
    }))

  it.effect("applies what it has planned, once, and plans nothing new before that is over", () =>
    Effect.gen(function*() {
      yield* installFluxKinds
      yield* createRepository("applied")
      yield* serve("applied", "main@sha1:a")
      yield* runController()
      const planDigest = Sha256.make(digestOf("plan"))
      const planned = { hasChanges: true, planDigest, changes: { add: 1, change: 0, destroy: 0 } }
      yield* createTask("applied", { ...from("applied", "planAndApply"), savePlan: { claimName: "plans" } })
      yield* ran("applied", planned)
      yield* launched("applied-apply")
      expect((yield* getTask("applied-apply")).spec).toEqual({
        workspace: "applied",
        stage: "apply",
        source: { savedPlan: { claimName: "plans", sha256: planDigest } }
      })
      yield* claim("applied-apply")
      yield* serve("applied", "main@sha1:b")
      yield* looked("applied")
      const tasks = Effect.map(namesOf("applied"), (names) => names.filter((name) => !name.includes("after")))
      expect(yield* tasks).toEqual(["applied", "applied-apply"])
      yield* finish("applied-apply")
      yield* ran("applied-2", { ...planned, hasChanges: false })
      yield* looked("applied")
      expect(yield* tasks).toEqual(["applied", "applied-2", "applied-apply"]) // the plan has no changes to apply
      expect((yield* getTask("applied")).status.latest).toMatchObject({ attempt: 2, name: "applied-2" })
    }).pipe(Effect.scoped))

  it.effect("that is cancelled cancels the apply that it made, and is not ready before that is over", () =>
    Effect.gen(function*() {
      yield* installFluxKinds
      yield* createRepository("stopped")
      yield* serve("stopped", "main@sha1:a")
      yield* runController()
      const { metadata } = yield* createTask("stopped", { ...from("stopped", "planAndApply"), savePlan: { claimName: "plans" } })
      yield* ran("stopped", { hasChanges: true, planDigest: Sha256.make(digestOf("plan")) })
      yield* untilLaunched("stopped-apply")
      yield* claim("stopped-apply")
      yield* (yield* Kubernetes).apply(agentTasks, cancellationOf({ metadata }))
      yield* untilStatus("stopped-apply", ({ reason }) => reason === "Stopping")
      yield* untilStatus(
        "stopped",
        ({ conditions = [] }) => conditions.some(({ reason, status }) => reason === "Stopping" && status === "True")
      )
      expect((yield* getTask("stopped")).status.conditions).toMatchObject([
        { type: "Ready", status: "False" },
        { type: "Reconciling", status: "True", message: expect.stringMatching(/^stopped-apply: /u) },
        { type: "Stalled", status: "False" }
      ])
      yield* finish("stopped-apply", { outcome: "cancelled", reason: "Cancelled", message: "Stopped." })
      yield* untilStatus("stopped", ({ conditions = [] }) => conditions.some(({ status, type }) => type === "Ready" && status === "True"))
      expect(yield* namesOf("stopped")).toEqual(["stopped", "stopped-apply"])
    }).pipe(Effect.scoped))

  it.effect("of the sample git-approval is planned, and applied by the digest that a person commits", () =>
    Effect.gen(function*() {
      yield* installFluxKinds
      yield* createRepository("network")
      yield* serve("network", "main@sha1:a")
      yield* runController()
      yield* createSample("plan.yaml")
      const planDigest = Sha256.make(digestOf("plan"))
      yield* ran("network", { hasChanges: true, planDigest })
      yield* serve("network", "main@sha1:b", "main@sha1:a") // the commit of the approval, which the artifact does not contain
      yield* createSample("approval.yaml", (text) => text.replace("0".repeat(64), planDigest))
      yield* ran("network-apply-1")
      yield* untilStatus("network-apply-1", isPhase("Succeeded"))
      yield* looked("network")
      expect((yield* getTask("network")).status.latest).toBeUndefined()
    }).pipe(Effect.scoped))

  it.effect("never takes a stranger's task for an attempt of its own", () =>
    Effect.gen(function*() {
      yield* installFluxKinds
      yield* createRepository("named")
      yield* serve("named", "main@sha1:a")
      yield* runController()
      yield* createTask("named", from("named", "plan"))
      yield* createTask("named-2", { workspace: WorkspaceName.make("stranger") })
      yield* ran("named")
      yield* serve("named", "main@sha1:b")
      yield* looked("named")
      yield* until("the warning", warnings("named"), (notes) =>
        notes.some((note) =>
          note.includes("AgentTask named-2 exists, but no AgentTask made it")
        ))
      expect((yield* getTask("named")).status.latest).toBeUndefined()
    }).pipe(Effect.scoped))
})
