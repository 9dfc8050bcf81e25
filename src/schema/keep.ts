// How much of what is over the server keeps, and what it keeps unless it is told otherwise.
// Used by server/settings and the CLI's server command, which must not load a server to know its flags.
export interface Keep {
  /** Days that everything is kept, whatever there is of it. 0 here or below: all of it stays. */
  readonly days: number
  /** How many newer runs of its workspace a run must have to go. */
  readonly runs: number
  readonly states: number
}

export const keptByDefault: Keep = { days: 30, runs: 20, states: 20 }
