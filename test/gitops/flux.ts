// Flux for a test: the real kustomize-controller, notification-controller for the alerts, a checkout, and the status of Kustomizations.
// There is no source-controller: `publish` packs the checkout, serves it, and writes the status that source-controller would write.
// Used by the *.gitops.test.ts and alerts.long.test.ts beside it.
import { Context, Effect, Layer, Schema } from "effect"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { gzipSync } from "node:zlib"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { type Kind, namespaces } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import type { KubernetesObject } from "../../src/kubernetes/object.ts"
import { freePort } from "../free-port.ts"
import { tellStatus } from "../kubernetes/tell-status.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { installDefinitions, kubectl, runPods, until } from "./cluster.ts"
import { answers, serve, serveHttp } from "./program.ts"

export const fluxNamespace = "flux-system"

const source = { ...namespaces, apiVersion: "source.toolkit.fluxcd.io/v1" }
const sources: ReadonlyArray<Kind> = [
  { ...source, kind: "GitRepository", plural: "gitrepositories" },
  { ...source, kind: "OCIRepository", plural: "ocirepositories" }
]
export const kustomizations: Kind = {
  ...namespaces,
  apiVersion: "kustomize.toolkit.fluxcd.io/v1",
  kind: "Kustomization",
  plural: "kustomizations"
}

/** What a team has in Git, and may change there. */
export interface Checkout {
  readonly read: (path: string) => string
  readonly write: (path: string, text: string) => void
  /** Makes a revision of what was written, which every source then has. Returns its name. */
  readonly publish: Effect.Effect<string>
  /** Does what `kubectl apply -k` of a folder does, but leaves out kinds whose controller does not run. */
  readonly bootstrap: (path: string) => void
}

export class Flux extends Context.Service<Flux, Checkout>()("test/Flux") {}

/** Packs a directory as source-controller does: the same content gives the same bytes, or every look would find a new revision. */
const pack = (directory: string): { readonly archive: Buffer; readonly revision: string } => {
  const options = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=go=rX,u+rw"]
  const tar = execFileSync("tar", ["-C", directory, ...options, "-cf", "-", "."], { maxBuffer: 2 ** 26 })
  return { archive: gzipSync(tar), revision: `main@sha1:${createHash("sha1").update(tar).digest("hex")}` }
}

/** Serves every archive that was published, because a controller may still want an older one. */
const archiveServer = Effect.gen(function*() {
  const archives = new Map<string, Buffer>()
  const url = yield* serveHttp(({ url = "" }, response) => response.writeHead(archives.has(url) ? 200 : 404).end(archives.get(url)))
  return { archives, url }
})

const checkout = (hasAlerts: boolean) =>
  Effect.gen(function*() {
    const kubernetes = yield* Kubernetes
    const directory = yield* temporaryFolder("checkout")
    for (const name of ["flux", "kustomize"]) cpSync(name, join(directory, name), { recursive: true })
    const { archives, url } = yield* archiveServer

    const publish = Effect.gen(function*() {
      const { archive, revision } = pack(directory)
      const path = `/${revision.slice(-40)}.tar.gz`
      archives.set(path, archive)
      const now = new Date().toISOString()
      const artifact = {
        path: path.slice(1),
        url: url + path,
        revision,
        digest: `sha256:${createHash("sha256").update(archive).digest("hex")}`,
        size: archive.length,
        lastUpdateTime: now
      }
      const ready = {
        type: "Ready",
        status: "True",
        reason: "Succeeded",
        message: `stored artifact for revision '${revision}'`,
        lastTransitionTime: now
      }
      for (const kind of sources) {
        const { items } = yield* kubernetes.list(kind, { namespace: fluxNamespace })
        for (const { metadata: { generation, name } } of items) {
          const status = { observedGeneration: generation, artifact, conditions: [{ ...ready, observedGeneration: generation }] }
          yield* tellStatus(kind, { name, namespace: fluxNamespace }, status)
        }
      }
      return revision
    }).pipe(Effect.provideService(Kubernetes, kubernetes), Effect.orDie)

    return Flux.of({
      read: (path) => readFileSync(join(directory, path), "utf8"),
      write: (path, text) => {
        mkdirSync(join(directory, dirname(path)), { recursive: true })
        writeFileSync(join(directory, path), text)
      },
      publish,
      bootstrap: (path) => {
        const documents = execFileSync("kustomize", ["build", join(directory, path)], { encoding: "utf8" }).split(/^---$/mu)
        kubectl(
          ["apply", "--server-side", "--validate=strict", "-f", "-"],
          documents.filter((_) => hasAlerts || !_.includes("apiVersion: notification.toolkit.fluxcd.io/")).join("---\n")
        )
      }
    })
  })

const definitionsOf = (name: string): string => join(process.env["GITOPS_CACHE"] ?? "", "definitions", name)

/** Starts kustomize-controller. `events`: the address for its events, or "" for none. */
const runController = Effect.fnUntraced(function*(events: string) {
  installDefinitions(definitionsOf("flux"))
  const health = `127.0.0.1:${yield* freePort}`
  const gates = "--feature-gates=CancelHealthCheckOnNewRevision=true" // as flux/README.md tells a team to
  const args = [
    "--no-remote-bases",
    "--metrics-addr=0",
    `--health-addr=${health}`,
    `--events-addr=${events}`,
    "--requeue-dependency=1s",
    gates
  ]
  yield* serve({
    command: "kustomize-controller",
    args,
    env: { RUNTIME_NAMESPACE: fluxNamespace },
    ready: answers(`http://${health}/readyz`)
  })
})

/** Starts notification-controller, and returns the address that takes events. */
const runNotifications = Effect.gen(function*() {
  installDefinitions(definitionsOf("notification"))
  const [events, health, receiver] = [yield* freePort, yield* freePort, yield* freePort].map((port) => `127.0.0.1:${port}`)
  const args = ["--metrics-addr=0", `--events-addr=${events}`, `--health-addr=${health}`, `--receiverAddr=${receiver}`]
  yield* serve({
    command: "notification-controller",
    args,
    env: { RUNTIME_NAMESPACE: fluxNamespace },
    ready: answers(`http://${health}/readyz`)
  })
  return `http://${events}/`
})

/** Deletes the Kustomizations while their controller runs, because each has a finalizer. */
const cleanUp = Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  const { items } = yield* kubernetes.list(kustomizations, { namespace: fluxNamespace })
  for (const { metadata: { name } } of items) yield* kubernetes.delete(kustomizations, { name, namespace: fluxNamespace })
})

const realFlux = (hasAlerts: boolean) =>
  Layer.effect(
    Flux,
    Effect.gen(function*() {
      yield* runController(hasAlerts ? yield* runNotifications : "")
      yield* runPods
      kubectl(["create", "namespace", fluxNamespace])
      return yield* Effect.acquireRelease(checkout(hasAlerts), () => Effect.ignore(cleanUp))
    })
  ).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

export const RealFlux = realFlux(false)
export const RealFluxWithAlerts = realFlux(true)

const Told = Schema.Struct({
  status: Schema.Struct({
    conditions: Schema.optionalKey(
      Schema.Array(Schema.Struct({ type: Schema.String, status: Schema.String, reason: Schema.String, message: Schema.String }))
    ),
    lastAppliedRevision: Schema.optionalKey(Schema.String),
    lastAttemptedRevision: Schema.optionalKey(Schema.String),
    lastHandledReconcileAt: Schema.optionalKey(Schema.String)
  })
})

interface Ready {
  readonly ready: string
  readonly reason: string
  readonly message: string
  readonly applied: string | undefined
}

const readyOf = (object: KubernetesObject): Ready => {
  const { conditions, lastAppliedRevision } = Schema.decodeUnknownSync(Told)({ status: {}, ...object }).status
  const ready = conditions?.find(({ type }) => type === "Ready")
  return { ready: ready?.status ?? "", reason: ready?.reason ?? "", message: ready?.message ?? "", applied: lastAppliedRevision }
}

const kustomization = Effect.fnUntraced(function*(name: string) {
  return yield* (yield* Kubernetes).get(kustomizations, { name, namespace: fluxNamespace })
})

/**
 * Waits until a Kustomization has this reason in its Ready condition, for the revision `applied` when one is given.
 * Flux writes conditions first and the rest of its status by a second request: a Kustomization that is deleted between the two leaves all
 * objects that it applied.
 */
export const becomes = (name: string, reason: string, applied?: string) =>
  until(`${name} becoming ${reason}`, Effect.map(kustomization(name), readyOf), (seen) => {
    const isWhole = seen.ready !== "True" || (seen.applied !== undefined && seen.message.endsWith(seen.applied))
    return seen.reason === reason && isWhole && (applied === undefined || seen.applied === applied)
  })

/** Asks Flux to reconcile a Kustomization now, as `flux reconcile kustomization` does. */
export const reconcile = (name: string): void =>
  void kubectl([
    "-n",
    fluxNamespace,
    "annotate",
    "--overwrite",
    `kustomization/${name}`,
    `reconcile.fluxcd.io/requestedAt=${new Date().toISOString()}`
  ])
