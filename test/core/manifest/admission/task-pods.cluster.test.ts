// Which Jobs and Pods may run as the tasks' account: a real API server refuses those that the controller made not at all, or not so.
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { job } from "../../../../src/core/manifest/job.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import { jobs, pods } from "../../../../src/kubernetes/kinds.ts"
import { kubectl } from "../../../kustomize/api-server.ts"
import { Installation } from "../installed.ts"
import { begun, forEachAccount, policy, refusal, untilHeld } from "./begun-task.ts"

const patching = (namespace: string, pod: string) => (change: object, ...more: ReadonlyArray<string>) =>
  Effect.promise(() =>
    kubectl(["patch", "-n", namespace, "pod", pod, ...more, "-p", JSON.stringify(change)]).then(
      () => "it was taken",
      (error: Error) => error.message
    )
  )

forEachAccount({}, (it) => {
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
          "a Job by the controller, with another account": controller.create(jobs, jobOf({ serviceAccountName: "default" })),
          "a Job by the controller, with no account": controller.create(jobs, jobOf({ serviceAccountName: undefined })),
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
        yield* untilHeld(refusal(kubernetes.create(pods, podOf({}))))
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* refusal(attempt)]).toEqual([
            given,
            expect.stringMatching(given === "a Pod by the controller" ? /^Forbidden/u : policy)
          ])
        }
        yield* controller.create(jobs, jobOf({}))
        yield* kubernetes.create(jobs, jobOf({ serviceAccountName: "default" }))
        yield* asKubernetes({})
        yield* asKubernetes({
          containers: [worker, { name: "istio-proxy", image: "i", volumeMounts: [{ name: "data", mountPath: "/data" }] }]
        })
      }))

    it.effect("nothing that is put into a Pod later", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace } } = yield* Installation
        const { pod } = yield* begun("later")
        const patch = patching(namespace, pod.name)
        const attempts = {
          "an ephemeral container": patch(
            { spec: { ephemeralContainers: [{ name: "debug", image: "i", targetContainerName: "worker" }] } },
            "--subresource=ephemeralcontainers"
          ),
          "another image of the worker": patch({ spec: { containers: [{ name: "worker", image: "mine" }] } }),
          "another image of the runner": patch({ spec: { initContainers: [{ name: "runner", image: "mine" }] } }),
          "a label that takes it out of a network policy": patch({ metadata: { labels: { "app.kubernetes.io/component": "other" } } }),
          "a stage that its disruption budget does not hold": patch({ metadata: { labels: { "scalr.io/stage": "other" } } }),
          "another task": patch({ metadata: { labels: { "scalr.io/task-uid": "other" } } }),
          "no manager, so that the controller does not see it": patch({ metadata: { labels: { "app.kubernetes.io/managed-by": null } } })
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* attempt]).toEqual([given, expect.stringMatching(policy)])
        }
        expect(yield* patch({ metadata: { labels: { "example.com/team": "a" } } })).toBe("it was taken")
      }))

    it.effect("a Pod that is over with images that a webhook rewrites, since Kubernetes could not let go of it otherwise", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace } } = yield* Installation
        const { pod } = yield* begun("over")
        const patch = patching(namespace, pod.name)
        const rewrite = patch({ spec: { containers: [{ name: "worker", image: "mirror.example.com/agent:1" }] } })
        expect(yield* rewrite).toMatch(policy)
        yield* patch({ status: { phase: "Succeeded" } }, "--subresource=status")
        expect(yield* rewrite).toBe("it was taken")
      }))
  })
})
