// The steps from a running Helm release to the new installation, with the commands to type, so that no queued run is lost.
// Invariant: what is new is tried before anything stops; old controller and Jobs have ended before the CRD is applied; secrets stay hidden.
// Used by core/migration/report.ts.
import { controllerName } from "../manifest/controller-names.ts"
import { makeSecret } from "../text/make-secret.ts"
import { shellWord } from "../text/shell-word.ts"
import { type InlineSecret, readersOf } from "./inline-secrets.ts"
import { isFirstChart, type Move, objectName } from "./move.ts"
import { fluxHelmRelease, type Step, unpacked, untilNone } from "./step.ts"
import { asksServer, trials } from "./trial.ts"

const selector = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(",")

const inJq = (path: ReadonlyArray<string | number>): string =>
  path.map((_) => typeof _ === "string" && /^\w+$/u.test(_) ? `.${_}` : `[${JSON.stringify(_)}]`).join("")

/** Returns what makes of the value of a variable what Kubernetes makes of it, which leaves what a Secret gives as it is. */
const unescaped = (isEscaped: boolean): string => isEscaped ? ` | split("$$") | join("$")` : ""

const secretObject = ({ data, escaped = [], name }: InlineSecret, namespace: string): string =>
  `{apiVersion: "v1", kind: "Secret", metadata: {name: ${JSON.stringify(name)}, namespace: ${JSON.stringify(namespace)}}, stringData: {${
    Object.entries(data).map(([key, path]) =>
      `${JSON.stringify(key)}: (.config${inJq(path)} | tostring${unescaped(escaped.includes(key))})`
    ).join(", ")
  }}}`

/** Returns the step that copies secret values from the Secret of the release into ours. They pass through pipes only. */
const makeSecrets = (move: Move): ReadonlyArray<Step> => {
  const { config, given: { secrets }, release: { namespace } } = move
  const placed = secrets.flatMap((secret) => readersOf(secret, config).map((reader) => ({ secret, reader })))
  const elsewhere = placed.some(({ reader }) => reader !== namespace)
  return secrets.length === 0 ? [] : [{
    title: `Make the Secret${secrets.length === 1 ? "" : "s"} ${secrets.map((_) => `\`${_.name}\``).join(", ")}`,
    why:
      `The secrets in the values that were recognised, by name or form, are in no file of the overlay. They come from the release itself, and are not shown.${
        elsewhere ? ` Make namespace ${config.taskNamespace} first, unless it is there: its Pods read some of them.` : ""
      }`,
    commands: [
      [
        unpacked(move),
        `  jq ${shellWord(placed.map(({ reader, secret }) => secretObject(secret, reader)).join(", "))} |`,
        "  kubectl apply --server-side -f -"
      ].join("\n")
    ]
  }]
}

/** Returns the step that makes the Secret with the token of another server, which does not know the token of the release. */
const makeToken = ({ config: { namespace, pool }, formerServer }: Move): ReadonlyArray<Step> =>
  pool === undefined || formerServer === undefined ? [] : [{
    title: `Make the Secret \`${pool.tokenSecret.name}\``,
    why: [
      `The new controller reads the token of its pool from it. Write that of ${pool.url} into a file pool.token first; the release keeps its own.`,
      `The name after a token in that server's file of pool tokens is its pool, and the stages of a workspace that is bound to no pool go to whichever controller asks first. So if another installation that takes work from ${pool.url} has another cloud identity, network or engine, give each a token with a name of its own there, and bind the workspaces of both before their next run: \`agent-job pool bind WORKSPACE POOL\`.`
    ].join(" "),
    commands: [
      `${
        makeSecret(namespace, pool.tokenSecret.name, { [pool.tokenSecret.key]: "pool.token" })
      } --dry-run=client -o yaml | kubectl apply --server-side -f -`
    ]
  }]

const whoIsAsked = ({ config, formerServer }: Move): string => {
  const { pool } = config
  if (pool === undefined) return "A Pod with the new image tells its version. No server is asked, since the values name none."
  if (!asksServer(config)) {
    return `A Pod with the new image tells its version. The server at ${pool.url} is not asked, since the roots in \`global.tls.caBundle\` come with the overlay.`
  }
  const failed = formerServer === undefined
    ? `leave the Secret \`${pool.tokenSecret.name}\` as it is, which the release may read too, and see whether an agent-job server answers there; to ask another one, migrate again with \`--url\``
    : `see whether the Secret \`${pool.tokenSecret.name}\` has that server's token`
  return `A Pod with the new image asks the server at ${pool.url} with the pool's token, as the controller will, and takes no work; where that fails, ${failed}.`
}

const tryNew = (move: Move): Step => ({
  title: "Try what is new",
  why: `${
    whoIsAsked(move)
  } Another one finds an engine in the runner's image. Go on only when both commands succeed: until then everything is as it was.`,
  commands: trials(move.config)
})

const emptyQueue = ({ config: { pool }, formerServer }: Move): ReadonlyArray<Step> =>
  formerServer === undefined ? [] : [{
    title: "Let the old queue run dry",
    why: [
      `Runs that are queued at ${formerServer} stay there, and nobody takes them once the old controller has stopped. Queue no more there, and go on when it shows none that waits for this pool.`,
      ...(pool === undefined ? [] : [`Queue none at ${pool.url} yet either, since its states are still to come.`])
    ].join(" "),
    commands: []
  }]

const stopOld = (move: Move): Step => {
  const { namespace, objects } = move.release
  const flux = fluxHelmRelease(move)
  return {
    title: "Stop the old controller",
    why: `From here on nobody takes runs${
      move.formerServer === undefined ? "; they stay queued in the pool, in their order" : ""
    }. Jobs that run go on.`,
    commands: [
      ...(flux === undefined ? [] : [`flux -n ${flux.namespace} suspend helmrelease ${flux.name}`]),
      ...objects.filter(({ kind }) => kind === "Deployment").flatMap(({ metadata, spec }) => [
        `kubectl -n ${namespace} scale deployment ${metadata.name} --replicas=0`,
        `kubectl -n ${namespace} wait --for=delete pod -l ${shellWord(selector({ ...spec?.selector?.matchLabels }))} --timeout=${
          (spec?.template?.spec?.terminationGracePeriodSeconds ?? 30) + 60
        }s`
      ])
    ]
  }
}

const waitForJobs = ({ config: { pool }, formerServer, release: { name, namespace } }: Move): Step => ({
  title: "Wait for the Jobs that run",
  why: [
    "Each ends by itself and reports to the server; taking it away in the middle would lose its work. One whose Pod stays Pending runs no engine, and nobody ends it any more: delete that Job, and start its run again.",
    ...(formerServer === undefined || pool === undefined
      ? []
      : [
        `Then bring the state of each workspace to ${pool.url}, with \`tofu state pull\` there and \`agent-job state push\` here, as docs/state.md tells under "Bring an existing state". Without it the first run would make everything a second time.`
      ])
  ].join(" "),
  commands: [
    untilNone([
      `kubectl -n ${namespace} get pods -l app.kubernetes.io/component=task,app.kubernetes.io/instance=${name}`,
      "--field-selector=status.phase!=Succeeded,status.phase!=Failed -o name"
    ])
  ]
})

/** Returns what to know about the CustomResourceDefinition, which all installations in the cluster share, before the overlay is applied. */
const aboutDefinition = ({ release, withoutCrd }: Move): ReadonlyArray<string> => [
  withoutCrd
    ? "The overlay leaves out the CustomResourceDefinition `atasks.scalr.io`: before this, apply `kustomize/crd` of the newest installation of agent-job in the cluster, unless that was done."
    : "The overlay has the CustomResourceDefinition `atasks.scalr.io`, and --force-conflicts takes it over from whoever applied it before. Where another installation of agent-job uses it already, first migrate again with `--without-crd`, because an older definition would replace a newer one.",
  ...(isFirstChart(release)
    ? [
      `The chart's definition has the same name and another schema, and Helm owns its fields${
        withoutCrd ? ", so apply ours with --force-conflicts" : ""
      }. It is one for the whole cluster: a release in another namespace (\`kubectl get atasks -A\`) does not work after this, so move them all together.`
    ]
    : [])
]

const applyNew = (move: Move, folder: string): Step => ({
  title: "Apply the overlay",
  why: [
    `${
      move.config.pool === undefined ? "AgentTasks" : `Runs that are queued at ${move.config.pool.url}`
    } begin as soon as the new controller is ready.`,
    ...aboutDefinition(move)
  ].join(" "),
  commands: [
    `kubectl apply --server-side${move.withoutCrd ? "" : " --force-conflicts"} -k ${shellWord(folder)}`,
    `kubectl -n ${move.config.namespace} rollout status deployment/${controllerName(move.config)} --timeout=120s`
  ]
})

const uninstall = (move: Move): Step => {
  const { clashes, release: { name, namespace } } = move
  const flux = fluxHelmRelease(move)
  return {
    title: "Remove the release",
    why: [
      ...(clashes.length === 0
        ? []
        : [
          `Before the overlay is applied, since the release has objects of the same names (${
            clashes.map((_) => objectName(_, namespace)).join(", ")
          }).`
        ]),
      "Helm removes its objects, and never a CustomResourceDefinition; it keeps the history, and with it the way back.",
      ...(flux === undefined ? [] : ["Take the HelmRelease out of Git first; being suspended, it removes nothing itself."])
    ].join(" "),
    commands: [
      `helm -n ${namespace} uninstall ${name} --keep-history --wait`,
      ...(flux === undefined
        ? []
        : [`kubectl -n ${flux.namespace} delete helmreleases.helm.toolkit.fluxcd.io ${flux.name} --ignore-not-found`])
    ]
  }
}

/** Returns the steps in their order. `folder` is where the overlay is. */
export const handOver = (move: Move, folder: string): ReadonlyArray<Step> => {
  const [apply, remove] = [applyNew(move, folder), uninstall(move)]
  return [
    ...makeSecrets(move),
    ...makeToken(move),
    tryNew(move),
    ...emptyQueue(move),
    stopOld(move),
    waitForJobs(move),
    ...move.clashes.length === 0 ? [apply, remove] : [remove, apply]
  ]
}
