// A port on which nothing listens now, for programs that have to be given a number.
// Invariant: it is below the ports that the kernel gives to `listen(0)`, so that none takes it, and above those of the control planes.
// Used by test/cli, controller, faults, gitops, main and worker.
import { Effect } from "effect"
import { randomInt } from "node:crypto"
import { createServer } from "node:net"

const isFree = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const server = createServer()
      .once("error", () => resume(Effect.succeed(false)))
      .listen(port, () => server.close(() => resume(Effect.succeed(true))))
  })

const taken = new Set<number>()

export const freePort: Effect.Effect<number> = Effect.gen(function*() {
  for (;;) {
    const port = randomInt(30_000, 32_768)
    if (taken.has(port) || !(yield* isFree(port))) continue
    taken.add(port) // so that two calls return different ports
    return port
  }
})
