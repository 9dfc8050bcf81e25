// How long, and how many, finished runs and old states the server keeps, with the defaults.
// Used by server/settings and the CLI's server command, which must not load a server to know its flags.
export interface Keep {
  /** For how many days everything is kept. 0 keeps everything for ever; 0 for `runs` or `states` keeps all of those. */
  readonly days: number
  /** How many newer runs its workspace must have before a run may be removed. */
  readonly runs: number
  readonly states: number
}

export const keptByDefault: Keep = { days: 30, runs: 20, states: 20 }
