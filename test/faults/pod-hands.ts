// Stands in for a node: for every Pod that the Job controller makes, it claims the task, plays its stage and reports its end with the worker's
// own code. These requests meet the faults. It writes the Pod's end as a kubelet does, so that the Job completes and is deleted after its TTL.
// Used by the soak.
import { Context, Data, Effect, Layer, Option, Queue, Schedule, type Scope } from "effect"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { taskUidLabel } from "../../src/core/manifest/labels.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import * as Informer from "../../src/kubernetes/informer.ts"
import { pods, secrets } from "../../src/kubernetes/kinds.ts"
import { type AgentTask, mutates } from "../../src/schema/task/agent-task.ts"
import { TaskApi } from "../../src/worker/network/task-api.ts"
import { claimTask } from "../../src/worker/task/claim.ts"
import { report } from "../../src/worker/task/report.ts"
import { Tasks } from "../controller/task-cluster.ts"
import { serviceAccounts } from "../kubernetes/service-accounts.ts"
import { tellStatus } from "../kubernetes/tell-status.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { neverStops } from "../worker/never-stops.ts"
import { podSettings } from "../worker/pod-settings.ts"
import { playStage } from "./stage-hands.ts"

/** Where the worker's own requests go: a client of the API server, and the URL of the pool. */
export interface Ways {
  readonly client: Kubernetes["Service"]
  readonly pool: string
}

class NoToken extends Data.TaggedError("NoToken")<{ readonly task: string }> {
  override get message() {
    return `The Secret of ${this.task} is not there.`
  }
}

const stageOf = ({ metadata: { name }, spec: { pool, stage } }: AgentTask): string =>
  mutates(stage) && pool !== undefined ? `the ${stage} of ${pool.runId}` : name

interface Seen {
  readonly name: string
  readonly uid: string
  readonly task: string
  readonly taskUid: string
}

/**
 * Plays one Pod: claims the task, reads the token, plays the stage, reports the result to the task and the pool, and writes the Pod's end as
 * a kubelet.
 */
const liveThrough = Effect.fnUntraced(
  function*({ name: pod, task, taskUid, uid }: Seen, place: string, claims: Array<string>, { client, pool }: Ways) {
    const { namespace } = yield* Tasks
    const kubernetes = yield* Kubernetes
    const [tokenFile, planFile] = [join(place, pod), join(place, `${pod}.plan`)]
    const settings = podSettings(place, place, {
      AGENT_JOB_NAMESPACE: namespace,
      AGENT_JOB_TASK: task,
      AGENT_JOB_TASK_UID: taskUid,
      AGENT_JOB_JOB: `agent-job-${task}`,
      AGENT_JOB_POD_NAME: pod,
      AGENT_JOB_POD_UID: uid,
      AGENT_JOB_TERMINATION_LOG: join(place, "termination-log"),
      AGENT_JOB_TOKEN_FILE: tokenFile,
      AGENT_JOB_POOL_PATIENCE: "1 minute"
    })
    const worker = Layer.mergeAll(settings, neverStops(), Layer.succeed(Kubernetes, client))
    const code = yield* Effect.gen(function*() {
      const claimed = yield* Effect.result(claimTask())
      if (claimed._tag === "Failure") return 75
      const { claim, task: claimedTask } = claimed.success
      claims.push(stageOf(claimedTask))
      const { data } = yield* kubernetes.get(secrets, { namespace, name: `${task}-token` }).pipe(
        Effect.mapError(() => new NoToken({ task })),
        Effect.retry({ times: 300, schedule: Schedule.spaced("200 millis") }) // as the kubelet waits for it
      )
      writeFileSync(tokenFile, Buffer.from(String(Object(data).token), "base64"))
      const taskApi = Context.get(yield* Layer.build(Layer.provide(TaskApi.layer(pool, taskUid), settings)), TaskApi)
      const result = yield* Effect.provideService(playStage(claimedTask, planFile), TaskApi, taskApi)
      yield* report(claim, result, {
        flushLog: () => Effect.void,
        tellPool: Option.some((result) => taskApi.patiently(taskApi.tellResult(result)))
      })
      for (const file of [tokenFile, planFile]) rmSync(file, { force: true })
      return 0
    }).pipe(Effect.scoped, Effect.provide(worker))
    const at = new Date().toISOString()
    const terminated = { exitCode: code, reason: code === 0 ? "Completed" : "Error", startedAt: at, finishedAt: at, containerID: "c://1" }
    yield* tellStatus(pods, { namespace, name: pod }, {
      phase: code === 0 ? "Succeeded" : "Failed",
      startTime: at,
      containerStatuses: [{ name: "worker", ready: false, restartCount: 0, image: "i", imageID: "i", state: { terminated } }]
    }).pipe(Effect.catchTag("NotFound", () => Effect.void))
  }
)

export interface Hands {
  /** The stage of each claim that succeeded: an apply of a run is the same one in whatever task, a plan may be made again. */
  readonly claims: ReadonlyArray<string>
  /** Errors of the stand-in itself. There should be none. */
  readonly trouble: ReadonlyArray<string>
}

/** Starts the stand-in, which works until the scope closes. */
export const podHands = (ways: Ways): Effect.Effect<Hands, never, Tasks | Kubernetes | Scope.Scope> =>
  Effect.gen(function*() {
    const { namespace } = yield* Tasks
    const kubernetes = yield* Kubernetes
    const place = yield* temporaryFolder("hands")
    yield* Effect.orDie(kubernetes.apply(serviceAccounts, { metadata: { namespace, name: "agent-job-task" } }))
    const begun = new Set<string>()
    const claims: Array<string> = []
    const trouble: Array<string> = []
    const waiting = yield* Queue.unbounded<Seen>()
    yield* Informer.make({
      kind: pods,
      namespace,
      project: ({ metadata: { labels, name, uid } }): Seen => ({
        name,
        uid,
        task: labels?.["scalr.io/task"] ?? "",
        taskUid: labels?.[taskUidLabel] ?? ""
      }),
      changed: (_, found) =>
        Effect.suspend(() => {
          const seen = Option.getOrUndefined(found)
          if (seen === undefined || begun.has(seen.uid)) {
            return Effect.void
          }
          begun.add(seen.uid)
          return Effect.asVoid(Queue.offer(waiting, seen))
        })
    })
    const one = Effect.flatMap(Queue.take(waiting), (seen) =>
      Effect.catchCause(liveThrough(seen, place, claims, ways), (cause) =>
        Effect.sync(() =>
          void trouble.push(`${seen.name}: ${String(cause)}`)
        )))
    yield* Effect.forever(one).pipe(Effect.replicateEffect(16, { concurrency: 16, discard: true }), Effect.forkScoped)
    return { claims, trouble }
  })
