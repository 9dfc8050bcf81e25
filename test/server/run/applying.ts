// A run of a server in its apply stage, and what its worker may tell of the engine. Used by the tests of journals and of what is left over, shown and imported.
import { vi } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { JournalEntry } from "../../../src/schema/api/effects.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { agent, directory, person, planWith, serveOpenly, succeeded, withChanges, worker } from "../live-server.ts"

export const lost: StageResult = { outcome: "failed", reason: "NodeLost", message: "The node is gone.", finishedAt: "2026-01-31T12:00:00Z" }

export const entry = (number: number, kind: JournalEntry["kind"], address: string, id?: string): JournalEntry => ({
  number,
  kind,
  action: "create",
  address,
  ...(id !== undefined && { idKey: "id", id })
})
export const made = [
  entry(1, "started", "time_sleep.a"),
  entry(2, "done", "time_sleep.a", "1"),
  entry(3, "started", "time_sleep.b"),
  entry(4, "done", "time_sleep.b", "2"),
  entry(5, "started", "time_sleep.c")
]

export const planned = ["a", "b", "c"].map((name, at) => entry(at + 1, "planned", `time_sleep.${name}`))

/**
 * A run in its apply stage, which holds the lock of the state, in a workspace with this working directory. `reads` returns how often a state
 * has been read from the disk.
 */
export const applyingIn = Effect.fnUntraced(function*(workingDirectory: string) {
  const folder = yield* directory
  const { context, url } = yield* serveOpenly(folder)
  const blobs: Blobs["Service"] = Context.getUnsafe(context, Blobs)
  const read = vi.spyOn(blobs, "read")
  const reads = () => read.mock.calls.length
  const workspaceId = yield* person(url).workspace("demo", { "working-directory": workingDirectory })
  const id = yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url, "the plan", succeeded(withChanges), planned)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  yield* applier.lock("a")
  const append = (...entries: ReadonlyArray<JournalEntry>) => applier.as("POST", taskPath.effects, { entries })
  const effects = Effect.map(person(url).view(id), ({ stages }) => stages.at(-1)?.effects)
  return {
    folder,
    url,
    id,
    workspaceId,
    apply,
    applier,
    append,
    blobs,
    effects,
    reads,
    sql: Context.getUnsafe(context, SqlClient.SqlClient)
  }
})

export const applying = applyingIn("")

export const stateWith = (...objects: ReadonlyArray<readonly [name: string, id: string]>) => ({
  version: 4,
  serial: 1,
  lineage: "l",
  resources: objects.map(([name, id]) => ({ mode: "managed", type: "time_sleep", name, instances: [{ attributes: { id } }] }))
})
export const encrypted = { serial: 1, lineage: "l", meta: {}, encrypted_data: "krIj", encryption_version: "v0" }

/** Settles what is in doubt, and loses the next run in its apply stage too, after it told this of its engine. */
export const lostAfter = Effect.fnUntraced(function*(url: string, told: JournalEntry) {
  yield* person(url).settle("demo")
  yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const second = yield* agent(url).take
  yield* worker(url, second).as("POST", taskPath.effects, { entries: [told] })
  yield* agent(url).report(second.id, lost)
})
