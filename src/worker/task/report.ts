// The three paths of a result: the container's termination message, the pool's server, and the status of the AgentTask.
// Invariant: no path fails because another did; no result is replaced, or written to a task that this worker has not claimed.
// Used by worker/stage/worker.ts, last of all.
import { Cause, type Duration, Effect, Option } from "effect"
import { writeFileSync } from "node:fs"
import { lastWords, lastWordsBytes } from "../../core/task/last-words.ts"
import { finished } from "../../core/task/status.ts"
import { isStoredOf } from "../../core/task/task-result.ts"
import { shortenedInBytes } from "../../core/text/sentence.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import type { Claim } from "../../schema/task/agent-task.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import { askAgain } from "../network/patience.ts"
import { Settings } from "../settings.ts"
import { fileTrouble } from "../stage-failed.ts"
import { Stop } from "./stop.ts"
import { claimedTaskKind, writeTaskStatus } from "./task-kind.ts"

interface Said {
  readonly message: string
}

/** Sends the result to the pool's server; succeeds when the server has confirmed it. Each request that fails is told to `note`. */
export type TellPool = (result: StageResult, note: (failure: Said) => Effect.Effect<void>) => Effect.Effect<void, Said>

/** Tells the pool for this long at most; fails with what the last request failed with, if one did. */
const tellWithin = (limit: string & Duration.Input, tell: TellPool, result: StageResult) =>
  Effect.suspend(() => {
    let last: Said = { message: `The pool's server did not answer within ${limit}.` }
    const note = (failure: Said) =>
      Effect.sync(() => {
        last = failure
      })
    return Effect.timeoutOrElse(tell(result, note), { duration: limit, orElse: () => Effect.fail(last) })
  })

const writeLastWords = Effect.fnUntraced(function*(words: string) {
  const { terminationLog } = yield* Settings
  yield* Effect.try({ try: () => writeFileSync(terminationLog, words), catch: fileTrouble(terminationLog) }) // in place, because the kubelet mounts this very file
})

/** How long sending the end of the log, and then telling the pool, may take: less when the Pod has to go. */
const waits = { inPeace: { log: "15 seconds", pool: "20 seconds" }, inHaste: { log: "2 seconds", pool: "3 seconds" } } as const
/** How much longer the log may take then, as long as the Pod has time: a node that goes down may give it less than its own. */
const rest = "8 seconds"

const writeStatus = Effect.fnUntraced(function*(claim: Claim, result: StageResult, reported: boolean) {
  const kubernetes = yield* Kubernetes
  const { namespace, task: name } = yield* Settings
  const attempt = Effect.gen(function*() {
    const task = yield* kubernetes.get(claimedTaskKind, { namespace, name })
    const { metadata, spec, status } = task
    if (status.claim?.nonce !== claim.nonce) {
      return yield* Effect.logError(
        `AgentTask ${name} has been replaced by another one of that name, or claimed by another worker; this result is not written to it.`
      )
    }
    if (status.result !== undefined) {
      if (!isStoredOf(result, status.result)) {
        yield* Effect.logError(`AgentTask ${name} has another result already; this one is not written.`)
      }
      return
    }
    yield* writeTaskStatus(claimedTaskKind, task, finished(status, result, metadata.generation, { reported, spec }))
  })
  yield* askAgain(attempt, {
    while: ({ _tag }) => _tag !== "NotFound" && _tag !== "Malformed",
    first: "100 millis",
    spaced: "5 seconds",
    limit: "2 minutes"
  })
})

/** Takes one path; returns whether it succeeded. Only logs a failure, a defect with its trace, so that the other paths are taken too. */
const onItsOwn = <E extends { readonly message: string }, R>(
  path: string,
  effect: Effect.Effect<void, E, R>
): Effect.Effect<boolean, never, R> =>
  Effect.matchCauseEffect(effect, {
    onFailure: (cause) =>
      Effect.as(
        Effect.logError(
          `The result could not be given to ${path}`,
          Option.match(Cause.findErrorOption(cause), { onNone: () => cause, onSome: ({ message }) => message })
        ),
        false
      ),
    onSuccess: () => Effect.succeed(true)
  })

/**
 * Leaves the reason why this worker has not claimed the task in its termination message. It is a sentence and no result, so the controller
 * adds it to what it says of the Pod.
 */
export const reportUnclaimed = ({ message }: { readonly message: string }): Effect.Effect<void, never, Settings> =>
  Effect.catch(writeLastWords(shortenedInBytes(message, lastWordsBytes)), (failure) => Effect.logError(failure.message))

export interface Paths {
  /** Waits until the server has the log, at most this long. */
  readonly flushLog: (limit: Duration.Input) => Effect.Effect<void>
  readonly tellPool: Option.Option<TellPool>
}

/**
 * Takes all three paths, in about four minutes at most, whatever does not answer. The log goes before the pool and the status, because the
 * token of the stage ends when the pool learns of the result, and the controller tells the pool as soon as the status is written.
 */
export const report = Effect.fn("Report.result")(function*(claim: Claim, result: StageResult, { flushLog, tellPool }: Paths) {
  const { isLeaving, tooLate } = yield* Stop
  const hasty = yield* isLeaving // otherwise the Pod stays, so there is time
  const wait = waits[hasty ? "inHaste" : "inPeace"]
  const pool = Option.match(tellPool, {
    onNone: () => Effect.succeed(false),
    onSome: (tell) => onItsOwn("the pool", tellWithin(wait.pool, tell, result))
  })
  const status = (reported: boolean) => onItsOwn("the AgentTask", writeStatus(claim, result, reported))
  yield* onItsOwn("the kubelet", writeLastWords(lastWords(result)))
  yield* flushLog(wait.log)
  if (hasty) yield* Effect.raceFirst(flushLog(rest), tooLate)
  // In haste the status does not wait for the pool; the controller then tells the pool once more, which does no harm.
  yield* hasty ? Effect.all([status(false), pool], { concurrency: 2 }) : Effect.flatMap(pool, status)
})
