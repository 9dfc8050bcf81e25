// Tells the pool how its tasks ended and why they wait; a silent pool is left alone for a while, so that it holds up no pass.
// Invariant: reasons to wait and results have a breaker each, since a result has more time and may reach a pool that a reason does not.
// Called by controller/reconcile/execute.
import { Data, Duration, Effect, Option } from "effect"
import type { Action, Notice } from "../../core/reconcile/action.ts"
import { poolFinalizer } from "../../core/task/intake.ts"
import { monotonicMillis } from "../../kubernetes/clock.ts"
import { keyOf } from "../../kubernetes/object.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { makeBreaker } from "./breaker.ts"
import { answerSeconds, isFinalRefusal, isUnknown, Pool, type PoolError, PoolUnreachable } from "./pool.ts"

/** What a person can do with a task of which no pool will hear how it ended. */
const letGo = `if nobody asks for its run any more, delete the task and remove its finalizer ${poolFinalizer}`

/** The pool has not answered another request just now, so it was not asked. */
export class PoolSilent extends Data.TaggedError("PoolSilent")<{ readonly againInMillis: number }> {}

/** The values name no pool any more, so the result of a task that is from a pool cannot be reported. */
export class PoolMissing extends Data.TaggedError("PoolMissing")<{ readonly url: string; readonly task: string }> {
  override get message() {
    return `The values name no pool, so the one at ${this.url} is not told how AgentTask ${this.task} ended; set agent.url again, or, ${letGo}.`
  }
}

/** The values name another pool than the task is from, so it means nothing that this pool does not know the stage. */
export class PoolChanged extends Data.TaggedError("PoolChanged")<{ readonly url: string; readonly from: string; readonly task: string }> {
  override get message() {
    return `The pool at ${this.url} does not know the stage of AgentTask ${this.task}, which is of the pool at ${this.from}; set agent.url to that one again, or, ${letGo}.`
  }
}

/** Why the pool was not told how a task ended. */
export type ReportError = PoolError | PoolMissing | PoolChanged

/**
 * How long a pass tries to say why its task waits. Only a few passes go on at once, and a pool whose network swallows packets would hold up
 * all of them.
 */
const waitLimit = Duration.seconds(2)

/**
 * How long a pass tries to report a result, which a pool may take a while to store: a little less than the client of the pool waits for any
 * answer.
 */
const reportLimit = Duration.seconds(answerSeconds - 1)

/** How long a silent pool is left alone, so that not each of a thousand tasks finds out for itself that it is silent. */
const restMillis = 30_000

/** A pool that fails sooner than this held up no pass, so it does not count as silent. */
const quickMillis = 1000

export const makePoolReports = Effect.gen(function*() {
  const pool = yield* Effect.serviceOption(Pool)
  const waits = makeBreaker({ restMillis, askMillis: Duration.toMillis(waitLimit) })
  const results = makeBreaker({ restMillis, askMillis: Duration.toMillis(reportLimit) })

  /**
   * Reports a result. After a success, the status of the task says that the pool knows, which lets the task go; so this fails where the
   * values name no pool.
   */
  const report = ({ metadata, spec }: AgentTask, { assignment, result }: Extract<Action, { readonly _tag: "ReportResult" }>) => {
    const from = spec.pool?.url ?? ""
    const task = keyOf(metadata)
    const tell = Effect.fnUntraced(function*(pool: Pool["Service"]): Effect.fn.Return<void, ReportError | PoolSilent> {
      const askedAt = yield* monotonicMillis
      const againInMillis = results.askOrWait(askedAt)
      if (againInMillis > 0) return yield* new PoolSilent({ againInMillis })
      const heard = Effect.sync(() => results.answered())
      yield* pool.report(assignment, Option.some(metadata.uid), result, from).pipe(
        Effect.catchIf(isUnknown, ({ url }) => Effect.fail(new PoolChanged({ url, from, task }))),
        Effect.timeoutOrElse({
          duration: reportLimit,
          orElse: () => Effect.fail(new PoolUnreachable({ url: from, detail: `no answer in ${Duration.format(reportLimit)}` }))
        }),
        Effect.tap(heard),
        Effect.tapError(({ _tag }) =>
          _tag !== "PoolUnreachable"
            ? heard
            : Effect.map(monotonicMillis, (at) => at - askedAt < quickMillis ? results.answered() : results.silent(at))
        )
      )
    })
    return Option.match(pool, { onNone: () => Effect.fail(new PoolMissing({ url: from, task })), onSome: tell })
  }

  const heard = Effect.sync(() => waits.answered())
  const notHeard = (why: string) =>
    Effect.logWarning(why).pipe(Effect.andThen(monotonicMillis), Effect.map((at) => waits.silent(at)), Effect.as(false))

  /**
   * Tells the pool why a task waits, by best effort. Returns whether that was heard or never will be, so that it need not be said again.
   */
  const reportWait = Effect.fnUntraced(
    function*(task: AgentTask, { assignment, message, reason }: Extract<Notice, { readonly _tag: "ReportWait" }>) {
      if (waits.askOrWait(yield* monotonicMillis) > 0) return false
      if (Option.isNone(pool)) return true
      return yield* pool.value.wait(assignment, Option.some(task.metadata.uid), reason, message).pipe(
        Effect.andThen(heard),
        Effect.as(true),
        Effect.timeoutOrElse({
          duration: waitLimit,
          orElse: () =>
            notHeard(
              `The pool has not answered in ${Duration.format(waitLimit)}, so it may not know why AgentTask ${
                keyOf(task.metadata)
              } waits; check the server and the network between.`
            )
        }),
        Effect.catch((error) =>
          isFinalRefusal(error) ? Effect.as(Effect.andThen(heard, Effect.logWarning(error.message)), true) : notHeard(error.message)
        )
      )
    }
  )

  return { report, reportWait }
})
