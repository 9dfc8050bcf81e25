// The controller against a real API server: what it makes of AgentTasks, and what it leaves alone.
import { expect, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { leaderLeaseName } from "../../../src/core/manifest/controller-names.ts"
import { managedByUs, taskUidLabel } from "../../../src/core/manifest/labels.ts"
import { leaseName } from "../../../src/core/scheduling/workspace-lease.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { agentTasks, jobs, leases } from "../../../src/kubernetes/kinds.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { controllerProgram } from "../../faults/controller-process.ts"
import { denyingPolicy, policyWords } from "../../kubernetes/denying-policy.ts"
import { fullQuota } from "../../kubernetes/full-quota.ts"
import { serviceAccounts } from "../../kubernetes/service-accounts.ts"
import {
  claim,
  claimWithoutPod,
  createTask,
  finish,
  found,
  getTask,
  isPhase,
  jobNames,
  runController,
  TaskCluster,
  Tasks,
  until,
  untilLaunched,
  untilStatus
} from "../task-cluster.ts"

const isReady = ({ healthPort }: { readonly healthPort: number }) =>
  Effect.promise(() => fetch(`http://127.0.0.1:${healthPort}/readyz`).then(({ ok }) => ok, () => false))

const workspace = (name: string) => ({ workspace: WorkspaceName.make(name) })

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("the controller", (it) => {
  it.effect("makes one Job for a plan, follows the worker's claim, and leaves its result alone", () =>
    Effect.gen(function*() {
      yield* runController()
      yield* createTask("simple")
      yield* untilLaunched("simple")
      expect((yield* getTask("simple")).status).toEqual({ observedGeneration: -1, phase: "Pending" })
      yield* claim("simple")
      yield* finish("simple", { changes: { add: 1, change: 0, destroy: 0 } })
      const status = yield* untilStatus("simple", isPhase("Succeeded"))
      expect(status).toMatchObject({ reason: "Completed", result: { changes: { add: 1 } } })
      expect((yield* jobNames).filter((_) => _ === "agent-job-simple")).toHaveLength(1)
    }).pipe(Effect.scoped))

  it.effect("lets no more start than the limits allow, and explains the wait", () =>
    Effect.gen(function*() {
      yield* runController({ task: { limits: { total: 1 } } })
      yield* createTask("first", workspace("a"))
      yield* untilLaunched("first")
      yield* createTask("second", workspace("b"))
      expect(yield* untilStatus("second", isPhase("Queued"))).toMatchObject({
        reason: "ConcurrencyLimit",
        queue: { position: 1, reason: "ConcurrencyLimit" }
      })
      expect(yield* jobNames).not.toContain("agent-job-second")
      yield* claim("first")
      yield* finish("first")
      yield* untilLaunched("second")
      yield* claim("second")
      yield* finish("second")
    }).pipe(Effect.scoped))

  it.effect("lets one apply a workspace run, holds it by a Lease, and names the blocker", () =>
    Effect.gen(function*() {
      yield* runController()
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const first = yield* createTask("apply-1", { stage: "apply", ...workspace("shared") })
      yield* untilLaunched("apply-1")
      const second = yield* createTask("apply-2", { stage: "apply", ...workspace("shared") })
      expect(yield* untilStatus("apply-2", isPhase("Queued"))).toMatchObject({ reason: "WorkspaceBusy", queue: { blockedBy: "apply-1" } })
      const lease = kubernetes.get(leases, { namespace, name: leaseName("shared") })
      expect((yield* lease)["spec"]).toMatchObject({ holderIdentity: first.metadata.uid, leaseTransitions: 1 })
      yield* claim("apply-1")
      yield* finish("apply-1")
      yield* untilLaunched("apply-2")
      expect((yield* lease)["spec"]).toMatchObject({ holderIdentity: second.metadata.uid, leaseTransitions: 2 })
      yield* claim("apply-2")
      yield* finish("apply-2")
    }).pipe(Effect.scoped))

  it.effect("waits for a workspace whose holder it does not know but whose task exists", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const holder = yield* createTask("holder", { stage: "apply", ...workspace("held") })
      yield* kubernetes.create(leases, {
        metadata: { name: leaseName("held"), namespace, annotations: { "scalr.io/holder": "holder" } },
        spec: { holderIdentity: holder.metadata.uid, leaseTransitions: 1 }
      })
      yield* runController({ task: { limits: { total: 50, perWorkspace: 1 } } })
      yield* untilLaunched("holder")
      yield* createTask("waits", { stage: "destroy", ...workspace("held") })
      expect(yield* untilStatus("waits", isPhase("Queued"))).toMatchObject({ reason: "WorkspaceBusy" })
      yield* claim("holder")
      yield* finish("holder", { outcome: "failed", reason: "ExitCode", exitCode: 1 })
      yield* untilLaunched("waits")
      yield* claim("waits")
      yield* finish("waits")
    }).pipe(Effect.scoped))

  it.effect("cancels before the claim: the task ends, its Job goes, and no claim can follow", () =>
    Effect.gen(function*() {
      yield* runController()
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const { metadata } = yield* createTask("cancelled")
      yield* untilLaunched("cancelled")
      yield* kubernetes.apply(agentTasks, { metadata: { name: "cancelled", namespace, uid: metadata.uid }, spec: { cancel: true } })
      expect(yield* untilStatus("cancelled", isPhase("Cancelled"))).toMatchObject({ reason: "Cancelled" })
      expect((yield* Effect.flip(claimWithoutPod("cancelled")))._tag).toBe("Invalid")
      yield* until("the Job's end", found(kubernetes.get(jobs, { name: "agent-job-cancelled", namespace })), (there) => !there)
    }).pipe(Effect.scoped))

  it.effect("queues what a quota refuses, with the quota's name, and starts it when there is room", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const { lift } = yield* fullQuota(namespace, "no-jobs", "count/jobs.batch")
      yield* runController()
      yield* createTask("too-many")
      const status = yield* untilStatus("too-many", isPhase("Queued"))
      expect(status).toMatchObject({ reason: "QuotaExceeded" })
      expect(status.message).toContain("no-jobs")
      yield* lift
      yield* untilLaunched("too-many")
    }).pipe(Effect.scoped))

  it.effect("queues what a policy without a reason denies, Job or Lease, with its words, and starts it when that is lifted", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const { lift } = yield* denyingPolicy(namespace, ["agent-job-denied-job", leaseName(WorkspaceName.make("denied-lease"))])
      yield* runController()
      yield* createTask("denied-job")
      yield* createTask("denied-lease", { stage: "apply", ...workspace("denied-lease") })
      for (const name of ["denied-job", "denied-lease"]) {
        expect(yield* untilStatus(name, isPhase("Queued"))).toMatchObject({
          reason: "Refused",
          message: expect.stringContaining(policyWords)
        })
      }
      yield* lift
      yield* untilLaunched("denied-job")
      yield* untilLaunched("denied-lease")
    }).pipe(Effect.scoped))

  it.effect("explains a Job whose Pod a quota refuses, by the quota's name", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      yield* kubernetes.create(serviceAccounts, { metadata: { name: "agent-job-task", namespace } })
      yield* fullQuota(namespace, "no-pods", "pods")
      yield* runController()
      yield* createTask("podless")
      const status = yield* untilStatus("podless", ({ reason }) => reason === "QuotaExceeded")
      expect(status).toMatchObject({ phase: "Starting" })
      expect(status.message).toContain("no-pods")
      yield* kubernetes.delete(serviceAccounts, { name: "agent-job-task", namespace })
    }).pipe(Effect.scoped))

  it.effect("explains a Job whose Pod cannot be made at all, in the server's words", () =>
    Effect.gen(function*() {
      yield* runController() // the account that Pods of tasks run as does not exist
      yield* createTask("accountless")
      expect((yield* untilStatus("accountless", ({ reason }) => reason === "Refused")).message).toContain("agent-job-task")
    }).pipe(Effect.scoped))

  it.effect("ends a task whose Job the API server cannot read, with the server's words, and gives its workspace to the next", () =>
    Effect.gen(function*() {
      yield* runController()
      yield* createTask("unreadable", {
        stage: "apply",
        ...workspace("unread"),
        jobTemplate: { runner: { resources: { limits: { memory: "2 GB" } } } }
      })
      const status = yield* untilStatus("unreadable", isPhase("Failed"))
      expect(status).toMatchObject({ reason: "Denied", message: expect.stringContaining("quantities must match") })
      yield* createTask("readable", { stage: "apply", ...workspace("unread") })
      yield* untilLaunched("readable")
    }).pipe(Effect.scoped))

  it.effect("never adopts a stranger's Job", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const template = {
        spec: { restartPolicy: "Never", nodeSelector: { "test/nowhere": "true" }, containers: [{ name: "c", image: "none" }] }
      }
      yield* kubernetes.create(jobs, { metadata: { name: "agent-job-foreign", namespace }, spec: { template } })
      yield* runController()
      yield* createTask("foreign")
      expect(yield* untilStatus("foreign", isPhase("Failed"))).toMatchObject({ reason: "NameTaken" })
      expect(yield* found(kubernetes.get(jobs, { name: "agent-job-foreign", namespace }))).toBe(true)
    }).pipe(Effect.scoped))

  it.effect("takes a copy of a task's Job, which has its labels under another name, for nobody's", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const template = {
        spec: { restartPolicy: "Never", nodeSelector: { "test/nowhere": "true" }, containers: [{ name: "c", image: "none" }] }
      }
      const { metadata: { uid } } = yield* createTask("copied")
      const labels = { ...managedByUs, "app.kubernetes.io/component": "task", [taskUidLabel]: uid }
      yield* kubernetes.create(jobs, { metadata: { name: "copy-of-copied", namespace, labels }, spec: { template } })
      yield* runController()
      yield* untilLaunched("copied")
      expect(yield* jobNames).toContain("copy-of-copied")
    }).pipe(Effect.scoped))

  it.effect("fails a task whose Job was deleted before the claim", () =>
    Effect.gen(function*() {
      yield* runController()
      const { namespace } = yield* Tasks
      yield* createTask("jobless")
      yield* untilStatus("jobless", isPhase("Starting"))
      yield* (yield* Kubernetes).delete(jobs, { name: "agent-job-jobless", namespace })
      expect(yield* untilStatus("jobless", isPhase("Failed"))).toMatchObject({ reason: "Lost" })
    }).pipe(Effect.scoped))

  it.effect("ends a claimed task whose Pod is gone as lost, and never starts it again", () =>
    Effect.gen(function*() {
      yield* runController()
      yield* createTask("vanished", { stage: "apply", ...workspace("vanished") })
      yield* untilLaunched("vanished")
      yield* claimWithoutPod("vanished")
      const status = yield* untilStatus("vanished", isPhase("Failed"))
      expect(status).toMatchObject({ reason: "NodeLost", launches: 1 })
      expect(status.message).toContain("Look at the state")
    }).pipe(Effect.scoped))

  it.effect("writes nothing after a restart when there is nothing to do", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        yield* runController({ identity: "before" })
        yield* createTask("settled")
        yield* untilLaunched("settled")
        yield* claim("settled")
        yield* finish("settled")
        yield* createTask("underway")
        yield* untilLaunched("underway")
        yield* claim("underway")
      }))
      const versions = Effect.all([getTask("settled"), getTask("underway")]).pipe(
        Effect.map((_) => _.map(({ metadata }) => metadata.resourceVersion))
      )
      const before = yield* versions
      yield* runController({ identity: "after" })
      yield* createTask("marker")
      yield* untilLaunched("marker") // by now the controller has looked at the other tasks
      expect(yield* versions).toEqual(before)
    }).pipe(Effect.scoped))

  it.effect("works once when two replicas run, and goes on when the leader stops", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const lead = Effect.map((yield* Kubernetes).get(leases, { name: leaderLeaseName({ name: "agent-job" }), namespace }), ({ spec }) =>
        Object(spec).holderIdentity)
      const one = yield* runController({ identity: "one" })
      yield* createTask("replica-first", workspace("replicas"))
      yield* untilLaunched("replica-first")
      const two = yield* runController({ identity: "two" })
      yield* until("the second replica runs", isReady(two), (ready) =>
        ready)
      yield* createTask("replica-both", workspace("replicas"))
      yield* untilLaunched("replica-both")
      expect(yield* lead).toBe("one")
      yield* Fiber.interrupt(one.fiber)
      yield* createTask("replica-second", workspace("replicas"))
      yield* untilLaunched("replica-second")
      expect(yield* lead).toBe("two")
      expect((yield* jobNames).filter((_) => _.startsWith("agent-job-replica"))).toEqual([
        "agent-job-replica-both",
        "agent-job-replica-first",
        "agent-job-replica-second"
      ])
    }).pipe(Effect.scoped))

  it.effect("ends with 0 on SIGTERM as a program, and has given back its lead", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const program = yield* controllerProgram({ kubeconfig: process.env["KUBECONFIG"] ?? "", identity: "program" })
      yield* program.start
      yield* createTask("before-the-end", workspace("before-the-end"))
      yield* untilLaunched("before-the-end")
      const lead = Effect.map((yield* Kubernetes).get(leases, { name: leaderLeaseName({ name: "agent-job" }), namespace }), ({ spec }) =>
        Object(spec).holderIdentity)
      expect(yield* lead).toBe("program")
      program.signal("SIGTERM")
      expect(yield* program.ended).toBe(0)
      expect(yield* lead).not.toBe("program")
    }).pipe(Effect.scoped))
})
