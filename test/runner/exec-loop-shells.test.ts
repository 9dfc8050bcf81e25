// The exec loop where /bin/sh is a shell that few images have, one that the image's environment has set otherwise, or stopped as it begins.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { CommandEnded } from "../../src/worker/engine/exec-loop.ts"
import { cgroupOf, client, collect, eventually, execute, place, session, shellCommand, shells, startLoop } from "./session.ts"

/** Replaces the shell by dash that runs the loop in itself, after these lines. */
const dashAfter = (lines: string) => (sh: string) => {
  rmSync(sh)
  writeFileSync(
    sh,
    `#!/usr/bin/env dash
[ "$1" != -c ] && [ "$1" != command ] || exec dash "$@"
script=$1
shift
${lines}
. "$script"
`
  )
  chmodSync(sh, 0o755)
}

const tellingSignalsFrom = (first: number) =>
  dashAfter(`setsid() {
  command setsid "$@"
  told=$?
  [ $told -le 128 ] || return $((told - 128 + ${first}))
  return $told
}`)

const withoutJobControl = dashAfter(`options() {
  case $* in *m*) exit 2 ;; esac
  \\set "$@"
}
alias set=options`)

/** Sends the loop this signal at its first step, before it has made anything. */
const stoppedAtOnce = (name: string) => dashAfter(`cd() { kill -${name} $$; command cd "$@"; }`)

describe("exec loop", () => {
  it.live.each(["TERM", "INT", "QUIT"])("ends with 0 on %s while it begins", (name) =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      stoppedAtOnce(name)(at.sh)
      const loop = yield* startLoop(at)
      assert.deepStrictEqual(yield* loop.exit, [0, null])
      assert.deepStrictEqual(readdirSync(at.directory), [])
    }))

  it.live.each([["ksh93", 256], ["yash", 384]] as const)(
    "tells of a signal as all do where its shell adds %2$d to it, as %1$s does",
    ([, first]) =>
      Effect.gen(function*() {
        const at = yield* place("dash")
        tellingSignalsFrom(first)(at.sh)
        yield* startLoop(at)
        const execLoop = yield* client(at)
        assert.deepStrictEqual((yield* execute(execLoop, shellCommand(at, "kill -KILL $$"))).ended, CommandEnded.Exited({ code: 137 }))
        assert.deepStrictEqual((yield* execute(execLoop, shellCommand(at, "exit 3"))).ended, CommandEnded.Exited({ code: 3 }))
      })
  )

  it.live("looks at memory every two seconds, and every second from half of the limit on", () =>
    Effect.gen(function*() {
      const at = yield* place("dash") // which has no sleep of its own
      const [programs, asked] = [join(at.scratch, "programs"), join(at.scratch, "asked")]
      const pauses = () => existsSync(asked) ? readFileSync(asked, "utf8").split("\n").slice(0, -1) : []
      const memory = (bytes: number) => writeFileSync(join(cgroupOf(at), "memory.stat"), `anon ${bytes}\n`)
      mkdirSync(programs)
      writeFileSync(join(programs, "sleep"), `#!/bin/sh\necho $1 >>"${asked}"\nexec /bin/sleep 0.02\n`, { mode: 0o755 })
      mkdirSync(cgroupOf(at))
      writeFileSync(join(cgroupOf(at), "memory.max"), "4000000000\n")
      memory(1_990_000_000)
      yield* startLoop(at, programs + delimiter + process.env.PATH)
      const execLoop = yield* client(at)
      const running = yield* execLoop.run(shellCommand(at, "mkfifo gate; read line <gate"))
      const ended = yield* Effect.forkChild(collect(running))
      yield* eventually(() => pauses().length >= 4)
      assert.deepStrictEqual(pauses().slice(0, 4), ["1", "2", "2", "2"])
      memory(2_010_000_000)
      yield* eventually(() => pauses().at(-1) === "1")
      writeFileSync(join(at.scratch, "gate"), "go on\n")
      assert.deepStrictEqual((yield* Fiber.join(ended)).ended, CommandEnded.Exited({ code: 0 }))
    }).pipe(Effect.scoped))

  it.live("runs under a shell that was built without job control and refuses its option, as posh does", () =>
    Effect.gen(function*() {
      const at = yield* place("dash")
      withoutJobControl(at.sh)
      yield* startLoop(at)
      const { ended } = yield* execute(yield* client(at), shellCommand(at, "exit 3"))
      assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 3 }))
    }))

  it.live.each(["errexit", "noglob", "monitor"])(
    "takes every command and tells how it ended under bash with SHELLOPTS=%s",
    (option) =>
      Effect.gen(function*() {
        const at = yield* place("bash")
        yield* startLoop(at, process.env.PATH, { SHELLOPTS: option })
        const execLoop = yield* client(at)
        for (const code of [3, 0, 4]) {
          const { ended } = yield* execute(execLoop, shellCommand(at, "sleep 0.1; exit $1", String(code)))
          assert.deepStrictEqual(ended, CommandEnded.Exited({ code }))
        }
      })
  )
})

const installed = (shell: string) => (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, shell)))

describe.each([...shells, "ksh93", "mksh", "yash", "zsh"])("exec loop under %s, where it is installed", (shell) => {
  it.live.skipIf(!installed(shell))(
    "waits for signals and requests whatever TMOUT and CDPATH are, and leaves these to the engine",
    () =>
      Effect.gen(function*() {
        const at = yield* place(shell)
        yield* startLoop(at, process.env.PATH, { TMOUT: "1", CDPATH: "/tmp" })
        const execLoop = yield* client(at)
        yield* Effect.sleep("1500 millis") // idle: a read that ends too soon is no event that one could wait for
        const { ended, stdout } = yield* execute(execLoop, shellCommand(at, `sleep 1.5; echo "$TMOUT $CDPATH"`))
        assert.deepStrictEqual([stdout.toString(), ended], ["1 /tmp\n", CommandEnded.Exited({ code: 0 })])
        assert.isFalse(existsSync(join(at.directory, "gone")))
      })
  )

  it.live.skipIf(!installed(shell))("starts every command, hears its events and tells how it ended", () =>
    Effect.gen(function*() {
      const { execLoop, ...at } = yield* session(shell)
      for (let count = 0; count < 20; count++) {
        const [ended, output, events] = yield* Effect.scoped(Effect.gen(function*() {
          const running = yield* execLoop.run({ ...shellCommand(at, "echo said; echo heard >/dev/fd/7; kill -KILL $$"), events: true })
          return yield* Effect.all([running.ended, Stream.runCollect(running.output), Stream.runCollect(running.events)], {
            concurrency: 3
          })
        }))
        assert.deepStrictEqual(ended, CommandEnded.Exited({ code: 137 }))
        assert.strictEqual(Buffer.concat(output.map(({ bytes }) => bytes)).toString(), "said\n")
        assert.strictEqual(Buffer.concat(events).toString(), "heard\n")
      }
    }))
})
