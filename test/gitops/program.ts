// A program that serves until a scope closes. Its output goes into a file, which is shown when the program does not start.
// Invariant: the program reaches nothing outside this machine. Files that make it fetch something from a network are wrong.
// Used by flux.ts, argo.ts and alerts.long.test.ts.
import { Effect, Schedule, type Scope } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { openSync, readFileSync } from "node:fs"
import { createServer as createHttpServer, type RequestListener } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { join } from "node:path"
import { temporaryFolder } from "../temporary-folder.ts"

const offline = {
  HTTP_PROXY: "http://127.0.0.1:1",
  HTTPS_PROXY: "http://127.0.0.1:1",
  NO_PROXY: "127.0.0.1,localhost",
  GIT_ALLOW_PROTOCOL: "file"
}

export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** Returns whether the program serves by now. */
  readonly ready: Effect.Effect<boolean>
}

/** Returns whether a request to the URL is answered with success. */
export const answers = (url: string): Effect.Effect<boolean> => Effect.promise(() => fetch(url).then(({ ok }) => ok, () => false))

/** Returns whether the port accepts a connection. */
export const accepts = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const say = (serves: boolean) => () => {
      socket.destroy()
      resume(Effect.succeed(serves))
    }
    const socket = connect(port, "127.0.0.1").once("connect", say(true)).once("error", say(false))
  })

/** Starts an HTTP server of the test's own, and returns its address. */
export const serveHttp = (answer: RequestListener): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createHttpServer>>((resume) => {
      const server = createHttpServer(answer).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close().closeAllConnections())
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))

export const serve = Effect.fnUntraced(function*({ args, command, env, ready }: Program): Effect.fn.Return<void, never, Scope.Scope> {
  const logFile = join(yield* temporaryFolder("program"), "log")
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const log = openSync(logFile, "w")
      const child = spawn(command, args, { env: { ...process.env, ...offline, ...env }, stdio: ["ignore", log, log] })
      process.once("exit", () => child.kill("SIGKILL"))
      return child
    }),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill("SIGKILL")
        await once(child, "exit")
      })
  )
  yield* ready.pipe(
    Effect.repeat({ until: (serves) => serves || child.exitCode !== null, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutOrElse({ duration: "5 minutes", orElse: () => Effect.succeed(false) }),
    Effect.filterOrElse(
      (serves) => serves && child.exitCode === null,
      () => Effect.die(new Error(`${command} does not serve: ${readFileSync(logFile, "utf8").slice(-2000)}`))
    )
  )
})
