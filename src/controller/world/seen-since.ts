// Since when passes see the same of a task, such as a Pod that is not ready, by our monotonic clock and not by a time that others wrote.
// Invariant: it is counted from the first pass that saw it, and anew once a pass saw something else.
// Used by controller/world/world.
import { Option } from "effect"
import type { Observed } from "../../core/task/observed.ts"
import { isOver } from "../../core/task/status.ts"

type Seen = Pick<Observed, "pod" | "task">

/** The UID of the Pod of a claim, while it is not ready. */
export const unreadyPod = ({ pod, task: { status } }: Seen): string | undefined =>
  status.claim === undefined ? undefined : Option.getOrUndefined(Option.filter(pod, ({ unready }) => unready))?.uid

export const whetherOver = ({ task: { status } }: Pick<Seen, "task">): string | undefined => isOver(status.phase) ? "over" : undefined

/** `look` says what counts of a task now, in a word that is another one if it begins anew, and undefined if there is nothing to count. */
export const seenSince = <S extends Pick<Seen, "task">>(look: (seen: S) => string | undefined) => {
  const known = new Map<string, { readonly what: string; readonly at: number }>() // by the task's uid
  const of = (taskUid: string, what: string | undefined) => {
    const found = known.get(taskUid)
    return found?.what === what ? found : undefined
  }

  return {
    millis: (seen: S, at: number): number => at - (of(seen.task.metadata.uid, look(seen))?.at ?? at),
    passSaw: (seen: S, at: number): void => {
      const { uid } = seen.task.metadata
      const what = look(seen)
      if (what === undefined) known.delete(uid)
      else if (of(uid, what) === undefined) known.set(uid, { what, at })
    },
    forget: (taskUid: string): void => void known.delete(taskUid),
    forgetAll: (): void => known.clear()
  }
}
