// The kinds of object this program reads and writes, and how their payload is decoded.
// A plain kind gives objects with an unchecked payload; `decoding` gives the same kind with a schema.
// Used with every method of client.ts.
import { Result, Schema } from "effect"
import { agentTaskResource } from "../schema/names.ts"
import type { KubernetesObject } from "./object.ts"

/** `A` is what single-object calls answer with; lists and watches give undecoded objects, so that one bad object spoils no other. */
export interface Kind<A = KubernetesObject> {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly decode: (object: KubernetesObject) => Result.Result<A, Schema.SchemaError>
}

const kind = (apiVersion: string, kind: string, plural: string): Kind => ({ apiVersion, kind, plural, decode: Result.succeed })

/** The same kind, whose payload is decoded with `schema`; unknown fields are dropped, a mismatch fails with `Malformed`. */
export const decoding = <S extends Schema.ConstraintDecoder<unknown>>(kind: Kind<unknown>, schema: S): Kind<S["Type"]> => ({
  ...kind,
  decode: Schema.decodeUnknownResult(schema)
})

export const agentTasks = kind(agentTaskResource.apiVersion, agentTaskResource.kind, agentTaskResource.plural)
export const jobs = kind("batch/v1", "Job", "jobs")
export const pods = kind("v1", "Pod", "pods")
export const leases = kind("coordination.k8s.io/v1", "Lease", "leases")
export const events = kind("events.k8s.io/v1", "Event", "events")
export const secrets = kind("v1", "Secret", "secrets")
export const configMaps = kind("v1", "ConfigMap", "configmaps")
export const namespaces = kind("v1", "Namespace", "namespaces")
export const serviceAccounts = kind("v1", "ServiceAccount", "serviceaccounts")

const flux = "source.toolkit.fluxcd.io/v1"
/** Of Flux, by kind; a cluster without Flux does not know them, and says 404. */
export const fluxSources = {
  GitRepository: kind(flux, "GitRepository", "gitrepositories"),
  OCIRepository: kind(flux, "OCIRepository", "ocirepositories"),
  Bucket: kind(flux, "Bucket", "buckets")
} as const
