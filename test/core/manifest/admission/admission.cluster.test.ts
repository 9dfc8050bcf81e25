// What the token of a task, and any account that may make objects beside tasks, can write: a real API server refuses all that is tried
// here, and accepts what the worker and the controller themselves write.
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Layer, Option, Schedule } from "effect"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { job } from "../../../../src/core/manifest/job.ts"
import { managedByUs } from "../../../../src/core/manifest/labels.ts"
import { ownerReference } from "../../../../src/core/manifest/owner-reference.ts"
import { advance, claimed, finished, running, unsaved } from "../../../../src/core/task/status.ts"
import { templateRefusal } from "../../../../src/core/task/template-keys.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import type { KubernetesError } from "../../../../src/kubernetes/errors.ts"
import { agentTasks, jobs, pods, secrets } from "../../../../src/kubernetes/kinds.ts"
import { Uid } from "../../../../src/schema/names.ts"
import type { AgentTask, AgentTaskStatus } from "../../../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../../../src/schema/task/stage-result.ts"
import { claimTask } from "../../../../src/worker/task/claim.ts"
import { report } from "../../../../src/worker/task/report.ts"
import { kubectl } from "../../../kustomize/api-server.ts"
import { neverStops } from "../../../worker/never-stops.ts"
import { podSettings } from "../../../worker/pod-settings.ts"
import { taskOf } from "../../configs.ts"
import { type Client, createTask, Installation, installation, launched, tasks, together, tokenOf, userOf } from "../installed.ts"

const at = "2026-01-01T00:00:00Z"
const result: StageResult = { outcome: "failed", reason: "ExitCode", message: "tofu plan failed.", exitCode: 1, finishedAt: at }

/** Creates a task with its Job and Pod, and returns them with the client that the task's worker has. */
const begun = Effect.fnUntraced(function*(name: string, basename?: string) {
  const { config, withToken } = yield* Installation
  const task = yield* createTask(name)
  const { metadata: pod } = yield* launched(task, basename)
  const token = yield* tokenOf(config.taskNamespace, config.taskAccountName, pod.name)
  return { task, pod, token, worker: yield* withToken(token) }
})
type Begun = Effect.Success<ReturnType<typeof begun>>

const claimBy = ({ pod, task }: Begun, status: AgentTaskStatus = task.status) =>
  claimed(status, { podUid: Uid.make(pod.uid), nonce: "n", epoch: 0, at }, {
    job: `agent-job-${task.metadata.name}`,
    pod: pod.name,
    node: "node",
    configHash: "c0ffee"
  }, 1)

/** Writes this status to the task as it is now, with the rights of `client`. */
const write = Effect.fnUntraced(
  function*(client: Client, { metadata: { name, namespace } }: AgentTask, status: (now: AgentTaskStatus) => object) {
    const found = yield* (yield* Kubernetes).get(tasks, { name, namespace })
    return yield* client.updateStatus(agentTasks, { metadata: found.metadata, spec: found.spec, status: status(found.status) })
  }
)

const refusal = <A, R>(
  attempt: Effect.Effect<A, Pick<KubernetesError, "message"> & { readonly _tag: string }, R>
): Effect.Effect<string, never, R> =>
  Effect.match(attempt, { onSuccess: () => "it was taken", onFailure: ({ _tag, message }) => `${_tag}: ${message}` })

/** Repeats the attempt until a policy refuses it, because a policy takes a moment to hold. */
const untilHeld = (attempt: Effect.Effect<string>) =>
  attempt.pipe(
    Effect.repeat({ until: (_) => _.includes("ValidatingAdmissionPolicy"), schedule: Schedule.spaced("100 millis"), times: 200 })
  )

const held = Effect.gen(function*() {
  const { as, config } = yield* Installation
  const task = yield* createTask("probe")
  const nobody = yield* as(userOf(config.taskNamespace, config.taskAccountName))
  yield* untilHeld(Effect.provideService(refusal(write(nobody, task, (status) => status)), Kubernetes, yield* Kubernetes))
})

const settings = ({ pod, task: { metadata: { name, namespace, uid } } }: Begun) =>
  podSettings("/none", "/none", {
    AGENT_JOB_NAMESPACE: namespace,
    AGENT_JOB_TASK: name,
    AGENT_JOB_TASK_UID: uid,
    AGENT_JOB_JOB: `agent-job-${name}`,
    AGENT_JOB_POD_NAME: pod.name,
    AGENT_JOB_POD_UID: pod.uid,
    AGENT_JOB_TERMINATION_LOG: join(tmpdir(), `${pod.name}-termination-log`)
  })
const stop = neverStops()
/** The services of the worker's own code, with the worker's token. */
const asWorker = (of: Begun) => Layer.mergeAll(settings(of), stop, Layer.succeed(Kubernetes, of.worker))

/** Matches a refusal by one of a policy's checks, and not one because a check could not be evaluated. */
const policy = /ValidatingAdmissionPolicy(?!.*resulted in error)/u

layer(installation({ admissionPolicies: { enabled: true } }), { timeout: 60_000, excludeTestServices: true })("the API server", (it) => {
  describe("takes", () => {
    it.effect("the claim and the result of a worker, as its own code writes them", () =>
      Effect.gen(function*() {
        yield* held
        const good = yield* begun("good")
        const { claim } = yield* Effect.provide(claimTask(), asWorker(good))
        yield* Effect.provide(report(claim, result, { flushLog: () => Effect.void, tellPool: Option.none() }), asWorker(good))
        const { status } = yield* (yield* Kubernetes).get(tasks, good.task.metadata)
        expect(status).toMatchObject({ phase: "Failed", reason: "ExitCode", result, claim: { podUid: good.pod.uid } })
      }))

    it.effect("a claim of a launch that was taken back as one, or as it was written by earlier workers, and as no other", () =>
      Effect.gen(function*() {
        const kubernetes = yield* Kubernetes
        const tried = yield* Effect.forEach([0, 1, 2], (launches) =>
          Effect.gen(function*() {
            const anew = yield* begun(`anew-${launches}`)
            yield* kubernetes.updateStatus(agentTasks, {
              metadata: anew.task.metadata,
              spec: anew.task.spec,
              status: advance({ launches: 0 }, { phase: "Starting", reason: "QuotaExceeded", message: "It waits.", generation: 1, now: at })
            })
            return yield* refusal(write(anew.worker, anew.task, (now) => ({ ...claimBy(anew, now), launches })))
          }))
        expect(tried).toEqual(["it was taken", "it was taken", expect.stringMatching(policy)])
      }))
  })

  describe("lets a task's token write", () => {
    it.effect("nothing but its own claim, of its own task", () =>
      Effect.gen(function*() {
        const { as, config, patchStatus, withToken } = yield* Installation
        const kubernetes = yield* Kubernetes
        const [victim, mine, longer, dotted] = [
          yield* begun("victim"),
          yield* begun("mine"),
          yield* begun("victim-2"),
          yield* createTask("vic.tim")
        ]
        const { taskAccountName: account, taskNamespace: namespace } = config
        const gone = yield* begun("gone")
        yield* kubernetes.delete(jobs, { namespace, name: "agent-job-gone" })
        yield* kubernetes.delete(pods, { namespace, name: gone.pod.name }, { gracePeriodSeconds: 0 }).pipe(
          Effect.catchTag("NotFound", () => Effect.void)
        )
        yield* kubernetes.get(pods, { namespace, name: gone.pod.name }).pipe(
          Effect.repeat({ schedule: Schedule.spaced("100 millis"), times: 100 }),
          Effect.ignore
        )
        const unbound = yield* withToken(yield* tokenOf(namespace, account))
        const nameless = yield* as(userOf(namespace, account))
        const other = (change: object) => write(mine.worker, mine.task, () => ({ ...claimBy(mine), ...change }))
        const attempts = {
          "an unbound token claims": write(unbound, victim.task, () => claimBy(victim)),
          "somebody who may impersonate the account claims": write(nameless, victim.task, () => claimBy(victim)),
          "the token of a Pod that is gone claims its task": write(gone.worker, gone.task, () => claimBy(gone)),
          "the token of another task's Pod claims as that Pod": write(
            mine.worker,
            victim.task,
            () => claimBy({ ...victim, pod: mine.pod })
          ),
          "the token of another task's Pod claims as the victim's Pod": write(mine.worker, victim.task, () => claimBy(victim)),
          "the Pod of victim-2 claims victim": write(longer.worker, victim.task, () => claimBy({ ...victim, pod: longer.pod })),
          "the Pod of victim claims victim-2": write(victim.worker, longer.task, () => claimBy({ ...longer, pod: victim.pod })),
          "a Pod claims a task whose Job nobody has named": write(mine.worker, dotted, () => claimBy({ ...mine, task: dotted })),
          "another task's Pod cancels nothing, but says it is over": write(mine.worker, victim.task, () => ({ phase: "Cancelled" })),
          "another task's Pod reports a result": write(
            mine.worker,
            victim.task,
            (now) => ({ ...now, phase: "Succeeded", result: { ...result, outcome: "succeeded" } })
          ),
          "its own Pod, with the UID of another Pod": write(
            mine.worker,
            mine.task,
            () => ({ ...claimBy(mine), claim: { podUid: victim.pod.uid, nonce: "n", epoch: 0, at } })
          ),
          "its own Pod, without a claim": write(mine.worker, mine.task, (now) => ({ ...now, message: "hello" })),
          "its own Pod, a result without a claim": write(
            mine.worker,
            mine.task,
            (now) => ({ ...now, phase: "Failed", reason: "ExitCode", result })
          ),
          "a claim that is over at once": write(mine.worker, mine.task, () => finished(claimBy(mine), result, 1, false)),
          "a claim in another phase": other({ phase: "Starting" }),
          "a claim with another reason": other({ reason: "Completed" }),
          "a claim that names another Job": other({ job: { name: "agent-job-victim" } }),
          "a claim that names another Pod": other({ pod: { name: victim.pod.name, uid: mine.pod.uid } }),
          "a claim that names another Pod's UID": other({ pod: { name: mine.pod.name, uid: victim.pod.uid } }),
          "a claim that says how often it was launched": other({ launches: 7 }),
          "a claim with another source": other({ source: { revision: "r", url: "https://example.com/a.tar.gz", sha256: "0".repeat(64) } }),
          "a claim with a newest attempt": other({ latest: { attempt: 2, name: "x", sha256: "0".repeat(64) } }),
          "a claim that the pool has confirmed": other({ reportedAt: at }),
          "a claim with a place in the queue": other({ queue: { position: 1, reason: "WorkspaceBusy" } }),
          "a patch of the status of another task": patchStatus(mine.token, victim.task.metadata, {
            claim: { podUid: mine.pod.uid, nonce: "n", epoch: 0, at },
            phase: "Running"
          })
        }
        const refused = (given: string) =>
          given.includes("is gone") ? /^Unauthorized/u : given.startsWith("a patch") ? /cannot patch resource "atasks\/status"/u : policy
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* refusal(attempt)]).toEqual([given, expect.stringMatching(refused(given))])
        }
        expect((yield* kubernetes.get(tasks, victim.task.metadata)).status.claim).toBeUndefined()
      }), 120_000)

    it.effect("nothing but the result, once it has claimed, and once", () =>
      Effect.gen(function*() {
        const kubernetes = yield* Kubernetes
        const mine = yield* begun("after")
        const rival = yield* begun("rival")
        yield* write(mine.worker, mine.task, () => claimBy(mine))
        const done = (now: AgentTaskStatus) => finished(now, result, 1, false)
        const other = (change: object) => write(mine.worker, mine.task, (now) => ({ ...done(now), ...change }))
        const attempts = {
          "another task's Pod ends it": write(rival.worker, mine.task, done),
          "the claimant says something beside": write(mine.worker, mine.task, (now) => ({ ...now, message: "hello" })),
          "the claimant says that it was cancelled": write(mine.worker, mine.task, (now) => ({ ...now, reason: "Stopping" })),
          "the claimant says that its state waits, in another phase": write(
            mine.worker,
            mine.task,
            (now) => ({ ...now, phase: "Succeeded", reason: "StateUnsaved" })
          ),
          "the claimant says that its state waits, and that it has ended": write(
            mine.worker,
            mine.task,
            (now) => ({ ...now, reason: "StateUnsaved", finishedAt: at })
          ),
          "the claimant says that its state waits, in another Job": write(
            mine.worker,
            mine.task,
            (now) => ({ ...now, reason: "StateUnsaved", job: { name: "agent-job-rival" } })
          ),
          "another task's Pod says that its state waits": write(rival.worker, mine.task, (now) => ({ ...now, reason: "StateUnsaved" })),
          "the claimant ends it without a result": write(
            mine.worker,
            mine.task,
            (now) => ({ ...now, phase: "Succeeded", reason: "Completed" })
          ),
          "a failure that succeeded": other({ phase: "Succeeded", reason: "Completed" }),
          "a failure for another reason": other({ reason: "Lost" }),
          "another Job": other({ job: { name: "agent-job-rival" } }),
          "another Pod": other({ pod: { name: rival.pod.name, uid: rival.pod.uid } }),
          "more launches": other({ launches: 9 }),
          "another beginning": other({ startedAt: "2020-01-01T00:00:00Z" }),
          "another configuration": other({ configHash: "0" }),
          "another attempt": other({ latest: { attempt: 2, name: "x", sha256: "0".repeat(64) } })
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* refusal(attempt)]).toEqual([given, expect.stringMatching(policy)])
        }
        yield* write(mine.worker, mine.task, done)
        expect(yield* refusal(write(mine.worker, mine.task, (now) => ({ ...now, message: "Or so." })))).toMatch(policy)
        expect((yield* kubernetes.get(tasks, mine.task.metadata)).status).toMatchObject({ phase: "Failed", result })
      }), 60_000)

    it.effect("that its state waits to be saved, and that it does no more", () =>
      Effect.gen(function*() {
        const waiting = yield* begun("waiting")
        const say = (news: typeof unsaved) =>
          write(waiting.worker, waiting.task, (now) => advance(now, { ...news, generation: 1, now: at }))
        yield* write(waiting.worker, waiting.task, () => claimBy(waiting))
        const reasons = [(yield* say(unsaved)).status, (yield* say(running({ name: waiting.pod.name }))).status].map((status) =>
          (status as AgentTaskStatus).reason
        )
        expect(reasons).toEqual(["StateUnsaved", "Claimed"])
        yield* write(
          waiting.worker,
          waiting.task,
          (now) => finished(advance(now, { ...unsaved, generation: 1, now: at }), result, 1, false)
        )
        expect(yield* refusal(say(unsaved))).toMatch(policy)
      }))

    it.effect("no more where a role grants it more", () =>
      Effect.gen(function*() {
        const { config: { taskAccountName: account, taskNamespace: namespace }, patchStatus } = yield* Installation
        const mine = yield* begun("granted")
        const kubernetes = yield* Kubernetes
        yield* Effect.promise(() =>
          kubectl([
            "create",
            "role",
            "-n",
            namespace,
            "more",
            "--verb=create,update,patch,delete",
            "--resource=atasks.scalr.io,atasks.scalr.io/status"
          ])
        )
        yield* Effect.promise(() =>
          kubectl(["create", "rolebinding", "-n", namespace, "more", "--role=more", `--serviceaccount=${namespace}:${account}`])
        )
        const { metadata, spec } = yield* kubernetes.get(tasks, mine.task.metadata)
        const attempts = {
          "a change of its own task": mine.worker.update(agentTasks, {
            metadata: { ...metadata, labels: { "example.com/team": "a" } },
            spec
          }),
          "a task of its own": mine.worker.create(agentTasks, { metadata: { name: "made", namespace }, spec }),
          "the end of its own task": mine.worker.delete(agentTasks, metadata),
          "a patch of its own status": patchStatus(mine.token, metadata, { message: "hello" })
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          // Until the role is known, the API server may refuse the attempt for another reason.
          expect([given, yield* untilHeld(refusal(attempt))]).toEqual([given, expect.stringMatching(/ValidatingAdmissionPolicy/u)])
        }
      }))

    it.effect("its result beside an end that the controller wrote first, and no other end", () =>
      Effect.gen(function*() {
        const late = yield* begun("late")
        const admin = yield* Kubernetes
        yield* write(late.worker, late.task, () => claimBy(late))
        yield* write(admin, late.task, (now) => ({ ...now, phase: "Failed", reason: "NodeLost", message: "The node is gone." }))
        expect(yield* refusal(write(late.worker, late.task, (now) => ({ ...now, message: "Fine.", result })))).toMatch(policy)
        yield* write(late.worker, late.task, (now) => finished(now, result, 1, false))
        expect((yield* admin.get(tasks, late.task.metadata)).status).toMatchObject({ reason: "NodeLost", result })
      }))

    it.effect("its result, of a Job that other values named", () =>
      Effect.gen(function*() {
        const former = yield* begun("renamed", "former")
        expect(former.pod.name).toMatch(/^former-renamed-/u)
        const claim = () => ({ ...claimBy(former), job: { name: "former-renamed" } })
        expect(yield* refusal(write(former.worker, former.task, claim))).toMatch(policy)
        yield* write(yield* Kubernetes, former.task, claim)
        yield* write(former.worker, former.task, (now) => finished(now, result, 1, false))
      }))

    it.effect("to a task whose Job has another name once the controller has written that", () =>
      Effect.gen(function*() {
        const named = yield* begun("na.med")
        const admin = yield* Kubernetes
        const jobNameOf = named.pod.name.slice(0, -6)
        const claim = () => ({ ...claimBy(named), job: { name: jobNameOf } })
        expect(yield* refusal(write(named.worker, named.task, claim))).toMatch(policy)
        yield* write(admin, named.task, () => ({ phase: "Pending", job: { name: jobNameOf } }))
        yield* write(named.worker, named.task, claim)
      }))
  })

  describe("shows the controller", () => {
    it.effect("no Secret but the tokens of tasks, which it may renew", () =>
      Effect.gen(function*() {
        const { config: { taskAccountName, taskNamespace: namespace }, controller } = yield* Installation
        const admin = yield* Kubernetes
        const task = yield* createTask("owner")
        const data = { token: "aHVudGVyMg==" }
        const tokenOf = (name: string, metadata: object = {}, more: object = {}) => ({
          metadata: { name, namespace, labels: managedByUs, ownerReferences: [ownerReference(task)], ...metadata },
          type: "Opaque",
          data,
          ...more
        })
        const nothing = [{ op: "test" as const, path: "/kind", value: "Secret" }]
        const patched = (name: string) => controller.patch(secrets, { name, namespace }, nothing)
        yield* controller.create(secrets, tokenOf("of-task"))
        expect(yield* controller.patch(secrets, { name: "of-task", namespace }, [{ op: "add", path: "/data", value: { token: "bmV3" } }]))
          .toMatchObject({ data: { token: "bmV3" } })
        const theirs = {
          "of-somebody": { labels: {}, ownerReferences: [] },
          "without-owner": { ownerReferences: [] },
          "without-label": { labels: {} },
          "of-another-kind": { ownerReferences: [{ apiVersion: "batch/v1", kind: "AgentTask", name: "a", uid: "b" }] }
        }
        for (const [name, metadata] of Object.entries(theirs)) yield* admin.create(secrets, tokenOf(name, metadata))
        const ofAccount = { type: "kubernetes.io/service-account-token", data: {} }
        const account = { annotations: { "kubernetes.io/service-account.name": taskAccountName } }
        yield* admin.create(secrets, tokenOf("of-account", account, ofAccount))
        yield* untilHeld(refusal(patched("of-somebody")))
        const attempts = {
          ...Object.fromEntries([...Object.keys(theirs), "of-account"].map((name) => [`a patch of the Secret ${name}`, patched(name)])),
          "a Secret that Kubernetes fills with the token of an account": controller.create(secrets, tokenOf("filled", account, ofAccount)),
          "a Secret of no task": controller.create(secrets, tokenOf("mine", { ownerReferences: [] }))
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          const answer = yield* refusal(attempt)
          expect([given, answer]).toEqual([given, expect.stringMatching(policy)])
          expect(answer).not.toMatch(/hunter2|aHVudGVyMg/u)
        }
      }), 60_000)
  })

  describe("lets run as the tasks' account", () => {
    it.effect("what the controller made for an AgentTask, in our shape, and nothing else", () =>
      Effect.gen(function*() {
        const { config, controller } = yield* Installation
        const kubernetes = yield* Kubernetes
        const { taskNamespace: namespace } = config
        const { pod, task } = yield* begun("shape")
        const made = yield* kubernetes.get(pods, { namespace, name: pod.name })
        const spec = Object(made["spec"]) as Record<string, ReadonlyArray<Record<string, unknown>>>
        const whole = job(task, config, 0)
        const template = whole.spec?.template
        const jobOf = (change: object, metadata: object = {}) => ({
          metadata: { ...whole.metadata, namespace, name: `other-${Math.random().toString(36).slice(2, 8)}`, ...metadata },
          spec: { ...whole.spec, template: { ...template, spec: { ...template?.spec, ...change } } }
        })
        const jobController = yield* Effect.flatMap(Installation, ({ as }) => as("system:serviceaccount:kube-system:job-controller"))
        const name = () => `${pod.name.slice(0, -5)}${Math.random().toString(36).slice(2, 7)}`
        const podOf = (change: object, metadata: object = {}) => ({
          metadata: { name: name(), namespace, labels: made.metadata.labels, ownerReferences: made.metadata.ownerReferences, ...metadata },
          spec: { ...spec, ...change }
        })
        const asKubernetes = (change: object, metadata: object = {}) => jobController.create(pods, podOf(change, metadata))
        const [worker] = spec["containers"] ?? []
        const [first, runner] = spec["initContainers"] ?? []
        const mount = { name: "api-token", mountPath: "/token" }
        const attempts = {
          "a Pod by hand": kubernetes.create(pods, podOf({})),
          "a Pod by the controller": controller.create(pods, podOf({})),
          "a Job by hand": kubernetes.create(jobs, jobOf({})),
          "a Job of no AgentTask": controller.create(jobs, jobOf({}, { ownerReferences: [] })),
          "a Pod of no Job": asKubernetes({}, { ownerReferences: [] }),
          "a Pod with the name of another Job's": asKubernetes({}, { name: "agent-job-victim-abcde" }),
          "a Pod that network policies do not select": asKubernetes({}, {
            labels: { ...made.metadata.labels, "app.kubernetes.io/component": "other" }
          }),
          "a Pod without labels": asKubernetes({}, { labels: {} }),
          "the node's network": asKubernetes({ hostNetwork: true }),
          "the node's processes": asKubernetes({ hostPID: true }),
          "the node's shared memory": asKubernetes({ hostIPC: true }),
          "one view of processes": asKubernetes({ shareProcessNamespace: true }),
          "a directory of the node": asKubernetes({ volumes: [...spec["volumes"] ?? [], { name: "host", hostPath: { path: "/" } }] }),
          "a privileged worker": asKubernetes({ containers: [{ ...worker, securityContext: { privileged: true } }] }),
          "a privileged runner": asKubernetes({ initContainers: [first, { ...runner, securityContext: { privileged: true } }] }),
          "a token that Kubernetes mounts everywhere": asKubernetes({ automountServiceAccountToken: true }),
          "a token by default": asKubernetes({ automountServiceAccountToken: undefined }),
          "one more token": asKubernetes({
            volumes: [...spec["volumes"] ?? [], { name: "more", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }]
          }),
          "a token for somebody else": asKubernetes({
            volumes: [...spec["volumes"] ?? [], {
              name: "more",
              projected: { sources: [{ serviceAccountToken: { path: "token", audience: "https://kubernetes.default.svc" } }] }
            }]
          }),
          "the token in the runner": asKubernetes({ initContainers: [first, { ...runner, volumeMounts: [mount] }] }),
          "the token in the install container": asKubernetes({ initContainers: [{ ...first, volumeMounts: [mount] }, runner] }),
          "the token in one more container": asKubernetes({ containers: [worker, { name: "more", image: "i", volumeMounts: [mount] }] }),
          ...Object.fromEntries(
            ["task-token", "agent-job-client-certificate", "private", "plans", "source", "tmp"].map((volume) => [
              `${volume} in what a webhook adds`,
              asKubernetes({
                containers: [worker, { name: "istio-proxy", image: "i", volumeMounts: [{ name: volume, mountPath: "/loot" }] }],
                volumes: [...(spec["volumes"] ?? []).filter(({ name }) => name !== volume), { name: volume, emptyDir: {} }]
              })
            ])
          )
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* refusal(attempt)]).toEqual([
            given,
            expect.stringMatching(given === "a Pod by the controller" ? /^Forbidden/u : policy)
          ])
        }
        yield* asKubernetes({})
        yield* asKubernetes({
          containers: [worker, { name: "istio-proxy", image: "i", volumeMounts: [{ name: "data", mountPath: "/data" }] }]
        })
      }), 60_000)

    it.effect("nothing that is put into a Pod later", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace } } = yield* Installation
        const { pod } = yield* begun("later")
        const patch = (change: object, ...more: ReadonlyArray<string>) =>
          Effect.promise(() =>
            kubectl(["patch", "-n", namespace, "pod", pod.name, ...more, "-p", JSON.stringify(change)]).then(
              () => "it was taken",
              (error: Error) => error.message
            )
          )
        const attempts = {
          "an ephemeral container": patch(
            { spec: { ephemeralContainers: [{ name: "debug", image: "i", targetContainerName: "worker" }] } },
            "--subresource=ephemeralcontainers"
          ),
          "another image of the worker": patch({ spec: { containers: [{ name: "worker", image: "mine" }] } }),
          "another image of the runner": patch({ spec: { initContainers: [{ name: "runner", image: "mine" }] } }),
          "a label that takes it out of a network policy": patch({ metadata: { labels: { "app.kubernetes.io/component": "other" } } })
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* attempt]).toEqual([given, expect.stringMatching(policy)])
        }
        expect(yield* patch({ metadata: { labels: { "example.com/team": "a" } } })).toBe("it was taken")
      }))
  })

  describe("gives a token of the tasks' account", () => {
    it.effect("to kubelets, and to nobody else who may ask for tokens", () =>
      Effect.gen(function*() {
        const { config: { taskAccountName: account, taskNamespace: namespace } } = yield* Installation
        const { pod } = yield* begun("asked-for")
        const editor = ["--as=editor", "--as-group=editors"]
        const requested = (name: string, ...more: ReadonlyArray<string>) =>
          Effect.promise(() =>
            kubectl(["create", "token", "-n", namespace, name, ...more]).then(() => "it was given", (error: Error) => error.message)
          )
        yield* Effect.promise(() => kubectl(["create", "rolebinding", "-n", namespace, "editors", "--clusterrole=edit", "--group=editors"]))
        yield* untilHeld(requested(account, ...editor))
        const attempts = {
          "an editor, one that names a Pod": requested(account, "--bound-object-kind=Pod", `--bound-object-name=${pod.name}`, ...editor),
          "an editor, one that names nothing": requested(account, ...editor),
          "an administrator": requested(account)
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* attempt]).toEqual([given, expect.stringMatching(policy)])
        }
        expect(yield* requested("default", ...editor)).toBe("it was given")
      }))
  })

  describe("lets an AgentTask name", () => {
    it.effect("no token of a pool's task, whatever Secrets it may name", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace }, controller } = yield* Installation
        const names = (secret: string) => ({
          variables: [{ name: "fine", value: "1" }, { name: "t", valueFrom: { secretKeyRef: { name: secret, key: "token" } } }]
        })
        const object = (name: string, secret: string) => ({
          metadata: { name, namespace },
          spec: { workspace: "w", stage: "plan", source: { inline: { "main.tf": "" } }, ...names(secret) }
        })
        for (const [index, secret] of ["run-k3v9x2-apply-token", "run-k3v9x2-plan-2-token"].entries()) {
          for (const client of [controller, yield* Kubernetes]) {
            expect(yield* refusal(client.create(agentTasks, object(`thief-${index}`, secret)))).toMatch(policy)
          }
        }
        yield* createTask("honest", names("run-token") as never)
      }))

    it.effect("the Secret of a pool only where the controller makes it", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace }, controller } = yield* Installation
        const object = (name: string) => ({
          metadata: { name, namespace },
          spec: {
            workspace: "w",
            stage: "plan",
            source: { pool: { archiveSha256: "0".repeat(64) } },
            pool: { url: "https://evil.example.com", runId: "run-1", tokenSecret: { name: "database" } }
          }
        })
        expect(yield* refusal(Effect.flatMap(Kubernetes, (_) => _.create(agentTasks, object("by-hand"))))).toMatch(policy)
        yield* controller.create(agentTasks, object("by-controller"))
      }))

    it.effect("another one as its owner only where the controller makes it, as an attempt, and keeps it when others change it", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace }, controller } = yield* Installation
        const admin = yield* Kubernetes
        const { spec } = yield* createTask("followed")
        const owner = { ...ownerReference(yield* admin.get(tasks, { name: "followed", namespace })), controller: true }
        const object = (name: string, ownerReferences: ReadonlyArray<object> = [owner]) => ({
          metadata: { name, namespace, ownerReferences },
          spec
        })
        yield* createTask("plain")
        const plain = yield* admin.get(agentTasks, { name: "plain", namespace })
        yield* untilHeld(refusal(admin.create(agentTasks, object("followed-9"))))
        const attempts = {
          "an attempt by hand": admin.create(agentTasks, object("followed-2")),
          "one of another group": admin.create(agentTasks, object("followed-2", [{ ...owner, apiVersion: "example.com/v1" }])),
          "a task that is made one later": admin.update(agentTasks, { ...plain, metadata: { ...plain.metadata, ownerReferences: [owner] } })
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* refusal(attempt)]).toEqual([given, expect.stringMatching(policy)])
        }
        const made = yield* controller.create(agentTasks, object("followed-2"))
        expect(
          yield* refusal(
            admin.update(agentTasks, {
              ...plain,
              metadata: { ...plain.metadata, ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "a", uid: "b" }] }
            })
          )
        ).toBe("it was taken")
        expect(
          yield* refusal(
            admin.update(agentTasks, {
              ...made,
              metadata: { ...made.metadata, labels: { "example.com/team": "a" } },
              spec: { ...spec, cancel: true }
            })
          )
        ).toBe("it was taken")
      }))
  })
})

layer(
  installation({
    admissionPolicies: { enabled: true, secrets: ["shared", "team-a-*"], configMaps: [], persistentVolumeClaims: ["state"] }
  }),
  { timeout: 60_000, excludeTestServices: true }
)("an AgentTask", (it) => {
  it.effect("names nothing but what the values allow", () =>
    Effect.gen(function*() {
      const secret = (name: string) => ({
        variables: [{ name: "fine", value: "1" }, { name: "v", valueFrom: { secretKeyRef: { name, key: "k" } } }]
      })
      const refused = {
        "another Secret": secret("database"),
        "a Secret whose name begins as an allowed one": secret("shared-2"),
        "the beginning of allowed names": secret("team-a"),
        "a ConfigMap": { source: { configMap: { name: "files" } } },
        "another claim": { jobTemplate: { volumeClaims: [{ claimName: "theirs", mountPath: "/s" }] } },
        "a claim for its plan": {
          source: { archive: { url: "https://example.com/a.tar.gz", sha256: "0".repeat(64) } },
          savePlan: { claimName: "theirs" }
        },
        "the claim of a plan": { stage: "apply" as const, source: { savedPlan: { claimName: "theirs", sha256: "0".repeat(64) } } }
      }
      yield* refusal(createTask("probe", secret("database") as never)).pipe(
        Effect.repeat({ until: (_) => policy.test(_), schedule: Schedule.spaced("100 millis"), times: 200 })
      )
      for (const [given, spec] of Object.entries(refused)) {
        expect([given, yield* refusal(createTask(given.toLowerCase().replaceAll(" ", "-"), spec as never))]).toEqual([
          given,
          expect.stringMatching(policy)
        ])
      }
      for (
        const [index, spec] of [secret("shared"), secret("team-a-database"), {
          jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: "/s" }] }
        }].entries()
      ) yield* createTask(`allowed-${index}`, spec as never)
    }))
})

layer(
  installation({ admissionPolicies: { enabled: true }, task: { allowedKeys: ["example.com/", "sidecar.istio.io/inject"] } }),
  { timeout: 60_000, excludeTestServices: true }
)("the template of an AgentTask", (it) => {
  const template = (jobTemplate: object) => ({ jobTemplate })
  const strange = {
    "one more volume of a sidecar": template({
      annotations: { "sidecar.istio.io/inject": "true", "sidecar.istio.io/userVolume": "[]" }
    }),
    "a network of its own": template({ annotations: { "k8s.v1.cni.cncf.io/networks": "other" } }),
    "a workspace of others": template({ labels: { "scalr.io/workspace": "production" } }),
    "a device": template({ runner: { resources: { limits: { cpu: "1", "smarter-devices/fuse": "1" } } } }),
    "a device that it asks for": template({ runner: { resources: { requests: { "nvidia.com/gpu": "1" } } } }),
    "several": template({ labels: { "z.io/c": "", "z.io/a": "", "z.io/b": "", "example.com/a": "" } })
  }

  it.effect("sets the keys that the values allow, and is refused in the controller's words for another one", () =>
    Effect.gen(function*() {
      const { config: { policy: { allowedKeys } } } = yield* Installation
      const probe = createTask("probe", strange["a network of its own"] as never)
      yield* untilHeld(Effect.provide(refusal(probe), yield* Effect.context<Kubernetes | Installation>()))
      for (const [given, spec] of Object.entries(strange)) {
        const told = templateRefusal(taskOf(spec), allowedKeys)
        expect([given, yield* refusal(createTask(given.replaceAll(" ", "-"), spec as never))]).toEqual([
          given,
          expect.stringContaining(`denied request: ${told?.replace(/\.$/u, "")}`)
        ])
      }
      const allowed = {
        labels: { team: "a", "example.com/team": "a" },
        annotations: { purpose: "b", "sidecar.istio.io/inject": "true" },
        nodeSelector: { "topology.kubernetes.io/zone": "a" },
        runner: { resources: { limits: { cpu: "2", "example.com/fuse": "1" }, requests: { memory: "1Gi" } } }
      }
      yield* createTask("allowed", template(allowed) as never)
      yield* createTask("plain")
    }))
})

layer(
  installation({
    admissionPolicies: { enabled: true },
    agent: {
      tokenExistingSecret: { name: "pool" },
      providerNetworkMirrors: [{
        url: "https://mirror.example.com/",
        include: ["example.com/*/*"],
        tokenSecret: { name: "mirror", key: "k" }
      }]
    },
    global: { imagePullSecrets: [{ name: "registry" }], tls: { clientCertSecret: { name: "certificate" } } },
    persistence: { enabled: true, persistentVolumeClaim: { claimName: "shared" } }
  }, together),
  { timeout: 60_000, excludeTestServices: true }
)("an AgentTask in the namespace of the controller", (it) => {
  const sha256 = "0".repeat(64)
  const archive = { archive: { url: "https://example.com/a.tar.gz", sha256 } }
  const secret = (name: string) => ({ variables: [{ name: "v", valueFrom: { secretKeyRef: { name, key: "k" } } }] })
  const ways = (claimName: string) => ({
    "a volume of": { jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: "/s" }, { claimName, mountPath: "/loot" }] } },
    "a plan for": { source: archive, savePlan: { claimName } },
    "a plan from": { stage: "apply", source: { savedPlan: { claimName, sha256 } } }
  })

  it.effect("names neither Secrets nor claims of the installation, though it may name any other", () =>
    Effect.gen(function*() {
      const attempts = {
        ...Object.fromEntries(
          ["registry", "certificate", "mirror", "pool", "agent-job-user-token", "agent-job-pool-token"].map((name) => [name, secret(name)])
        ),
        ...Object.fromEntries(
          ["shared", "agent-job-cache", "data-agent-job-server-0"].flatMap((claim) =>
            Object.entries(ways(claim)).map(([way, spec]) => [`${way} ${claim}`, spec])
          )
        )
      }
      const named = (name: string, spec: object) => refusal(createTask(name.replaceAll(" ", "-"), spec as never))
      yield* untilHeld(Effect.provide(named("probe", secret("registry")), yield* Effect.context<Kubernetes | Installation>()))
      for (const [given, spec] of Object.entries(attempts)) {
        expect([given, yield* named(given, spec)]).toEqual([
          given,
          expect.stringMatching(/ValidatingAdmissionPolicy.*that the installation has for itself/u)
        ])
      }
      for (const neighbour of ["registry-2", "certificates"]) expect(yield* named(neighbour, secret(neighbour))).toBe("it was taken")
      for (const [way, spec] of Object.entries(ways("shared-2"))) expect(yield* named(`${way} shared-2`, spec)).toBe("it was taken")
    }))
})
