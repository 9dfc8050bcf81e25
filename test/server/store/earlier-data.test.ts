import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Scope } from "effect"
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Server } from "../../../src/server/lifecycle/server.ts"
import { directory, optionsIn, person, serve } from "../live-server.ts"

/** The data directory of a server that had a run, and has stopped in order. */
const used = Effect.gen(function*() {
  const made = yield* directory
  const scope = yield* Scope.make()
  yield* person(yield* serve(made).pipe(Scope.provide(scope))).start("demo")
  yield* Scope.close(scope, Exit.void)
  return { made, data: join(made, "data"), database: join(made, "data", "agent-job.sqlite") }
})

/** Starts a server and stops it; returns what it warns of. */
const warnings = Effect.fnUntraced(function*(made: string) {
  const said: Array<unknown> = []
  const logger = Logger.make(({ logLevel, message }) => logLevel === "Warn" && said.push(message))
  yield* Effect.scoped(Layer.build(Server(optionsIn(made)))).pipe(Effect.provide(Logger.layer([logger])))
  return said
})

describe("a data directory without its database", () => {
  it.live.each<{ readonly given: string; readonly lose: (database: string) => void }>([
    { given: "it is gone", lose: (database) => rmSync(database) },
    {
      given: "it is gone but for its log",
      lose: (database) => {
        rmSync(database)
        writeFileSync(`${database}-wal`, "log")
      }
    },
    { given: "its file is empty", lose: (database) => truncateSync(database) },
    { given: "it was copied without its log, before that was written into it", lose: (database) => truncateSync(database, 4096) }
  ])("lets no server begin anew while $given and the rest is there, and stays as it is", ({ lose }) =>
    Effect.gen(function*() {
      const { data, database, made } = yield* used
      lose(database)
      const before = readdirSync(data)
      const refused = (left: string) =>
        Effect.map(Effect.flip(Effect.scoped(serve(made))), ({ message }) =>
          expect(message).toBe(
            `The data directory ${data} has ${left} of an earlier server, but not its database agent-job.sqlite, or one with nothing in it, so no workspace and no state would be known and runs would make everything again; restore the database from a backup (docs/state.md, "Restore"), or empty the directory to begin anew.`
          ))
      yield* refused("path.key")
      expect(readdirSync(data)).toEqual(before)
      rmSync(join(data, "path.key"))
      yield* refused("files in blobs/")
      rmSync(data, { recursive: true })
      expect(yield* warnings(made)).toHaveLength(1)
    }))

  it.live("is a new one, also where a first start broke off, which is warned of once", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const blobs = join(made, "data", "blobs")
      mkdirSync(blobs, { recursive: true })
      writeFileSync(join(blobs, "new-1"), "unfinished")
      writeFileSync(join(made, "data", "agent-job.sqlite"), "")
      expect(yield* warnings(made)).toEqual([[expect.stringContaining("the database is new"), { dataDir: join(made, "data") }]])
      expect(yield* warnings(made)).toEqual([])
    }))
})

it.live("a data directory without its key beside its database gets a new one, which is warned of once", () =>
  Effect.gen(function*() {
    const { data, made } = yield* used
    rmSync(join(data, "path.key"))
    const warned = [[expect.stringContaining("path.key is missing beside the database"), { dataDir: data }]]
    expect(yield* warnings(made)).toEqual(warned)
    expect(readFileSync(join(data, "path.key"))).toHaveLength(32)
    expect(yield* warnings(made)).toEqual([])
  }))
