// What the commands do with the AgentTasks of a cluster: list them, read the log of a task's Pod, cancel one.
// Invariant: it asks only the API server, so it works without an agent-job server.
// Used by the commands get, logs and cancel.
import { Array, Console, Duration, Effect, Option, Result, Schedule, Schema, Stream } from "effect"
import { attemptOf } from "../../core/reconcile/attempts.ts"
import { follows } from "../../core/reconcile/follow.ts"
import { againAfterMillis } from "../../core/reconcile/newest-attempt.ts"
import { applySpec } from "../../core/reconcile/plan-to-apply.ts"
import { cancellationOf } from "../../core/task/cancellation.ts"
import { isOver } from "../../core/task/status.ts"
import { shortName } from "../../core/text/sentence.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import type { NotFound } from "../../kubernetes/errors.ts"
import { agentTasks, decoding, type Kind } from "../../kubernetes/kinds.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import { AgentTask } from "../../schema/task/agent-task.ts"
import type { ClusterFlags } from "../flags/settings.ts"
import { Cancelled, Failed, LogBrokenOff, NothingThere } from "../terminal/failure.ts"
import { logText } from "../terminal/log-text.ts"
import { Screen } from "../terminal/screen.ts"
import { contextFlag } from "./cluster.ts"

const kind = decoding(agentTasks, AgentTask)
const decodeTask = Schema.decodeUnknownResult(AgentTask)

const notKnown = ({ context }: ClusterFlags) =>
  new NothingThere({
    message: `AgentTasks are not known in the cluster of ${
      Option.match(context, {
        onNone: () => "the current context",
        onSome: (name) => `context ${name}`
      })
    }: agent-job is not installed there; install it, or name another cluster with --context.`
  })

/** Returns the flags with which another command reaches the same tasks. */
const flagsOf = (at: ClusterFlags): string => `${contextFlag(at)} --namespace ${at.namespace}`

/** Fails with what is missing: the task, or all AgentTasks. Without their definition the API server answers 404 without a reason in it. */
const missing = (at: ClusterFlags, name: string) => ({ reason }: NotFound) =>
  Effect.fail(
    reason === "NotFound"
      ? new NothingThere({
        message: `There is no AgentTask ${name} in namespace ${at.namespace}; \`agent-job get tasks${
          contextFlag(at)
        } -n ${at.namespace}\` lists them.`
      })
      : notKnown(at)
  )

const mostUnread = 10

/** Returns which tasks are not in a table, because they cannot be decoded, as those of a newer version; undefined if there is none. */
const unreadNote = (names: ReadonlyArray<string>, at: ClusterFlags): string | undefined =>
  names.length === 0
    ? undefined
    : `Not in the table, since this version of agent-job cannot read them: ${names.slice(0, mostUnread).map(shortName).join(", ")}${
      names.length > mostUnread ? ` and ${names.length - mostUnread} more` : ""
    }; see kubectl${contextFlag(at)} -n ${at.namespace} get atasks`

/**
 * Returns all tasks of a namespace as the API server has them (`objects`), those of them that can be decoded (`tasks`), and a `note` about
 * the others.
 */
export const listTasks = Effect.fn("listTasks")(function*(at: ClusterFlags) {
  const kubernetes = yield* Kubernetes
  const objects: ReadonlyArray<KubernetesObject> = yield* Stream.runCollect(kubernetes.listAll(agentTasks, { namespace: at.namespace }))
    .pipe(
      Effect.catchTag("NotFound", () => Effect.fail(notKnown(at)))
    )
  const [tasks, unread] = Array.partition(objects, (object) => Result.mapError(decodeTask(object), () => object.metadata.name))
  return { objects, tasks, note: unreadNote(unread, at) }
})

const read = <A>(kind: Kind<A>, at: ClusterFlags, name: string) =>
  Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(kind, { namespace: at.namespace, name })).pipe(
    Effect.catchTag("NotFound", missing(at, name))
  )

const decoded = (at: ClusterFlags, name: string) => read(kind, at, name)

const rawAndDecoded = { ...agentTasks, decode: (object: KubernetesObject) => Result.map(decodeTask(object), (task) => ({ object, task })) }

/** Returns one task, as the API server has it (`object`) and decoded (`task`). */
export const getTask = (at: ClusterFlags, name: string) => read(rawAndDecoded, at, name)

/** Reports whether the task is over, and the one which follows its source may apply it or make it again yet, unless it is cancelled. */
const mayGoOn = (task: AgentTask): boolean =>
  task.spec.cancel !== true && Option.isSome(attemptOf(task)) &&
  (Option.isSome(againAfterMillis(task, 0)) || Option.isSome(applySpec(task)))

export const cancelTask = Effect.fn("cancelTask")(function*(at: ClusterFlags, name: string) {
  const kubernetes = yield* Kubernetes
  const screen = yield* Screen
  const object = yield* read(agentTasks, at, name)
  const task = Result.getSuccess(decodeTask(object)) // none if this version cannot read all of it, as one of a newer version or one that an older CRD cut; its worker stops all the same
  const goesOn = Option.exists(task, mayGoOn)
  if (Option.isSome(task) && isOver(task.value.status.phase) && !follows(task.value) && !goesOn) {
    return yield* new Failed({ message: `AgentTask ${name} is ${task.value.status.phase} already; there is nothing to cancel.` })
  }
  // Not by force: what Git has as `cancel: false` would be refused from then on, as a cancel cannot be taken back.
  yield* kubernetes.apply(agentTasks, cancellationOf(object), { force: false }).pipe(
    Effect.catchTag("Conflict", ({ detail }) =>
      Effect.fail(
        new Failed({
          message:
            `AgentTask ${name} is not cancelled, because somebody else sets its spec.cancel (${detail}); set it to true there, such as in Git.`
        })
      ))
  )
  yield* screen.result(
    goesOn
      ? `AgentTask ${name} is over, and is neither applied nor made again by itself any more, unless that has begun.`
      : `AgentTask ${name} is asked to stop; see how it ends with: ${
        Option.isSome(task) ? `agent-job get ${name}${flagsOf(at)}` : `kubectl${contextFlag(at)} -n ${at.namespace} get atask ${name}`
      }`
  )
})

const lookEvery = Duration.seconds(1)

const phaseAndWhy = ({ status }: AgentTask) =>
  [status.phase ?? "Pending", status.message ?? status.reason].filter((part) => part !== undefined).join(": ")

/** Returns the task: with `follow` once its worker has claimed it, so that there is a log, or once it is over. */
const withLog = Effect.fnUntraced(function*(at: ClusterFlags, name: string, follow: boolean) {
  const screen = yield* Screen
  const hasLog = (task: AgentTask) => task.status.claim !== undefined || isOver(task.status.phase)
  return yield* decoded(at, name).pipe(
    Effect.tap((task) => hasLog(task) || !follow ? Effect.void : screen.status(phaseAndWhy(task))),
    Effect.repeat({ while: (task) => follow && !hasLog(task), schedule: Schedule.spaced(lookEvery) })
  )
})

/** How the log of every worker begins: with its first line, with why no engine ran, or with a message of the process in JSON. */
// oxlint-disable-next-line no-control-regex
const beginning = /^(?:Worker: Pod |\n\u001b\[1m(?!\$ )|\{"message":)/u
/** So many bytes tell whether a log begins so. */
const beginningBytes = 12

/** Returns a function that takes a log in chunks, and returns true once, if the log turns out to lack its beginning. */
const lacksBeginning = () => {
  let head = ""
  return (bytes: Uint8Array): boolean => {
    if (head.length >= beginningBytes) return false
    head += Buffer.from(bytes.subarray(0, beginningBytes)).toString("latin1")
    return head.length >= beginningBytes && !beginning.test(head)
  }
}

/** Returns what helps whoever wants a log that is gone. Nothing is run again for its log alone, but for a plan that a person is to approve. */
const insteadOfLog = (at: ClusterFlags, { metadata: { name }, spec: { pool }, status: { result } }: AgentTask): string => {
  if (pool !== undefined) return `the server still has it: agent-job logs ${pool.runId}`
  return result?.planDigest === undefined
    ? `what became of the task says agent-job get ${name}${
      flagsOf(at)
    }, and a higher task.job.ttlSecondsAfterFinished keeps later logs for longer`
    : "do not approve that plan unread: plan again under another name, where a higher task.job.ttlSecondsAfterFinished keeps the log for longer, and approve that one"
}

/** How often a task is looked at whose log has ended: the worker writes the end before, or else the controller does soon. */
const looksAfterLog = 10

/**
 * Returns a task whose log has ended once it is over, and fails if it goes on: the kubelet, or what is between, also ends the log of a
 * container that runs, as after hours without a line.
 */
const awaitEnd = Effect.fnUntraced(function*(at: ClusterFlags, name: string) {
  const task = yield* decoded(at, name).pipe(
    Effect.repeat({ until: ({ status }) => isOver(status.phase), schedule: Schedule.spaced(lookEvery), times: looksAfterLog })
  )
  if (isOver(task.status.phase)) return task
  return yield* new LogBrokenOff({
    message:
      `The log of AgentTask ${name} broke off, and the task is still ${task.status.phase}; follow it anew with: agent-job logs -f ${name}${
        flagsOf(at)
      }`
  })
})

/** Says how a task did not succeed; who followed it fails with that. */
const sayBadEnd = Effect.fnUntraced(function*(task: AgentTask, follow: boolean) {
  const { metadata: { name }, status: { phase } } = task
  if (phase !== "Failed" && phase !== "Cancelled") return
  const message = `AgentTask ${name} ended as ${phaseAndWhy(task)}`
  if (follow) return yield* phase === "Failed" ? new Failed({ message }) : new Cancelled({ message })
  yield* (yield* Screen).line(message)
})

/** Prints the log of the worker's container. `follow` waits for it to begin and stays until it ends. */
export const showTaskLog = Effect.fn("showTaskLog")(function*(at: ClusterFlags, name: string, follow: boolean) {
  const kubernetes = yield* Kubernetes
  const screen = yield* Screen
  const { namespace } = at
  const task = yield* withLog(at, name, follow)
  const { pod } = task.status
  if (pod === undefined || task.status.claim === undefined) {
    return yield* new (follow && task.status.phase === "Cancelled" ? Cancelled : Failed)({
      message: `AgentTask ${name} has no log, since nothing ran for it (${
        phaseAndWhy(task)
      }); see kubectl -n ${namespace} describe atask ${name}.`
    })
  }
  const text = logText(screen.colours)
  const isCut = lacksBeginning()
  const sayCut = Console.error(
    `The beginning of this log is not shown: node ${
      pod.node ?? "of the Pod"
    } has begun another file since (containerLogMaxSize of its kubelet), and Kubernetes gives only the last.`
  )
  yield* kubernetes.logs({ namespace, name: pod.name }, { container: "worker", follow }).pipe(
    Stream.tap((bytes) => isCut(bytes) ? sayCut : Effect.void),
    Stream.runForEach((bytes) => screen.text(text.push(bytes))),
    Effect.catchTag("NotFound", () =>
      Effect.fail(
        new Failed({
          message: `The Pod ${pod.name} of AgentTask ${name} is gone, and its log with it; ${insteadOfLog(at, task)}.`
        })
      ))
  )
  yield* screen.text(text.rest())
  const gone = Effect.succeed(task) // as its Pod is
  yield* sayBadEnd(follow ? yield* Effect.catchTag(awaitEnd(at, name), "NothingThere", () => gone) : task, follow)
})
