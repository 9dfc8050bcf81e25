// A move from a Helm release to an installation of ours: its values, the configuration that they resolve to, and the objects in the way.
// Invariant: it contains no secret.
// Made by cli/values/migrate-release.ts; told by core/migration/changes.ts, core/migration/hand-over.ts and core/migration/way-back.ts.
import { Result } from "effect"
import type { Tree } from "../../schema/document/layers.ts"
import type { HelmObject, HelmRelease } from "../../schema/kubernetes/helm-release.ts"
import { defaultValues, parseTrees, type Values } from "../../schema/values/values.ts"
import { install, type InstalledObject } from "../manifest/installation/install.ts"
import { resolve, type ResolvedConfig } from "../resolve/resolve.ts"
import { textAt } from "../resolve/tree-path.ts"
import { type Chosen, otherServer, withChosen } from "./chosen.ts"
import { type ReleaseValues, releaseValues } from "./release-values.ts"

export interface Move {
  readonly release: HelmRelease
  readonly given: ReleaseValues
  readonly values: Values
  readonly config: ResolvedConfig
  /** Objects of the release that have the kind, namespace and name of a new one. */
  readonly clashes: ReadonlyArray<HelmObject>
  /** Whether somebody else installs the CustomResourceDefinition. */
  readonly withoutCrd: boolean
  /** The server of the release, in words, if the new installation asks another server or none: what is queued there stays there. */
  readonly formerServer?: string
}

/**
 * Reports whether the release is of a chart until 0.5.67, which keeps its template in an AgentTask. Later charts have a kind of their own
 * for it.
 */
export const isFirstChart = ({ objects }: HelmRelease): boolean => objects.some(({ kind }) => kind === "AgentTask")

const nameOf = ({ config, name, namespace }: HelmRelease): string => {
  const overridden = { fullnameOverride: textAt(config, "fullnameOverride"), nameOverride: textAt(config, "nameOverride") }
  return resolve({ ...defaultValues, ...overridden }, { name, namespace }).name
}

const ofCluster = /^(Cluster|CustomResourceDefinition|PersistentVolume$|StorageClass)/u

/**
 * Returns the kind, namespace and name of an object. `fallback` is the namespace of an object that names none, unless its kind has no
 * namespace.
 */
export const objectName = ({ kind, metadata }: Pick<HelmObject, "kind" | "metadata">, fallback: string): string =>
  ofCluster.test(kind) ? `${kind} ${metadata.name}` : `${kind} ${metadata.namespace ?? fallback}/${metadata.name}`

const installedName = ({ kind = "", metadata }: InstalledObject, fallback: string): string =>
  objectName({
    kind,
    metadata: { name: metadata?.name ?? "", ...(metadata !== undefined && "namespace" in metadata && { namespace: metadata.namespace }) }
  }, fallback)

/** Works out a move, to values over `layers` of a base. Fails with a line for each value that cannot be used here. */
export const move = (
  release: HelmRelease,
  chosen: Chosen,
  layers: ReadonlyArray<Tree> = []
): Result.Result<Move, ReadonlyArray<string>> => {
  const { name, namespace, objects } = release
  const ours = nameOf(release)
  const given = releaseValues({ ...release, config: withChosen(release.config, chosen, ours) }, `${ours}-token`)
  return Result.map(parseTrees([...layers, given.values]), (values) => {
    const config = resolve(values, { name, namespace })
    const names = new Set(install(config).map((_) => installedName(_, namespace)))
    const isMovedAway = config.pool === undefined || otherServer(release.config, chosen) !== undefined
    return {
      release,
      given,
      values,
      config,
      withoutCrd: chosen.withoutCrd,
      clashes: objects.filter((_) => names.has(objectName(_, namespace))),
      ...(isMovedAway && { formerServer: textAt(release.config, "agent.url") || "the server that the release's token names" })
    }
  })
}
