// A step of the page, and what steps of both directions are made of.
// Used by core/migration/hand-over.ts, core/migration/way-back.ts and core/migration/report.ts.
import type { Move } from "./move.ts"

export interface Step {
  readonly title: string
  readonly why: string
  /** None where there is nothing to type. */
  readonly commands: ReadonlyArray<string>
}

/** The release as Helm keeps it, in JSON. */
export const unpacked = ({ release: { name, namespace, revision } }: Move): string =>
  `kubectl -n ${namespace} get secret sh.helm.release.v1.${name}.v${revision} -o 'jsonpath={.data.release}' | base64 -d | base64 -d | gunzip |`

/** Until kubectl names nothing; an answer that fails is none. */
export const untilNone = (get: ReadonlyArray<string>): string =>
  `until left=$(${get.join(" \\\n    ")}) && [ -z "$left" ]; do echo "Waits for" $left; sleep 5; done`

/** The HelmRelease of Flux that the release belongs to: it would undo what is done by hand. Flux labels all objects with it. */
export const helmRelease = ({ release: { objects } }: Move): { readonly name: string; readonly namespace: string } | undefined => {
  const labels = objects.map(({ metadata }) => metadata.labels ?? {}).find((_) => "helm.toolkit.fluxcd.io/name" in _)
  return labels === undefined
    ? undefined
    : { name: labels["helm.toolkit.fluxcd.io/name"] ?? "", namespace: labels["helm.toolkit.fluxcd.io/namespace"] ?? "" }
}
