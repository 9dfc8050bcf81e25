// The parts of Jobs, Pods, Leases, sources of Flux and Events that are read; everything else in them is dropped when they are decoded.
// A field is optional wherever Kubernetes may leave it out, so that a strange object decodes and is judged by the core.
// Used by the parts of the controller that read objects of the cluster, and by cli/cluster/draining.
import { Schema } from "effect"
import { configHashAnnotation, Uid } from "../names.ts"

const maybe = Schema.optionalKey
const list = <S extends Schema.Top>(item: S) => maybe(Schema.Array(item))

const metadata = Schema.Struct({
  name: Schema.String,
  uid: Uid,
  resourceVersion: Schema.String,
  creationTimestamp: Schema.String,
  deletionTimestamp: maybe(Schema.String),
  labels: maybe(Schema.Record(Schema.String, Schema.String)),
  ownerReferences: list(Schema.Struct({ kind: Schema.String, name: maybe(Schema.String), uid: Uid, controller: maybe(Schema.Boolean) }))
})

const condition = Schema.Struct({ type: Schema.String, status: Schema.String, reason: maybe(Schema.String), message: maybe(Schema.String) })

const built = Schema.Struct({ ...metadata.fields, annotations: maybe(Schema.Struct({ [configHashAnnotation]: maybe(Schema.String) })) })

export const Job = Schema.Struct({ metadata: built, status: maybe(Schema.Struct({ conditions: list(condition) })) })
export type Job = typeof Job.Type

const terminated = Schema.Struct({ exitCode: Schema.Int, reason: maybe(Schema.String), message: maybe(Schema.String) })

const containerStatus = Schema.Struct({
  name: Schema.String,
  ready: maybe(Schema.Boolean),
  started: maybe(Schema.Boolean),
  state: maybe(Schema.Struct({
    waiting: maybe(Schema.Struct({ reason: maybe(Schema.String), message: maybe(Schema.String) })),
    running: maybe(Schema.Struct({})),
    terminated: maybe(terminated)
  })),
  lastState: maybe(Schema.Struct({ terminated: maybe(terminated) }))
})
export type ContainerStatus = typeof containerStatus.Type

export const Pod = Schema.Struct({
  metadata,
  spec: maybe(Schema.Struct({
    nodeName: maybe(Schema.String),
    serviceAccountName: maybe(Schema.String),
    initContainers: list(Schema.Struct({ name: Schema.String, restartPolicy: maybe(Schema.String) }))
  })),
  status: maybe(Schema.Struct({
    phase: maybe(Schema.Literals(["Pending", "Running", "Succeeded", "Failed", "Unknown"])),
    reason: maybe(Schema.String),
    message: maybe(Schema.String),
    conditions: list(condition),
    initContainerStatuses: list(containerStatus),
    containerStatuses: list(containerStatus)
  }))
})
export type Pod = typeof Pod.Type

/** A workspace's Lease; the annotation names the holder for people and for a look-up by name. */
export const WorkspaceLease = Schema.Struct({
  metadata: Schema.Struct({
    name: Schema.String,
    resourceVersion: Schema.String,
    annotations: maybe(Schema.Record(Schema.String, Schema.String))
  }),
  spec: maybe(Schema.Struct({ holderIdentity: maybe(Schema.String), leaseTransitions: maybe(Schema.Int) }))
})
export type WorkspaceLease = typeof WorkspaceLease.Type

/** A GitRepository, OCIRepository or Bucket of Flux. */
export const FluxObject = Schema.Struct({
  metadata: Schema.Struct({ generation: maybe(Schema.Int) }),
  spec: maybe(Schema.Struct({ suspend: maybe(Schema.Boolean) })),
  status: maybe(Schema.Struct({
    observedGeneration: maybe(Schema.Int),
    conditions: list(condition),
    artifact: maybe(Schema.Struct({ url: Schema.String, revision: Schema.String, digest: maybe(Schema.String) }))
  }))
})
export type FluxObject = typeof FluxObject.Type

/** An Event of type Warning (events.k8s.io/v1); which of its times is set depends on who wrote it. */
export const WarningEvent = Schema.Struct({
  regarding: Schema.Struct({ uid: Schema.String }),
  reason: maybe(Schema.String),
  note: maybe(Schema.String),
  eventTime: maybe(Schema.NullOr(Schema.String)),
  deprecatedLastTimestamp: maybe(Schema.NullOr(Schema.String)),
  series: maybe(Schema.Struct({ lastObservedTime: maybe(Schema.String) }))
})
export type WarningEvent = typeof WarningEvent.Type
