// Which engine a stage gets, and how a stop reports a command that does not end when it is asked to: never as one whose state is safe.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Option, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import { spawnSync } from "node:child_process"
import { symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { StopCause } from "../../../src/core/stage/outcome.ts"
import { signalPlan } from "../../../src/core/stage/signal-plan.ts"
import type { StageCommand } from "../../../src/core/stage/stage-commands.ts"
import { Engine } from "../../../src/worker/engine/engine.ts"
import { CommandEnded, ExecLoop, ExecLoopError, type Signal } from "../../../src/worker/engine/exec-loop.ts"
import { fileCall } from "../../../src/worker/engine/fifo.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import type { StageFailed } from "../../../src/worker/stage-failed.ts"
import type { StageStopped } from "../../../src/worker/task/stage-stopped.ts"
import { loggerTo } from "../../logger.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { neverStops } from "../never-stops.ts"

/** The engine whose commands go to this exec loop; nothing is logged. */
const engineBy = (execLoop: ExecLoop["Service"], stop = neverStops()) =>
  Layer.provide(
    Engine.layer,
    Layer.mergeAll(
      Layer.succeed(ExecLoop, execLoop),
      stop,
      Log.layer({ secrets: [], parts: [], ship: Option.none(), print: () => Effect.void })
    )
  )

/** A script that stands for an engine and prints this version. */
const telling = (version: string) => `#!/bin/sh\necho '{\n  "terraform_version": "${version}"\n}'\n`

/** Looks for an engine in an image with these programs, each given by the version that it prints or by its whole script. */
const found = (
  name: "tofu" | "terraform" | undefined,
  image: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {}
) =>
  Effect.gen(function*() {
    const place = yield* temporaryFolder("image")
    if (image.cat === undefined) symlinkSync("/bin/cat", join(place, "cat"))
    for (const [program, version] of Object.entries(image)) {
      writeFileSync(join(place, program), version.startsWith("#!") ? version : telling(version), { mode: 0o755 })
    }
    const execLoop = ExecLoop.of({
      run: ({ argv: [program, ...args] }) =>
        Effect.sync(() => {
          const { status, stdout } = spawnSync(program, args, { env: { ...environment, PATH: place }, maxBuffer: Infinity })
          return {
            output: Stream.make({ stream: "stdout" as const, bytes: stdout ?? new Uint8Array() }),
            events: Stream.empty,
            ended: Effect.succeed(status === 127 ? CommandEnded.ProgramMissing() : CommandEnded.Exited({ code: status ?? 1 })),
            signal: () => Effect.void
          }
        })
    })
    return yield* Effect.flatMap(Engine, (engine) => engine.find(Option.fromUndefinedOr(name), { directory: "/", env: {} })).pipe(
      Effect.provide(engineBy(execLoop))
    )
  })

describe("the engine of a stage", () => {
  const both = { tofu: "1.12.6", terraform: "1.9.8" }
  const terraform = { terraform: "1.9.8" }
  const broken = { tofu: "#!/nowhere/interpreter\n", terraform: "1.9.8" }
  const cannotStart = "cannot start it, most likely because its interpreter or loader is missing; use an image in which it runs."

  it.effect.each([
    { asked: undefined, image: both, gives: { name: "tofu", version: "1.12.6" } },
    { asked: undefined, image: terraform, gives: { name: "terraform", version: "1.9.8" } },
    { asked: "terraform" as const, image: both, gives: { name: "terraform", version: "1.9.8" } },
    { asked: "tofu" as const, image: both, gives: { name: "tofu", version: "1.12.6" } }
  ])(
    "is $gives.name where $asked is named and the image has $image",
    ({ asked, gives, image }) => Effect.map(found(asked, image), ({ engine }) => expect(engine).toEqual(gives))
  )

  it.effect.each(["1.12.6\u001b[2J", "1.12.6\u009b2J", "one two", ""])(
    "is none that says the version %j, which is none",
    (version) =>
      Effect.map(
        Effect.flip(found(undefined, { tofu: version })),
        (failure) =>
          expect(failure).toMatchObject({ reason: "InvalidConfiguration", message: expect.stringContaining("does not say its version") })
      )
  )

  it.effect.each([
    { given: "nobody could tell", cat: "#!/bin/sh\nexit 1\n" },
    { given: "only its exec loop could tell", cat: `#!/bin/sh\ncase $1 in /proc/self/*) exit 1 ;; *) printf 'TF_VAR_a=b\\0' ;; esac\n` },
    { given: "are more than any program has", cat: "#!/bin/sh\n/usr/bin/head -c 2097153 /dev/zero\n" }
  ])("is not used by a runner whose variables $given", ({ cat }) =>
    Effect.map(
      Effect.flip(found(undefined, { tofu: "1.12.6", cat })),
      (failure) =>
        expect(failure).toMatchObject({
          reason: "InvalidConfiguration",
          message: expect.stringMatching(/^The worker cannot read the runner's environment, .+; use a runner image that has cat,/u)
        })
    ))

  it.effect("comes with the variables of it that the runner has, and says its version without the arguments among them", () =>
    Effect.gen(function*() {
      const tofu = telling("1.12.6").replace("\n", `\n[ -z "$TF_CLI_ARGS$TF_CLI_ARGS_version" ] || exit 1\n`)
      const variables = { TF_CLI_ARGS: "-x", TF_CLI_ARGS_version: "-y", TF_VAR_text: "a=b\ntofu\nterraform" }
      expect(yield* found(undefined, { tofu }, { AWS_REGION: "eu", ...variables })).toEqual({
        engine: { name: "tofu", version: "1.12.6" },
        variables
      })
    }))

  it.effect("is not used with a variable less of it than the runner's container was given", () => {
    const cat = `#!/bin/sh\ncase $1 in /proc/self/*) exec /bin/cat $1 ;; *) printf 'TF_VAR_instance-type=big\\0' ;; esac\n`
    return Effect.map(
      Effect.flip(found(undefined, { tofu: "1.12.6", cat })),
      (failure) =>
        expect(failure).toMatchObject({
          reason: "InvalidConfiguration",
          message: expect.stringMatching(/^The environment variable "TF_VAR_instance-type" of the runner does not reach the engine, .+\.$/u)
        })
    )
  })

  it.effect("is used where nobody may read what the runner's container was given", () =>
    Effect.map(
      found(undefined, { tofu: "1.12.6", cat: `#!/bin/sh\ncase $1 in /proc/self/*) exec /bin/cat $1 ;; esac\nexit 1\n` }, {
        TF_LOG: "x",
        TF_VAR_a: "b"
      }),
      (found) => expect(found).toEqual({ engine: { name: "tofu", version: "1.12.6" }, variables: { TF_VAR_a: "b" } })
    ))

  it.effect.each([
    { asked: "tofu" as const, image: terraform, says: "The runner image has no tofu in its PATH; use an image that has it." },
    {
      asked: undefined,
      image: {},
      says: "The runner image has neither tofu nor terraform in its PATH; use an image that has one of them."
    },
    { asked: "tofu" as const, image: broken, says: `The runner image has tofu in its PATH, but ${cannotStart}` },
    { asked: undefined, image: broken, says: `The runner image has tofu or terraform in its PATH, but ${cannotStart}` }
  ])(
    "is missing, and never another one, where $asked is named and the image has $image",
    ({ asked, image, says }) =>
      Effect.map(Effect.flip(found(asked, image)), (failure) => expect(failure).toMatchObject({ reason: "EngineMissing", message: says }))
  )
})

const apply: StageCommand = { subcommand: "apply", args: ["apply"], output: "printed", mutates: true }

describe("a command of the engine", () => {
  const texts = (...parts: ReadonlyArray<string>) => Stream.fromIterable(parts.map((part) => Buffer.from(part)))
  const told = texts("one\ntw", "o\nunfinished")
  const stderr = (text: string) => ({ stream: "stderr" as const, bytes: Buffer.from(text) })

  it.effect.each([
    { tells: "events" as const, output: Stream.make(stderr("what is only shown")), events: told, end: [] },
    {
      tells: "log" as const,
      output: Stream.concat(Stream.map(told, (bytes) => ({ stream: "stdout" as const, bytes })), Stream.make(stderr("Error: why"))),
      events: Stream.empty,
      end: ["one\ntwo\nunfinishedError: why"]
    }
  ])(
    "is started with its arguments, which no debug log has, and what it tells in its $tells is heard line by line, with the end of a log",
    ({ end, events, output, tells }) =>
      Effect.gen(function*() {
        const [started, heard, ends]: [Array<ReadonlyArray<string>>, Array<string>, Array<string>] = [[], [], []]
        const execLoop = ExecLoop.of({
          run: ({ argv }) =>
            Effect.sync(() => {
              started.push(argv)
              return {
                output,
                events,
                ended: Effect.succeed(CommandEnded.Exited({ code: 0 })),
                signal: () => Effect.void
              }
            })
        })
        const command = { ...apply, args: ["apply", "plan.tfplan"], tells }
        const listener = { line: (line: string) => void heard.push(line), end: (log: string) => void ends.push(log) }
        const debugged: Array<unknown> = []
        yield* Effect.flatMap(Engine, ({ run }) => run({ engine: "tofu", directory: "/", env: {} }, command, undefined, listener)).pipe(
          Effect.provide(engineBy(execLoop)),
          Effect.provideService(References.MinimumLogLevel, "Debug"),
          Effect.provide(Logger.layer([loggerTo(({ message }) => void debugged.push(message))]))
        )
        expect([started, heard, ends]).toEqual([[["tofu", "apply", "plan.tfplan"]], ["one", "two"], end])
        expect(debugged).toEqual([["a command of the engine ended", { command: "tofu apply", end: "Exited", exitCode: 0 }]])
      })
  )
})

describe("a command that cannot be put where the runner finds it", () => {
  const full =
    "The disk of the Pod's node was full when the worker wrote a command for the runner; let tasks request ephemeral-storage, or give their nodes larger disks."

  it.effect.each([
    { code: "ENOSPC", reason: "DiskFull", says: full },
    { code: "EDQUOT", reason: "DiskFull", says: full },
    {
      code: "EACCES",
      reason: "InvalidConfiguration",
      says: "commands cannot be used (failed); check who owns the data volume, and what else writes to it."
    }
  ])("is $reason for $code", ({ code, reason, says }) => {
    const refused = fileCall("/data/exec/commands", () => {
      throw Object.assign(new Error(`${code}: failed, mkdir '/data/exec/commands/.1'`), { code })
    })
    const execLoop = ExecLoop.of({
      run: () => Effect.mapError(refused, (cause) => new ExecLoopError({ reason: "VolumeUnusable", detail: cause.message, cause }))
    })
    return Effect.flatMap(Engine, (engine) => engine.run({ engine: "tofu", directory: "/", env: {} }, apply)).pipe(
      Effect.provide(engineBy(execLoop)),
      Effect.flip,
      Effect.map((failure) => expect(failure).toMatchObject({ reason, message: says }))
    )
  })
})

const plan = signalPlan(120)

/** Returns how `act` fails when a cancel comes meanwhile and its command, which prints `says`, ends with `code` at the signal `endsAt`, or never ends. */
const cancelledDuring = <A>(
  act: (engine: Engine["Service"]) => Effect.Effect<A, StageFailed | StageStopped>,
  endsAt: Signal | "never",
  code: number,
  says = ""
) =>
  Effect.gen(function*() {
    const asked = Deferred.makeUnsafe<StopCause>()
    const ended = Deferred.makeUnsafe<CommandEnded>()
    const execLoop = ExecLoop.of({
      run: () =>
        Effect.succeed({
          output: Stream.make({ stream: "stderr" as const, bytes: Buffer.from(says) }),
          events: Stream.empty,
          ended: Effect.andThen(Deferred.succeed(asked, "Cancelled"), Deferred.await(ended)),
          signal: (name) => name === endsAt ? Effect.asVoid(Deferred.succeed(ended, CommandEnded.Exited({ code }))) : Effect.void
        })
    })
    const stop = neverStops({
      asked: Deferred.await(asked),
      now: Effect.suspend(() => Deferred.isDoneUnsafe(asked) ? Effect.asSome(Deferred.await(asked)) : Effect.succeedNone),
      plan
    })
    const run = Effect.flatMap(Engine, act).pipe(Effect.provide(engineBy(execLoop, stop)))
    const fiber = yield* Effect.forkChild(Effect.flip(run))
    yield* TestClock.adjust("3 minutes")
    return yield* Fiber.join(fiber)
  })

describe("the search for an engine that is cancelled", () => {
  it.effect.each(
    [
      [undefined, "tofu or terraform version"],
      ["terraform", "terraform version"]
    ] as const
  )("where %s is named, was interrupted during %s", ([name, during]) =>
    Effect.map(
      cancelledDuring((engine) => engine.find(Option.fromUndefinedOr(name), { directory: "/", env: {} }), "INT", 130),
      (end) => expect(end).toMatchObject({ _tag: "StageStopped", during: Option.some({ name: during, mutates: false }) })
    ))
})

const cancelled = (endsAt: Signal | "never", code: number, says?: string) =>
  cancelledDuring((engine) => engine.run({ engine: "tofu", directory: "/", env: {} }, apply), endsAt, code, says)

describe("an apply that is cancelled", () => {
  it.effect("was interrupted when that was enough", () =>
    Effect.map(
      cancelled("INT", 1),
      (end) => expect(end).toMatchObject({ _tag: "StageStopped", exitCode: 1, during: Option.some({ killed: false }) })
    ))

  it.effect("was not killed by the worker when the kernel did it after the interrupt", () =>
    Effect.map(
      cancelled("INT", 137),
      (end) => expect(end).toMatchObject({ _tag: "StageStopped", exitCode: 137, during: Option.some({ killed: false }) })
    ))

  it.effect.each([["TERM", 143], ["KILL", 137]] as const)(
    "was killed when only %s ended it",
    ([signal, code]) =>
      Effect.map(
        cancelled(signal, code),
        (end) => expect(end).toMatchObject({ _tag: "StageStopped", exitCode: code, during: Option.some({ killed: true }) })
      )
  )

  it.effect("was killed, too, when it answers SIGTERM with the exit code of an error, which is no word on what it has saved", () =>
    Effect.map(cancelled("TERM", 1), (end) => {
      expect(end).toMatchObject({ _tag: "StageStopped", during: Option.some({ killed: true }) })
      expect(end).not.toMatchObject({ exitCode: expect.anything() })
    }))

  it.effect("says nothing of its state by its exit code when a wrapper that handed on the interrupt made it a second one", () =>
    Effect.map(
      cancelled("INT", 1, "\nTwo interrupts received. Exiting immediately. Note that data loss may have occurred.\n"),
      (end) => {
        expect(end).toMatchObject({ _tag: "StageStopped", during: Option.some({ killed: false }) })
        expect(end).not.toMatchObject({ exitCode: expect.anything() })
      }
    ))

  it.effect("is lost when nothing ended it", () =>
    Effect.map(cancelled("never", 0), (end) => expect(end).toMatchObject({ _tag: "StageFailed", reason: "Lost" })))
})
