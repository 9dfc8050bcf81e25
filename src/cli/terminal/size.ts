// Numbers of bytes as people read them.
// Used by run-directory, state-rows and bundle.

/** "3.1 kB": sizes as people read them. */
export const size = (bytes: number): string =>
  bytes < 1000 ? `${bytes} B` : bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
