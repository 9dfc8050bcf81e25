// The kinds of object that this program reads and writes, and how their payload is decoded.
// A plain kind returns objects with an unchecked payload; `decoding` returns the same kind with a schema.
// Used with every method of client.ts.
import { Result, Schema } from "effect"
import { agentTaskResource } from "../schema/names.ts"
import type { KubernetesObject } from "./object.ts"
import { type Fields, flag, int, message, messages, metadata, text } from "./protobuf.ts"

/** `A` is what calls for a single object return. Lists and watches return undecoded objects, so that one bad object spoils no other. */
export interface Kind<A = KubernetesObject> {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly decode: (object: KubernetesObject) => Result.Result<A, Schema.SchemaError>
  /**
   * The protobuf fields that are read of a watched object, about a tenth of it. Without a table, a watch uses JSON and reads all fields.
   */
  readonly watched?: Fields
}

const kind = (apiVersion: string, kind: string, plural: string): Kind => ({ apiVersion, kind, plural, decode: Result.succeed })

/** Returns the kind with its payload decoded by `schema`: unknown fields are dropped, and a mismatch fails with `Malformed`. */
export const decoding = <S extends Schema.ConstraintDecoder<unknown>>(kind: Kind<unknown>, schema: S): Kind<S["Type"]> => ({
  ...kind,
  decode: Schema.decodeUnknownResult(schema)
})

export const agentTasks = kind(agentTaskResource.apiVersion, agentTaskResource.kind, agentTaskResource.plural)
const conditions = (number: number): Fields => ({
  [number]: messages("conditions", { 1: text("type"), 2: text("status"), 5: text("reason"), 6: text("message") })
})
const terminated: Fields = { 3: message("terminated", { 1: int("exitCode"), 3: text("reason"), 4: text("message") }) }
const containerStatus: Fields = {
  1: text("name"),
  2: message("state", { 1: message("waiting", { 1: text("reason"), 2: text("message") }), 2: message("running", {}), ...terminated }),
  3: message("lastState", terminated),
  4: flag("ready"),
  9: flag("started")
}

/** Jobs. A watch reads only the fields that `Job` in schema/kubernetes/kubernetes decodes. */
export const jobs: Kind = { ...kind("batch/v1", "Job", "jobs"), watched: { 1: metadata, 3: message("status", conditions(1)) } }
/** Pods. A watch reads only the fields that `Pod` in schema/kubernetes/kubernetes decodes. */
export const pods: Kind = {
  ...kind("v1", "Pod", "pods"),
  watched: {
    1: metadata,
    2: message("spec", {
      8: text("serviceAccountName"),
      10: text("nodeName"),
      20: messages("initContainers", { 1: text("name"), 24: text("restartPolicy") })
    }),
    3: message("status", {
      1: text("phase"),
      ...conditions(2),
      3: text("message"),
      4: text("reason"),
      8: messages("containerStatuses", containerStatus),
      10: messages("initContainerStatuses", containerStatus)
    })
  }
}
export const leases = kind("coordination.k8s.io/v1", "Lease", "leases")
export const events = kind("events.k8s.io/v1", "Event", "events")
export const deployments = kind("apps/v1", "Deployment", "deployments")
export const secrets = kind("v1", "Secret", "secrets")
export const configMaps = kind("v1", "ConfigMap", "configmaps")
export const serviceAccounts = kind("v1", "ServiceAccount", "serviceaccounts")
export const namespaces = kind("v1", "Namespace", "namespaces")
export const networkPolicies = kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
export const nodes = kind("v1", "Node", "nodes")
export const runtimeClasses = kind("node.k8s.io/v1", "RuntimeClass", "runtimeclasses")
export const definitions = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
export const admissionPolicyKinds = {
  ValidatingAdmissionPolicy: kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
  ValidatingAdmissionPolicyBinding: kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings"
  )
} as const
export const accessReviews = kind("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews")

const flux = "source.toolkit.fluxcd.io/v1"
/** The sources of Flux, by kind. A cluster without Flux does not know them and answers 404. */
export const fluxSources = {
  GitRepository: kind(flux, "GitRepository", "gitrepositories"),
  OCIRepository: kind(flux, "OCIRepository", "ocirepositories"),
  Bucket: kind(flux, "Bucket", "buckets")
} as const
