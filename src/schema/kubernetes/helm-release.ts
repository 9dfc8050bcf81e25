// What Helm keeps of a release in its Secret (type helm.sh/release.v1), as far as a move away from Helm reads it; the rest is dropped.
// Invariant: the values in it may hold a token, so no error of decoding shows more than a path.
// Decoded by cli/values/helm-release.ts; used by core/migration.
import { Schema } from "effect"

const maybe = Schema.optionalKey
const tree = maybe(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown)))

/** The content of `data.release`, once it is unpacked. */
export const HelmPayload = Schema.Struct({
  name: Schema.String,
  namespace: Schema.String,
  version: Schema.Int,
  chart: Schema.Struct({
    metadata: Schema.Struct({ name: Schema.String, version: Schema.String }),
    /** The chart's defaults. */
    values: tree
  }),
  /** What the user set, and nothing else. */
  config: tree,
  /** All objects of the release, a YAML document each. */
  manifest: maybe(Schema.String)
})
export type HelmPayload = typeof HelmPayload.Type

const texts = Schema.Record(Schema.String, Schema.String)

/** An object of the manifest. */
export const HelmObject = Schema.Struct({
  kind: Schema.String,
  metadata: Schema.Struct({ name: Schema.String, namespace: maybe(Schema.String), labels: maybe(texts) }),
  /** What is read of a Deployment: how many Pods it has, what selects them, and how long they may take to end. */
  spec: maybe(Schema.Struct({
    replicas: maybe(Schema.Int),
    selector: maybe(Schema.Struct({ matchLabels: maybe(texts) })),
    template: maybe(Schema.Struct({ spec: maybe(Schema.Struct({ terminationGracePeriodSeconds: maybe(Schema.Int) })) }))
  }))
})
export type HelmObject = typeof HelmObject.Type

/** A release, decoded as a whole. */
export interface HelmRelease {
  readonly name: string
  readonly namespace: string
  readonly revision: number
  readonly chartVersion: string
  readonly defaults: Readonly<Record<string, unknown>>
  readonly config: Readonly<Record<string, unknown>>
  readonly objects: ReadonlyArray<HelmObject>
}
