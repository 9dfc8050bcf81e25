// Which tokens the controller may read and write, and who is given one of the tasks' account, by a real API server.
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { managedByUs } from "../../../../src/core/manifest/labels.ts"
import { ownerReference } from "../../../../src/core/manifest/owner-reference.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import { secrets } from "../../../../src/kubernetes/kinds.ts"
import { kubectl } from "../../../kustomize/api-server.ts"
import { createTask, Installation } from "../installed.ts"
import { accountHere, begun, forEachAccount, policy, refusal, untilHeld } from "./begun-task.ts"

forEachAccount({ tokenRequesters: ["syncer", "virtual-kubelets"] }, (it) => {
  describe("shows the controller", () => {
    it.effect("no Secret but the tokens of tasks, which it may renew", () =>
      Effect.gen(function*() {
        const { config, controller } = yield* Installation
        const { taskNamespace: namespace } = config
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
        const account = { annotations: { "kubernetes.io/service-account.name": accountHere(config) } }
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
      }))
  })

  describe("gives a token of the tasks' account", () => {
    it.effect("to kubelets and those whom the values name, and to nobody else who may ask for tokens", () =>
      Effect.gen(function*() {
        const { config } = yield* Installation
        const [account, namespace] = [accountHere(config), config.taskNamespace]
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
        expect(yield* requested(account, ...editor)).toContain(
          "editor gets no token of the account of tasks: only kubelets do, for the Pods of their nodes, and those whom the values name (admissionPolicies.tokenRequesters)"
        )
        expect(yield* requested("default", ...editor)).toBe("it was given")
        expect(yield* requested(account, "--as=syncer", "--as-group=editors")).toBe("it was given")
        expect(yield* requested(account, ...editor, "--as-group=virtual-kubelets")).toBe("it was given")
      }))
  })
})
