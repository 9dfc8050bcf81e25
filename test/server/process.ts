// The server as a process of its own, for the tests that end it with a signal, fill its disk or read what it prints.
// Used by server.test.ts, durability.test.ts and canary.test.ts.
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("./serve.ts", import.meta.url))

/**
 * Starts a server on a directory, with files of at most `fileKilobytes` if given, and then without the cache of compiled modules, which has
 * larger ones; kills it when the scope closes, if it still runs.
 */
export const started = (made: string, fileKilobytes?: number, level: "Info" | "Debug" = "Info") =>
  Effect.gen(function*() {
    const limit = fileKilobytes === undefined ? "" : `unset NODE_COMPILE_CACHE; ulimit -f ${fileKilobytes}; `
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn("bash", ["-c", `${limit}exec "$0" "$@"`, process.execPath, program, made, level], { stdio: ["ignore", "pipe", "inherit"] })
      ),
      (running) => Effect.promise(() => ended(running, "SIGKILL"))
    )
    const port = yield* Effect.callback<string>((resume) => {
      let printed = ""
      child.stdout.on("data", (text) => {
        printed += String(text)
        const [, port] = /^http:.*:(\d+)$/mu.exec(printed) ?? []
        if (port !== undefined) resume(Effect.succeed(port))
      })
    })
    return { child, url: `http://127.0.0.1:${port}` }
  })

/** Sends the signal, unless the process has ended; returns the exit code, or null if a signal ended it. */
export const ended = async (child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> => {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, "exit")
    child.kill(signal)
    await exit
  }
  return child.exitCode
}
