// What the API server refused to make or show for each task, while that holds, and how long each task has been denied, by our monotonic clock.
// Invariant: between two refusals, time counts as denied only if the first of them was a denial, and then a minute at most.
// Made by controller/world/world, for controller/world/turns and the passes.
import { Option } from "effect"
import type { Refusal } from "../../core/task/observed.ts"

/**
 * The most that one denial adds to a task's denied time: beyond that, the task may have been waiting for something else, such as a slot.
 */
const sameDenialMillis = 60_000

/** How long a task has been denied, and when its last refusal came, if that was a denial. `since` is in monotonic milliseconds. */
interface Denied {
  readonly millis: number
  readonly since: number | undefined
}

/** Each `at` is in monotonic milliseconds. */
export const heldRefusals = () => {
  const held = new Map<string, { readonly refusal: Refusal; readonly until: number }>() // by the task's uid, as is `denied`
  const denied = new Map<string, Denied>()

  return {
    /** Returns the refusal that still holds at `at`, with the time that is left of it. */
    at: (taskUid: string, at: number): Option.Option<Refusal> =>
      Option.fromUndefinedOr(held.get(taskUid)).pipe(
        Option.filter(({ until }) => at < until),
        Option.map(({ refusal, until }) => ({ ...refusal, againInMillis: until - at }))
      ),
    /** Reports whether the task has a refusal that was not dropped, even if its time is over. */
    isRefused: (taskUid: string): boolean => held.has(taskUid),
    /**
     * Reports whether a refusal lets other tasks go first. A task that waits for a quota keeps its place: another one would be refused as
     * well, or take the room that it waits for.
     */
    isPassedOver: (taskUid: string): boolean => {
      const kind = held.get(taskUid)?.refusal.kind
      return kind !== undefined && kind !== "QuotaExceeded"
    },
    /** Returns how long the task has been denied, in milliseconds, without the times in between when it waited for something else. */
    deniedMillis: (taskUid: string): number => denied.get(taskUid)?.millis ?? 0,

    /** Records that the API server refused what the task, or a start of it, needs. */
    refuse: (taskUid: string, refusal: Refusal, at: number): void => {
      const { millis, since = at } = denied.get(taskUid) ?? { millis: 0 }
      held.set(taskUid, { refusal, until: at + refusal.againInMillis })
      denied.set(taskUid, {
        millis: millis + Math.min(at - since, sameDenialMillis),
        since: refusal.kind === "Denied" ? at : undefined
      })
    },
    /** Drops the refusal of the task if its time is over. Reports whether it did. */
    dropExpired: (taskUid: string, at: number): boolean => at >= (held.get(taskUid)?.until ?? Infinity) && held.delete(taskUid),
    /** Drops the refusals by a quota, because one Job less leaves room in it. Returns the UIDs of their tasks. */
    liftQuota: (): ReadonlyArray<string> => {
      const lifted = [...held].flatMap(([taskUid, { refusal }]) => refusal.kind === "QuotaExceeded" ? [taskUid] : [])
      for (const taskUid of lifted) held.delete(taskUid)
      return lifted
    },
    /** Counts the denied time of the task from zero again, because a watch told of its Job, or that it is gone. */
    countAnew: (taskUid: string): void => void denied.delete(taskUid),
    forget: (taskUid: string): void => {
      held.delete(taskUid)
      denied.delete(taskUid)
    }
  }
}

export type HeldRefusals = ReturnType<typeof heldRefusals>
