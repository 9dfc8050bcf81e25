import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { missingSecret, type Options, type Overlay, overlay } from "../../../src/core/overlay/overlay.ts"
import { shipped, shippedComponents } from "../../../src/core/overlay/shipped.ts"
import type { Release } from "../../../src/core/resolve/resolve.ts"
import { parseValues } from "../../../src/schema/values/values.ts"

const overlayOf = (values: object, of: Partial<Release> = {}, options: Options = {}): Overlay =>
  overlay(Result.getOrThrow(parseValues(values)), { name: "agent-job", namespace: "agent-job", ...of }, options)
const inTasks = { namespace: "agent-job-tasks" }
const metadataOf = (objects: ReadonlyArray<object>) =>
  objects.map((_) => (_ as { readonly metadata: { readonly name: string } }).metadata.name)

describe("the overlay", () => {
  it("of what the base says already is empty", () => {
    expect(overlayOf({ task: inTasks })).toMatchObject({
      components: [],
      patches: [],
      identity: [],
      resources: [],
      values: "task:\n  namespace: \"agent-job-tasks\"\n"
    })
  })

  it("patches what is otherwise, and nothing else", () => {
    const { patches } = overlayOf({ controller: { nodeSelector: { a: "b" } }, task: inTasks })
    expect(patches).toEqual([{
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "agent-job-controller", namespace: "agent-job" },
      spec: { template: { spec: { nodeSelector: { a: "b" } } } }
    }])
  })

  it.each([
    { given: "exactly", values: { persistence: { enabled: true }, task: inTasks }, patches: [] },
    {
      given: "nearly",
      values: { persistence: { enabled: true, persistentVolumeClaim: { storage: "50Gi" } }, task: inTasks },
      patches: ["agent-job-cache"]
    }
  ])("takes a component that says $given the same", ({ patches, values }) => {
    const made = overlayOf(values)
    expect(made.components.map(({ name }) => name)).toEqual(["persistence"])
    expect([metadataOf(made.patches), made.resources]).toEqual([patches, []])
  })

  it("takes no component of which something would have to be taken back", () => {
    expect(overlayOf({ controller: { replicas: 2, podDisruptionBudget: { enabled: true } }, task: inTasks })).toMatchObject({
      components: [],
      resources: [{ kind: "PodDisruptionBudget" }]
    })
  })

  const have = (...names: ReadonlyArray<string>): Options => ({ present: shippedComponents.filter(({ name }) => names.includes(name)) })

  it("changes what a component of the base brought, and neither brings nor says it again", () => {
    const values = { admissionPolicies: { enabled: true }, task: { ...inTasks, allowedKeys: ["example.com/"] } }
    const { components, patches, resources, values: said } = overlayOf(values, {}, have("admission"))
    expect([components, metadataOf(patches), resources]).toEqual([[], ["agent-job-task-references.agent-job-tasks"], []])
    expect(said).not.toContain("admissionPolicies")
  })

  it("adds the accounts of identities, and says who they are in conditions and variables of the policies of the base, and in no check", () => {
    const identities = [{ name: "network-plan", workspaces: ["network-*"], stages: ["plan"] }, {
      name: "theirs",
      workspaces: ["*"],
      create: false
    }]
    const values = { admissionPolicies: { enabled: true }, task: { ...inTasks, identities } }
    const { patches, resources } = overlayOf(values, {}, have("admission"))
    expect(metadataOf(resources)).toEqual(["network-plan"])
    expect(metadataOf(patches)).toEqual([
      "agent-job-task",
      "agent-job-task-status.agent-job-tasks",
      "agent-job-task-job.agent-job-tasks",
      "agent-job-task-pod.agent-job-tasks",
      "agent-job-task-token-requests.agent-job-tasks"
    ])
    expect(JSON.stringify(patches)).not.toContain("validations")
  })

  it("takes nothing away that component restricted-egress of the base took away before", () => {
    const values = { restrictMetadataService: true, task: inTasks }
    expect(overlayOf(values, {}, { ...have("restrict-metadata"), closed: true }).patches).toEqual([])
  })

  it("has objects of its own where there is no component", () => {
    const { components, resources } = overlay(Result.getOrThrow(parseValues({ persistence: { enabled: true } })), {
      name: "a",
      namespace: "b"
    }, { available: [] })
    expect([components, metadataOf(resources)]).toEqual([[], ["a-cache"]])
  })

  it("names the Secret of a token, and has the token nowhere", () => {
    const made = overlayOf({ agent: { token: "hunter2", url: "https://example.com" } })
    expect(missingSecret(made)).toEqual({ name: "agent-job-token", key: "token" })
    expect(made.values).toContain("tokenExistingSecret:\n    name: \"agent-job-token\"")
    expect(JSON.stringify([made.patches, made.resources, made.identity, made.values])).not.toContain("hunter2")
  })

  it("moves every object to another namespace by one patch, and gives each its name by one more", () => {
    const { identity } = overlayOf({ task: { namespace: "b" } }, { name: "a", namespace: "a" })
    expect(identity.slice(0, 3).map(({ target }) => target)).toEqual([
      { namespace: "agent-job" },
      { namespace: "agent-job-tasks" },
      { labelSelector: "app.kubernetes.io/instance=agent-job" }
    ])
    expect(identity.slice(3).every(({ options }) => options?.allowNameChange)).toBe(true)
  })

  it("renames the controller's account last, which may get the name that the tasks' account has until then", () => {
    const { identity } = overlayOf({}, { name: "agent-job-task" })
    expect(identity.map(({ target }) => target).slice(-1)).toEqual([{ kind: "ServiceAccount", name: "agent-job" }])
  })

  it("brings the values to the server of a base that has one, under the name by which its volume is known", () => {
    const global = { imagePullSecrets: [{ name: "pull" }], labels: { owner: "b" }, podLabels: { team: "a" } }
    const patchesOf = (values: object, of: Partial<Release> = {}) =>
      overlayOf({ task: inTasks, ...values }, of, { server: "http" }).patches.filter((patch) => JSON.stringify(patch).includes("-server"))
    const patches = patchesOf({ global })
    expect(metadataOf(patches)).toEqual(["agent-job-server", "agent-job-server", "agent-job-server"])
    expect(patches).toContainEqual({
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: "agent-job-server", namespace: "agent-job", labels: { owner: "b" } },
      spec: { template: { metadata: { labels: { team: "a" } }, spec: { imagePullSecrets: [{ name: "pull" }] } } }
    })
    expect(patchesOf({ global }, { name: "a", namespace: "b" })).toEqual(patches)
    expect(patchesOf({})).toEqual([])
    expect(JSON.stringify(overlayOf({ global, task: inTasks }).patches)).not.toContain("-server")
  })

  it("says in its last layer what the layers below must not", () => {
    expect(overlayOf({}).values).toBe("task:\n  namespace: \"\"\n")
  })
})

it("component separate-users runs the runner as another user than the worker, with a group in common for what they share", () => {
  const { config: { task: { pod, runner, worker } } } = shipped(shippedComponents.filter(({ name }) => name === "separate-users"))
  expect(runner.securityContext.runAsUser).not.toBe(worker.securityContext.runAsUser)
  expect([pod.securityContext.fsGroup, runner.securityContext.runAsGroup]).toEqual([1001, worker.securityContext.runAsGroup])
})
