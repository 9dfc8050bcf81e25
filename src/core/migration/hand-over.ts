// The steps from a running Helm release to the new installation, with the commands to type, so that no queued run is lost.
// Invariant: the old controller has stopped and its Jobs have ended before the new CRD is applied, and no step shows a secret.
// Used by core/migration/report.ts.
import type { InlineSecret } from "./inline-secrets.ts"
import { isFirstChart, type Move, place } from "./move.ts"

export interface Step {
  readonly title: string
  readonly why: string
  readonly commands: ReadonlyArray<string>
}

/** Safe in a shell. */
const quoted = (word: string): string => /^[\w./:=,@-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

const selector = (labels: Readonly<Record<string, string>>): string => Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(",")

const inJq = (path: ReadonlyArray<string | number>): string => path.map((_) => typeof _ === "string" && /^\w+$/u.test(_) ? `.${_}` : `[${JSON.stringify(_)}]`).join("")

const secretObject = ({ data, name }: InlineSecret): string =>
  `{apiVersion: "v1", kind: "Secret", metadata: {name: ${JSON.stringify(name)}}, stringData: {${Object.entries(data).map(([key, path]) => `${JSON.stringify(key)}: (.config${inJq(path)} | tostring)`).join(", ")}}}`

/** From the Secret of the release straight into those of ours; it passes through pipes alone. */
const makeSecrets = ({ given: { secrets }, release: { name, namespace, revision } }: Move): ReadonlyArray<Step> =>
  secrets.length === 0 ? [] : [{
    title: `Make the Secret${secrets.length === 1 ? "" : "s"} ${secrets.map((_) => `\`${_.name}\``).join(", ")}`,
    why: "What stood in the values in the clear is in no file of the overlay. It comes from the release itself, and is not shown.",
    commands: [[
      `kubectl -n ${namespace} get secret sh.helm.release.v1.${name}.v${revision} -o 'jsonpath={.data.release}' | base64 -d | base64 -d | gunzip |`,
      `  jq ${quoted(secrets.map(secretObject).join(", "))} |`,
      `  kubectl -n ${namespace} apply --server-side -f -`
    ].join("\n")]
  }]

/** The HelmRelease of Flux that the release belongs to: it would undo what is done by hand. Flux labels all objects with it. */
const helmRelease = ({ release: { objects } }: Move): { readonly name: string; readonly namespace: string } | undefined => {
  const labels = objects.map(({ metadata }) => metadata.labels ?? {}).find((_) => "helm.toolkit.fluxcd.io/name" in _)
  return labels === undefined ? undefined : { name: labels["helm.toolkit.fluxcd.io/name"] ?? "", namespace: labels["helm.toolkit.fluxcd.io/namespace"] ?? "" }
}

const stopOld = (move: Move): Step => {
  const { namespace, objects } = move.release
  const flux = helmRelease(move)
  return {
    title: "Stop the old controller",
    why: "From here on nobody takes runs; they stay queued in the pool, in their order. Jobs that run go on.",
    commands: [
      ...(flux === undefined ? [] : [`flux -n ${flux.namespace} suspend helmrelease ${flux.name}`]),
      ...objects.filter(({ kind }) => kind === "Deployment").flatMap(({ metadata, spec }) => [
        `kubectl -n ${namespace} scale deployment ${metadata.name} --replicas=0`,
        `kubectl -n ${namespace} wait --for=delete pod -l ${quoted(selector({ ...spec?.selector?.matchLabels }))} --timeout=${(spec?.template?.spec?.terminationGracePeriodSeconds ?? 30) + 60}s`
      ])
    ]
  }
}

const waitForJobs = ({ release: { name, namespace } }: Move): Step => ({
  title: "Wait for the Jobs that run",
  why: "Each ends by itself and reports to the server; taking it away in the middle would lose its work.",
  commands: [[
    `until pods=$(kubectl -n ${namespace} get pods -l app.kubernetes.io/component=task,app.kubernetes.io/instance=${name} \\`,
    `    --field-selector=status.phase!=Succeeded,status.phase!=Failed -o name) && [ -z "$pods" ]; do sleep 5; done`
  ].join("\n")]
})

const applyNew = ({ config: { name, namespace }, release }: Move, folder: string): Step => ({
  title: "Apply the overlay",
  why: isFirstChart(release)
    ? "The chart's CustomResourceDefinition `atasks.scalr.io` has the same name and another schema, and Helm owns its fields; --force-conflicts takes it over. It is one for the whole cluster: a release in another namespace (`kubectl get atasks -A`) does not work after this, so move them all together."
    : "Queued runs begin as soon as the new controller is ready.",
  commands: [
    `kubectl apply --server-side --force-conflicts -k ${quoted(folder)}`,
    `kubectl -n ${namespace} rollout status deployment/${name}-controller --timeout=120s`
  ]
})

const uninstall = (move: Move): Step => {
  const { clashes, release: { name, namespace } } = move
  const flux = helmRelease(move)
  return {
    title: "Remove the release",
    why: [
      ...(clashes.length === 0 ? [] : [`Before the overlay is applied, since the release has objects of the same names (${clashes.map((_) => place(_, namespace)).join(", ")}).`]),
      "Helm removes its objects, and never a CustomResourceDefinition.",
      ...(flux === undefined ? [] : ["Take the HelmRelease out of Git first; being suspended, it removes nothing itself."])
    ].join(" "),
    commands: [`helm -n ${namespace} uninstall ${name} --wait`, ...(flux === undefined ? [] : [`kubectl -n ${flux.namespace} delete helmreleases.helm.toolkit.fluxcd.io ${flux.name}`])]
  }
}

const forget = ({ release }: Move): ReadonlyArray<Step> =>
  isFirstChart(release) ? [] : [{
    title: "Remove the chart's CustomResourceDefinition",
    why: "Once no other release of the chart is left in the cluster: the first command then shows none.",
    commands: ["kubectl get agenttasktemplates.scalr.io -A", "kubectl delete crd agenttasktemplates.scalr.io"]
  }]

/** `folder`: where the overlay is. */
export const handOver = (move: Move, folder: string): ReadonlyArray<Step> => {
  const [apply, remove] = [applyNew(move, folder), uninstall(move)]
  return [...makeSecrets(move), stopOld(move), waitForJobs(move), ...move.clashes.length === 0 ? [apply, remove] : [remove, apply], ...forget(move)]
}

/** The old controller again; only while its release is there. */
export const wayBack = ({ clashes, config, release }: Move): ReadonlyArray<string> =>
  clashes.length > 0 ? [] : [
    `kubectl -n ${config.namespace} scale deployment ${config.name}-controller --replicas=0`,
    ...isFirstChart(release) ? [`helm show crds CHART --version ${release.chartVersion} | kubectl apply --server-side --force-conflicts -f -`] : [],
    ...release.objects.filter(({ kind }) => kind === "Deployment").map(({ metadata, spec }) => `kubectl -n ${release.namespace} scale deployment ${metadata.name} --replicas=${spec?.replicas ?? 1}`)
  ]
