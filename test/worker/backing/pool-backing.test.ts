// What stands behind a stage of a pool: above all, what the worker takes for the engine's last state, and where it keeps that state.
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Stream } from "effect"
import { Tar } from "effect/encoding"
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { sealText } from "../../../src/core/stage/seal.ts"
import { RunId, Sha256, WorkspaceName } from "../../../src/schema/names.ts"
import { poolBacking, storedState } from "../../../src/worker/backing/pool-backing.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { NoAnswer } from "../../../src/worker/network/task-api-error.ts"
import { SettledState, StateDelivery } from "../../../src/worker/state/state-delivery.ts"
import { TaskStatus } from "../../../src/worker/task/task-status.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { until } from "../../until.ts"
import { type FakeTaskApi, type Fault, sha256, tarGz } from "../fake-task-api.ts"
import { poolParts, saved } from "../pool-parts.ts"
import { seal } from "../seals.ts"

const state = (serial: number) => JSON.stringify({ version: 4, serial, lineage: "one", resources: [] })
const savedPlan = Buffer.concat(
  Effect.runSync(
    Stream.runCollect(
      Stream.make(Tar.file("seal.json", sealText(seal())), Tar.file("plan.tfplan", "the plan")).pipe(
        Stream.pipeThroughChannel(Tar.encode())
      )
    )
  )
)

describe("the backing of a stage of a pool", () => {
  it.live("has the status tell when the server does not answer its first question", () =>
    Effect.gen(function*() {
      const { api, layer } = yield* poolParts("300 millis")
      api.goDown()
      const told: Array<string> = []
      const taskStatus = Layer.succeed(TaskStatus, {
        unansweredDuring: (work) => Effect.tapError(work, () => Effect.sync(() => told.push("unanswered"))),
        unwrittenDuring: (work) => work,
        unsavedDuring: (work) => work
      })
      const planning = poolBacking({
        workspace: WorkspaceName.make("demo"),
        stage: "plan",
        source: { pool: { archiveSha256: Sha256.make(sha256(Buffer.from(""))) } },
        pool: { url: api.url, runId: RunId.make("run-a"), tokenSecret: { name: "token" } }
      })
      const failed = Effect.flip(Effect.provide(planning, taskStatus)).pipe(Effect.provide(layer))
      expect([(yield* failed).reason, told]).toEqual(["PoolUnreachable", ["unanswered"]])
    }).pipe(Effect.scoped))
})

describe("the stored state of a workspace", () => {
  const bytes = new TextEncoder().encode(state(1))
  it.effect.each([
    { given: "what the server has", answer: Effect.succeedSome(bytes), gives: Option.some(bytes) },
    { given: "empty where the server has none, which is known", answer: Effect.succeedNone, gives: Option.some(new Uint8Array()) },
    { given: "none where the server does not say", answer: Effect.fail(new NoAnswer({ detail: "silence" })), gives: Option.none() }
  ])(
    "is $given",
    ({ answer, gives }) => Effect.map(storedState({ patiently: (call) => call, state: answer }), (found) => expect(found).toEqual(gives))
  )
})

/** An apply that is about to start, from an archive of these files, whose worker asks a server that does not answer for so long. */
const applying = Effect.fnUntraced(function*(files: Readonly<Record<string, string>>, patience?: string) {
  const { api, endGrace, isUnsaved, layer, privateDirectory } = yield* poolParts(patience, patience)
  const told: Array<string> = []
  const log = Log.layer({
    secrets: [],
    parts: [],
    ship: Option.none(),
    print: (bytes) => Effect.sync(() => void told.push(Buffer.from(bytes).toString("utf8")))
  })
  api.archive = tarGz(files)
  api.plan = savedPlan
  const path = join(privateDirectory, "work of the engine")
  mkdirSync(path)
  const context = yield* Layer.build(layer)
  return yield* Effect.gen(function*() {
    const backing = yield* poolBacking({
      workspace: WorkspaceName.make("demo"),
      stage: "apply",
      source: { pool: { archiveSha256: Sha256.make(sha256(api.archive)) } },
      plan: { sha256: Sha256.make(sha256(savedPlan)) },
      pool: { url: api.url, runId: RunId.make("run-a"), tokenSecret: { name: "token" } }
    })
    const place = { root: yield* openFolder(path), directory: [], path }
    yield* Option.getOrThrow(backing.bringSource)(place.root)
    yield* Option.getOrThrow(backing.bringPlan)(place)
    const settleIn = (...directory: ReadonlyArray<string>) => Effect.provide(backing.settleState({ ...place, directory }), log)
    return {
      api,
      endGrace,
      isUnsaved,
      told,
      path,
      privateDirectory,
      delivery: Context.get(context, StateDelivery),
      mayRun: backing.mayRun,
      settle: settleIn(),
      settleIn
    }
  }).pipe(Effect.provide(context))
})

/** Pushes a state for an engine that hangs up before the answer. */
const hungUp = Effect.fnUntraced(function*(delivery: StateDelivery["Service"], api: FakeTaskApi, pushed: string) {
  let isAsked = false
  api.onRequest = () => {
    isAsked = true
  }
  const pushing = yield* Effect.forkChild(delivery.push(Buffer.from(pushed)))
  yield* until(() => isAsked)
  yield* Fiber.interrupt(pushing)
})

describe("the backend that the engine was initialised with", () => {
  it.live.each([["local", "plan"], ["local", "apply"]] as const)(
    "lets nothing be run when it is %s: %s",
    ([type, subcommand]) =>
      Effect.gen(function*() {
        const { mayRun, path } = yield* applying({ "main.tf": "" })
        writeFileSync(join(path, "terraform.tfstate"), JSON.stringify({ backend: { type, config: { path: null } } }))
        const refused = yield* Effect.flip(
          mayRun({ subcommand, args: [subcommand], output: "printed", mutates: subcommand === "apply" }, path)
        )
        expect([refused.reason, refused.message]).toEqual([
          "InvalidConfiguration",
          expect.stringContaining("The state would go to the backend local")
        ])
      })
  )
})

describe("the state that the engine left", () => {
  it.live("is sent, and the stage knows", () =>
    Effect.gen(function*() {
      const { api, path, settle } = yield* applying({ "main.tf": "" })
      writeFileSync(join(path, "errored.tfstate"), state(3))
      expect(yield* settle).toEqual(saved(state(3)))
      expect(api.serials).toEqual([3])
    }))

  it.live.each([
    { given: "a later one of it", left: state(3), sent: 3 },
    { given: "the very one", left: state(2), sent: 2 },
    { given: "an older one of it", left: state(1), sent: 2 },
    { given: "one of another lineage", left: state(9).replace("one", "other"), sent: 2 },
    { given: "no state", left: "{}", sent: 2 },
    { given: "half of one", left: state(3).slice(0, -1), sent: 2 }
  ])("takes the place of a state on its way only as one that follows: $given", ({ left, sent }) =>
    Effect.gen(function*() {
      const { api, delivery, path, settle } = yield* applying({ "main.tf": "" })
      yield* delivery.lock({ ID: "engine" })
      const up = api.goDown()
      yield* hungUp(delivery, api, state(2))
      up()
      writeFileSync(join(path, "errored.tfstate"), left)
      expect(yield* settle).toEqual(saved(sent === 3 ? left : state(sent)))
      expect(api.serials).toEqual([sent])
    }))

  it.live("takes the place of what was pushed and is no state, of which nothing can be saved", () =>
    Effect.gen(function*() {
      const { api, delivery, path, settle } = yield* applying({ "main.tf": "" })
      yield* delivery.lock({ ID: "engine" })
      const up = api.goDown()
      yield* hungUp(delivery, api, "no state")
      up()
      writeFileSync(join(path, "errored.tfstate"), state(2))
      expect(yield* settle).toEqual(saved(state(2)))
      expect(api.serials).toEqual([2])
    }))

  it.live("is none after an engine that had only the lock, which is told from one that never came to that", () =>
    Effect.gen(function*() {
      const { delivery, settle } = yield* applying({ "main.tf": "" })
      expect(yield* settle).toEqual(SettledState.Untouched())
      yield* delivery.lock({ ID: "engine" })
      yield* delivery.unlock({ ID: "engine" })
      expect(yield* settle).toEqual(SettledState.Unwritten())
    }))

  it.live("is named first when it is too large to be sent", () =>
    Effect.gen(function*() {
      const { path, settle } = yield* applying({ "main.tf": "" }, "1 second")
      writeFileSync(join(path, "errored.tfstate"), state(3))
      truncateSync(join(path, "errored.tfstate"), 64 * 1024 ** 2 + 1)
      const { message, reason } = yield* Effect.flip(settle)
      expect([reason, message]).toEqual([
        "StateNotSaved",
        expect.stringMatching(
          new RegExp(
            `^The last state was in ${path}/errored.tfstate of Pod demo-abcde, .* It has more than 64 MiB, which is the most that the server takes.$`,
            "u"
          )
        )
      ])
    }))

  it.live("holds up what was pushed before no longer, when it cannot be read", () =>
    Effect.gen(function*() {
      const { api, delivery, settleIn } = yield* applying({ "main.tf": "" }, "3 seconds")
      yield* delivery.lock({ ID: "engine" })
      const up = api.goDown()
      yield* hungUp(delivery, api, state(1))
      up()
      const { message, reason } = yield* Effect.flip(settleIn("x".repeat(300))) // a name of 300 characters cannot be opened
      expect([reason, message]).toEqual(["StateNotSaved", expect.stringContaining("errored.tfstate of Pod demo-abcde")])
      expect(api.serials).toEqual([1])
    }))

  it.live.each(
    [
      ["is too large to be sent", false, "It has more than 64 MiB, which is the most that the server takes."],
      ["cannot be read", true, "The worker cannot use"]
    ] as const
  )("keeps its Pod when it %s, until somebody who has saved it cancels the run", ([, unreadable, why]) =>
    Effect.gen(function*() {
      const { endGrace, isUnsaved, path, settleIn, told } = yield* applying({ "main.tf": "" }, "1 hour")
      const directory = unreadable ? ["x".repeat(300)] : []
      const file = join(path, "errored.tfstate")
      if (!unreadable) {
        writeFileSync(file, state(3))
        truncateSync(file, 64 * 1024 ** 2 + 1)
      }
      const settling = yield* Effect.forkChild(settleIn(...directory))
      yield* until(() => told.length > 0 && isUnsaved())
      expect(told.join("")).toContain(
        `The last state is in ${file}, and the worker cannot send it to the pool's server. ${why}`
      )
      expect(told.join("").replace(/\b59m 5\ds/u, "1h")).toContain(
        `The Pod stays for 1h, and the file goes with it. Cancel the run only after you have saved the state, which this command does: kubectl -n tasks exec demo-abcde -c runner -- cat '${file}' >errored.tfstate`
      )
      expect(settling.pollUnsafe()).toBeUndefined()
      yield* endGrace
      expect((yield* Effect.flip(Fiber.join(settling))).reason).toBe("StateNotSaved")
    }))
})

describe("a last state that the server has not taken", () => {
  it.live("keeps its Pod where nothing else has it, until somebody who has saved it cancels the run", () =>
    Effect.gen(function*() {
      const { api, delivery, endGrace, isUnsaved, privateDirectory, settle, told } = yield* applying({ "main.tf": "" }, "1 hour")
      writeFileSync(join(privateDirectory, "cache"), "") // no volume that tasks share
      yield* delivery.lock({ ID: "engine" })
      api.fault("POST /state", ...Array.from({ length: 2 }, () => ({ status: 413, error: "too-large" })))
      yield* Effect.flip(delivery.push(Buffer.from(state(2))))
      const settling = yield* Effect.forkChild(settle)
      yield* until(() => told.length > 0 && isUnsaved())
      const file = `${privateDirectory}/unsaved.tfstate`
      expect(told.join("").replace(/\b59m 5\ds/u, "1h")).toContain(
        `The Pod stays for 1h, and the file goes with it. Cancel the run only after you have saved the state, which this command does: kubectl -n tasks exec demo-abcde -c worker -- node --eval 'fs.createReadStream("${file}").pipe(process.stdout)' >errored.tfstate`
      )
      expect([settling.pollUnsafe(), readFileSync(file, "utf8")]).toEqual([undefined, state(2)])
      yield* endGrace
      expect((yield* Effect.flip(Fiber.join(settling))).message).toContain(`The last state was in ${file} of Pod demo-abcde`)
    }))

  it.live("needs its Pod no more where the server keeps it as evidence", () =>
    Effect.gen(function*() {
      const { api, delivery, settle } = yield* applying({ "main.tf": "" }, "1 hour")
      yield* delivery.lock({ ID: "engine" })
      api.epoch++
      yield* Effect.flip(delivery.push(Buffer.from(state(2))))
      expect((yield* Effect.flip(settle)).message).toMatch(
        /^The pool's server refused the last state and keeps it as evidence, .* The state is locked by somebody\.$/u
      )
    }))

  it.live.each<{ given: string; fault: Fault }>([
    { given: "breaks every further answer on its stage", fault: "break" },
    { given: "declines the stage meanwhile, as another left the state in doubt", fault: { status: 409, error: "rescue-pending" } }
  ])("is on the shared volume though the server $given", ({ fault }) =>
    Effect.gen(function*() {
      const { api, delivery, privateDirectory, settle } = yield* applying({ "main.tf": "" }, "1 second")
      api.fault("GET /assignment", ...Array.from({ length: 100 }, () => fault))
      yield* delivery.lock({ ID: "engine" })
      api.goDown()
      yield* hungUp(delivery, api, state(2))
      expect((yield* Effect.flip(settle)).message).toContain(`kept, encrypted, as ${privateDirectory}/cache/kept-states/`)
    }))

  const full = (directory: string) => mkdirSync(join(directory, "unsaved.tfstate.new"))
  const copy = "unsaved.tfstate of Pod demo-abcde"
  it.live.each(
    [
      ["on the shared volume, where there is one", { shared: true, room: false, left: true }, "kept, encrypted, as ", copy],
      [
        "in the worker's copy, which went with the Pod",
        { shared: false, room: true, left: true },
        `The last state was in AT/${copy}, and goes with the end of that. The pool's server has not confirmed this state: if nobody has saved the file, look for what the stage made before you run the workspace again (docs/state.md). The pool's server at `,
        "errored"
      ],
      [
        "where the engine left it, when the worker had no room",
        { shared: false, room: false, left: true },
        "The last state was in AT/work of the engine/errored.tfstate of Pod demo-abcde, and goes with the end of that. ",
        copy
      ],
      [
        "nowhere, when the engine left none either",
        { shared: false, room: false, left: false },
        `The worker could not keep the last state anywhere, and the pool's server has not confirmed it, so it is lost. Before you run the workspace again, look for what the stage made. The worker cannot use a copy of the state (ERR_FS_EISDIR); check the volumes of the Pod and who owns them. The pool's server at `,
        copy
      ]
    ] as const
  )("is said to be %s", ([, { left, room, shared }, said, unsaid]) =>
    Effect.gen(function*() {
      const { api, delivery, path, privateDirectory, settle } = yield* applying({ "main.tf": "" }, "1 second")
      if (!shared) writeFileSync(join(privateDirectory, "cache"), "")
      yield* delivery.lock({ ID: "engine" })
      writeFileSync(join(privateDirectory, "unsaved.tfstate"), state(1)) // from an earlier push
      if (!room) full(privateDirectory)
      api.goDown()
      if (left) writeFileSync(join(path, "errored.tfstate"), state(2))
      else yield* hungUp(delivery, api, state(2))
      const { message, reason } = yield* Effect.flip(settle)
      expect(reason).toBe("StateNotSaved")
      expect(message).toContain(said.replaceAll("AT", privateDirectory))
      expect(message).not.toContain(unsaid)
    }))
})
