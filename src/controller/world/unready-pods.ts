// Since when the Pod of each claimed task is not ready, by our monotonic clock and not by the time in its condition.
// Invariant: it is counted from the first pass that saw the Pod so after the claim, and anew once a pass saw it ready.
// Used by controller/world/world.
import { Option } from "effect"
import type { Observed } from "../../core/task/observed.ts"

type Seen = Pick<Observed, "pod" | "task">

const unreadyPod = ({ pod, task: { status } }: Seen): string | undefined =>
  status.claim === undefined ? undefined : Option.getOrUndefined(Option.filter(pod, ({ unready }) => unready))?.uid

export const unreadyPods = () => {
  const known = new Map<string, { readonly pod: string; readonly at: number }>() // by the task's uid
  const of = (taskUid: string, pod: string | undefined) => {
    const found = known.get(taskUid)
    return found?.pod === pod ? found : undefined
  }

  return {
    unreadyMillis: (seen: Seen, at: number): number => at - (of(seen.task.metadata.uid, unreadyPod(seen))?.at ?? at),
    passSaw: (seen: Seen, at: number): void => {
      const { uid } = seen.task.metadata
      const pod = unreadyPod(seen)
      if (pod === undefined) known.delete(uid)
      else if (of(uid, pod) === undefined) known.set(uid, { pod, at })
    },
    forget: (taskUid: string): void => void known.delete(taskUid),
    forgetAll: (): void => known.clear()
  }
}
