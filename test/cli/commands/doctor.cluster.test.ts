// The doctor against a real API server: what it finds in a sound installation, and in one with faults.
// A stand-in for the kubelet reports what Pods would have reached in a network that enforces policies, or in one that does not.
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Option, Schedule } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { examineNetwork } from "../../../src/cli/doctor/doctor-network.ts"
import { networkChecks } from "../../../src/core/doctor/network.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import type { KubernetesError } from "../../../src/kubernetes/errors.ts"
import { networkPolicies, pods } from "../../../src/kubernetes/kinds.ts"
import type { KubernetesObject } from "../../../src/kubernetes/object.ts"
import { Installation, installation, tokenOf } from "../../core/manifest/installed.ts"
import { kubectl } from "../../kustomize/api-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { main, run, start } from "../program.ts"
import { toldScreen } from "../told-screen.ts"

const environment = { KUBECONFIG: process.env.KUBECONFIG ?? "" }

const examinedIn = Effect.fnUntraced(function*(environment: Record<string, string>, ...args: ReadonlyArray<string>) {
  const { config } = yield* Installation
  const { code, error, out } = yield* run(["doctor", "--namespace", config.namespace, "-o", "json", ...args], environment)
  const checks: ReadonlyArray<{ readonly name: string; readonly outcome: string; readonly message: string }> = out === ""
    ? []
    : JSON.parse(out).checks
  return {
    code,
    error,
    outcomes: Object.fromEntries(checks.map(({ name, outcome }) => [name, outcome])),
    messages: checks.map(({ message }) => message).join("\n")
  }
})

const examined = examinedIn(environment, "--no-pods")

const made = (...args: ReadonlyArray<string>) => Effect.promise(() => kubectl(args))

type Targets = ReadonlyArray<{ readonly address: string; readonly port: number }>
const environmentOf = (pod: KubernetesObject): Targets => JSON.parse(Object(pod["spec"]).containers[0].env?.[0]?.value ?? "[]")
const probeOf = ({ metadata }: KubernetesObject): string => metadata.labels?.["scalr.io/probe"] ?? ""

const listeningAt = (ip: string) => ({
  phase: "Running",
  podIP: ip,
  podIPs: [{ ip }],
  containerStatuses: [{ name: "probe", image: "i", imageID: "i", ready: true, restartCount: 0, state: { running: {} } }]
})
const listening = listeningAt("10.0.0.7")
const taskListening = listeningAt("10.0.0.9")

/**
 * Plays the kubelet and the network: the listeners run, and each other Pod ends with a termination message that lists what it reached.
 * `meanwhile` is what becomes of the listener before any of them ends.
 */
const kubelet = Effect.fnUntraced(function*(
  reaches: (probe: string, target: Targets[number]) => boolean,
  meanwhile: (listener: KubernetesObject) => Effect.Effect<unknown, KubernetesError, Kubernetes> = () => Effect.void
) {
  const { config: { taskNamespace: namespace } } = yield* Installation
  const kubernetes = yield* Kubernetes
  const over = (pod: KubernetesObject) => ({
    phase: "Succeeded",
    podIP: "10.0.0.8",
    podIPs: [{ ip: "10.0.0.8" }],
    containerStatuses: [{
      name: "probe",
      image: "i",
      imageID: "i",
      ready: false,
      restartCount: 0,
      state: {
        terminated: {
          exitCode: 0,
          message: JSON.stringify({
            addresses: ["10.0.0.8"],
            findings: environmentOf(pod).map((target) => ({
              ...target,
              first: reaches(probeOf(pod), target),
              last: reaches(probeOf(pod), target)
            }))
          })
        }
      }
    }]
  })
  const turn = Effect.gen(function*() {
    const { items } = yield* kubernetes.list(pods, { namespace, labelSelector: "scalr.io/doctor" })
    for (const pod of items.filter((_) => Object(_["status"]).phase === "Pending")) {
      const status = probeOf(pod) === "listener" ? listening : probeOf(pod) === "task-listener" ? taskListening : over(pod)
      if (status !== listening && status !== taskListening) yield* Effect.forEach(items.filter((_) => probeOf(_) === "listener"), meanwhile)
      yield* kubernetes.updateStatus(pods, { metadata: pod.metadata, spec: pod["spec"], status })
    }
  })
  yield* Effect.forkScoped(Effect.repeat(Effect.ignore(turn), Schedule.spaced("100 millis")))
})

const apiServer = [{ address: "kubernetes.default.svc", port: 443 }]
const isListener = ({ address }: Targets[number]) => address === "10.0.0.7"
const isTask = ({ address }: Targets[number]) => address === "10.0.0.9"

const values = {
  admissionPolicies: { enabled: true },
  restrictMetadataService: true,
  task: {
    identities: [{ name: "network-plan", workspaces: ["network-*"], stages: ["plan"] }],
    networkPolicy: { denyIngress: true }
  }
}

layer(installation(values), {
  timeout: 300_000,
  excludeTestServices: true
})("the doctor", (it) => {
  it.effect("finds nothing wrong with an installation that was just made", () =>
    Effect.gen(function*() {
      const { config } = yield* Installation
      yield* made("label", "namespace", config.taskNamespace, "pod-security.kubernetes.io/enforce=restricted")
      const { code, error, outcomes } = yield* examined
      expect([code, error]).toEqual([0, ""])
      expect(outcomes).toEqual({
        "the CustomResourceDefinition": "ok",
        "admission policies": "ok",
        "what the controller may do": "ok",
        "what tasks may do": "ok",
        "the accounts of tasks": "ok",
        "Pod Security of the tasks' namespace": "ok",
        "the worker's image": "unknown", // no controller is installed here
        "user namespaces": "ok" // these values do not use them, and no node takes their tasks
      })
    }))

  it.effect("says what is missing, too much, or other than the values, and fails", () =>
    Effect.gen(function*() {
      const { config: { namespace, taskNamespace } } = yield* Installation
      yield* made("delete", "validatingadmissionpolicybinding", `agent-job-task-pod.${taskNamespace}`)
      yield* made(
        "patch",
        "validatingadmissionpolicy",
        `agent-job-task-status.${taskNamespace}`,
        "--type=merge",
        "-p",
        JSON.stringify({ spec: { failurePolicy: "Ignore" } })
      )
      const { code, error, outcomes } = yield* examined
      expect([code, outcomes["admission policies"]]).toEqual([1, "failed"])
      expect(error).toMatch(/^error: 1 of 8 checks failed: admission policies\.$/mu)
      yield* made("create", "role", "-n", taskNamespace, "too-much", "--verb=get", "--resource=secrets")
      yield* made("create", "rolebinding", "-n", taskNamespace, "too-much", "--role=too-much", `--serviceaccount=${namespace}:agent-job`)
      yield* made("delete", "rolebinding", "-n", taskNamespace, "agent-job-task")
      yield* made("delete", "serviceaccount", "-n", taskNamespace, "network-plan")
      const again = yield* examined
      expect(again.outcomes).toMatchObject({
        "what the controller may do": "failed",
        "what tasks may do": "failed",
        "the accounts of tasks": "failed"
      })
      expect(again.messages).toContain(`${namespace}/agent-job may get secrets in ${taskNamespace}`)
      const lacking = `may not get atasks in ${taskNamespace}, watch atasks in ${taskNamespace}, update atasks/status in ${taskNamespace}`
      expect(again.messages).toContain(`${taskNamespace}/agent-job-task ${lacking}; ${taskNamespace}/network-plan ${lacking}`)
      expect(again.messages).toContain(
        `network-plan is not in namespace ${taskNamespace}, and no task starts with an account that is missing`
      )
    }))

  it.effect("needs to be told where the installation is", () =>
    Effect.gen(function*() {
      expect(yield* run(["doctor", "--namespace", "nowhere", "--no-pods"], environment)).toMatchObject({
        code: 2,
        error: expect.stringContaining("There is no ConfigMap nowhere/agent-job-config")
      })
    }))

  it.effect("leaves nothing behind when its terminal is closed while its Pods try the network", () =>
    Effect.gen(function*() {
      const { config: { namespace, taskNamespace } } = yield* Installation
      const kubernetes = yield* Kubernetes
      const left = Effect.map(
        Effect.all(
          [pods, networkPolicies].map((kind) => kubernetes.list(kind, { namespace: taskNamespace, labelSelector: "scalr.io/doctor" }))
        ),
        (pages) => pages.flatMap(({ items }) => items).filter(({ metadata }) => metadata.deletionTimestamp === undefined).length
      )
      const until = (number: number) => Effect.repeat(left, { until: (_) => _ === number, schedule: Schedule.spaced("50 millis") })
      const { child } = yield* start("script", [
        "--quiet",
        "--command",
        `exec "${process.execPath}" "${main}" doctor --namespace ${namespace}`,
        "/dev/null"
      ], { ...environment, TERM: "xterm" })
      yield* until(5) // no kubelet lets the listeners run
      child.kill("SIGKILL")
      expect(yield* until(0)).toBe(0)
    }).pipe(Effect.scoped))

  describe("of somebody who may not do it all", () => {
    /** The environment of an account that may get the values, and nothing else. */
    const examiner = Effect.gen(function*() {
      const { config: { namespace } } = yield* Installation
      yield* made("create", "serviceaccount", "-n", namespace, "examiner")
      yield* made("create", "role", "-n", namespace, "examiner", "--verb=get", "--resource=configmaps")
      yield* made("create", "rolebinding", "-n", namespace, "examiner", "--role=examiner", `--serviceaccount=${namespace}:examiner`)
      const { clusters } = JSON.parse(yield* made("config", "view", "--minify", "--raw", "-o", "json"))
      const folder = yield* temporaryFolder("doctor")
      const user = { name: "examiner", user: { token: yield* tokenOf(namespace, "examiner") } }
      const context = { name: "examiner", context: { cluster: clusters[0].name, user: "examiner" } }
      writeFileSync(
        join(folder, "kubeconfig"),
        JSON.stringify({ apiVersion: "v1", kind: "Config", clusters, users: [user], contexts: [context], "current-context": "examiner" })
      )
      return { KUBECONFIG: join(folder, "kubeconfig") }
    })

    it.effect("says what could not be found out or written down, and why, beside all that was found", () =>
      Effect.gen(function*() {
        const { config: { namespace, taskNamespace } } = yield* Installation
        const environment = yield* examiner
        const barred = yield* examinedIn(environment)
        expect([barred.code, barred.error]).toEqual([0, ""])
        expect(barred.outcomes).toMatchObject({
          "the CustomResourceDefinition": "unknown",
          "user namespaces": "unknown",
          "network policies are enforced": "unknown"
        })
        expect(barred.messages).toMatch(/^Cannot list NetworkPolicy objects in .*is forbidden.*; grant it to this identity/mu)

        yield* made(
          "create",
          "role",
          "-n",
          taskNamespace,
          "prober",
          "--verb=get,list,create,delete",
          "--resource=pods,networkpolicies.networking.k8s.io"
        )
        yield* made("create", "rolebinding", "-n", taskNamespace, "prober", "--role=prober", `--serviceaccount=${namespace}:examiner`)
        yield* kubelet((probe, target) => target.port === 443 || (isListener(target) && probe !== "closed"))
        const unmarked = yield* examinedIn(environment)
        expect([unmarked.code, unmarked.error]).toEqual([
          0,
          expect.stringMatching(/^(?: *[\d.]+s {2}Waiting for the Pods that try the network, .*\n)?$/u) // if it lasts longer than a second
        ])
        expect(unmarked.outcomes).toMatchObject({
          "network policies are enforced": "ok",
          "metadata services are closed to tasks": "ok",
          "tasks are closed to other Pods": "ok",
          "the proof of isolation": "unknown"
        })
        expect(unmarked.messages).toMatch(/^Cannot get Lease .*is forbidden/mu)
      }).pipe(Effect.scoped))
  })

  describe("and its Pods", () => {
    const examine = Effect.fnUntraced(function*(...network: Parameters<typeof kubelet>) {
      const { config } = yield* Installation
      yield* kubelet(...network)
      const found = yield* Effect.scoped(examineNetwork(config, apiServer)).pipe(Effect.provide(toldScreen().layer))
      return Option.match(found, {
        onNone: () => [],
        onSome: (found) =>
          networkChecks({ config, found, isClosedElsewhere: false, opening: [], letIn: [], inVain: [] }).map(({ outcome }) => outcome)
      })
    }, Effect.scoped)

    it.effect(
      "tell a network that enforces policies from one that only takes them, and leave nothing behind",
      () =>
        Effect.gen(function*() {
          const { config } = yield* Installation
          const kubernetes = yield* Kubernetes
          expect(yield* examine((probe, target) => target.port === 443 || (isListener(target) && probe !== "closed"))).toEqual([
            "ok",
            "ok",
            "warning",
            "ok",
            "ok"
          ])
          expect(yield* examine((_, target) => target.port === 443 || isListener(target) || isTask(target))).toEqual([
            "failed",
            "unknown",
            "warning",
            "ok",
            "failed"
          ])
          const { taskNamespace: namespace } = config
          expect((yield* kubernetes.list(networkPolicies, { namespace, labelSelector: "scalr.io/doctor" })).items).toEqual([])
          expect(
            (yield* kubernetes.list(pods, { namespace, labelSelector: "scalr.io/doctor" })).items.filter(({ metadata }) =>
              metadata.deletionTimestamp === undefined
            )
          ).toEqual([])
        })
    )

    const terminated = { exitCode: 1, reason: "Error" }
    const its = { name: "probe", image: "i", imageID: "i", ready: false, restartCount: 0, state: { terminated } }
    const told = (status: object) => ({ metadata, spec }: KubernetesObject) =>
      Effect.flatMap(Kubernetes, (_) => _.updateStatus(pods, { metadata, spec, status: { ...listening, ...status } }))
    it.effect.each([
      { given: "failed", meanwhile: told({ phase: "Failed" }) },
      { given: "has a container that ended", meanwhile: told({ containerStatuses: [its] }) },
      {
        given: "is gone",
        meanwhile: ({ metadata }: KubernetesObject) =>
          Effect.flatMap(Kubernetes, (_) => _.delete(pods, metadata, { gracePeriodSeconds: 0 }))
      }
    ])("prove nothing where the one to connect to $given before the others end", ({ meanwhile }) =>
      Effect.gen(function*() {
        const seen = yield* examine((probe, target) => target.port === 443 || (isListener(target) && probe === "open"), meanwhile)
        expect(seen).toEqual(["unknown", "unknown", "unknown", "ok", "unknown"])
      }))

    it.effect(
      "are taken where Pod Security is restricted, and two of them are selected as a task is, and have no token",
      () =>
        Effect.gen(function*() {
          const { config } = yield* Installation
          const kubernetes = yield* Kubernetes
          yield* kubelet((_, target) => isListener(target))
          yield* Effect.forkScoped(Effect.scoped(examineNetwork(config, apiServer)).pipe(Effect.provide(toldScreen().layer)))
          const { items } = yield* kubernetes.list(pods, {
            namespace: config.taskNamespace,
            labelSelector: "app.kubernetes.io/component=task"
          }).pipe(
            Effect.repeat({ until: ({ items }) => items.length > 1, schedule: Schedule.spaced("50 millis") })
          )
          expect(items.map(probeOf).sort()).toEqual(["task", "task-listener"])
          for (const { metadata, spec } of items) {
            expect(metadata.labels).toMatchObject({
              "app.kubernetes.io/name": "agent-job",
              "app.kubernetes.io/instance": "agent-job",
              "app.kubernetes.io/component": "task"
            })
            expect(spec).toMatchObject({ automountServiceAccountToken: false })
          }
        }).pipe(Effect.scoped)
    )
  })
})
