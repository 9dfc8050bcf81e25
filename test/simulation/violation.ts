// How an invariant is demanded: one that does not hold ends the schedule, and is named by its number.
// Used by the invariants and by those who run schedules.
export class Violation extends Error {
  readonly invariant: string
  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}

export const demand = (holds: boolean, invariant: string, message: () => string): void => {
  if (!holds) throw new Violation(invariant, message())
}
