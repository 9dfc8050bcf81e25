// One case of the table of situations: what was seen, as a seed of a world, and which row of the table answers it, and how.
// Used by the cases beside it, which test/core/reconcile/plan.test.ts goes through in the order of the table.
import type { Seed } from "../../worlds.ts"

export interface Case {
  readonly given: string
  readonly seed: Partial<Seed>
  readonly situation: string
  readonly actions: ReadonlyArray<string>
  readonly phase?: string
  /** Without one, the reason stays as it was. */
  readonly reason?: string
}
