// The roles grant what the controller and a worker use, no verb more and none less, as an API server of this test's own logs its requests.
// The scenario takes every path on which the controller or a worker asks the API server for something.
import { layer } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Option, Schedule } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect } from "vitest"
import { controller } from "../../../../src/controller/lifecycle/controller.ts"
import { grants } from "../../../../src/core/manifest/installation/rbac.ts"
import { claimed } from "../../../../src/core/task/status.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import { agentTasks, jobs, pods } from "../../../../src/kubernetes/kinds.ts"
import { Uid, WorkspaceName } from "../../../../src/schema/names.ts"
import type { AgentTask, AgentTaskSpec } from "../../../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../../../src/schema/task/stage-result.ts"
import { claimTask } from "../../../../src/worker/task/claim.ts"
import { report } from "../../../../src/worker/task/report.ts"
import { Stop } from "../../../../src/worker/task/stop.ts"
import { type ControlPlane, startControlPlane } from "../../../bench/control-plane.ts"
import { faultProxy } from "../../../faults/proxy.ts"
import { directory, person, serve } from "../../../server/live-server.ts"
import { podSettings } from "../../../worker/pod-settings.ts"
import { createTask, Installation, installation, tasks, tokenOf, userOf } from "../installed.ts"

const made = mkdtempSync(join(tmpdir(), "agent-job-rbac-"))
let plane: ControlPlane | undefined
beforeAll(() => {
  const auditPolicy = {
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    omitStages: ["RequestReceived"],
    rules: [{ level: "Metadata", userGroups: ["system:serviceaccounts"] }, { level: "None" }]
  }
  // Informers list only where the API server cannot stream the objects that exist, so WatchList is off here.
  plane = startControlPlane({
    flags: "--feature-gates=WatchList=false",
    directory: made,
    state: join(made, "cluster"),
    jobController: true,
    audit: true,
    auditPolicy,
    portOffset: 15_500
  })
  process.env["KUBECONFIG"] = plane.kubeconfig
})
afterAll(() => {
  plane?.[Symbol.dispose]()
  rmSync(made, { recursive: true, force: true })
})

const values = { admissionPolicies: { enabled: true }, task: { historyPerWorkspace: 0, job: { backoffLimit: 1 } } }
const every = Schedule.spaced("100 millis")

/** Writes a kubeconfig with the token of the controller's account, as its Pod has one, and returns the path. */
const controllerKubeconfig = (token: string): string => {
  const path = join(made, "controller.kubeconfig")
  const { clusters } = JSON.parse(execFileSync("kubectl", ["config", "view", "--raw", "-o", "json"], { encoding: "utf8" }))
  const [{ name }] = clusters
  writeFileSync(
    path,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "c",
      clusters,
      users: [{ name: "u", user: { token } }],
      contexts: [{ name: "c", context: { cluster: name, user: "u" } }]
    })
  )
  return path
}

const runController = Effect.fnUntraced(function*(agent: object, poolTokenFile: string) {
  const { config: { account, name, namespace, taskNamespace } } = yield* Installation
  const file = join(made, "values.yaml")
  writeFileSync(
    file,
    JSON.stringify({ ...values, agent, task: { ...values.task, namespace: taskNamespace, nodeSelector: { "test/nowhere": "true" } } })
  )
  const KUBECONFIG = controllerKubeconfig(yield* tokenOf(namespace, account.name))
  yield* controller({ values: file, name, namespace, healthPort: 18_081, identity: "test", poolTokenFile }).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ KUBECONFIG }))),
    Effect.forkScoped
  )
})

const status = Effect.fnUntraced(function*(name: string) {
  const { config: { taskNamespace: namespace } } = yield* Installation
  return yield* (yield* Kubernetes).get(tasks, { name, namespace })
})

const untilTask = (name: string, wanted: (task: AgentTask) => boolean) =>
  status(name).pipe(
    Effect.retry({ while: ({ _tag }) => _tag === "NotFound", schedule: every }),
    Effect.repeat({ until: wanted, schedule: every }),
    Effect.timeout("40 seconds"),
    Effect.orDie
  )

const podOf = Effect.fnUntraced(function*({ metadata: { namespace, uid } }: AgentTask) {
  const { items } = yield* (yield* Kubernetes).list(pods, { namespace, labelSelector: `scalr.io/task-uid=${uid}` }).pipe(
    Effect.repeat({ until: ({ items }) => items.length > 0, schedule: every }),
    Effect.timeout("30 seconds"),
    Effect.orDie
  )
  return items[0]?.metadata ?? { name: "", uid: "" }
})

/** Returns the services of the worker's own code, with the token of its Pod. */
const worker = Effect.fnUntraced(function*(task: AgentTask) {
  const { config: { taskAccountName, taskNamespace }, withToken } = yield* Installation
  const pod = yield* podOf(task)
  const client = yield* withToken(yield* tokenOf(taskNamespace, taskAccountName, pod.name))
  const settings = podSettings("/none", "/none", {
    AGENT_JOB_NAMESPACE: taskNamespace,
    AGENT_JOB_TASK: task.metadata.name,
    AGENT_JOB_TASK_UID: task.metadata.uid,
    AGENT_JOB_JOB: pod.name.slice(0, -6),
    AGENT_JOB_POD_NAME: pod.name,
    AGENT_JOB_POD_UID: pod.uid,
    AGENT_JOB_TERMINATION_LOG: join(made, pod.name)
  })
  return Layer.provideMerge(Stop.layer, Layer.merge(settings, Layer.succeed(Kubernetes, client)))
})

const done: StageResult = { outcome: "succeeded", reason: "Completed", message: "Done.", exitCode: 0, finishedAt: "2026-01-01T00:00:00Z" }
const roads = { flushLog: () => Effect.void, tellPool: Option.none() }

/** Claims the task, cancels it once the worker watches for that, and reports its end. */
const workUntilCancelled = Effect.fnUntraced(function*(name: string) {
  const { config: { taskAccountName, taskNamespace: namespace } } = yield* Installation
  const watches = Effect.sync(() => used().some((_) => _.includes(`:${taskAccountName} in ${namespace}: watch `)))
  const kubernetes = yield* Kubernetes
  const parts = yield* worker(yield* status(name))
  yield* Effect.gen(function*() {
    const { claim } = yield* claimTask()
    const stop = yield* Stop
    yield* stop.begin("1 minute")
    yield* Effect.orDie(Effect.timeout(Effect.repeat(watches, { until: (_) => _, schedule: every }), "30 seconds"))
    yield* kubernetes.apply(agentTasks, { metadata: { name, namespace }, spec: { cancel: true } })
    yield* stop.asked
    yield* report(claim, { ...done, outcome: "cancelled", reason: "Cancelled" }, roads)
  }).pipe(Effect.provide(parts), Effect.scoped)
})

const work = Effect.fnUntraced(function*(name: string) {
  const parts = yield* worker(yield* status(name))
  yield* Effect.flatMap(claimTask(), ({ claim }) => report(claim, done, roads)).pipe(Effect.provide(parts), Effect.scoped)
})

const apply = { stage: "apply", workspace: WorkspaceName.make("w"), source: { inline: { "main.tf": "" } } } satisfies Partial<AgentTaskSpec>

interface Event {
  readonly verb: string
  readonly user: { readonly username: string }
  readonly objectRef?: {
    readonly resource?: string
    readonly subresource?: string
    readonly namespace?: string
    readonly name?: string
    readonly apiGroup?: string
  }
  readonly responseStatus?: { readonly code?: number }
}

/** Returns the audit events of the installation's accounts, without those of Kubernetes' own controllers. */
const events = (): ReadonlyArray<Event> =>
  readFileSync(plane?.auditLog ?? "", "utf8").split("\n").filter((_) => _ !== "").map((_): Event => JSON.parse(_)).filter(({ user }) =>
    user.username.includes(":test-installed-")
  )

/** Returns who used which verb on what, and in which namespace. An apply that makes its object needs the right to create it too. */
const used = (): ReadonlyArray<string> =>
  [
    ...new Set(
      events().flatMap(({ objectRef = {}, responseStatus, user, verb }) => {
        const resource = [objectRef.resource, objectRef.subresource].filter((_) => _ !== undefined).join("/")
        return [verb, ...verb === "patch" && responseStatus?.code === 201 ? ["create"] : []].map((_) =>
          `${user.username} in ${objectRef.namespace}: ${_} ${objectRef.apiGroup ?? ""}/${resource}`
        )
      })
    )
  ].sort()

const untilUsed = (right: string) =>
  Effect.sync(used).pipe(
    Effect.repeat({ until: (all) => all.some((_) => _.endsWith(`: ${right}`)), schedule: every }),
    Effect.timeout("30 seconds"),
    Effect.orDie
  )

const scenario = Effect.gen(function*() {
  const { config: { taskNamespace: namespace } } = yield* Installation
  const kubernetes = yield* Kubernetes
  const folder = yield* directory
  const url = yield* serve(folder)
  const proxy = yield* faultProxy({ upstream: { url } })
  const people = person(url)
  yield* runController({ url: proxy.url, tokenExistingSecret: { name: "pool-token" } }, join(folder, "pool.token"))

  // a claim, a cancel that is heard, a result
  yield* createTask("cancelled")
  yield* workUntilCancelled("cancelled")
  // two applies of one workspace: its Lease is taken, then taken over
  for (const name of ["first", "second"]) {
    yield* createTask(name, apply)
    yield* work(name)
    yield* untilTask(name, ({ status }) => status.phase === "Succeeded")
  }
  // cancelled before the claim: its Job goes
  yield* createTask("early")
  yield* podOf(yield* status("early"))
  yield* kubernetes.apply(agentTasks, { metadata: { name: "early", namespace }, spec: { cancel: true } })
  yield* untilTask("early", ({ status }) => status.phase === "Cancelled")
  // a start without any news, about which the controller asks; then its Job vanishes, and is made again
  yield* createTask("silent")
  yield* untilTask("silent", ({ status }) => status.launches === 1)
  yield* untilUsed("list events.k8s.io/events")
  yield* kubernetes.delete(jobs, { namespace, name: "agent-job-silent" })
  yield* untilTask("silent", ({ status }) => status.launches === 2)
  // a task that is claimed by a Pod that does not exist
  const lost = yield* createTask("lost")
  yield* podOf(lost)
  yield* status("lost").pipe(
    Effect.flatMap((now) =>
      kubernetes.updateStatus(tasks, {
        ...now,
        status: claimed(now.status, { podUid: Uid.make("nobody"), nonce: "n", epoch: 0, at: done.finishedAt }, {
          job: "agent-job-lost",
          configHash: "",
          pod: "agent-job-lost-abcde",
          node: "n"
        }, 1)
      })
    ),
    Effect.retry({ times: 10, while: ({ _tag }) => _tag === "Conflict" })
  )
  yield* untilTask("lost", ({ status }) => status.phase === "Failed")
  // sources of Flux, in a cluster that has none
  for (const kind of ["GitRepository", "OCIRepository", "Bucket"] as const) {
    yield* createTask(`of-${kind.toLowerCase()}`, { source: { fluxSource: { kind, name: "infra" } } })
    yield* untilTask(`of-${kind.toLowerCase()}`, ({ status }) => status.reason === "SourceNotReady")
  }
  // a run of the pool whose acknowledgement is lost, so that it is offered again with a new token for its Secret; it is cancelled there, and
  // its task is then past the history limit, and is released
  yield* proxy.rules({ match: { path: "/acknowledge" }, fault: { does: "dropBefore" } })
  const run = yield* people.start("pooled")
  yield* untilTask(`${run}-plan`, ({ status }) => status.job !== undefined)
  yield* untilUsed("patch /secrets")
  yield* people.act(run, "cancel")
  yield* status(`${run}-plan`).pipe(Effect.repeat({ schedule: every, times: 300 }), Effect.catchTag("NotFound", () => Effect.void))
})

layer(installation(values), { timeout: 120_000, excludeTestServices: true })("the roles", (it) => {
  it.effect("grant what is used, and what is granted is used", () =>
    Effect.gen(function*() {
      const { config } = yield* Installation
      yield* Effect.scoped(scenario)
      const all = grants(config)
      const granted = [
        ...new Set(all.flatMap(({ namespace, rights, to }) =>
          rights.flatMap(({ apiGroup, resources, verbs }) =>
            resources.flatMap((resource) =>
              to.flatMap((account) =>
                verbs.map((verb) => `${userOf(account.namespace, account.name)} in ${namespace}: ${verb} ${apiGroup}/${resource}`)
              )
            )
          )
        ))
      ].sort()
      // The API server checks this right itself, and only with a plug-in that is off by default.
      const isSeen = (right: string) =>
        !right.endsWith("/atasks/finalizers")
      expect(used()).toEqual(granted.filter(isSeen))
      expect(events().filter(({ responseStatus }) => responseStatus?.code === 403)).toEqual([])
    }))

  it.effect("grant nothing of what would make the rest worthless", () =>
    Effect.gen(function*() {
      const { config } = yield* Installation
      const rights = grants(config).flatMap((grant) => grant.rights)
      const grantsAny = (verbs: ReadonlyArray<string>, resource: RegExp) =>
        rights.filter((right) => right.resources.some((_) => resource.test(_)) && right.verbs.some((_) => verbs.includes(_)))
      expect(grantsAny(["get", "list", "watch", "delete"], /^secrets$/u)).toEqual([])
      expect(grantsAny(["create", "get"], /^pods\//u)).toEqual([])
      expect(grantsAny(["create", "update", "patch", "delete"], /^(pods|serviceaccounts|roles|rolebindings|configmaps)/u)).toEqual([])
      expect(rights.filter(({ resources, verbs }) => [...resources, ...verbs].includes("*"))).toEqual([])
    }))
})
