// A clock that stands still while this replica does not lead: what passes time, such as a start, adds up over leads.
// Invariant: no time counts in which another replica led, or none because the API server was away and nothing could start.
// Used by controller/world/world.

/** Each time that is given is by the monotonic clock, in milliseconds. */
export const leadClock = () => {
  let withoutLead = 0
  let stoodSince: number | undefined

  return {
    /** Returns the time by this clock, in milliseconds. */
    millis: (at: number): number => (stoodSince ?? at) - withoutLead,
    stop: (at: number): void => {
      stoodSince = at
    },
    goOn: (at: number): void => {
      withoutLead += at - (stoodSince ?? at)
      stoodSince = undefined
    }
  }
}
