// The way from a new installation back to the Helm release, with the commands to type, and its end.
// Invariant: the new controller takes no more runs before it is deleted, and lives until what it took has ended or is given back.
// Used by core/migration/report.ts.
import { controllerName, leaderLeaseName } from "../manifest/controller-names.ts"
import { shellWord } from "../text/shell-word.ts"
import { isFirstChart, type Move } from "./move.ts"
import { fluxHelmRelease, type Step, unpacked, untilNone } from "./step.ts"

/** Returns what becomes of the runs that no controller has taken. */
export const meanwhile = ({ config: { pool }, formerServer }: Move): string => {
  if (pool === undefined) return "AgentTasks that have not begun stay, with nobody to run them."
  return formerServer === undefined
    ? "Queued runs wait in the pool meanwhile."
    : `Runs that are queued at ${pool.url} stay there, and nobody takes them: cancel them, and queue them again at ${formerServer}. Bring states that have changed since back there, too, before the next run.`
}

const notBegun = ".items[] | select(.spec.pool and (.status.claim | not)) | .metadata.name"

const leaveNew = ({ config: { name, namespace, taskNamespace } }: Move): Step => ({
  title: "From the new controller",
  why: [
    "These come first where the overlay was applied; before that, leave them out. Where the first command finds no controller that answers, go on.",
    "The second cancels what the controller has taken and not begun, so start those runs again; without a controller it gives up after two minutes, and `agent-job cancel RUN --force`, after `agent-job cancel RUN`, ends such a run.",
    "What has begun ends by itself."
  ].join(" "),
  commands: [
    `agent-job drain --name ${name} --controller-namespace ${namespace} --namespace ${taskNamespace}`,
    [
      `kubectl -n ${taskNamespace} get atasks.scalr.io -o json |`,
      `  jq -r ${shellWord(notBegun)} |`,
      `  xargs -r kubectl -n ${taskNamespace} delete atasks.scalr.io --timeout=2m`
    ].join("\n"),
    untilNone([
      `kubectl -n ${taskNamespace} get atasks.scalr.io -o jsonpath=${shellWord("{.items[?(@.status.phase==\"Running\")].metadata.name}")}`
    ]),
    `kubectl -n ${namespace} delete deployment ${controllerName({ name })} --ignore-not-found --cascade=foreground`,
    `kubectl -n ${namespace} delete lease ${leaderLeaseName({ name })} --ignore-not-found` // a new controller of that name would stay drained
  ]
})

/**
 * Returns the commands that delete new objects with the names of old ones: Helm would patch them where that is impossible, as in a
 * selector. Claims stay, and what is on their volumes.
 */
const makeRoom = ({ clashes, release: { namespace } }: Move): ReadonlyArray<string> =>
  clashes.filter(({ kind }) => kind !== "PersistentVolumeClaim").map(({ kind, metadata }) =>
    `kubectl -n ${metadata.namespace ?? namespace} delete --ignore-not-found ${kind.toLowerCase()}/${metadata.name}`
  )

/** The beginning of a command that does nothing while the cluster has a controller of ours. */
const unlessOthers =
  "others=$(kubectl get deployments -A -l app.kubernetes.io/managed-by=agent-job,app.kubernetes.io/component=controller -o name) && [ -z \"$others\" ] &&"

/** The command that allows the guard, where there is one, to have an older CustomResourceDefinition in place of ours, once (ADR 0040). */
const allowOlder = [
  "generation=$(kubectl get crd atasks.scalr.io --ignore-not-found -o jsonpath='{.metadata.generation}') &&",
  "{ [ -z \"$generation\" ] || kubectl annotate crd atasks.scalr.io --overwrite \"scalr.io/replace-generation=$generation\"; } &&"
]

/**
 * Returns the command that installs the chart's CustomResourceDefinitions. Helm installs them with a chart and never again, and makes no
 * object of a kind that the API server does not know yet. That of the first charts takes the place of ours, so no installation of ours may
 * be left.
 */
const definitions = (move: Move): string =>
  [
    ...(isFirstChart(move.release) ? [unlessOthers, ...allowOlder] : []),
    unpacked(move),
    "  jq -r '.chart.files[] | select(.name | startswith(\"crds/\")) | \"---\", (.data | @base64d)' |",
    "  kubectl apply --server-side --force-conflicts -f - -o name |",
    "  xargs kubectl wait --for='jsonpath={.status.conditions}' --timeout=60s -o name |", // the next wait fails on an object that has no condition yet
    "  xargs kubectl wait --for=condition=Established --timeout=60s"
  ].join("\n")

const restore = (move: Move): Step => {
  const { name, namespace, objects, revision } = move.release
  const flux = fluxHelmRelease(move)
  return {
    title: "To the release",
    why: [
      ...(isFirstChart(move.release)
        ? [
          "The chart's CustomResourceDefinition takes the place of ours in the whole cluster, and no other installation of agent-job works with it, so move all of them back together: do all of the step before this for each of them first. While one has its controller, the first command does nothing and prints nothing; then stop here."
        ]
        : []),
      "Helm makes again what is missing, and the old controller starts.",
      ...(flux === undefined ? [] : ["Where the last command finds no HelmRelease, put it into Git again."])
    ].join(" "),
    commands: [
      definitions(move),
      ...makeRoom(move),
      `helm -n ${namespace} rollback ${name} ${revision}`,
      ...objects.filter(({ kind }) => kind === "Deployment").map(({ metadata, spec }) =>
        `kubectl -n ${namespace} scale deployment ${metadata.name} --replicas=${spec?.replicas ?? 1}`
      ),
      ...(flux === undefined ? [] : [`flux -n ${flux.namespace} resume helmrelease ${flux.name}`])
    ]
  }
}

/** Returns the steps back. They work after any step of the hand-over, whether the release was removed or not. */
export const wayBack = (move: Move): ReadonlyArray<Step> => [leaveNew(move), restore(move)]

/**
 * Returns the command that deletes the chart's own kind, which later charts have and Helm leaves behind. It deletes nothing while another
 * release has such objects.
 */
const forget = ({ release }: Move): ReadonlyArray<string> =>
  isFirstChart(release)
    ? []
    : [
      "others=$(kubectl get agenttasktemplates.scalr.io -A -o name) && [ -z \"$others\" ] && kubectl delete crd agenttasktemplates.scalr.io"
    ]

/**
 * Returns the step for when nobody wants to go back. It removes Helm's history, which contains the values and any secret in them in the
 * clear.
 */
export const endOfWayBack = (move: Move): Step => {
  const { name, namespace } = move.release
  return {
    title: "Its end",
    why: [
      "Once nobody wants to go back, this takes the history away, and with it what the values of the release have in the clear",
      ...(isFirstChart(move.release)
        ? []
        : [", then the chart's CustomResourceDefinition, unless another release in the cluster still has objects of it"]),
      ":"
    ].join(""),
    commands: [`helm -n ${namespace} uninstall ${name}`, ...forget(move)]
  }
}
