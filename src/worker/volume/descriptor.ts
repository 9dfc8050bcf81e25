// Open descriptors, by which the worker reaches what is on a volume that the runner writes to as well.
// Invariant: a directory is never opened through a link, and its descriptor leads to it whatever happens to its path.
// Used by worker/volume/folder, worker/volume/tree, worker/backing/modules-folder, worker/engine/exec-loop, worker/engine/fifo, worker/volume/whole-file and worker/backing/kept-plan.
import { Effect, type Scope } from "effect"
import { closeSync, constants, openSync } from "node:fs"

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/**
 * Opens the directory at `path`; returns a descriptor that the caller closes. Refuses a link and anything else, and does so before that is
 * opened, so that a named pipe without another side does not block the worker.
 */
export const openDirectory = (path: string | Buffer): number => openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

/** Returns a path that opens the same file once more, whatever has its name by now. */
export const pathOf = (fd: number): string => `/proc/self/fd/${fd}`

/** Returns the path of `name` in an open directory, which leads there whatever happens to the path by which the directory was opened. */
export const pathIn = (directory: number, name: string): string => `${pathOf(directory)}/${name}`

/** Closes the descriptor after use, whether or not the use succeeded. */
export const using = <A>(fd: number, use: (fd: number) => A): A => {
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

/** Keeps the descriptor that `open` returns until the scope closes. */
export const untilScopeCloses = <E, R>(open: Effect.Effect<number, E, R>): Effect.Effect<number, E, R | Scope.Scope> =>
  Effect.acquireRelease(open, (fd) => Effect.sync(() => closeSync(fd)))
