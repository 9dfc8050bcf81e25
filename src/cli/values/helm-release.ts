// Finds a Helm release among the Secrets of its namespace, unpacks and decodes it.
// Invariant: without a usable release it fails with one sentence, which tells nothing of the Secret's data but the chart and its version.
// Used by cli/values/migrate-release.ts.
import { Effect, Option, Schema, Stream } from "effect"
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import { parseAllDocuments } from "yaml"
import { Kubernetes } from "../../kubernetes/client.ts"
import { secrets } from "../../kubernetes/kinds.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import { HelmObject, HelmPayload, type HelmRelease } from "../../schema/kubernetes/helm-release.ts"
import { BadInput, NotAllowed, NothingThere } from "../terminal/failure.ts"

/** The most bytes that a release may unpack to. Packed, a Secret limits it to 1 MiB. */
const mostBytes = 64 * 1024 * 1024

const unzip = promisify(gunzip)
const isZipped = (bytes: Buffer): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

const PackedSecret = Schema.Struct({ data: Schema.Struct({ release: Schema.String }) })

/** Unpacks the release in a Secret: JSON, compressed by gzip, in base64 by Helm, in base64 by Kubernetes. */
const unpacked = async (secret: KubernetesObject): Promise<HelmPayload> => {
  const { data } = Schema.decodeUnknownSync(PackedSecret)(secret)
  const packed = Buffer.from(Buffer.from(data.release, "base64").toString("latin1"), "base64")
  const json = isZipped(packed) ? await unzip(packed, { maxOutputLength: mostBytes }) : packed
  return Schema.decodeUnknownSync(HelmPayload)(JSON.parse(json.toString("utf8")))
}

/** Returns the objects of a manifest. Charts write some keys twice: the last one holds, as for Helm. Empty documents are left out. */
const objectsOf = (manifest: string): ReadonlyArray<HelmObject> =>
  parseAllDocuments(manifest, { uniqueKeys: false }).flatMap((document) =>
    Option.toArray(Schema.decodeUnknownOption(HelmObject)(document.toJS()))
  )

const releaseOf = ({ chart, config, manifest, name, namespace, version }: HelmPayload): HelmRelease => ({
  name,
  namespace,
  revision: version,
  chartVersion: chart.metadata.version,
  defaults: chart.values ?? {},
  config: config ?? {},
  objects: objectsOf(manifest ?? "")
})

const labelOf = ({ metadata }: KubernetesObject, label: string): string => metadata.labels?.[label] ?? ""
const revisionOf = (secret: KubernetesObject): number => Number(labelOf(secret, "version"))

/** Drops the data of other releases, of which only the labels are used. */
const trimmed = (name: string) => (secret: KubernetesObject): KubernetesObject =>
  labelOf(secret, "name") === name ? secret : { metadata: secret.metadata }

const list = (values: ReadonlyArray<string>): string => [...new Set(values)].sort().join(", ")

/** Returns the error that says why there is no deployed revision of that name. */
const missing = (all: ReadonlyArray<KubernetesObject>, namespace: string, name: string): NothingThere | BadInput => {
  const revisions = all.filter((_) => labelOf(_, "name") === name)
  if (revisions.length > 0) {
    const states = revisions.map((_) => `revision ${labelOf(_, "version")} is ${labelOf(_, "status")}`).join(", ")
    return new BadInput({
      message:
        `The Helm release ${namespace}/${name} is not deployed (${states}); bring it in order with helm rollback or helm upgrade, then try again.`
    })
  }
  return new NothingThere({
    message: all.length === 0
      ? `There is no Helm release in namespace ${namespace}; name its namespace with --namespace (helm list -A shows them all).`
      : `There is no Helm release ${name} in namespace ${namespace}, but there is ${
        list(all.map((_) => labelOf(_, "name")))
      }; name it with --release, or another namespace with --namespace.`
  })
}

const notAllowed = (namespace: string, name: string) =>
  new NotAllowed({
    message:
      `You may not list Secrets in namespace ${namespace}, where Helm keeps its releases; ask for get and list on secrets there, or let somebody who has them run helm -n ${namespace} get values ${name} >values.yaml, and give that to agent-job overlay --values.`
  })

const broken = (namespace: string, secret: KubernetesObject) =>
  new BadInput({
    message:
      `The Secret ${namespace}/${secret.metadata.name} holds no Helm release that can be read; see whether helm -n ${namespace} get values ${
        labelOf(secret, "name")
      } can.`
  })

/** Returns the newest deployed revision of a release. Fails if it is not of the chart agent-job. */
export const helmRelease = Effect.fn("helmRelease")(function*(namespace: string, name: string) {
  const kubernetes = yield* Kubernetes
  const all = yield* kubernetes.listAll(secrets, { namespace, labelSelector: "owner=helm", limit: 20 }).pipe(
    Stream.map(trimmed(name)),
    Stream.runCollect,
    Effect.catchTag("Forbidden", () => Effect.fail(notAllowed(namespace, name)))
  )
  const [newest] = all.filter((_) => labelOf(_, "name") === name && labelOf(_, "status") === "deployed").sort((a, b) =>
    revisionOf(b) - revisionOf(a)
  )
  if (newest === undefined) return yield* missing(all, namespace, name)
  const payload = yield* Effect.tryPromise({ try: () => unpacked(newest), catch: () => broken(namespace, newest) })
  const { name: chart, version } = payload.chart.metadata
  if (chart !== "agent-job") {
    return yield* new BadInput({
      message:
        `The Helm release ${namespace}/${name} is of the chart ${chart} ${version}; only releases of the chart agent-job can be moved.`
    })
  }
  return yield* Effect.try({ try: () => releaseOf(payload), catch: () => broken(namespace, newest) }) // the manifest may be damaged
})
