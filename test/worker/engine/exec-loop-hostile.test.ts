// The client against a runner that answers wrongly, too much, late, or not at all.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { CommandEnded, ExecLoop } from "../../../src/worker/engine/exec-loop.ts"
import {
  client,
  collect,
  eventually,
  execute,
  onlyPrograms,
  type Place,
  place,
  runningPids,
  session,
  shellCommand,
  startLoop
} from "../../runner/session.ts"

/**
 * A loop that prepares everything as the real one does and then runs shell text: `boot` when it starts, and `answer` for each command,
 * whose ID is `$id`.
 */
const falseLoop = ({ directory }: Place, { answer = "", boot = "echo boot false-loop >&4", prepare = "" }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(
        "bash",
        [
          "-c",
          `mkdir commands taken; mkfifo requests signals; ${prepare}
          mkfifo replies.new; mv replies.new replies; exec 3<>requests 4<>replies; ${boot}
          while read -r _ id <&3; do
            mv "commands/$id" taken/; cd "taken/$id"; ${answer}
            cd ../..
          done`
        ],
        { cwd: directory, stdio: "ignore", detached: true }
      )
      return child.pid ?? 0
    }),
    (pid) => Effect.sync(() => process.kill(-pid, "SIGKILL"))
  )

const command = { argv: ["true"], env: {}, cwd: "/" } as const
const wellBehaved =
  `mkfifo stdout stderr; echo "taken $id" >&4; exec 5>stdout 6>stderr; echo "started $id" >&4; echo out >&5; exec 5>&- 6>&-; echo "exit $id 3" >&4`

const withEvents = { ...command, events: true }

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")
const retainedMegabytes = () => {
  collectGarbage()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 1024 / 1024
}

describe("exec loop client", () => {
  it.live.each([
    {
      given: "no directory",
      prepare: (at: Place) => ({ ...at, directory: join(at.directory, "none") }),
      says: /none cannot be used \(no such file or directory\)/u
    },
    { given: "a directory without a loop", prepare: (at: Place) => at, says: /No exec loop answers in/u }
  ])("says that the runner is not ready, given $given", ({ prepare, says }) =>
    Effect.gen(function*() {
      const { directory } = prepare(yield* place("dash"))
      const error = yield* Effect.flip(Layer.build(ExecLoop.layer({ directory, startDeadline: "200 millis" })))
      assert.strictEqual(error.reason, "RunnerNotReady")
      assert.match(error.message, says)
      assert.match(error.message, /read the log of the container runner/u)
      assert.match(error.message, /a sandbox \(task.runtimeClassName\) has to share the volume/u)
    }))

  it.live.each([
    {
      given: "a symbolic link for a pipe",
      prepare: "rm requests; mkfifo other; ln -s other requests",
      says: /requests cannot be used \(too many symbolic links encountered\)/u
    },
    { given: "a regular file for a pipe", prepare: "rm signals; touch signals", says: /signals cannot be used \(it is not a named pipe/u },
    {
      given: "a symbolic link for a directory",
      prepare: "mv commands other; ln -s other commands",
      says: /commands cannot be used \(not a directory\)/u
    },
    {
      given: "a named pipe for a directory",
      prepare: "rmdir commands; mkfifo commands",
      says: /commands cannot be used \(not a directory\)/u
    }
  ])("refuses a runner with $given", ({ prepare, says }) =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* falseLoop(at, { prepare })
      const error = yield* Effect.flip(Layer.build(ExecLoop.layer({ directory: at.directory, startDeadline: "30 seconds" })))
      assert.match(error.message, says)
    }))

  it.live.each([
    {
      given: "a symbolic link",
      answer: "mkfifo stdout other; ln -s other stderr",
      says: /stderr cannot be used \(too many symbolic links encountered\)/u
    },
    { given: "a regular file", answer: "echo forged >stdout; mkfifo stderr", says: /stdout cannot be used \(it is not a named pipe/u },
    { given: "a directory", answer: "mkdir stdout; mkfifo stderr", says: /stdout cannot be used \(it is not a named pipe/u },
    { given: "nothing", answer: "mkfifo stdout", says: /stderr cannot be used \(no such file or directory\)/u }
  ])("refuses an output that is $given", ({ answer, says }) =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* falseLoop(at, { answer: `${answer}; echo "taken $id" >&4` })
      const error = yield* Effect.flip(Effect.flatMap(client(at), ({ run }) => run(command)))
      assert.strictEqual(error.reason, "VolumeUnusable")
      assert.match(error.message, says)
    }))

  it.live.each([
    { given: "missing", make: "true", says: /events cannot be used \(no such file or directory\)/u },
    { given: "a symbolic link", make: "ln -s stdout events", says: /events cannot be used \(too many symbolic links encountered\)/u },
    { given: "a regular file", make: "touch events", says: /events cannot be used \(it is not a named pipe/u }
  ])("refuses events that are $given", ({ make, says }) =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* falseLoop(at, { answer: `${make}; ${wellBehaved}` })
      const error = yield* Effect.flip(Effect.flatMap(client(at), ({ run }) => run(withEvents)))
      assert.strictEqual(error.reason, "VolumeUnusable")
      assert.match(error.message, says)
    }))

  it.live("ends the events of a command that never opened them", () =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* falseLoop(at, { answer: `mkfifo events; ${wellBehaved}` })
      const execLoop = yield* client(at)
      const [ended, events] = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run(withEvents)
        yield* Effect.forkChild(Stream.runDrain(running.output))
        return [yield* running.ended, yield* Stream.runCollect(running.events)]
      }))
      assert.deepStrictEqual([ended, events], [CommandEnded.Exited({ code: 3 }), []])
    }))

  it.live("ends a command that a second loop took before it died, though that loop never said that it began", () =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* falseLoop(at, {
        boot: "exec 4>&-; echo boot false-loop >replies", // the pipe's end comes with the end of this line, as with the death of a loop
        answer: `mkfifo stdout stderr; echo "taken $id" >../../replies`
      })
      const execLoop = yield* client(at, "1 hour", Effect.void, "100 millis")
      assert.deepStrictEqual((yield* execute(execLoop, command)).ended, CommandEnded.Aborted())
    }))

  it.live("kills the command whose outputs it refused, so that the next can run", () =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* falseLoop(at, {
        answer:
          `echo "taken $id" >&4; read -r line <../../signals; echo "$line" >"${at.scratch}/told.new"; mv "${at.scratch}/told.new" "${at.scratch}/told"`
      })
      yield* Effect.flip(Effect.flatMap(client(at), ({ run }) => run(command)))
      yield* eventually(() => readdirSync(at.scratch).includes("told"))
      assert.match(readFileSync(join(at.scratch, "told"), "utf8"), /^KILL 000001-/u)
    }))

  it.live("follows the directory that it wrote, not what stands in its place", () =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* falseLoop(at, {
        answer: `${wellBehaved.replace("exec 5>stdout", `mv "../$id" ../elsewhere; ln -s /etc "../$id"; exec 5>stdout`)}`
      })
      const { ended, stdout } = yield* Effect.flatMap(client(at), (execLoop) => execute(execLoop, command))
      assert.deepStrictEqual([ended, stdout.toString()], [CommandEnded.Exited({ code: 3 }), "out\n"])
    }))

  it.live.each([
    { given: "lines of no meaning", noise: `printf 'hello\\n\\n \\nexit\\ntaken\\nboot\\nexit '"$id"'\\nstarted\\n'` },
    {
      given: "impossible exit codes",
      noise: `printf 'exit %s 256\\nexit %s 999\\nexit %s -1\\nexit %s 1x\\nexit %s 1 2\\n' $id $id $id $id $id`
    },
    {
      given: "commands that nobody asked for",
      noise: `printf 'taken other\\nstarted other\\nexit other 0\\naborted other\\nexit ../x 0\\n'`
    },
    { given: "bytes that are no text", noise: `printf '\\377\\376\\000\\300\\200\\nexit \\377 1\\n\\n'` },
    { given: "a line of a megabyte", noise: `head -c 1048576 /dev/zero; echo` },
    { given: "a long line that ends like an answer", noise: `head -c 70000 /dev/zero | tr '\\0' ' '; echo "exit $id 0"` },
    { given: "an answer in two pieces", noise: `printf 'bo'; printf 'ot again\\n'` }
  ])("is not confused by $given", ({ noise }) =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* falseLoop(at, { boot: `id=none; { ${noise}; } >&4; echo boot false-loop >&4`, answer: `{ ${noise}; } >&4; ${wellBehaved}` })
      const { ended, stdout } = yield* Effect.flatMap(client(at), (execLoop) => execute(execLoop, command))
      assert.deepStrictEqual([ended, stdout.toString()], [CommandEnded.Exited({ code: 3 }), "out\n"])
    }))

  it.live("tells that nothing has run when the runner has no room for a command's pipes", () =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      const programs = onlyPrograms(at, ["sh", "mkdir", "mv", "true"])
      writeFileSync(
        join(programs, "mkfifo"),
        `#!/bin/sh\ncase "$*" in *taken*) exit 1 ;; esac\nPATH=${process.env.PATH} exec mkfifo "$@"\n`,
        { mode: 0o755 }
      )
      yield* startLoop(at, programs)
      const { ended } = yield* Effect.flatMap(client(at), (execLoop) => execute(execLoop, command))
      assert.deepStrictEqual(ended, CommandEnded.NotStarted({ code: 1 }))
    }))

  it.live("does not grow by a flood of answers", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session("dash")
      const before = retainedMegabytes()
      const [sent, measured] = [join(at.scratch, "sent"), join(at.scratch, "measured")]
      // A line without an end, which goes on once it was measured, and then as many whole answers.
      const flood =
        `head -c 50000000 /dev/zero >"$1"; : >"$2"; until [ -e "$3" ]; do sleep 0.1; done; yes "taken 1" | head -c 50000000 >"$1"; echo >"$1"`
      const running = yield* Effect.forkChild(execute(execLoop, shellCommand(at, flood, join(at.directory, "replies"), sent, measured)))
      yield* eventually(() => existsSync(sent))
      const during = retainedMegabytes() - before
      writeFileSync(measured, "")
      const { ended } = yield* Fiber.join(running)
      assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 0 }))
      assert.isBelow(Math.max(during, retainedMegabytes() - before), 32)
    }))

  it.live("makes a command wait that writes faster than its output is read", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session("dash")
      const { ended } = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run({ argv: ["yes"], env: {}, cwd: at.scratch })
        const [pid = 0] = runningPids(at.directory)
        const asleep = () => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") S ")
        const written = () => Number(/^wchar: (\d+)$/mu.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1])
        yield* eventually(() => written() > 0 && asleep())
        yield* Effect.sleep("200 millis") // time in which it would write on if anything took its output
        assert.isTrue(asleep())
        assert.isBelow(written(), 500_000)
        yield* running.signal("KILL")
        return yield* collect(running)
      }))
      assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 137 }))
    }))

  it.live("waits only shortly for what a command left behind, and gives all that the command wrote", () =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* startLoop(at)
      const execLoop = yield* client(at, "500 millis")
      // The output is more than one chunk, so some of it is left in the pipe.
      const running = yield* execLoop.run(shellCommand(at, "head -c 66000 /dev/zero; sleep 60 & echo $! >left; exit 5"))
      assert.deepStrictEqual(yield* running.ended, CommandEnded.Exited({ code: 5 }))
      yield* Effect.sleep("600 millis") // longer than the time to linger, so that the reader comes late
      assert.strictEqual((yield* collect(running)).stdout.length, 66_000)
      // The process that was left behind was still there.
      assert.isTrue(process.kill(Number(readFileSync(join(at.scratch, "left"), "utf8")), "SIGKILL"))
    }))

  it.live("lets a command go on whose output nobody wants any more", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session("dash")
      const running = yield* execLoop.run(shellCommand(at, "head -c 3000000 /dev/zero; exit 6"))
      yield* Stream.runHead(running.output)
      assert.deepStrictEqual(yield* running.ended, CommandEnded.Exited({ code: 6 }))
    }))

  it.live("keeps no descriptor of a command that has ended", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session("dash")
      const open = () => readdirSync("/proc/self/fd").length
      const before = open()
      for (let i = 0; i < 20; i++) yield* execute(execLoop, shellCommand(at, "true"))
      yield* eventually(() => open() <= before)
    }))

  it.live("interrupts what runs when it is closed", () =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      yield* startLoop(at)
      yield* Effect.scoped(Effect.gen(function*() {
        const execLoop = yield* client(at)
        const running = yield* execLoop.run(
          shellCommand(at, "trap 'echo INT >it; mv it stopped; exit' INT; echo ready; while :; do sleep 0.02; done")
        )
        yield* Stream.runHead(running.output)
      }))
      yield* eventually(() => readdirSync(at.scratch).includes("stopped"))
      assert.strictEqual(readFileSync(join(at.scratch, "stopped"), "utf8"), "INT\n")
    }))
})
