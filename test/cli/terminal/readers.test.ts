// How a command ends whose reader is slow, has gone, or never reads: all that it printed arrives if it can.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Schedule } from "effect"
import { execFileSync } from "node:child_process"
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { freePort } from "../../free-port.ts"
import { directory, failed, poolToken, serve, userToken } from "../../server/live-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { type Play, playing, quickstart } from "../fake-agent.ts"
import { agentJob, main, start } from "../program.ts"

/** A folder with a named pipe that is full of spaces, so that what a program writes to it waits for a reader. */
const fullPipe = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "full-pipe-"))
    const path = join(folder, "pipe")
    execFileSync("mkfifo", [path])
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    const fill = () => {
      for (;;) writeSync(writer, Buffer.alloc(4096, " "))
    }
    expect(fill).toThrow("EAGAIN")
    closeSync(writer)
    const held = new Set([reader])
    return {
      folder,
      path,
      /** Reads what comes until the program has ended. */
      read: Effect.promise(() => {
        held.clear() // the socket closes it
        return text(new Socket({ fd: reader, writable: false }))
      }),
      /** Takes the pipe's only reader away. */
      leave: () => {
        held.forEach((fd) => closeSync(fd))
        held.clear()
      }
    }
  }),
  ({ folder, leave }) => Effect.sync(() => (leave(), rmSync(folder, { recursive: true })))
)

/** Starts the program with its stdout into a full pipe. */
const intoFullPipe = Effect.fnUntraced(function*(args: ReadonlyArray<string>, environment: Record<string, string>) {
  const pipe = yield* fullPipe
  const program = yield* start(
    "bash",
    ["-c", `exec "$0" --disable-warning=ExperimentalWarning "$2" "\${@:3}" >"$1"`, process.execPath, pipe.path, main, ...args],
    environment
  )
  return { ...pipe, ...program }
})

/** Starts `agent-job run` that way, with an agent that plays this. */
const running = Effect.fnUntraced(function*(play: Play, ...flags: ReadonlyArray<string>) {
  const url = yield* Effect.flatMap(directory, serve)
  yield* playing(url, play)
  return yield* intoFullPipe(["run", "examples/quickstart", ...flags], { AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken })
})

const line = "a line of the log\n"
/** A plan that fails after 300 KB of log, in pieces like a worker's. */
const failing: Play = {
  plan: { log: Array.from({ length: 5 }, () => line.repeat(3600)), result: failed("tofu ended with exit code 1.") }
}
const neverPlanned: Play = { plan: { ...quickstart.plan, until: Effect.runSync(Deferred.make<void>()) } }

describe("a command whose reader is late", () => {
  it.live("tells it all, also when it fails", () =>
    Effect.gen(function*() {
      const { ended, read, until } = yield* running(failing)
      yield* until("error: The plan of run-")
      const out = yield* read
      expect([(yield* ended).code, out.split(line).length - 1]).toEqual([1, 18_000])
    }))

  it.live("tells it all, also when it is interrupted", () =>
    Effect.gen(function*() {
      const { child, ended, read, until } = yield* running(neverPlanned, "-o", "json")
      yield* until("Initializing…")
      child.kill("SIGINT")
      yield* until(/run-\w+ was cancelled\./u)
      const { run } = JSON.parse(yield* read)
      expect([(yield* ended).code, run.status]).toEqual([6, "canceled"])
    }))
})

describe("a command whose reader goes away at its end", () => {
  it.live("is 141, since nobody heard how it ended", () =>
    Effect.gen(function*() {
      const { ended, leave, until } = yield* running(failing)
      yield* until("error: The plan of run-")
      leave()
      expect((yield* ended).code).toBe(141)
    }))

  it.live("is what an interrupt made of it, since the same Ctrl-C may have ended the reader", () =>
    Effect.gen(function*() {
      const { child, ended, leave, until } = yield* running(neverPlanned, "-o", "json")
      yield* until("Initializing…")
      child.kill("SIGINT")
      yield* until(/run-\w+ was cancelled\./u)
      leave()
      expect((yield* ended).code).toBe(6)
    }))
})

describe("a reader that never reads", () => {
  it.live("is not waited for after another Ctrl-C", () =>
    Effect.gen(function*() {
      const { child, ended, until } = yield* running(failing)
      yield* until("error: The plan of run-")
      const impatient = Effect.repeat(Effect.sync(() => child.kill("SIGINT")), Schedule.spaced("100 millis"))
      yield* Effect.raceFirst(ended, impatient)
      expect([child.exitCode, child.signalCode]).toEqual([1, null]) // not of the signal, which the first process of a container would not hear
    }))

  it.live("is waited for briefly after a SIGTERM, since what sends it sends no other one", () =>
    Effect.gen(function*() {
      const { child, ended, until } = yield* running(neverPlanned, "-o", "json")
      yield* until("Initializing…")
      child.kill("SIGTERM")
      expect((yield* ended).code).toBe(6)
    }))

  it.live("is waited for briefly after the second Ctrl-C of a run", () =>
    Effect.gen(function*() {
      const { child, ended, until } = yield* running(neverPlanned, "-o", "json")
      yield* until("Initializing…")
      child.kill("SIGINT")
      yield* until("Ctrl-C again")
      child.kill("SIGINT")
      expect((yield* ended).code).toBe(130)
    }))

  it.live("does not hold up the shutdown of a service", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const tokens = { "--user-token-file": userToken, "--pool-token-file": poolToken }
      const flags = Object.entries(tokens).flatMap(([flag, token]) => {
        writeFileSync(join(made, flag), token)
        return [flag, join(made, flag)]
      })
      const port = yield* freePort
      const { child, ended } = yield* intoFullPipe(["server", "--data-dir", join(made, "data"), "--port", String(port), ...flags], {})
      yield* Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}`)).pipe(
        Effect.retry({ schedule: Schedule.spaced("20 millis") }),
        Effect.timeout("5 minutes")
      )
      child.kill("SIGTERM")
      expect((yield* ended).code).toBe(0)
    }))

  it.live("does not hold up the end of a service that has done its work", () =>
    Effect.gen(function*() {
      const pipe = yield* fullPipe
      const script = `
        import { Effect } from "effect"
        import { afterReaders } from "./src/cli/terminal/readers.ts"
        import { serve } from "./src/cli/terminal/serve.ts"
        await Effect.runPromise(serve(Effect.logInfo("has done its work")))
        afterReaders(0, () => {})`
      const { ended } = yield* start("bash", [
        "-c",
        `exec "$0" --disable-warning=ExperimentalWarning --input-type=module --eval "$2" >"$1"`,
        process.execPath,
        pipe.path,
        script
      ])
      expect(yield* ended).toMatchObject({ code: 0, error: "" })
    }))
})

describe("a pipe that has no more to read and no end", () => {
  /** Waits until somebody reads the pipe, and keeps it open. */
  const hold = (path: string) =>
    Effect.acquireRelease(
      Effect.try(() => openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)).pipe(
        Effect.retry({ schedule: Schedule.spaced("20 millis") }),
        Effect.timeout("5 minutes")
      ),
      (fd) => Effect.sync(() => closeSync(fd))
    )

  it.live.each([
    { reads: "values", args: ["config", "validate", "--values"] },
    { reads: "a state", args: ["state", "push", "demo"] },
    { reads: "a token", args: ["get", "runs", "--token-file"] }
  ])("does not hold up the end of a command that reads $reads from it, once somebody presses Ctrl-C", ({ args }) =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder("pipe"), "pipe")
      execFileSync("mkfifo", [path])
      const { child, ended } = yield* agentJob([...args, path], { AGENT_JOB_URL: "http://127.0.0.1:1", AGENT_JOB_TOKEN: userToken })
      yield* hold(path)
      child.kill("SIGINT")
      yield* Effect.timeout(ended, "5 minutes")
      expect(child.signalCode).toBe("SIGINT") // which is 130 for a shell
    }))
})
