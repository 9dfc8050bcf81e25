// The steps from a running Helm release to the new installation and back, with the commands to type, so that no queued run is lost.
// Invariant: what is new was tried before anything is stopped; the old controller has stopped and its Jobs have ended before the new CRD is applied; no step shows a secret.
// Used by core/migration/report.ts.
import type { InlineSecret } from "./inline-secrets.ts"
import { isFirstChart, type Move, place } from "./move.ts"
import { quoted } from "./quoted.ts"
import { asksServer, trials } from "./trial.ts"

export interface Step {
  readonly title: string
  readonly why: string
  readonly commands: ReadonlyArray<string>
}

const selector = (labels: Readonly<Record<string, string>>): string => Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(",")

const inJq = (path: ReadonlyArray<string | number>): string => path.map((_) => typeof _ === "string" && /^\w+$/u.test(_) ? `.${_}` : `[${JSON.stringify(_)}]`).join("")

const secretObject = ({ data, name }: InlineSecret): string =>
  `{apiVersion: "v1", kind: "Secret", metadata: {name: ${JSON.stringify(name)}}, stringData: {${Object.entries(data).map(([key, path]) => `${JSON.stringify(key)}: (.config${inJq(path)} | tostring)`).join(", ")}}}`

/** The release as Helm keeps it, in JSON. */
const unpacked = ({ release: { name, namespace, revision } }: Move): string =>
  `kubectl -n ${namespace} get secret sh.helm.release.v1.${name}.v${revision} -o 'jsonpath={.data.release}' | base64 -d | base64 -d | gunzip |`

/** From the Secret of the release straight into those of ours; it passes through pipes alone. */
const makeSecrets = (move: Move): ReadonlyArray<Step> => {
  const { given: { secrets }, release: { namespace } } = move
  return secrets.length === 0 ? [] : [{
    title: `Make the Secret${secrets.length === 1 ? "" : "s"} ${secrets.map((_) => `\`${_.name}\``).join(", ")}`,
    why: "What stood in the values in the clear is in no file of the overlay. It comes from the release itself, and is not shown.",
    commands: [[unpacked(move), `  jq ${quoted(secrets.map(secretObject).join(", "))} |`, `  kubectl -n ${namespace} apply --server-side -f -`].join("\n")]
  }]
}

const tryNew = ({ config }: Move): Step => ({
  title: "Try what is new",
  why: [
    asksServer(config) && config.pool !== undefined
      ? `A Pod with the new image asks the server at ${config.pool.url} with the pool's token, as the controller will, and takes no work; where it is refused, put the server's pool token into the Secret \`${config.pool.tokenSecret.name}\`.`
      : "A Pod with the new image tells its version. No server is asked.",
    "Another one finds an engine in the runner's image. Go on only when both commands succeed: until then everything is as it was."
  ].join(" "),
  commands: trials(config)
})

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

const untilTasksEnded = (namespace: string, instance: string): string => [
  `until pods=$(kubectl -n ${namespace} get pods -l app.kubernetes.io/component=task,app.kubernetes.io/instance=${instance} \\`,
  `    --field-selector=status.phase!=Succeeded,status.phase!=Failed -o name) && [ -z "$pods" ]; do sleep 5; done`
].join("\n")

const waitForJobs = ({ release: { name, namespace } }: Move): Step => ({
  title: "Wait for the Jobs that run",
  why: "Each ends by itself and reports to the server; taking it away in the middle would lose its work.",
  commands: [untilTasksEnded(namespace, name)]
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
      "Helm removes its objects, and never a CustomResourceDefinition; it keeps the history, and with it the way back.",
      ...(flux === undefined ? [] : ["Take the HelmRelease out of Git first; being suspended, it removes nothing itself."])
    ].join(" "),
    commands: [`helm -n ${namespace} uninstall ${name} --keep-history --wait`, ...(flux === undefined ? [] : [`kubectl -n ${flux.namespace} delete helmreleases.helm.toolkit.fluxcd.io ${flux.name}`])]
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
  return [...makeSecrets(move), tryNew(move), stopOld(move), waitForJobs(move), ...move.clashes.length === 0 ? [apply, remove] : [remove, apply], ...forget(move)]
}

/** Helm installs them with a chart, and never again. */
const oldDefinitions = (move: Move): ReadonlyArray<string> =>
  !isFirstChart(move.release) ? [] : [[
    unpacked(move),
    `  jq -r '.chart.files[] | select(.name | startswith("crds/")) | "---", (.data | @base64d)' |`,
    "  kubectl apply --server-side --force-conflicts -f -"
  ].join("\n")]

/** Helm would patch them into what cannot be patched, such as a selector. What is on a volume stays. */
const makeRoom = ({ clashes, release: { namespace } }: Move): ReadonlyArray<string> =>
  clashes.filter(({ kind }) => kind !== "PersistentVolumeClaim").map(({ kind, metadata }) => `kubectl -n ${metadata.namespace ?? namespace} delete --ignore-not-found ${kind.toLowerCase()}/${metadata.name}`)

/** At any step, whether the release was removed yet or not. */
export const wayBack = (move: Move): Step => {
  const { config, release: { name, namespace, objects, revision } } = move
  return {
    title: "The way back",
    why: [
      "At any step these bring the release back as it was; queued runs wait in the pool meanwhile.",
      ...(helmRelease(move) === undefined ? [] : ["Put the HelmRelease into Git again after that."])
    ].join(" "),
    commands: [
      `kubectl -n ${config.namespace} scale deployment ${config.name}-controller --replicas=0`,
      untilTasksEnded(config.taskNamespace, config.name),
      ...makeRoom(move),
      ...oldDefinitions(move),
      `helm -n ${namespace} rollback ${name} ${revision}`,
      ...objects.filter(({ kind }) => kind === "Deployment").map(({ metadata, spec }) => `kubectl -n ${namespace} scale deployment ${metadata.name} --replicas=${spec?.replicas ?? 1}`)
    ]
  }
}

/** Once nobody wants to go back: the history has the values, and what is in them in the clear. */
export const endOfWayBack = ({ release: { name, namespace } }: Move): Step => ({
  title: "Its end",
  why: "Once nobody wants to go back, this takes the history away, and with it what the values of the release have in the clear:",
  commands: [`helm -n ${namespace} uninstall ${name}`]
})
