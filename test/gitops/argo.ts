// Argo CD for a test: its real controllers and repository server, a git repository that it follows, and what it says of an Application.
// Invariant: its settings are made as a team makes them, by our component in the kustomization of its Argo CD.
// Used by argo.long.test.ts.
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { stringify } from "yaml"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { type Kind, namespaces } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { freePort } from "../free-port.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { installDefinitions, kubectl, runPods, until } from "./cluster.ts"
import { accepts, answers, serve } from "./program.ts"

const argoNamespace = "argocd"
const cache = process.env["GITOPS_CACHE"] ?? ""
export const applications: Kind = { ...namespaces, apiVersion: "argoproj.io/v1alpha1", kind: "Application", plural: "applications" }

export class Argo extends Context.Service<Argo, {
  readonly read: (path: string) => string
  readonly write: (path: string, text: string) => void
  /** Commits what was written, and returns the id of the commit. */
  readonly commit: () => string
  /** The address of the repository, as an Application names it. */
  readonly url: string
  /** Makes the Pods of the installation ready from now on. */
  readonly letPodsRun: Effect.Effect<void>
}>()("test/Argo") {}

/** Returns an object with the label without which Argo CD does not read its settings. */
const setting = (kind: "ConfigMap" | "Secret", name: string, data: object = {}): object => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace: argoNamespace, labels: { "app.kubernetes.io/part-of": "argocd" } },
  [kind === "Secret" ? "stringData" : "data"]: data
})

const project = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "AppProject",
  metadata: { name: "default", namespace: argoNamespace },
  spec: { sourceRepos: ["*"], destinations: [{ namespace: "*", server: "*" }], clusterResourceWhitelist: [{ group: "*", kind: "*" }] }
}

const settings = Effect.gen(function*() {
  const directory = yield* temporaryFolder("argo-settings")
  const objects = [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: argoNamespace } },
    setting("ConfigMap", "argocd-cm"),
    ...["argocd-rbac-cm", "argocd-gpg-keys-cm", "argocd-tls-certs-cm"].map((name) => setting("ConfigMap", name)),
    setting("ConfigMap", "argocd-ssh-known-hosts-cm", { ssh_known_hosts: "" }),
    setting("Secret", "argocd-secret", { "server.secretkey": "only for tests" }),
    project
  ]
  writeFileSync(join(directory, "argo-cd.yaml"), objects.map((_) => stringify(_)).join("---\n"))
  writeFileSync(
    join(directory, "kustomization.yaml"),
    stringify({ resources: ["argo-cd.yaml"], components: [relative(directory, "kustomize/argo-cd/settings")] })
  )
  kubectl(["apply", "--server-side", "-k", directory])
})

/** Starts a part of Argo CD. All parts are the same program under another name. */
const argocd = (name: string, args: ReadonlyArray<string>, environment: Readonly<Record<string, string>>, ready: Effect.Effect<boolean>) =>
  serve({ command: "argocd", args, env: { ...environment, ARGOCD_BINARY_NAME: name }, ready })

const runArgo = Effect.gen(function*() {
  const [redis, repository, repositoryMetrics, metrics] = [yield* freePort, yield* freePort, yield* freePort, yield* freePort]
  const [setMetrics, setProbe, setWebhook] = [yield* freePort, yield* freePort, yield* freePort]
  const place = yield* temporaryFolder("argo")
  for (const name of ["tls", "ssh", "tmp"]) mkdirSync(join(place, name))
  const environment = {
    ARGOCD_FAKE_IN_CLUSTER: "true", // https://kubernetes.default.svc is the cluster of the kubeconfig
    ARGOCD_GPG_ENABLED: "false",
    ARGOCD_TLS_DATA_PATH: join(place, "tls"),
    ARGOCD_SSH_DATA_PATH: join(place, "ssh"),
    TMPDIR: join(place, "tmp")
  }
  const [libraries = ""] = globSync(`${cache}/redis/usr/lib/*-linux-gnu`)
  const redisArgs = ["--bind", "127.0.0.1", "--port", String(redis), "--save", "", "--appendonly", "no"]
  yield* serve({
    command: `${cache}/redis/usr/bin/redis-server`,
    args: redisArgs,
    env: { LD_LIBRARY_PATH: libraries },
    ready: accepts(redis)
  })
  const repositoryArgs = [
    "--address=127.0.0.1",
    `--port=${repository}`,
    "--metrics-address=127.0.0.1",
    `--metrics-port=${repositoryMetrics}`
  ]
  yield* argocd(
    "argocd-repo-server",
    [...repositoryArgs, `--redis=127.0.0.1:${redis}`, "--disable-tls", "--client-ca-path="],
    environment,
    accepts(repository)
  )
  const resync = ["--app-resync=5", "--app-resync-jitter=0", "--persist-resource-health"]
  const servers = [`--redis=127.0.0.1:${redis}`, `--repo-server=127.0.0.1:${repository}`, "--repo-server-plaintext"]
  const healthy = answers(`http://127.0.0.1:${metrics}/healthz`)
  yield* argocd(
    "argocd-application-controller",
    [`--namespace=${argoNamespace}`, `--metrics-port=${metrics}`, ...servers, ...resync],
    environment,
    healthy
  )
  const setArgs = [
    `--namespace=${argoNamespace}`,
    `--metrics-addr=127.0.0.1:${setMetrics}`,
    `--probe-addr=127.0.0.1:${setProbe}`,
    `--webhook-addr=127.0.0.1:${setWebhook}`
  ]
  const setServers = [`--argocd-repo-server=127.0.0.1:${repository}`, "--repo-server-plaintext"]
  yield* argocd("argocd-applicationset-controller", [...setArgs, ...setServers], environment, accepts(setMetrics))
})

const repository = Effect.gen(function*() {
  const directory = yield* temporaryFolder("repository")
  cpSync("kustomize", join(directory, "kustomize"), { recursive: true })
  const git = (...args: ReadonlyArray<string>): string => execFileSync("git", ["-C", directory, ...args], { encoding: "utf8" })
  git("init", "--quiet", "--initial-branch=main")
  return {
    url: `file://${directory}`,
    read: (path: string) => readFileSync(join(directory, path), "utf8"),
    write: (path: string, text: string) => {
      mkdirSync(join(directory, path, ".."), { recursive: true })
      writeFileSync(join(directory, path), text)
    },
    commit: () => {
      git("add", "--all")
      git("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=test")
      return git("rev-parse", "HEAD").trim()
    }
  }
})

export const RealArgo = Layer.effect(
  Argo,
  Effect.gen(function*() {
    installDefinitions(join(cache, "definitions/argocd"))
    yield* settings
    yield* runArgo
    const context = yield* Effect.context<Kubernetes | Scope.Scope>()
    return { ...yield* repository, letPodsRun: Effect.provide(runPods, context) }
  })
).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

const Health = Schema.Struct({ status: Schema.optionalKey(Schema.String), message: Schema.optionalKey(Schema.String) })
const Told = Schema.Struct({
  sync: Schema.optionalKey(Schema.Struct({ status: Schema.String, revision: Schema.optionalKey(Schema.String) })),
  health: Schema.optionalKey(Health),
  conditions: Schema.optionalKey(Schema.Array(Schema.Struct({ type: Schema.String, message: Schema.String }))),
  resources: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({
        kind: Schema.String,
        name: Schema.String,
        status: Schema.optionalKey(Schema.String),
        health: Schema.optionalKey(Health)
      })
    )
  )
})

/** Returns what Argo CD says of an Application. */
export const told = Effect.fnUntraced(function*(name: string) {
  const { status } = yield* (yield* Kubernetes).get(applications, { name, namespace: argoNamespace })
  return Schema.decodeUnknownSync(Told)(status ?? {})
})

/** Waits until Argo CD says this of an Application, for `commit` when one is given. */
export const becomes = (name: string, sync: string, health: string, commit?: string) =>
  until(
    `${name} becoming ${sync} and ${health}`,
    told(name),
    (_) => _.sync?.status === sync && _.health?.status === health && (commit === undefined || _.sync.revision === commit)
  )

/** Asks Argo CD to look at an Application now, instead of within five seconds. */
export const refresh = (name: string): void =>
  void kubectl(["-n", argoNamespace, "annotate", "--overwrite", `application/${name}`, "argocd.argoproj.io/refresh=normal"])
