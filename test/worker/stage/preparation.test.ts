// What comes before the first command of a stage hears a stop, however long it takes, and reads no file of the root module twice.
import { expect, it, vi } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Option, Ref } from "effect"
import fs, { mkdirSync } from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { basename, join } from "node:path"
import { RunId, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTaskSpec } from "../../../src/schema/task/agent-task.ts"
import type { Backing } from "../../../src/worker/backing/backing.ts"
import { ownBacking } from "../../../src/worker/backing/own-backing.ts"
import { Engine } from "../../../src/worker/engine/engine.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { prepare } from "../../../src/worker/stage/preparation.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"
import { noTaskStatus } from "../pool-parts.ts"

const ofPool = { url: "https://server", runId: RunId.make("run-a"), tokenSecret: { name: "token" } }
const named = `terraform {\n  backend "s3" {}\n}\n`
const variables = { inputs: [], env: {}, secrets: [], parts: [], declared: [], shown: [] }
const parts = Layer.mergeAll(
  Layer.succeed(Engine, {
    run: () => Effect.succeedNone,
    find: () => Effect.succeed({ engine: { name: "tofu", version: "1.12.6" }, variables: {} })
  }),
  Log.layer({ secrets: [], parts: [], ship: Option.none(), print: () => Effect.void })
)

/** `stop` stops the stage. */
type Slow = (backing: Backing, stop: () => void) => Partial<Backing>

it.live.each<{ readonly slow: string; readonly task?: Partial<AgentTaskSpec>; readonly backing: Slow }>([
  {
    slow: "its configuration comes",
    backing: (_, stop) => ({ bringSource: Option.some(() => Effect.andThen(Effect.sync(stop), Effect.never)) })
  },
  {
    slow: "its plan comes",
    backing: (_, stop) => ({ bringPlan: Option.some(() => Effect.andThen(Effect.sync(stop), Effect.never)) })
  },
  {
    slow: "it is looked for a backend that it does not use",
    task: { pool: ofPool },
    backing: ({ sealing }, stop) => ({ sealing: { ...sealing, state: Effect.andThen(Effect.sync(stop), Effect.never) } })
  },
  {
    slow: "it is noted what is in its configuration",
    backing: (_, stop) => ({
      get keepPlan() { // which is asked for just before that
        stop()
        return Option.some(() => Effect.never)
      }
    })
  }
])("a stage that has to stop while $slow goes no further", ({ backing, task = {} }) =>
  Effect.gen(function*() {
    const place = yield* temporaryFolder("preparation")
    mkdirSync(join(place, "private"))
    const asked = yield* Deferred.make<"Cancelled">()
    const spec: AgentTaskSpec = { workspace: WorkspaceName.make("demo"), stage: "plan", source: { inline: { "main.tf": named } } }
    const services = Layer.mergeAll(
      parts,
      noTaskStatus,
      podSettings(place, join(place, "private")),
      neverStops({ asked: Deferred.await(asked) })
    )
    const own = yield* Effect.provide(ownBacking({ spec, status: {} }), services)
    const slow = backing(own, () => Deferred.doneUnsafe(asked, Exit.succeed("Cancelled")))
    const slowed = Object.defineProperties({ ...own }, Object.getOwnPropertyDescriptors(slow))
    const prepared = prepare({ ...spec, ...task }, slowed, variables, yield* Ref.make({}))
    const failure = yield* Effect.flip(prepared).pipe(
      Effect.provide(services),
      Effect.timeout("5 minutes")
    )
    expect(failure).toMatchObject({ _tag: "StageStopped", cause: "Cancelled" })
  }))

it.live("what comes before the first command reads each file of the root module once, since a slow disk takes seconds for many", () =>
  Effect.gen(function*() {
    const place = yield* temporaryFolder("preparation")
    mkdirSync(join(place, "private"))
    const inline = { "main.tf": "", "other.tf": "" }
    const spec: AgentTaskSpec = { workspace: WorkspaceName.make("demo"), stage: "plan", source: { inline }, backend: { type: "gcs" } }
    const services = Layer.mergeAll(parts, noTaskStatus, podSettings(place, join(place, "private")), neverStops())
    const read: Array<string> = []
    const { openSync } = fs
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        vi.spyOn(fs, "openSync").mockImplementation((path, flags, mode) => {
          if (!(Number(flags) & fs.constants.O_CREAT)) read.push(basename(String(path)))
          return openSync(path, flags, mode)
        })
        syncBuiltinESMExports()
      }),
      () =>
        Effect.sync(() => {
          vi.restoreAllMocks()
          syncBuiltinESMExports()
        })
    )
    const own = yield* Effect.provide(ownBacking({ spec, status: {} }), services)
    yield* Effect.provide(prepare(spec, own, variables, yield* Ref.make({})), services)
    expect(read.filter((name) => name in inline).sort()).toEqual(Object.keys(inline))
  }))
