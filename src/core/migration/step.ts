// A step of the page that describes a move, and the parts that steps in both directions share.
// Used by core/migration/hand-over.ts, core/migration/way-back.ts and core/migration/report.ts.
import type { Move } from "./move.ts"

export interface Step {
  readonly title: string
  readonly why: string
  /** The commands to type, if there are any. */
  readonly commands: ReadonlyArray<string>
}

/** Returns the beginning of a pipe: it prints the release as Helm keeps it, in JSON. */
export const unpacked = ({ release: { name, namespace, revision } }: Move): string =>
  `kubectl -n ${namespace} get secret sh.helm.release.v1.${name}.v${revision} -o 'jsonpath={.data.release}' | base64 -d | base64 -d | gunzip |`

/** Returns a loop that waits until kubectl names nothing. A kubectl that fails gives no answer, so the loop goes on. */
export const untilNone = (get: ReadonlyArray<string>): string =>
  `until left=$(${get.join(" \\\n    ")}) && [ -z "$left" ]; do echo "Waiting for" $left; sleep 5; done`

/**
 * Returns the HelmRelease of Flux that the release belongs to, if there is one: Flux would undo what is done by hand. Flux labels all
 * objects with it.
 */
export const fluxHelmRelease = ({ release: { objects } }: Move): { readonly name: string; readonly namespace: string } | undefined => {
  const labels = objects.map(({ metadata }) => metadata.labels ?? {}).find((_) => "helm.toolkit.fluxcd.io/name" in _)
  return labels === undefined
    ? undefined
    : { name: labels["helm.toolkit.fluxcd.io/name"] ?? "", namespace: labels["helm.toolkit.fluxcd.io/namespace"] ?? "" }
}
