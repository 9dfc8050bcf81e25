// What the token of a task can write: a real API server refuses all that is tried here, and accepts what the worker itself writes.
import { describe, expect } from "@effect/vitest"
import { Effect, Option, Schedule } from "effect"
import { advance, finished, running, unanswered, unsaved } from "../../../../src/core/task/status.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import { agentTasks, jobs, pods } from "../../../../src/kubernetes/kinds.ts"
import type { AgentTaskStatus } from "../../../../src/schema/task/agent-task.ts"
import { claimTask } from "../../../../src/worker/task/claim.ts"
import { report } from "../../../../src/worker/task/report.ts"
import { kubectl } from "../../../kustomize/api-server.ts"
import { createTask, Installation, tasks, tokenOf, userOf } from "../installed.ts"
import { accountHere, asWorker, at, begun, claimBy, forEachAccount, held, policy, refusal, result, untilHeld, write } from "./begun-task.ts"

forEachAccount({}, (it) => {
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
        const long = yield* createTask(`victim-of-${"a".repeat(37)}`)
        const twin = yield* begun(`agent-job-${long.metadata.name}`)
        const { taskNamespace: namespace } = config
        const account = accountHere(config)
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
          "the Pod of a task that is called as the victim's Job claims the victim": write(
            twin.worker,
            long,
            () => claimBy({ ...twin, task: long })
          ),
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
          "a claim that is over at once": write(mine.worker, mine.task, () => finished(claimBy(mine), result, 1)),
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
      }))

    it.effect("nothing but the result, once it has claimed, and once", () =>
      Effect.gen(function*() {
        const kubernetes = yield* Kubernetes
        const mine = yield* begun("after")
        const rival = yield* begun("rival")
        yield* write(mine.worker, mine.task, () => claimBy(mine))
        const done = (now: AgentTaskStatus) => finished(now, result, 1)
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
      }))

    it.effect("that the pool's server does not answer it, and that it does, or that its state waits to be saved, and does no more", () =>
      Effect.gen(function*() {
        const waiting = yield* begun("waiting")
        const say = (news: typeof unsaved) =>
          write(waiting.worker, waiting.task, (now) => advance(now, { ...news, generation: 1, now: at }))
        yield* write(waiting.worker, waiting.task, () => claimBy(waiting))
        const asked = { name: waiting.pod.name }
        for (const news of [unanswered(asked), running(asked)]) {
          expect((yield* say(news)).status).toMatchObject({ message: news.message })
        }
        const reasons = [(yield* say(unsaved)).status, (yield* say(running({ name: waiting.pod.name }))).status].map((status) =>
          (status as AgentTaskStatus).reason
        )
        expect(reasons).toEqual(["StateUnsaved", "Claimed"])
        yield* write(
          waiting.worker,
          waiting.task,
          (now) => finished(advance(now, { ...unsaved, generation: 1, now: at }), result, 1)
        )
        expect(yield* refusal(say(unsaved))).toMatch(policy)
      }))

    it.effect("no more where a role grants it more", () =>
      Effect.gen(function*() {
        const { config, patchStatus } = yield* Installation
        const { taskNamespace: namespace } = config
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
          kubectl(["create", "rolebinding", "-n", namespace, "more", "--role=more", `--serviceaccount=${namespace}:${accountHere(config)}`])
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
        const { conditions = [] } = (yield* admin.get(tasks, late.task.metadata)).status
        const ready = conditions.map((_) => _.type === "Ready" ? { ..._, status: "True" } : _) // what kubectl wait, Flux and Argo CD read
        const ends = [{ reason: "Completed" }, { message: "Fine." }, { conditions: ready }, { conditions: [] }, { finishedAt: at }]
        for (const end of ends) {
          const refused = yield* refusal(write(late.worker, late.task, (now) => ({ ...finished(now, result, 1), ...end })))
          expect([end, refused]).toEqual([end, expect.stringMatching(policy)])
        }
        yield* write(late.worker, late.task, (now) => finished(now, result, 1))
        expect((yield* admin.get(tasks, late.task.metadata)).status).toMatchObject({ reason: "NodeLost", result })
      }))

    it.effect("its result, of a Job that other values named", () =>
      Effect.gen(function*() {
        const former = yield* begun("renamed", "former")
        expect(former.pod.name).toMatch(/^former-renamed-/u)
        const claim = () => ({ ...claimBy(former), job: { name: "former-renamed" } })
        expect(yield* refusal(write(former.worker, former.task, claim))).toMatch(policy)
        yield* write(yield* Kubernetes, former.task, claim)
        yield* write(former.worker, former.task, (now) => finished(now, result, 1))
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
})
