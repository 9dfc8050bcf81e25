// A size as people read it.
// Used by what tells people of a limit, in worker/backing, worker/network, worker/stage, worker/state and worker/volume.

/** Returns `64 MiB` for that many bytes, rounded down. */
export const inMebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MiB`
