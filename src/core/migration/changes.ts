// What changes with a move from the Helm chart, one sentence each, and only what concerns this release.
// Invariant: every key of the release that no longer has an effect gets a sentence.
// Used by core/migration/report.ts.
import { controllerName } from "../manifest/controller-names.ts"
import { get } from "../resolve/tree-path.ts"
import { isFirstChart, type Move, objectName } from "./move.ts"

const named = (names: ReadonlyArray<string>): string => names.map((_) => `\`${_}\``).join(", ")
const when = (holds: boolean, ...sentences: ReadonlyArray<string>): ReadonlyArray<string> => holds ? sentences : []

const ofKind = ({ release }: Move, kind: string): ReadonlyArray<string> =>
  release.objects.filter((_) => _.kind === kind).map(({ metadata }) => metadata.name)

const names = (move: Move): ReadonlyArray<string> => {
  const { account, namespace, taskAccountName, taskNamespace } = move.config
  const [old, controller] = [ofKind(move, "Deployment"), controllerName(move.config)]
  return [
    old.includes(controller)
      ? `The controller's Deployment is called \`${controller}\` as before, and is made anew, since a selector cannot be changed.`
      : `The controller is Deployment \`${controller}\`, instead of ${named(old)}.`,
    ...when(
      namespace === taskNamespace,
      `Tasks run in namespace ${namespace}, beside the controller, as before; \`task.namespace\` gives them one of their own, in which whoever may make AgentTasks reaches nothing else.`
    ),
    `Tasks have a service account of their own, \`${taskAccountName}\`, that may write the status of a task and nothing else; the controller's is \`${account.name}\`.`,
    ...when(
      account.create && Object.keys(account.annotations).length > 0,
      `Both accounts have the annotations of \`serviceAccount.annotations\`; what they give in your cloud must be granted to \`system:serviceaccount:${taskNamespace}:${taskAccountName}\` too.`
    ),
    ...when(
      !account.create,
      `What \`${account.name}\` may do in your cloud, tasks may only where it is granted to \`system:serviceaccount:${taskNamespace}:${taskAccountName}\` too, which has \`serviceAccount.annotations\`.`
    )
  ]
}

const token = ({ config, formerServer, given, release, values }: Move): ReadonlyArray<string> => [
  "The pool's token is a file in the controller's Pod; the Pods of tasks do not have it any more.",
  ...when(
    config.token !== undefined && isFirstChart(release) && given.secrets.some(({ name }) => name === config.token?.secret.name),
    "The chart never made a Secret of the token in its values, so its Pods run only if somebody made one; check that both tokens are the same."
  ),
  ...when(
    config.pool !== undefined && formerServer !== undefined,
    `That token is the one of ${values.agent.url}, in Secret \`${config.token?.secret.name}\`; the release's own is in no file of the overlay.`
  ),
  ...values.agent.url === ""
    ? ["There is no `agent.url`, so the controller asks no server for work: it runs the AgentTasks that others make."]
    : [
      `Work comes from ${values.agent.url} (\`agent.url\`), where an agent-job server must answer, since the controller speaks its API; what is queued elsewhere stays there.`
    ]
]

const components = { controller: "the controller", task: "tasks" } as const

/** Returns a sentence for each Pod whose own annotation now overrides a global one. The chart preferred the global one. */
const annotations = ({ values: { global, ...values } }: Move): ReadonlyArray<string> =>
  (["controller", "task"] as const).flatMap((component) => {
    const own = values[component].podAnnotations
    const others = Object.keys(own).filter((key) => key in global.podAnnotations && own[key] !== global.podAnnotations[key])
    return when(
      others.length > 0,
      `Annotation ${named(others)} of Pods of ${
        components[component]
      } is that of \`${component}.podAnnotations\`; the chart took the global one.`
    )
  })

const images = ({ config: { controller, task }, values }: Move): ReadonlyArray<string> => {
  const ofPolicy = ([["controller.image", values.controller.image], ["task.worker.image", values.task.worker.image]] as const).filter((
    [, { pullPolicy }]
  ) => pullPolicy !== "").map(([key]) => key)
  return [
    `Controller and worker are ${controller.container.image}, the runner is ${task.runner.image}; no image of the release is used any more, since the chart's agent is another program.`,
    ...when(ofPolicy.length > 0, `The pull policy of ${named(ofPolicy)} is in effect without a repository too; the chart left it out.`)
  ]
}

/** Returns a sentence for each key that the first chart documented and did not read. */
const unread = ({ release, values: { global, persistence, serviceAccount } }: Move): ReadonlyArray<string> =>
  !isFirstChart(release) ? [] : [
    ...when(Object.keys(global.extraEnv).length > 0, "`global.extraEnv` is in effect in every container; the chart did not read it."),
    ...when(Object.keys(serviceAccount.labels).length > 0, "`serviceAccount.labels` are in effect; the chart did not read them."),
    `Worker and runner share a volume at \`agent.dataDir\`, of ${persistence.emptyDir.sizeLimit} at most (\`persistence.emptyDir.sizeLimit\`); the chart made none.`
  ]

const network = ({ release, values }: Move): ReadonlyArray<string> =>
  when(
    values.restrictMetadataService,
    isFirstChart(release)
      ? "The NetworkPolicy keeps the Pods of tasks, too, from metadata services and link-local addresses, in IPv4 and IPv6, but for their DNS; the chart's reached the controller alone, and cut all of IPv6."
      : "The NetworkPolicy keeps controller and tasks from metadata services and link-local addresses, but for their DNS, and leaves every other address and port open."
  )

const cache = (move: Move): ReadonlyArray<string> => {
  const claims = ofKind(move, "PersistentVolumeClaim")
  const made = move.config.cache?.claim?.name
  const instead = made === undefined ? "" : `; ${claims.includes(made) ? "it is made anew" : `\`${made}\` comes instead`}, empty`
  return [
    ...when(claims.length > 0, `The volume claim ${named(claims)} goes with the release, and what is in it${instead}.`),
    ...when(
      move.config.cache !== undefined,
      "The volume of `persistence` is mounted, and is no cache: only states that the server did not take are kept on it. Stages download their providers, but for those of a mirror (`agent.providerFilesystemMirrors`, `agent.providerNetworkMirrors`)."
    )
  ]
}

const retries = ({ values: { task } }: Move): ReadonlyArray<string> =>
  when(
    task.job.backoffLimit > 0,
    `\`task.job.backoffLimit\` (${task.job.backoffLimit}) counts starts that failed; a stage that has begun is never started again.`
  )

const keys = ({ given: { renamed, secrets, unknown } }: Move): ReadonlyArray<string> => [
  ...renamed.map(({ from, to }) => `\`${from}\` is ${named(to)} here.`),
  ...unknown.map(({ key, nearest }) =>
    `\`${key}\` is unknown here and is left out${nearest === undefined ? "" : `; the nearest key is \`${nearest}\``}.`
  ),
  ...secrets.flatMap(({ data, name }) =>
    Object.entries(data).map(([key, path]) =>
      `\`${path.join(".")}\` stood in the values in the clear; it is key \`${key}\` of Secret \`${name}\` now.`
    )
  )
]

const defaults = ({ given: { kept }, values }: Move): ReadonlyArray<string> =>
  kept.map((key) => `\`${key}\` is null in the release, and needs a value here: it is ${JSON.stringify(get(values, key))}, the default.`)

const account = ({ config: { account }, release }: Move): ReadonlyArray<string> =>
  when(
    !account.create && isFirstChart(release),
    `Roles and bindings are made for the account \`${account.name}\`; the chart made none without \`serviceAccount.create\`.`
  )

export const changes = (move: Move): ReadonlyArray<string> =>
  [names, token, images, annotations, unread, network, cache, retries, account, keys, defaults].flatMap((of) => of(move))

/**
 * Returns the objects that go with the release, in the order of its manifest. The CustomResourceDefinition is not one of them, because Helm
 * never removes one.
 */
export const leaving = ({ release: { namespace, objects } }: Move): ReadonlyArray<string> => objects.map((_) => objectName(_, namespace))
