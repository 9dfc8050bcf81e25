// A size as people read it.
// Used by worker/pool-backing, worker/saved-plan, worker/seal, worker/archive, worker/download and worker/state-gateway, for their limits.

/** Returns `64 MiB` for that many bytes. */
export const inMebibytes = (bytes: number): string => `${bytes / 1024 ** 2} MiB`
