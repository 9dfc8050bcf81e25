// Drains a cluster, or undoes that: marks the Lease of the leading controller, waits for its answer there, and lists what runs.
// Invariant: while it waits it says what for, and it never touches what runs.
// Used by drain.
import { Array, Clock, Duration, Effect, Equal, Option, Schedule, Schema, Stream } from "effect"
import { leaderLeaseName } from "../../core/manifest/controller-names.ts"
import { stageLabel, taskLabel, taskSelector } from "../../core/manifest/labels.ts"
import { isEngineOver } from "../../core/reconcile/pod-end.ts"
import { drainAskedAt, formerLeadMillis, isAnswered, withDrainAsked, withoutDrainAsked } from "../../core/scheduling/draining.ts"
import { jobSeen, podSeen } from "../../core/task/seen.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import { agentTasks, decoding, jobs, namespaces, pods } from "../../kubernetes/kinds.ts"
import { Job, Pod } from "../../schema/kubernetes/kubernetes.ts"
import { controllingOwner } from "../../schema/kubernetes/owner.ts"
import { agentTaskResource, workspaceKey } from "../../schema/names.ts"
import { age, counted } from "../terminal/amounts.ts"
import type { Answer } from "../terminal/answer.ts"
import { BadInput, Failed, NothingThere } from "../terminal/failure.ts"
import { Screen } from "../terminal/screen.ts"
import { columns } from "../terminal/table.ts"
import { installedTaskNamespace } from "../values/installed-values.ts"
import { annotationsOf, type Installation, leaderLease, markLeader } from "./leader-lease.ts"

const shown = ({ name, namespace }: Installation): string => `${name} in ${namespace}`

const neverRan = ({ name, namespace }: Installation) =>
  new NothingThere({
    message: `There is no Lease ${namespace}/${
      leaderLeaseName({ name })
    }, so no controller ever ran there; say which is meant with --name and --controller-namespace.`
  })

const mark = (installation: Installation, change: Parameters<typeof markLeader>[1]) =>
  Effect.catchTag(markLeader(installation, change), "NotFound", () => Effect.fail(neverRan(installation)))

const instead =
  "give --name and --controller-namespace of the installation, and --namespace too if it has no such ConfigMap that you may read"

/** Returns the namespace of the tasks by the values of the installation. */
const valuesSay = ({ name, namespace }: Installation) => installedTaskNamespace(name, namespace, instead)

/**
 * Fails if the tasks of the installation are known to be elsewhere than in the given namespace, because then another installation is meant.
 */
const checkGiven = Effect.fnUntraced(function*(installation: Installation, given: string) {
  const known = yield* valuesSay(installation).pipe(
    Effect.asSome,
    Effect.catchTags({ BadInput: () => Effect.succeedNone, NotAllowed: () => Effect.succeedNone })
  )
  if (Option.isNone(known) || known.value === given) return
  return yield* new BadInput({
    message: `The tasks of ${
      shown(installation)
    } are in ${known.value}, not in ${given}; name the installation whose tasks are in ${given} with --name and --controller-namespace, or leave out --namespace.`
  })
})

/**
 * Returns the namespace of the tasks: the given one, or the one in the controller's values. Fails if it does not exist, because without any
 * Jobs it would look as if nothing runs.
 */
const namespaceOf = Effect.fnUntraced(function*(installation: Installation, given: Option.Option<string>) {
  if (Option.isSome(given)) yield* checkGiven(installation, given.value)
  const namespace = Option.isSome(given) ? given.value : yield* valuesSay(installation)
  yield* Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(namespaces, { name: namespace })).pipe(
    Effect.catchTag(
      "NotFound",
      () =>
        Effect.fail(
          new NothingThere({
            message: `There is no namespace ${namespace}, so no task of ${
              shown(installation)
            } runs there; give --name and --controller-namespace of the installation that is meant.`
          })
        )
    )
  )
  return namespace
})

/**
 * Returns the annotations of the Lease; one that was deleted has none. Fails if somebody has asked for another thing than this command did:
 * for the drain of that time, or for the end of one.
 */
const unlessOverruled = Effect.fnUntraced(function*(installation: Installation, since: Option.Option<string>) {
  const annotations = yield* leaderLease(installation).pipe(
    Effect.map(annotationsOf),
    Effect.catchTag("NotFound", () => Effect.succeed({}))
  )
  if (Equal.equals(drainAskedAt(annotations), since)) return annotations
  return yield* new Failed({
    message: Option.isSome(since)
      ? `Somebody has ended this drain of ${shown(installation)}, so tasks may have started since; find out why, and drain it again.`
      : `Somebody drains ${shown(installation)} again, so waiting tasks do not start; find out why, and end that drain too.`
  })
})

/** How long to wait for the controller's answer: longer than a new leader waits for Jobs that the former leader may still create. */
const patience = Duration.millis(1.5 * formerLeadMillis)

/** Waits until the controller has answered the mark. Fails if that takes longer than `patience`, or if somebody marks otherwise. */
const awaitAnswer = Effect.fnUntraced(function*(installation: Installation, since: Option.Option<string>) {
  const screen = yield* Screen
  yield* unlessOverruled(installation, since).pipe(
    Effect.tap((annotations) => isAnswered(annotations) ? Effect.void : screen.status("Waiting for the controller to answer")),
    Effect.repeat({ until: isAnswered, schedule: Schedule.spaced("500 millis") }),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.fail(
          new Failed({
            message: `The controller has not answered for ${
              Duration.toSeconds(patience)
            } seconds, but the request stays: it is answered once a replica leads and no Job that was decided on before is still being created; see kubectl -n ${installation.namespace} get pods.`
          })
        )
    })
  )
})

interface Running {
  readonly task: string
  readonly workspace: string
  readonly stage: string
  readonly since: string
  readonly node?: string
}

const Task = Schema.Struct({
  spec: Schema.Struct({ workspace: Schema.String }),
  status: Schema.optionalKey(Schema.Struct({ reason: Schema.optionalKey(Schema.String) }))
})
const tasks = decoding(agentTasks, Task)

/** Returns the task; none if it cannot be read. */
const taskAt = (namespace: string, name: string) =>
  Effect.option(Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(tasks, { namespace, name })))

/** The label has no more than the beginning of a long name. */
const taskOf = ({ labels = {}, ownerReferences }: Job["metadata"]): string =>
  Option.getOrUndefined(controllingOwner(ownerReferences, agentTaskResource.kind))?.name ?? labels[taskLabel] ?? ""

const runningOf = ({ metadata }: Job | Pod, node = ""): Running => ({
  task: taskOf(metadata),
  workspace: metadata.labels?.[workspaceKey] ?? "",
  stage: metadata.labels?.[stageLabel] ?? "",
  since: metadata.creationTimestamp,
  ...(node !== "" && { node })
})

/** Returns the same with its workspace. A name that can be no label is in the task alone; it stays unknown if that cannot be read. */
const withWorkspace = (namespace: string) => (one: Running) =>
  one.workspace !== ""
    ? Effect.succeed(one)
    : Effect.map(
      taskAt(namespace, one.task),
      Option.match({ onNone: () => one, onSome: ({ spec: { workspace } }) => ({ ...one, workspace }) })
    )

/** Names a task with its stage, since when that runs and on which node, and what its status says, if it can be read. */
const waitedFor = (namespace: string) => ({ node, since, stage, task }: Running) =>
  Effect.map(taskAt(namespace, task), (found) => {
    const reason = Option.getOrUndefined(found)?.status?.reason
    return `${task} (${
      [stage, `since ${since}`, ...(node === undefined ? [] : [`on node ${node}`]), ...(reason === undefined ? [] : [reason])].join(", ")
    })`
  })

const decodeJob = Schema.decodeUnknownResult(Job)
const decodePod = Schema.decodeUnknownResult(Pod)

/**
 * Returns the tasks of the namespace that have an active Job, or a Pod whose engine is not over: a Job that is deleted, as with its task, is
 * gone before the engine has saved its state.
 */
const running = Effect.fnUntraced(function*(namespace: string) {
  const { listAll } = yield* Kubernetes
  const ours = { namespace, labelSelector: taskSelector }
  const active = Array.getSuccesses((yield* Stream.runCollect(listAll(jobs, ours))).map((object) => decodeJob(object)))
    .filter((job) => jobSeen(job).state === "active")
  const live = Array.getSuccesses((yield* Stream.runCollect(listAll(pods, ours))).map((object) => decodePod(object)))
    .map((pod) => ({ pod, seen: podSeen(pod) })).filter(({ seen }) => !isEngineOver(seen))
  const podsOf = ({ metadata: { uid } }: Job) => live.filter(({ seen }) => Option.contains(seen.owner, uid))
  const counted = new Set(active.flatMap(podsOf))
  return [
    ...active.map((job) => runningOf(job, podsOf(job).at(-1)?.seen.node)),
    ...live.flatMap((one) => counted.has(one) ? [] : [runningOf(one.pod, one.seen.node)])
  ]
})

const changes = (all: ReadonlyArray<Running>) => all.filter(({ stage }) => stage !== "plan")

/** How many looks in a row have to find no change running: the API server may still create a Job after a request that got no response. */
const quietLooks = 2

const untilQuiet = Effect.fnUntraced(function*<E, R>(namespace: string, look: Effect.Effect<ReadonlyArray<Running>, E, R>) {
  const screen = yield* Screen
  let quiet = 0
  while (true) {
    const all = yield* look
    const waited = changes(all)
    quiet = waited.length === 0 ? quiet + 1 : 0
    if (quiet === quietLooks) return all
    const named = yield* Effect.forEach(waited, waitedFor(namespace), { concurrency: 8 })
    if (named.length > 0) yield* screen.status(`Waiting for ${named.join(", ")}`)
    yield* Effect.sleep("1 second")
  }
})

const listed = (all: ReadonlyArray<Running>, now: number): ReadonlyArray<string> =>
  columns(all.map(({ node = "", since, stage, task, workspace }) => [`  ${task}`, workspace, stage, age(since, now), node]), "   ")

const runningLines = (all: ReadonlyArray<Running>, now: number): ReadonlyArray<string> => {
  const [changing, plans] = [changes(all).length, all.length - changes(all).length]
  return [
    ...(all.length === 0
      ? ["Nothing runs."]
      : [
        `Still running: ${counted(changing, "apply or destroy", "applies or destroys")}, ${counted(plans, "plan")}.`,
        ...listed(all, now)
      ]),
    ...(plans === 0 ? [] : ["An evicted plan of a run, or of a task that follows its source, is planned again."])
  ]
}

/** Says at Ctrl-C how far the drain is: Ctrl-C stops what waits for it and takes nothing back. */
const leaving = (words: string) => Effect.onInterrupt(() => Effect.flatMap(Screen, ({ line }) => line(words)))

/**
 * Drains the cluster. `given`: the namespace of the tasks, if it was typed. `wait`: return once no apply or destroy runs. `there`: the flag of
 * its context, for the command that ends this.
 */
export const drain = Effect.fn("drain")(function*(installation: Installation, given: Option.Option<string>, wait: boolean, there = "") {
  const namespace = yield* namespaceOf(installation, given)
  yield* running(namespace) // who may not see what runs is told before anything is marked
  const now = yield* currentInstant
  const toEnd = `To end this: agent-job drain --undo${there} --name ${installation.name} --controller-namespace ${installation.namespace}`
  const lease = yield* mark(installation, (annotations) => withDrainAsked(annotations, now)).pipe(
    leaving(`${shown(installation)} may be drained by now. ${toEnd}`)
  )
  const asked = drainAskedAt(annotationsOf(lease))
  yield* awaitAnswer(installation, asked).pipe(
    leaving(`${shown(installation)} is asked to drain, but no controller has answered yet, so more may start. ${toEnd}`)
  )
  const look = Effect.tap(running(namespace), () => unlessOverruled(installation, asked))
  const all = yield* (wait ? untilQuiet(namespace, look) : look).pipe(
    Effect.flatMap(Effect.forEach(withWorkspace(namespace), { concurrency: 8 })),
    leaving(`${shown(installation)} stays drained, so nothing new starts. ${toEnd}`)
  )
  const since = Option.getOrElse(asked, () => now)
  return {
    document: { installation, drained: true, since, running: all },
    lines: [
      `Draining ${shown(installation)} since ${since}: nothing new starts in ${namespace}.`,
      ...runningLines(all, yield* Clock.currentTimeMillis),
      toEnd
    ]
  } satisfies Answer
})

/** Ends the drain. `given`: the namespace of the tasks, if it was typed. */
export const undo = Effect.fn("undoDrain")(function*(installation: Installation, given: Option.Option<string>) {
  if (Option.isSome(given)) yield* checkGiven(installation, given.value)
  yield* mark(installation, withoutDrainAsked)
  yield* awaitAnswer(installation, Option.none())
  return {
    document: { installation, drained: false },
    lines: [`No longer draining ${shown(installation)}: waiting tasks start.`]
  } satisfies Answer
})
