// A size as people read it.
// Used by worker/backing/last-state, worker/backing/saved-plan, worker/stage/seal, worker/volume/archive, worker/volume/pack-tree, worker/network/download, worker/backing/carried-files and worker/state/state-gateway.

/** Returns `64 MiB` for that many bytes, rounded down. */
export const inMebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MiB`
