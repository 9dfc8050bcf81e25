// What an act costs whichever machine does it: the time of a processor in the cheapest of some turns, since a pause of the machine seldom meets all.
// Used by tests that an input is read in time that grows with its size alone, where the other way would take minutes.

const turns = 3

/** Returns the seconds of a processor that the act takes; it is done once if these are fewer than `enough`, three times at most. */
export const costOf = (enough: number, act: () => void): number => {
  const cost = (): number => {
    const began = process.cpuUsage()
    act()
    return process.cpuUsage(began).user / 1e6
  }
  let least = cost()
  for (let turn = 1; turn < turns && least >= enough; turn++) least = Math.min(least, cost())
  return least
}
