// A size as people read it.
// Used by worker/pool-backing, worker/saved-plan, worker/seal, worker/archive, worker/download, worker/carried-files and worker/state-gateway.

/** Returns `64 MiB` for that many bytes, rounded down. */
export const inMebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MiB`
