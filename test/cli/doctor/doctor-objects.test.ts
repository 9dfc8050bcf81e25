// How the doctor judges answers of an API server that no installation of these tests gives, and nodes of any kind.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import { examineObjects } from "../../../src/cli/doctor/doctor-objects.ts"
import { crd } from "../../../src/core/manifest/installation/crd.ts"
import { configOf } from "../../core/configs.ts"
import type { Answer } from "../../kubernetes/scripted-server.ts"
import { against, list } from "../scripted-cluster.ts"

const reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
const notThere: Answer = {
  status: 404,
  body: { kind: "Status", apiVersion: "v1", status: "Failure", code: 404, reason: "NotFound", message: "not found" }
}
const forbidden: Answer = {
  status: 403,
  body: { kind: "Status", apiVersion: "v1", status: "Failure", code: 403, reason: "Forbidden", message: "not for you" }
}

interface Asked {
  readonly verb: string
  readonly resource: string
  readonly subresource?: string
}

/** Returns the check that has `name` as its name or in its message. `review` returns the answer to an access review. */
const checked = (
  name: string,
  { answers = {}, review = () => ({}), values = {} }: {
    readonly answers?: Readonly<Record<string, Answer>>
    readonly review?: (asked: Asked) => object
    readonly values?: object
  }
) =>
  Effect.map(
    against(
      examineObjects(configOf(values)),
      { "/api/v1/nodes": list(), ...answers },
      (path, body) => path === reviews ? { body: review(JSON.parse(body).spec.resourceAttributes) } : notThere
    ),
    (checks) => checks.find((check) => check.name === name || check.message.includes(name))
  )

describe("what the controller may do", () => {
  const name = "what the controller may do"
  const isForbidden = ({ resource, subresource, verb }: Asked) =>
    (resource === "secrets" && ["get", "list", "watch"].includes(verb)) || resource === "serviceaccounts" ||
    (resource === "pods" && (subresource !== undefined || verb === "create"))

  it.live("is ok where it may do what its roles say, and nothing that must never be allowed", () =>
    Effect.gen(function*() {
      const found = yield* checked(name, { review: (asked) => ({ status: { allowed: !isForbidden(asked) } }) })
      expect(found).toMatchObject({ outcome: "ok" })
    }))

  it.live.each(
    ["create", "get"].flatMap((verb) => ["exec", "attach"].map((subresource) => ({ verb, subresource }))).concat(
      ["patch", "update"].map((verb) => ({ verb, subresource: "ephemeralcontainers" }))
    )
  )("has failed where it may $verb pods/$subresource, which runs commands in Pods", (given) =>
    Effect.gen(function*() {
      const review = (asked: Asked) => ({
        status: { allowed: !isForbidden(asked) || (asked.subresource === given.subresource && asked.verb === given.verb) }
      })
      const found = yield* checked(name, { review })
      expect(found?.outcome).toBe("failed")
      expect(found?.message).toContain(`agent-job/agent-job may ${given.verb} pods/${given.subresource} in agent-job`)
    }))

  it.live.each([{ answer: {} }, { answer: { status: { allowed: "no" } } }])(
    "is unknown where the API server answers $answer to what must never be allowed",
    ({ answer }) =>
      Effect.gen(function*() {
        const review = (asked: Asked) => isForbidden(asked) ? answer : { status: { allowed: true } }
        const found = yield* checked(name, { review })
        expect(found?.outcome).toBe("unknown")
        expect(found?.message).toMatch(/^Cannot create SubjectAccessReview: the answer has an unexpected shape/u)
      })
  )
})

describe("the worker's image", () => {
  const path = "/apis/apps/v1/namespaces/agent-job/deployments/agent-job-controller"
  const deployment = (...containers: ReadonlyArray<object>): Answer => ({
    body: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "agent-job-controller", namespace: "agent-job", uid: "u", resourceVersion: "1" },
      spec: { template: { spec: { containers } } }
    }
  })
  const found = (answer: Answer) =>
    checked("the worker's image", { values: { agent: { image: { tag: "0.2.0" } } }, answers: { [path]: answer } })

  it.live("is judged by that of the controller's own container", () =>
    Effect.gen(function*() {
      const beside = { name: "proxy", image: "proxy:0.2.0" }
      expect(yield* found(deployment(beside, { name: "controller", image: "scalr/agent:0.2.0" }))).toMatchObject({ outcome: "ok" })
      expect(yield* found(deployment(beside, { name: "controller", image: "scalr/agent:0.1.0" }))).toMatchObject({ outcome: "warning" })
    }))

  it.live("is unknown to whoever may not read the Deployment, or where it has no such container", () =>
    Effect.gen(function*() {
      expect(yield* found(forbidden)).toMatchObject({ outcome: "unknown" })
      expect(yield* found(notThere)).toMatchObject({ outcome: "unknown" })
      expect(yield* found(deployment())).toMatchObject({ outcome: "unknown" })
    }))
})

describe("the namespace of the tasks", () =>
  it.live("has failed while it is being deleted, whatever is enforced there", () =>
    Effect.gen(function*() {
      const metadata = { name: "agent-job", uid: "u", resourceVersion: "1", labels: { "pod-security.kubernetes.io/enforce": "restricted" } }
      const found = (more: object) =>
        checked("Pod Security of the tasks' namespace", {
          answers: { "/api/v1/namespaces/agent-job": { body: { apiVersion: "v1", kind: "Namespace", metadata: { ...metadata, ...more } } } }
        })
      expect(yield* found({})).toMatchObject({ outcome: "ok" })
      expect(yield* found({ deletionTimestamp: "2026-01-31T12:00:00Z" })).toMatchObject({
        outcome: "failed",
        message: expect.stringContaining("is being deleted")
      })
    })))

describe("the CustomResourceDefinition", () => {
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/atasks.scalr.io"
  const found = (definition: string) =>
    checked("the CustomResourceDefinition", { answers: { [path]: { body: withUid(JSON.parse(definition)) } } })
  const withUid = (definition: { readonly metadata: object }) => ({
    ...definition,
    metadata: { ...definition.metadata, uid: "u", resourceVersion: "1" }
  })
  const own = JSON.stringify(crd())
  /** The definition with a text of it, which must be there, replaced by another. */
  const changed = (from: string, to: string) => {
    expect(own).toContain(from)
    return own.replaceAll(from, to)
  }

  it.live("is ok where it is this program's own", () =>
    Effect.gen(function*() {
      expect(yield* found(own)).toMatchObject({ outcome: "ok" })
    }))

  it.live("has failed while it is being deleted, whatever it has", () =>
    Effect.gen(function*() {
      const { metadata, ...rest } = JSON.parse(own)
      const leaving = { ...rest, metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } }
      expect(yield* found(JSON.stringify(leaving))).toMatchObject({
        outcome: "failed",
        message: expect.stringContaining("once it is gone, apply kustomize/crd")
      })
    }))

  it.live.each([
    { more: "an optional field", given: changed("\"stateDigest\":", "\"fromTomorrow\":{\"type\":\"string\"},\"stateDigest\":") },
    { more: "a value of a list", given: changed("\"Accepted\",", "\"FromTomorrow\",\"Accepted\",") },
    { more: "a rule", given: changed("[{\"rule\":", "[{\"rule\":\"true\",\"message\":\"is so\"},{\"rule\":") },
    { more: "another kind of source", given: changed("one of inline, archive", "one of inline, bucket, archive") },
    { more: "other descriptions", given: changed("\"description\":\"", "\"description\":\"Newer: ") }
  ])("is ok, and stays, where a newer one has $more more than this program's own", ({ given }) =>
    Effect.gen(function*() {
      expect(yield* found(given)).toMatchObject({ outcome: "ok", message: expect.stringContaining("newer stays") })
    }))

  it.live.each([
    {
      lacks: "a field",
      given: changed("\"stateDigest\":", "\"fromTomorrow\":"),
      says: "AgentTask.status.result.stateDigest: is not there"
    },
    { lacks: "a value of a list", given: changed("\"Accepted\",", ""), says: "AgentTask.status.reason: Accepted is not allowed" },
    {
      lacks: "a rule",
      given: changed("status.result is written once", "status.result is written"),
      says: "AgentTask: no rule says: status.result is written once"
    },
    {
      lacks: "a default",
      given: changed(",\"default\":{\"observedGeneration\":-1,\"phase\":\"Pending\"}", ""),
      says: "AgentTask.status: another default"
    },
    {
      lacks: "the keys of a list",
      given: changed("\"x-kubernetes-list-type\":\"map\"", "\"x-kubernetes-list-type\":\"atomic\""),
      says: "AgentTask.status.conditions: another x-kubernetes-list-type"
    },
    { lacks: "the subresource", given: changed("\"subresources\":{\"status\":{}},", ""), says: "v1 has no subresource status" },
    { lacks: "the version", given: changed("\"name\":\"v1\"", "\"name\":\"v2\""), says: "v1 is not served" }
  ])("has failed where it lacks $lacks, and says which", ({ given, says }) =>
    Effect.gen(function*() {
      expect(yield* found(given)).toMatchObject({
        outcome: "failed",
        message: expect.stringMatching(/; apply the kustomize\/crd of the newest version that runs here$/u)
      })
      expect((yield* found(given))?.message).toContain(says)
    }))

  it.live("is a warning where a rule has the same message and says something else, and names the rule", () =>
    Effect.gen(function*() {
      const always = own.replaceAll(/"rule":"(?:[^"\\]|\\.)*"/gu, "\"rule\":\"true\"")
      expect(yield* found(always)).toMatchObject({
        outcome: "warning",
        message: expect.stringMatching(
          /^another rule for: AgentTask: status\.claim is written once; .*more; apply the kustomize\/crd of the newest version that runs here$/u
        )
      })
    }))

  it.live("has failed where it is of the first version", () =>
    Effect.gen(function*() {
      const first = yield* found(JSON.stringify(parse(readFileSync("test/gitops/crd-v0.yaml", "utf8"))))
      expect(first).toMatchObject({ outcome: "failed", message: expect.stringContaining("more)") })
    }))
})

describe("user namespaces", () => {
  const node = (handlers: Readonly<Record<string, boolean>>, spec: object = {}) => ({
    metadata: { name: "n", uid: "u", resourceVersion: "1", labels: { "kubernetes.io/os": "linux" } },
    spec,
    status: { runtimeHandlers: Object.entries(handlers).map(([name, userNamespaces]) => ({ name, features: { userNamespaces } })) }
  })
  const runtimeClass = (more: object): Answer => ({
    body: { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "sandbox", uid: "u", resourceVersion: "1" }, ...more }
  })
  const path = "/apis/node.k8s.io/v1/runtimeclasses/sandbox"
  const inSandbox = { task: { userNamespaces: true, runtimeClassName: "sandbox" } }
  const found = (values: object, nodes: ReadonlyArray<object>, answers: Readonly<Record<string, Answer>> = {}) =>
    checked("user namespaces", { values, answers: { "/api/v1/nodes": list(...nodes), ...answers } })

  it.live("are those of the default runtime, whose handler has no name, without a runtime class", () =>
    Effect.gen(function*() {
      const values = { task: { userNamespaces: true } }
      expect(yield* found(values, [node({ "": true, runsc: false })])).toMatchObject({ outcome: "ok" })
      expect(yield* found(values, [node({ "": false, runsc: true })])).toMatchObject({ outcome: "failed" })
    }))

  it.live("are those of the handler that the runtime class names, which need not have the name of the class", () =>
    Effect.gen(function*() {
      const answers = { [path]: runtimeClass({ handler: "runsc" }) }
      expect(yield* found(inSandbox, [node({ "": false, runsc: true })], answers)).toMatchObject({ outcome: "ok" })
      expect(yield* found(inSandbox, [node({ "": true, sandbox: true, runsc: false })], answers)).toMatchObject({ outcome: "failed" })
    }))

  it.live("count only nodes that the runtime class lets Pods on", () =>
    Effect.gen(function*() {
      const tainted = node({ runsc: true }, { taints: [{ key: "sandbox", value: "yes", effect: "NoSchedule" }] })
      const scheduling = {
        nodeSelector: { "kubernetes.io/os": "linux" },
        tolerations: [{ key: "sandbox", operator: "Equal", value: "yes", effect: "NoSchedule" }]
      }
      expect(yield* found(inSandbox, [tainted], { [path]: runtimeClass({ handler: "runsc", scheduling }) })).toMatchObject({
        outcome: "ok"
      })
      const elsewhere = { nodeSelector: { "kubernetes.io/os": "windows" } }
      expect(yield* found(inSandbox, [tainted], { [path]: runtimeClass({ handler: "runsc", scheduling: elsewhere }) })).toMatchObject({
        outcome: "unknown"
      })
    }))

  it.live("are unknown to whoever may not read the runtime class, and have failed without it", () =>
    Effect.gen(function*() {
      const nodes = [node({ sandbox: true })]
      const unread = yield* found(inSandbox, nodes, { [path]: forbidden })
      expect(unread?.outcome).toBe("unknown")
      expect(unread?.message).toMatch(/^Cannot get RuntimeClass sandbox:/u)
      expect(yield* found(inSandbox, nodes)).toMatchObject({
        outcome: "failed",
        message: "there is no RuntimeClass sandbox, so no task's Pod can be created; create it, or correct task.runtimeClassName"
      })
    }))
})
