// Who owns which fields: the controller's applies and status writes touch its own fields only, on our objects and on those of others.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { leaseName } from "../../src/core/scheduling/workspace-lease.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, jobs, type Kind, leases, secrets } from "../../src/kubernetes/kinds.ts"
import type { KubernetesObject } from "../../src/kubernetes/object.ts"
import { WorkspaceName } from "../../src/schema/names.ts"
import { kubectl } from "../kustomize/api-server.ts"
import { directory, person, serve } from "../server/live-server.ts"
import { claim, createTask, finish, getTask, runController, TaskCluster, Tasks, until, untilLaunched, untilStatus } from "./task-cluster.ts"

const somebody = "--field-manager=somebody"

/** Applies the object as a person or a GitOps tool does: by server-side apply, with a field manager of its own. */
const applyAsSomebody = Effect.fnUntraced(function*(kind: Kind, name: string, object: object) {
  const { namespace } = yield* Tasks
  const whole = { apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name, namespace }, ...object }
  yield* Effect.promise(() => kubectl(["apply", "--server-side", somebody, "-f", "-"], JSON.stringify(whole)))
})

const mark = Effect.fnUntraced(function*(kind: Kind, name: string) {
  const { namespace } = yield* Tasks
  for (const verb of ["label", "annotate"]) {
    yield* Effect.promise(() => kubectl([verb, somebody, "-n", namespace, `${kind.plural}/${name}`, "example.com/team=network"]))
  }
})

const isMarked = ({ metadata: { annotations, labels } }: Pick<KubernetesObject, "metadata">) =>
  [labels, annotations].map((_) => _?.["example.com/team"])
const marked = ["network", "network"]

const read = Effect.fnUntraced(function*(kind: Kind, name: string) {
  return yield* (yield* Kubernetes).get(kind, { name, namespace: (yield* Tasks).namespace })
})

interface Managed {
  readonly manager: string
  readonly subresource?: string
  readonly fieldsV1: object
}

/** Returns the top-level fields that `agent-job` owns, one entry for each entry in the object's managed fields. */
const ours = ({ metadata }: KubernetesObject) =>
  (metadata.managedFields as ReadonlyArray<Managed>).filter(({ manager }) => manager === "agent-job").map(({ fieldsV1, subresource }) => ({
    subresource,
    fields: Object.keys(fieldsV1)
  }))

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("the controller", (it) => {
  it.effect("owns the status of a task from Git, and no other field of it, whatever becomes of the task", () =>
    Effect.gen(function*() {
      yield* runController()
      const spec = { workspace: "owned", stage: "plan", cancel: false, source: { inline: { "main.tf": "" } } }
      yield* applyAsSomebody(agentTasks, "owned", { spec })
      yield* untilLaunched("owned")
      yield* mark(agentTasks, "owned")
      yield* claim("owned")
      yield* finish("owned")
      yield* untilStatus("owned", ({ phase }) => phase === "Succeeded")
      const task = yield* read(agentTasks, "owned")
      expect(isMarked(task)).toEqual(marked)
      expect(task["spec"]).toEqual(spec)
      expect(ours(task)).toEqual([{ subresource: "status", fields: ["f:status"] }])
      // An apply without force fails if another manager owns the field that it changes.
      yield* applyAsSomebody(agentTasks, "owned", { spec: { ...spec, cancel: true } })
    }).pipe(Effect.scoped))

  it.effect("keeps what others write on a Job, and on the Lease of a workspace when it changes hands", () =>
    Effect.gen(function*() {
      yield* runController()
      const shared = { stage: "apply" as const, workspace: WorkspaceName.make("handed-over") }
      yield* createTask("first-holder", shared)
      yield* untilLaunched("first-holder")
      yield* mark(jobs, "agent-job-first-holder")
      yield* mark(leases, leaseName("handed-over"))
      yield* claim("first-holder")
      expect(isMarked(yield* read(jobs, "agent-job-first-holder"))).toEqual(marked)
      yield* finish("first-holder")
      const { metadata } = yield* createTask("second-holder", shared)
      yield* untilLaunched("second-holder")
      const lease = yield* read(leases, leaseName("handed-over"))
      expect(lease["spec"]).toMatchObject({ holderIdentity: metadata.uid, leaseTransitions: 2 })
      expect(lease.metadata.annotations).toMatchObject({ "scalr.io/holder": "second-holder" })
      expect(isMarked(lease)).toEqual(marked)
      yield* claim("second-holder")
      yield* finish("second-holder")
    }).pipe(Effect.scoped))

  it.effect("keeps what others write on a pool's task and its Secret, cancels it all the same, and takes no field but that", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const people = person(url)
      yield* runController({
        values: { agent: { url, tokenExistingSecret: { name: "pool-token" } } },
        poolTokenFile: join(made, "pool.token")
      })
      const run = yield* people.start("owned")
      const [task, secret] = [`${run}-plan`, `${run}-plan-token`]
      yield* untilLaunched(task)
      for (const [kind, name] of [[agentTasks, task], [secrets, secret]] as const) yield* mark(kind, name)
      // Somebody applies the values that the task already has, and `cancel`, which then belongs to somebody.
      yield* applyAsSomebody(agentTasks, task, { spec: { ...(yield* getTask(task)).spec, cancel: false } })
      yield* people.act(run, "cancel")
      yield* until("the cancel", getTask(task), ({ spec, status }) => spec.cancel === true && status.phase === "Cancelled")
      expect(isMarked(yield* read(agentTasks, task))).toEqual(marked)
      expect(isMarked(yield* read(secrets, secret))).toEqual(marked)
    }).pipe(Effect.scoped))
})
