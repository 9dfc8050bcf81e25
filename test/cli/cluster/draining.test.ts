// Which installation a drain reaches, and what its answer says about it.
import { expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import type { ServerResponse } from "node:http"
import { drain, undo } from "../../../src/cli/cluster/draining.ts"
import { against, list } from "../scripted-cluster.ts"
import { toldScreen } from "../told-screen.ts"

const ours = { name: "agent-job", controllerNamespace: "agent-job" }
const theirs = { name: "blue", controllerNamespace: "scalr" }
const since = "2026-01-31T12:00:00Z"

const kept = { uid: "u", resourceVersion: "1", creationTimestamp: since }
const lease = (namespace: string, name: string) => ({
  body: { metadata: { ...kept, name, namespace, annotations: { "scalr.io/drain": since, "scalr.io/drained": since } } }
})
const config = (namespace: string, name: string, tasks: string) => ({
  body: { metadata: { ...kept, name, namespace }, data: { "values.yaml": `task: { namespace: ${tasks} }` } }
})
const namespace = (name: string) => ({ [`/api/v1/namespaces/${name}`]: { body: { metadata: { ...kept, name } } } })
const jobsIn = (name: string) => ({ [`/apis/batch/v1/namespaces/${name}/jobs`]: list() })

const leases = "/apis/coordination.k8s.io/v1/namespaces"
const noConfig = {
  [`${leases}/agent-job/leases/agent-job-controller`]: lease("agent-job", "agent-job-controller"),
  [`${leases}/scalr/leases/blue-controller`]: lease("scalr", "blue-controller"),
  ...namespace("agent-job-tasks"),
  ...namespace("scalr-tasks"),
  ...jobsIn("agent-job-tasks"),
  ...jobsIn("scalr-tasks")
}
/** Two installations, each with tasks in a namespace of its own. */
const both = {
  ...noConfig,
  "/api/v1/namespaces/agent-job/configmaps/agent-job-config": config("agent-job", "agent-job-config", "agent-job-tasks"),
  "/api/v1/namespaces/scalr/configmaps/blue-config": config("scalr", "blue-config", "scalr-tasks")
}

const drained = (answers: Parameters<typeof against>[1], of: typeof ours, given?: string) =>
  against(drain(of, Option.fromUndefinedOr(given), false).pipe(Effect.provide(toldScreen().layer)), answers)

it.live.each([
  { of: ours, given: undefined, tasks: "agent-job-tasks" },
  { of: theirs, given: undefined, tasks: "scalr-tasks" },
  { of: theirs, given: "scalr-tasks", tasks: "scalr-tasks" }
])("names the installation, here $of.name, and where its tasks are", ({ given, of, tasks }) =>
  Effect.gen(function*() {
    const { document, lines } = yield* drained(both, of, given)
    expect(document.installation).toEqual({ name: of.name, namespace: of.controllerNamespace })
    expect(lines).toEqual([
      `Draining ${of.name} in ${of.controllerNamespace} since ${since}: nothing new starts in ${tasks}.`,
      "Nothing runs.",
      `To end this: agent-job drain --undo --name ${of.name} --controller-namespace ${of.controllerNamespace}`
    ])
  }))

it.live.each([
  { does: "drain", work: drain(ours, Option.some("scalr-tasks"), false) },
  { does: "drain --undo", work: undo(ours, Option.some("scalr-tasks")) }
])("$does marks nothing where the tasks of the installation are known to be elsewhere", ({ work }) =>
  Effect.gen(function*() {
    const asked: Array<string | undefined> = []
    const heard = (response: ServerResponse) => {
      asked.push(response.req.method)
      response.setHeader("content-type", "application/json").end(JSON.stringify(lease("agent-job", "agent-job-controller").body))
    }
    const answers = { ...both, [`${leases}/agent-job/leases/agent-job-controller`]: heard }
    const refused = yield* Effect.flip(against(work.pipe(Effect.provide(toldScreen().layer)), answers))
    expect(refused).toMatchObject({
      _tag: "BadInput",
      message:
        "The tasks of agent-job in agent-job are in agent-job-tasks, not in scalr-tasks; name the installation whose tasks are in scalr-tasks with --name and --controller-namespace, or leave out --namespace."
    })
    expect(asked.filter((method) => method !== "GET")).toEqual([])
  }))

it.live("takes the typed namespace where the values cannot be read", () =>
  Effect.gen(function*() {
    expect((yield* drained(noConfig, theirs, "scalr-tasks")).lines[0]).toBe(
      `Draining blue in scalr since ${since}: nothing new starts in scalr-tasks.`
    )
    expect(yield* Effect.flip(drained(noConfig, ours))).toMatchObject({
      message:
        "There is no ConfigMap agent-job/agent-job-config; give --name and --controller-namespace of the installation, and --namespace too if it has no such ConfigMap that you may read."
    })
  }))

it.live("names each task and workspace whole, also where a label cannot", () =>
  Effect.gen(function*() {
    const [long, workspace] = ["a".repeat(70), "w".repeat(80)]
    const job = (task: string, labels: object) => ({
      metadata: {
        ...kept,
        name: `agent-job-${task}`,
        labels: { "scalr.io/task": task.slice(0, 63), "scalr.io/stage": "apply", ...labels },
        ownerReferences: [{ apiVersion: "scalr.io/v1", kind: "AgentTask", name: task, uid: "t", controller: true }]
      }
    })
    const tasks = "/apis/scalr.io/v1/namespaces/agent-job-tasks/atasks"
    const { document, lines } = yield* drained({
      ...both,
      "/apis/batch/v1/namespaces/agent-job-tasks/jobs": list(
        job("short", { "scalr.io/workspace": "demo" }),
        job(long, {}),
        job("gone", {})
      ),
      [`${tasks}/${long}`]: { body: { metadata: { ...kept, name: long }, spec: { workspace } } }
    }, ours)
    expect(document).toMatchObject({
      running: [{ task: "short", workspace: "demo" }, { task: long, workspace }, { task: "gone", workspace: "" }]
    })
    expect(lines.join("\n")).toMatch(new RegExp(`\n  ${long} +${workspace} +apply`, "u"))
  }))
