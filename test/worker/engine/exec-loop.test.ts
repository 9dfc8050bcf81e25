// The two sides of the exec loop against each other: the real script, under each shell that runner images have, and the real client.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { CommandEnded, type RunningCommand } from "../../../src/worker/engine/exec-loop.ts"
import {
  cgroupOf,
  client,
  collect,
  eventually,
  execute,
  onlyPrograms,
  place,
  session,
  shellCommand,
  shells,
  startLoop
} from "../../runner/session.ts"

/** Adds effects to the output of a command: each of them runs when a chunk equals its key, apart from surrounding space. */
const when = (running: RunningCommand, replies: Readonly<Record<string, Effect.Effect<void>>>) => ({
  ...running,
  output: Stream.tap(running.output, ({ bytes }) => replies[Buffer.from(bytes).toString().trim()] ?? Effect.void)
})

describe.each(shells)("exec loop under %s", (shell) => {
  it.live("tells exit codes as they are", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      for (const code of [0, 1, 2, 75, 126, 255]) {
        const { ended } = yield* execute(execLoop, shellCommand(at, "exit $1", String(code)))
        assert.deepStrictEqual(ended, CommandEnded.Exited({ code }))
      }
      assert.deepStrictEqual((yield* execute(execLoop, shellCommand(at, "kill -KILL $$"))).ended, CommandEnded.Exited({ code: 137 }))
    }))

  it.live("tells a program that is missing from one that cannot be started", () =>
    Effect.gen(function*() {
      const { execLoop, scratch } = yield* session(shell)
      const missing = yield* execute(execLoop, { argv: ["tofu-that-is-not-there", "plan"], env: {}, cwd: scratch })
      assert.deepStrictEqual(missing.ended, CommandEnded.ProgramMissing())
      assert.include(missing.stderr.toString(), "not found")
      const nowhere = yield* execute(execLoop, { argv: ["true"], env: {}, cwd: `${scratch}/gone` })
      assert.deepStrictEqual(nowhere.ended, CommandEnded.NotStarted({ code: 126 }))
      assert.include(nowhere.stderr.toString(), `${scratch}/gone`)
    }))

  it.live.each([
    { version: 1, folder: "memory", limit: "memory.limit_in_bytes", anonymous: "rss" },
    { version: 2, folder: "", limit: "memory.max", anonymous: "anon" }
  ])(
    "tells once that a command came to 80 % of the container's memory, of which cached files are no part (cgroup $version)",
    ({ anonymous, folder, limit }) =>
      Effect.gen(function*() {
        const at = yield* place(shell)
        const memory = (bytes: number) =>
          writeFileSync(
            join(cgroupOf(at), folder, "memory.stat"),
            `${anonymous} ${bytes}\nfile 3900000000\nkernel 1000\nshmem 1000000000\npgfault 77\n`
          )
        mkdirSync(join(cgroupOf(at), folder), { recursive: true })
        writeFileSync(join(cgroupOf(at), folder, limit), "4000000000\n")
        memory(2_199_999_990)
        yield* startLoop(at)
        let told = 0
        const execLoop = yield* client(at, "1 hour", Effect.sync(() => void told++))
        const running = yield* execLoop.run(shellCommand(at, "trap 'exit 3' INT; echo begun; while :; do sleep 0.05; done"))
        const ended = yield* Effect.forkChild(collect(running))
        yield* Effect.sleep("2.5 seconds") // long enough for the loop to look more than once
        assert.strictEqual(told, 0)
        memory(2_200_000_000)
        yield* eventually(() => told === 1)
        yield* running.signal("INT")
        assert.deepStrictEqual((yield* Fiber.join(ended)).ended, CommandEnded.Exited({ code: 3 }))
        assert.strictEqual(told, 1)
      }).pipe(Effect.scoped),
    { concurrent: true }
  )

  it.live("goes by the limit of memory as it is now, after a change in place", () =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      const file = join(cgroupOf(at), "memory.max")
      const limit = (bytes: number) => {
        writeFileSync(`${file}.new`, `${bytes}\n`)
        renameSync(`${file}.new`, file) // the kernel shows nobody half of a change either
      }
      mkdirSync(cgroupOf(at))
      writeFileSync(join(cgroupOf(at), "memory.stat"), "anon 3200000000\n")
      limit(8_000_000_000)
      yield* startLoop(at)
      let told = 0
      const execLoop = yield* client(at, "1 hour", Effect.sync(() => void told++))
      const running = yield* execLoop.run(shellCommand(at, "trap 'exit 3' INT; echo begun; while :; do sleep 0.05; done"))
      const ended = yield* Effect.forkChild(collect(when(running, { begun: Effect.sync(() => limit(4_000_000_000)) })))
      yield* eventually(() => told === 1)
      yield* running.signal("INT")
      assert.deepStrictEqual((yield* Fiber.join(ended)).ended, CommandEnded.Exited({ code: 3 }))
    }).pipe(Effect.scoped), { concurrent: true })

  it.live.each(["max", "9223372036854771712", "none"])("watches no memory where there is no limit (%s)", (limit) =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      mkdirSync(cgroupOf(at))
      if (limit !== "none") writeFileSync(join(cgroupOf(at), "memory.max"), `${limit}\n`)
      writeFileSync(join(cgroupOf(at), "memory.stat"), "anon 900000000000\n")
      yield* startLoop(at)
      const execLoop = yield* client(at, "1 hour", Effect.die(new Error("told of what is not there")))
      const { ended } = yield* execute(execLoop, shellCommand(at, "sleep 1.5"))
      assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 0 }))
    }).pipe(Effect.scoped), { concurrent: true })

  it.live("keeps stdout and stderr apart, and each in order", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const { stderr, stdout } = yield* execute(
        execLoop,
        shellCommand(at, "i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done")
      )
      const lines = (letter: string) => Array.from({ length: 500 }, (_, i) => `${letter}${i}\n`).join("")
      assert.strictEqual(stdout.toString(), lines("o"))
      assert.strictEqual(stderr.toString(), lines("e"))
    }))

  it.live("carries 10 MB of any bytes unchanged", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const { ended, stderr, stdout } = yield* execute(
        execLoop,
        shellCommand(at, "head -c 10000000 /dev/urandom | tee copy; md5sum copy >&2")
      )
      assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 0 }))
      assert.strictEqual(stdout.length, 10_000_000)
      assert.strictEqual(createHash("md5").update(stdout).digest("hex"), stderr.toString().slice(0, 32))
    }))

  it.live("gives the command its directory, the two outputs, no input, and no pipe of the loop", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const { stdout } = yield* execute(execLoop, shellCommand(at, "pwd; cat; readlink /proc/$$/fd/0; ls -l /proc/$$/fd"))
      assert.match(stdout.toString(), new RegExp(`^${at.scratch}\n/dev/null\n`, "u"))
      assert.notMatch(stdout.toString(), /requests|replies|signals/u)
    }))

  it.live("hears the events of a command on a pipe of their own, and the command opens it by its path", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const [output, events] = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run({
          ...shellCommand(at, "echo said; echo one >>/dev/fd/7; (echo two) >&7; head -c 1000000 /dev/zero >/dev/fd/7"),
          events: true
        })
        return yield* Effect.all([Stream.runCollect(running.output), Stream.runCollect(running.events)], { concurrency: 2 })
      }))
      assert.strictEqual(Buffer.concat(output.map(({ bytes }) => bytes)).toString(), "said\n")
      assert.strictEqual(Buffer.concat(events).toString(), `one\ntwo\n${"\0".repeat(1_000_000)}`)
    }))

  it.live("never holds up a command whose events nobody reads to the end", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const ended = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run({ ...shellCommand(at, "head -c 3000000 /dev/zero >/dev/fd/7"), events: true })
        yield* Effect.forkChild(Stream.runDrain(running.output))
        yield* Stream.runDrain(Stream.take(running.events, 1))
        return yield* running.ended
      }))
      assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 0 }))
    }))

  it.live("gives no events of a command that was not asked for them", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const events = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run(shellCommand(at, "(echo x >&7) 2>/dev/null; exit 0"))
        yield* Effect.forkChild(Stream.runDrain(running.output))
        yield* running.ended
        return yield* Stream.runCollect(running.events)
      }))
      assert.deepStrictEqual(events, [])
    }))

  it.live("leaves no script with its secrets behind", () =>
    Effect.gen(function*() {
      const { execLoop, directory, ...at } = yield* session(shell)
      const { stdout } = yield* execute(execLoop, { ...shellCommand(at, "echo $SECRET"), env: { SECRET: "hunter2" } })
      assert.strictEqual(stdout.toString(), "hunter2\n")
      yield* eventually(() => readdirSync(join(directory, "ended")).length === 1)
      assert.deepStrictEqual(readdirSync(join(directory, "ended", readdirSync(join(directory, "ended"))[0] ?? "")).sort(), [
        "events",
        "pid",
        "stderr",
        "stdout"
      ])
    }))

  it.live("runs one command after another, in the order that they came", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const results = yield* Effect.forEach(
        ["a", "b", "c", "d"],
        (name) => execute(execLoop, shellCommand(at, "echo start $1 >>order; sleep 0.05; echo end $1 >>order", name)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.length, 4)
      assert.strictEqual(
        readFileSync(join(at.scratch, "order"), "utf8"),
        ["a", "b", "c", "d"].map((name) => `start ${name}\nend ${name}\n`).join("")
      )
    }))

  it.live("delivers INT once to the whole group, however often it is asked for", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const result = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run(shellCommand(
          at,
          `trap 'echo parent INT' INT
           sh -c 'trap "echo child INT; exit" INT; echo ready; while :; do sleep 0.02; done'
           trap 'echo TERM; exit 9' TERM
           echo next; while :; do sleep 0.02; done`
        ))
        // The TERM follows the second INT, so any output that the second INT caused would come before that of the TERM.
        const again = Effect.andThen(running.signal("INT"), running.signal("TERM"))
        return yield* collect(
          when(running, { ready: running.signal("INT"), next: again, "parent INT\nnext": again, "child INT\nparent INT\nnext": again })
        )
      }))
      assert.strictEqual(result.stdout.toString(), "ready\nchild INT\nparent INT\nnext\nTERM\n")
      assert.deepStrictEqual(result.ended, CommandEnded.Exited({ code: 9 }))
    }))

  it.live("kills what ignores INT and TERM", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const { ended } = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run(shellCommand(at, "trap '' INT TERM; echo ready; while :; do sleep 0.02; done"))
        const all = Effect.all([running.signal("INT"), running.signal("TERM"), running.signal("KILL")], { discard: true })
        return yield* collect(when(running, { ready: all }))
      }))
      assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 137 }))
    }))

  it.live("works in an image with nothing but sh, mkdir, mkfifo and mv, where signals go to the process alone", () =>
    Effect.gen(function*() {
      const at = yield* place(shell)
      yield* startLoop(at, onlyPrograms(at, ["sh", "mkdir", "mkfifo", "mv"]))
      const execLoop = yield* client(at)
      const { ended, stdout } = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run(
          shellCommand(at, "trap 'echo INT' INT; trap 'echo TERM; exit 9' TERM; echo ready; while :; do :; done")
        )
        return yield* collect(when(running, { ready: running.signal("INT"), INT: running.signal("TERM") }))
      }))
      assert.strictEqual(stdout.toString(), "ready\nINT\nTERM\n")
      assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 9 }))
    }))

  it.live("interrupts a command whose scope is left, and goes on with the next", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* execLoop.run(
          shellCommand(at, "trap 'head -c 1000000 /dev/zero; echo saved >saved; exit' INT; echo ready; while :; do sleep 0.02; done")
        )
        yield* Stream.runHead(running.output)
      }))
      const next = yield* execute(execLoop, shellCommand(at, "cat saved"))
      assert.strictEqual(next.stdout.toString(), "saved\n")
    }))

  it.live("withdraws a command that was not taken yet", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      const first = yield* Effect.forkChild(execute(execLoop, shellCommand(at, "mkfifo gate; : >running; read line <gate; echo done")))
      yield* eventually(() => existsSync(join(at.scratch, "running")))
      const second = yield* Effect.forkChild(execute(execLoop, shellCommand(at, ": >ran")))
      const commands = () => readdirSync(join(at.directory, "commands"), { recursive: true }).map(String)
      yield* eventually(() => commands().some((path) => /^0.*\/command$/u.test(path)))
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(commands().filter((path) => path.startsWith("0")), [])
      const scripts = () => readdirSync(at.directory, { recursive: true }).filter((path) => String(path).endsWith("/command"))
      yield* eventually(() => scripts().length === 0) // its secrets are gone as well, and so are those of the one that runs
      writeFileSync(join(at.scratch, "gate"), "go on\n")
      assert.strictEqual((yield* Fiber.join(first)).stdout.toString(), "done\n")
      yield* execute(execLoop, shellCommand(at, "true"))
      assert.isFalse(existsSync(join(at.scratch, "ran")))
    }))
})
