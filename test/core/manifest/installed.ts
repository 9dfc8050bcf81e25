// An installation on the API server that KUBECONFIG names, in one or two namespaces of its own, and clients with the tokens of its accounts.
// Jobs are for a node that does not exist: Kubernetes makes their Pods, and nothing runs.
// Used by the *.cluster.test.ts files that test what the API server refuses to which account.
import { Context, Effect, Layer, Option, Schedule, Scope } from "effect"
import { randomBytes } from "node:crypto"
import { Agent, request } from "undici"
import { crd } from "../../../src/core/manifest/installation/crd.ts"
import { install } from "../../../src/core/manifest/installation/install.ts"
import { job } from "../../../src/core/manifest/job.ts"
import type { ResolvedConfig } from "../../../src/core/resolve/resolve.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import type { Credentials } from "../../../src/kubernetes/credentials.ts"
import { agentTasks, decoding, jobs, namespaces, pods } from "../../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../../src/kubernetes/kubeconfig.ts"
import type { KubernetesObject, NamespacedName } from "../../../src/kubernetes/object.ts"
import { merge, type Tree } from "../../../src/schema/document/layers.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { AgentTask, type AgentTaskSpec } from "../../../src/schema/task/agent-task.ts"
import { kubectl } from "../../kustomize/api-server.ts"
import { configOf } from "../configs.ts"

export const tasks = decoding(agentTasks, AgentTask)
export type Client = Kubernetes["Service"]

export class Installation extends Context.Service<Installation, {
  readonly config: ResolvedConfig
  /** Returns a client that shows this token, and nothing else. */
  readonly withToken: (token: string) => Effect.Effect<Client>
  /** Returns a client that impersonates this user by name alone. */
  readonly as: (user: string) => Effect.Effect<Client>
  readonly controller: Client
  /** Patches the status of a task with this token, which no code of ours does. */
  readonly patchStatus: (
    token: string,
    task: NamespacedName,
    status: object
  ) => Effect.Effect<void, { readonly _tag: "Refused"; readonly message: string }>
}>()("test/Installation") {}

const clientOf = (credentials: Credentials) =>
  Effect.map(Layer.build(Kubernetes.layer(Effect.succeed(credentials))), Context.get(Kubernetes))

export const userOf = (namespace: string, account: string): string => `system:serviceaccount:${namespace}:${account}`

/** Applies everything that is installed except the Deployment. Policies take a moment until they hold. */
const apply = (config: ResolvedConfig) =>
  Effect.promise(() =>
    kubectl(
      ["apply", "--server-side", "--force-conflicts", "-f", "-"],
      JSON.stringify({
        apiVersion: "v1",
        kind: "List",
        items: [crd(), ...install(config).filter(({ kind }) => kind !== "Deployment" && kind !== "CustomResourceDefinition")]
      })
    )
  )

const remove = (config: ResolvedConfig) =>
  Effect.promise(() =>
    kubectl(
      ["delete", "--ignore-not-found", "--wait=false", "-f", "-"],
      JSON.stringify({
        apiVersion: "v1",
        kind: "List",
        items: install(config).filter(({ metadata }) => metadata !== undefined && !("namespace" in metadata)).slice(1)
      })
    )
  )

/** Returns the namespace of the tasks by that of the controller. */
const apart = (namespace: string): string => `${namespace}-tasks`
export const together = (namespace: string): string => namespace

export const installation = (values: Tree, tasksOf = apart) =>
  Layer.effect(
    Installation,
    Effect.gen(function*() {
      const kubernetes = yield* Kubernetes
      const scope = yield* Effect.scope
      const credentials = yield* fromKubeconfig()
      const namespace = `test-installed-${randomBytes(3).toString("hex")}`
      const nowhere = { task: { namespace: tasksOf(namespace), nodeSelector: { "test/nowhere": "true" } } }
      const config = configOf(merge(values, nowhere), { namespace })
      for (const name of new Set([namespace, tasksOf(namespace)])) {
        yield* Effect.acquireRelease(
          kubernetes.create(namespaces, { metadata: { name } }),
          () => Effect.ignore(kubernetes.delete(namespaces, { name }))
        )
      }
      yield* Effect.acquireRelease(apply(config), () => remove(config))
      yield* kubernetes.list(tasks, { namespace }).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))
      const client = (headers: Readonly<Record<string, string>>, tls: Credentials["tls"]) =>
        clientOf({ ...credentials, tls, headers: Effect.succeed(headers) }).pipe(Effect.provideService(Scope.Scope, scope), Effect.orDie)
      const { ca } = credentials.tls
      return Installation.of({
        config,
        withToken: (token) => client({ authorization: `Bearer ${token}` }, ca === undefined ? {} : { ca }),
        as: (user) => client({ "impersonate-user": user }, credentials.tls),
        patchStatus: (token, { name, namespace }, status) =>
          Effect.tryPromise({
            try: async () => {
              const answer = await request(
                `${credentials.server}/apis/${agentTasks.apiVersion}/namespaces/${namespace}/${agentTasks.plural}/${name}/status`,
                {
                  method: "PATCH",
                  headers: { authorization: `Bearer ${token}`, "content-type": "application/merge-patch+json" },
                  body: JSON.stringify({ status }),
                  dispatcher: new Agent({ connect: { ca } })
                }
              )
              if (answer.statusCode >= 400) throw new Error(Object(await answer.body.json()).message)
            },
            catch: (error) => ({ _tag: "Refused" as const, message: String(error) })
          }),
        controller: yield* client({ "impersonate-user": userOf(namespace, config.account.name) }, credentials.tls)
      })
    })
  ).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

/** Acts as a kubelet, under a name that does not limit it to the Pods of its node. */
const asKubelet = ["--as=test-kubelet", "--as-group=system:nodes", "--as-group=system:masters"]

/** Returns the token that `kubectl create token` gives to a kubelet. It is bound to a Pod only if one is named. */
export const tokenOf = (namespace: string, account: string, pod?: string) =>
  Effect.map(
    Effect.promise(() =>
      kubectl([
        "create",
        "token",
        "-n",
        namespace,
        account,
        ...asKubelet,
        ...pod === undefined ? [] : ["--bound-object-kind=Pod", `--bound-object-name=${pod}`]
      ])
    ),
    (_) => _.trim()
  )

export const createTask = Effect.fnUntraced(function*(name: string, spec: Partial<AgentTaskSpec> = {}) {
  const { config } = yield* Installation
  return yield* (yield* Kubernetes).create(tasks, {
    metadata: { name, namespace: config.taskNamespace },
    spec: { workspace: WorkspaceName.make("demo"), stage: "plan", source: { inline: { "main.tf": "" } }, ...spec }
  })
})

/** Creates the task's Job as the controller, and returns the Pod that Kubernetes makes for it. */
export const launched = Effect.fnUntraced(function*(task: AgentTask, basename?: string) {
  const { config: installed, controller } = yield* Installation
  const config = { ...installed, policy: { ...installed.policy, ...(basename !== undefined && { basename }) } }
  const kubernetes = yield* Kubernetes
  const { metadata: { namespace, uid } } = task
  yield* controller.create(jobs, { ...job(task, config, 0), metadata: { ...job(task, config, 0).metadata, namespace } })
  return yield* kubernetes.list(pods, { namespace, labelSelector: `scalr.io/task-uid=${uid}` }).pipe(
    Effect.map(({ items }): Option.Option<KubernetesObject> => Option.fromUndefinedOr(items[0])),
    Effect.repeat({ until: Option.isSome, schedule: Schedule.spaced("50 millis") }),
    Effect.flatMap((found) => Effect.fromOption(found)),
    Effect.timeout("1 minute"),
    Effect.orDie
  )
})
