// Since when the Pod of each claimed task is not ready, or the task over, by our monotonic clock and not by a time that another wrote.
// Invariant: it is counted from the first pass that saw it so, and anew once a pass saw the Pod ready, or the task over.
// Used by controller/world/world.
import { Option } from "effect"
import type { Observed } from "../../core/task/observed.ts"
import { isOver } from "../../core/task/status.ts"

type Seen = Pick<Observed, "pod" | "task">

/** Returns what is counted: the UID of the Pod, or that the task is over. */
const countedOf = ({ pod, task: { status } }: Seen): string | undefined => {
  if (isOver(status.phase)) return "over"
  return status.claim === undefined ? undefined : Option.getOrUndefined(Option.filter(pod, ({ unready }) => unready))?.uid
}

export const unreadyOrOver = () => {
  const known = new Map<string, { readonly what: string; readonly at: number }>() // by the task's uid
  const of = (taskUid: string, what: string | undefined) => {
    const found = known.get(taskUid)
    return found?.what === what ? found : undefined
  }

  return {
    millis: (seen: Seen, at: number): number => at - (of(seen.task.metadata.uid, countedOf(seen))?.at ?? at),
    passSaw: (seen: Seen, at: number): void => {
      const { uid } = seen.task.metadata
      const what = countedOf(seen)
      if (what === undefined) known.delete(uid)
      else if (of(uid, what) === undefined) known.set(uid, { what, at })
    },
    forget: (taskUid: string): void => void known.delete(taskUid),
    forgetAll: (): void => known.clear()
  }
}
