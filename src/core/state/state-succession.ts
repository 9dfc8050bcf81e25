// Whether one state may follow another, and if not, why not.
// Invariant: the serial of a lineage only rises, a lineage stays until a person replaces the state, and a serial is left for the next.
// Used by server/workspace/state-versions.
import type { StateMark } from "../../schema/task/seal.ts"

/** Why a state may not follow. `message` is a whole sentence. */
export interface Obstacle {
  readonly error: "invalid" | "other-lineage" | "old-serial"
  readonly message: string
}

/**
 * The highest serial that is accepted: the larger of `highest` and `ahead` more than the stored one. Above the largest number there would
 * be none for the next state.
 */
const serials = { highest: 2 ** 52, ahead: 1_000_000 }

/** Reports whether this is no state, but what `state pull` prints where the engine finds none. Each that was ever stored has a lineage. */
export const isNone = ({ lineage, serial }: StateMark): boolean => lineage === "" && serial === 0

/** Returns why a state may not follow `before`, or undefined if it may. The first state of a workspace has none before it. */
export const obstacleTo = (before: StateMark | undefined, { lineage, serial }: StateMark): Obstacle | undefined => {
  const highest = Math.max(serials.highest, (before?.serial ?? 0) + serials.ahead)
  if (serial > highest) {
    return {
      error: "invalid",
      message: `The state has the serial ${serial}; above ${highest} none is taken, so that others can follow it. Push it with a lower one.`
    }
  }
  if (before === undefined) return undefined
  if (before.lineage !== lineage) {
    return {
      error: "other-lineage",
      message:
        `The state has the lineage ${lineage}, the workspace's has ${before.lineage}, so it belongs to another workspace and is not stored; push it to that one, or see "A state of another lineage" in docs/state.md.`
    }
  }
  if (serial > before.serial) return undefined
  return {
    error: "old-serial",
    message: `The state has the serial ${serial}, the workspace's is at ${before.serial} with other content; read it again first.`
  }
}
