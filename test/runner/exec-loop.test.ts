// What the exec loop promises when one of the two sides dies, and what it costs when neither does.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { execFileSync, spawn } from "node:child_process"
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { join } from "node:path"
import { CommandEnded, type Signal } from "../../src/worker/engine/exec-loop.ts"
import {
  client,
  collect,
  eventually,
  execute,
  type Loop,
  type Place,
  place,
  placeOfUser,
  runningPids,
  session,
  shellCommand,
  shells,
  startLoop
} from "./session.ts"

/** What images have as STOPSIGNAL; the container runtime sends it to the loop alone. */
const stopSignals = ["SIGTERM", "SIGINT", "SIGQUIT"] as const
const forever = "while :; do sleep 0.02; done"
const lines = (path: string) => existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : []

/** Runs `text` by a worker in a process of its own, which it kills once the worker has passed on "ready", or with `interrupt`, "INT". */
const workerThatDies = (at: Place, text: string, interrupt = "") =>
  Effect.callback<void>((resume) => {
    const worker = spawn(process.execPath, [join(import.meta.dirname, "dying-worker.ts"), at.directory, text, interrupt], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let written = ""
    worker.stdout.on("data", (bytes) => {
      written += String(bytes)
      if (written.includes(interrupt === "" ? "ready" : "INT")) worker.kill("SIGKILL")
    })
    worker.on("exit", () => resume(Effect.void))
    return Effect.sync(() => worker.kill("SIGKILL"))
  })

const readNow = (fd: number) => {
  const buffer = Buffer.alloc(4096)
  try {
    return buffer.subarray(0, readSync(fd, buffer)).toString()
  } catch {
    return ""
  }
}

/** The worker's end of the protocol by hand, which never reads the outputs of a command. */
const rawWorker = (directory: string) => {
  const [signals, requests] = ["signals", "requests"].map((name) => openSync(join(directory, name), constants.O_RDWR)) as [number, number]
  const replies = openSync(join(directory, "replies"), constants.O_RDWR | constants.O_NONBLOCK)
  return {
    booted: eventually(() => readNow(replies).includes("boot ")),
    submit: (id: string, text: string) => {
      mkdirSync(join(directory, "commands", `.${id}`))
      writeFileSync(join(directory, "commands", `.${id}`, "command"), text)
      renameSync(join(directory, "commands", `.${id}`), join(directory, "commands", id))
      writeSync(requests, `run ${id}\n`)
    },
    die: () => [signals, requests, replies].forEach((fd) => closeSync(fd))
  }
}

const switches = (pid: number) =>
  readFileSync(`/proc/${pid}/status`, "utf8").split("\n").filter((line) => line.includes("ctxt_switches")).map((line) =>
    Number(line.split("\t")[1])
  ).reduce((sum, count) => sum + count, 0)
const children = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter((child) => child !== "").map(Number)

/** Lets the watcher of the idle loop, the first of its two processes, start no process, as at the Pod's limit of them. */
const limit = Effect.fnUntraced(function*({ user }: Place, { pid }: Loop) {
  yield* eventually(() => children(pid).length === 2)
  execFileSync("prlimit", ["--nproc=1:1", "--pid", String(children(pid)[0])], { uid: user, gid: user })
})

/** Reports whether the process sleeps and is a shell, and not the mv before it. */
const shellAsleep = (pid: number) => {
  try {
    const [, name, state] = /\((.*)\) (\w)/u.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? []
    return name !== "mv" && state === "S"
  } catch {
    return false
  }
}

describe.each(shells)("exec loop under %s", (shell) => {
  it.live.each(stopSignals)("ends with 0 on %s when it is idle", (name) =>
    Effect.gen(function*() {
      const { execLoop, loop, ...at } = yield* session(shell)
      yield* execute(execLoop, shellCommand(at, "true"))
      loop.signal(name)
      assert.deepStrictEqual(yield* loop.exit, [0, null])
    }))

  it.live.each(stopSignals)(
    "ends with 0 on %s after the running command, which it leaves alone and reports",
    (name) =>
      Effect.gen(function*() {
        const { execLoop, loop, ...at } = yield* session(shell)
        const result = yield* Effect.scoped(Effect.gen(function*() {
          const running = yield* execLoop.run(shellCommand(at, "mkfifo gate; echo ready; read line <gate; echo done; exit 4"))
          const terminate = Effect.sync(() => {
            loop.signal(name)
            writeFileSync(join(at.scratch, "gate"), "go on\n")
          })
          return yield* collect({
            ...running,
            output: Stream.tap(running.output, ({ bytes }) => String(Buffer.from(bytes)) === "ready\n" ? terminate : Effect.void)
          })
        }))
        assert.strictEqual(result.stdout.toString(), "ready\ndone\n")
        assert.deepStrictEqual(result.ended, CommandEnded.Exited({ code: 4 }))
        assert.deepStrictEqual(yield* loop.exit, [0, null])
      })
  )

  it.live("goes on after a command that INT ended", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const interrupted = yield* execute(execLoop, shellCommand(at, "kill -INT $$"))
      const next = yield* execute(execLoop, shellCommand(at, "exit 3"))
      assert.deepStrictEqual([interrupted.ended, next.ended], [CommandEnded.Exited({ code: 130 }), CommandEnded.Exited({ code: 3 })])
    }))

  it.live("aborts what it was running when it is started again, never runs it twice, and serves the same worker", () =>
    Effect.gen(function*() {
      const { execLoop, loop, ...at } = yield* session(shell)
      const counted = join(at.scratch, "counted")
      const first = yield* Effect.forkChild(execute(execLoop, shellCommand(at, `echo run >>counted; ${forever}`)))
      yield* eventually(() => lines(counted).length === 1)
      const waiting = yield* Effect.forkChild(execute(execLoop, shellCommand(at, "echo waiting >>counted")))
      yield* eventually(() => readdirSync(join(at.directory, "commands")).length === 1)
      const pipes = ["requests", "replies", "signals"].map((name) => statSync(join(at.directory, name)).ino)
      yield* loop.killAll
      yield* startLoop(at)
      const { ended } = yield* Fiber.join(first)
      assert.deepStrictEqual(ended, CommandEnded.Aborted())
      assert.deepStrictEqual((yield* Fiber.join(waiting)).ended, CommandEnded.Exited({ code: 0 }))
      assert.strictEqual((yield* execute(execLoop, shellCommand(at, "echo again"))).stdout.toString(), "again\n")
      assert.deepStrictEqual(lines(counted), ["run", "waiting"])
      assert.deepStrictEqual(["requests", "replies", "signals"].map((name) => statSync(join(at.directory, name)).ino), pipes)
    }))

  it.live("ends what a loop that died was running though no other comes, and begins what waits once one does", () =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      const loop = yield* startLoop(at)
      const execLoop = yield* client(at, "1 hour", Effect.void, "100 millis")
      const counted = join(at.scratch, "counted")
      const first = yield* Effect.forkChild(execute(execLoop, shellCommand(at, `echo run >>counted; ${forever}`)))
      yield* eventually(() => lines(counted).length === 1)
      const waiting = yield* Effect.forkChild(execute(execLoop, shellCommand(at, "echo waiting >>counted")))
      yield* eventually(() => readdirSync(join(at.directory, "commands")).length === 1)
      yield* loop.killAll
      assert.deepStrictEqual((yield* Fiber.join(first)).ended, CommandEnded.Aborted())
      const last = yield* startLoop(at)
      assert.deepStrictEqual((yield* Fiber.join(waiting)).ended, CommandEnded.Exited({ code: 0 }))
      assert.deepStrictEqual(lines(counted), ["run", "waiting"])

      const second = yield* Effect.forkChild(execute(execLoop, shellCommand(at, `echo again >>counted; ${forever}`)))
      yield* eventually(() => lines(counted).length === 3)
      yield* last.killAll
      assert.deepStrictEqual((yield* Fiber.join(second)).ended, CommandEnded.Aborted())
    }))

  it.live("runs a command whose request was lost with an earlier loop", () =>
    Effect.gen(function*() {
      const { execLoop, loop, ...at } = yield* session(shell)
      yield* loop.killAll
      const waiting = yield* Effect.forkChild(execute(execLoop, shellCommand(at, "echo ran")))
      yield* eventually(() => readdirSync(join(at.directory, "commands")).length === 1)
      const requests = openSync(join(at.directory, "requests"), constants.O_RDWR | constants.O_NONBLOCK)
      assert.isAbove(readSync(requests, Buffer.alloc(4096)), 0)
      closeSync(requests)
      yield* startLoop(at)
      assert.strictEqual((yield* Fiber.join(waiting)).stdout.toString(), "ran\n")
    }))

  it.live("has not ended a command that died of a signal before what that left at work, which the next signal reaches", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const engine = `trap 'echo saved; exit' TERM; echo ready; for _ in ${"x ".repeat(200)}; do sleep 0.02; done; echo left alone`
      const result = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run(shellCommand(at, `(${engine}) & wait`))
        const stop = Effect.gen(function*() {
          const [wrapper = 0] = runningPids(at.directory)
          yield* running.signal("INT")
          yield* Effect.orDie(eventually(() => !existsSync(`/proc/${wrapper}`)))
          yield* running.signal("TERM")
        })
        return yield* collect({
          ...running,
          output: Stream.tap(running.output, ({ bytes }) => String(Buffer.from(bytes)) === "ready\n" ? stop : Effect.void)
        })
      }))
      assert.strictEqual(result.stdout.toString(), "ready\nsaved\n")
      assert.deepStrictEqual(result.ended, CommandEnded.Exited({ code: 130 }))
    }))

  it.live("interrupts the command once when its worker dies, lets it write on, and starts nothing more", () =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      const loop = yield* startLoop(at)
      yield* workerThatDies(
        at,
        `trap 'head -c 300000 /dev/zero; echo INT >>"${at.scratch}/stopped"; exit' INT; echo ready; while :; do echo busy; done`
      )
      yield* eventually(() => existsSync(join(at.directory, "gone")))
      yield* eventually(() => readdirSync(join(at.directory, "ended")).length === 1)
      assert.deepStrictEqual(lines(join(at.scratch, "stopped")), ["INT"])
      const raw = rawWorker(at.directory)
      raw.submit("late", `: >"${at.scratch}/late"`)
      yield* eventually(() => readdirSync(join(at.directory, "ended")).length === 2)
      raw.die()
      assert.isFalse(existsSync(join(at.scratch, "late")))
      loop.signal("SIGTERM")
      assert.deepStrictEqual(yield* loop.exit, [0, null])
    }))

  it.live("sends no second INT when a worker dies that had asked for one", () =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      yield* startLoop(at)
      yield* workerThatDies(
        at,
        `trap 'echo INT; echo INT >>"${at.scratch}/stopped"' INT; echo ready; while [ ! -e gone ]; do sleep 0.02; done; sleep 0.2; echo end >>"${at.scratch}/stopped"`,
        "interrupt"
      )
      yield* eventually(() => lines(join(at.scratch, "stopped")).includes("end"))
      assert.deepStrictEqual(lines(join(at.scratch, "stopped")), ["INT", "end"])
    }))

  it.live("sends each signal where it can start no process", () =>
    Effect.gen(function*() {
      const at = yield* placeOfUser(shell)
      yield* limit(at, yield* startLoop(at))
      const execLoop = yield* client(at)
      const result = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run(shellCommand(at, `trap 'echo INT' INT; trap 'echo TERM' TERM; echo ready; ${forever}`))
        const next = new Map<string, Signal>([["ready\n", "INT"], ["INT\n", "TERM"], ["TERM\n", "KILL"]])
        const answer = (said: string) => Effect.ignore(Effect.flatMap(Effect.fromNullishOr(next.get(said)), running.signal))
        return yield* collect({ ...running, output: Stream.tap(running.output, ({ bytes }) => answer(String(Buffer.from(bytes)))) })
      }))
      assert.strictEqual(result.stdout.toString(), "ready\nINT\nTERM\n")
      assert.deepStrictEqual(result.ended, CommandEnded.Exited({ code: 137 }))
    }))

  it.live("interrupts the command of a worker that died where it can start no process", () =>
    Effect.gen(function*() {
      const at = yield* placeOfUser(shell)
      yield* limit(at, yield* startLoop(at))
      yield* workerThatDies(at, `trap 'echo INT >>"${at.scratch}/stopped"; exit' INT; echo ready; ${forever}`)
      yield* eventually(() => readdirSync(join(at.directory, "ended")).length === 1)
      assert.deepStrictEqual(lines(join(at.scratch, "stopped")), ["INT"])
    }))

  it.live("is the parent of each command, which reads in /proc what the loop was given, whatever its shell passes on", () =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      yield* startLoop(at, process.env.PATH, { "TF_VAR_instance-type": "big" })
      const { stdout } = yield* execute(yield* client(at), shellCommand(at, "cat /proc/$PPID/environ"))
      assert.include(stdout.toString().split("\0"), "TF_VAR_instance-type=big")
    }))

  it.live("does not wait for the outputs of a worker that died before it read them", () =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      const loop = yield* startLoop(at)
      yield* eventually(() => existsSync(join(at.directory, "replies")))
      const raw = rawWorker(at.directory)
      yield* raw.booted
      raw.submit("unread", `: >"${at.scratch}/ran"`)
      yield* eventually(() => existsSync(join(at.directory, "taken", "unread", "pid")))
      raw.die()
      yield* eventually(() => readdirSync(join(at.directory, "ended")).length === 1)
      assert.isFalse(existsSync(join(at.scratch, "ran")))
      loop.signal("SIGTERM")
      assert.deepStrictEqual(yield* loop.exit, [0, null])
    }))

  it.live("does nothing at all while it waits", () =>
    Effect.gen(function*() {
      const { execLoop, loop, ...at } = yield* session(shell)
      yield* execute(execLoop, shellCommand(at, "true"))
      yield* eventually(() => readdirSync(join(at.directory, "ended")).length === 1)
      const processes = () => [loop.pid, ...children(loop.pid)]
      // The three are the loop, the watcher and the reader of requests.
      yield* eventually(() => processes().length === 3 && processes().every(shellAsleep))
      // The sleep below waits for no event: a process that polls would be scheduled during it.
      const before = processes().map(switches)
      yield* Effect.sleep("700 millis")
      assert.deepStrictEqual(processes().map(switches), before)
    }))

  it.live("is waited for by a worker that comes first", () =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      const early = yield* Effect.forkChild(client(at))
      yield* Effect.yieldNow
      yield* startLoop(at)
      const execLoop = yield* Fiber.join(early)
      assert.strictEqual((yield* execute(execLoop, shellCommand(at, "echo here"))).stdout.toString(), "here\n")
    }))
})
