import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { Statement } from "effect/sql"
import { TestClock } from "effect/testing"
import { copyFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { statePath } from "../../src/schema/api/state.ts"
import { stores } from "../../src/server/lifecycle/server.ts"
import { NamedBlobs } from "../../src/server/store/named-blobs.ts"
import { agent, ask, directory, failed, optionsIn, person, planWith, serve, sha256, userToken, worker } from "./live-server.ts"

const day = 24 * 3600 * 1000
const state = (serial: number) => ({ version: 4, serial, lineage: "l" })
const bytesOf = (serial: number) => JSON.stringify(state(serial))

const blobsIn = (made: string) => join(made, "data", "blobs")
const filesIn = (made: string) => readdirSync(blobsIn(made))
const remembered = (made: string) => {
  using database = new DatabaseSync(join(made, "data", "agent-job.sqlite"), { readOnly: true })
  return database.prepare("SELECT * FROM unnamed").all()
}
/** Dates all files as if they had been stored on that day. */
const storedOn = (made: string, days: number) =>
  filesIn(made).forEach((name) => utimesSync(join(blobsIn(made), name), days * day / 1000, days * day / 1000))

/** Runs a server until an apply has saved the state 2, and a state and a body were refused; `end` ends the apply and the server. */
const left = Effect.fnUntraced(function*(made: string) {
  const scope = yield* Scope.make()
  const url = yield* serve(made).pipe(Scope.provide(scope))
  yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const applier = worker(url, yield* agent(url).take)
  const { epoch } = (yield* applier.lock("a")).json
  yield* applier.pushState(state(2), "a", epoch)
  expect((yield* applier.pushState(state(1), "a", epoch)).status).toBe(409)
  expect((yield* applier.as("POST", "/api/task/v1/state", "{}")).status).toBe(422)
  const end = Effect.andThen(applier.result(failed()), Scope.close(scope, Exit.void))
  return { end }
})

/** Sweeps on each of these days; returns what the last sweep found. */
const sweptOn = (made: string, days: ReadonlyArray<number>) =>
  Effect.scoped(Effect.gen(function*() {
    const { sweep } = yield* Effect.provide(NamedBlobs, yield* Layer.build(stores(optionsIn(made))))
    const found = yield* Effect.forEach(days, (on) => Effect.andThen(TestClock.setTime(on * day), sweep(30 * day)))
    return found.at(-1)
  }))
/** Lets the test clock go on until the scope closes, since a server that has streamed an answer takes two seconds to end. */
const passingTime = TestClock.withLive(Effect.sleep("20 millis")).pipe(
  Effect.andThen(TestClock.adjust("1 second")),
  Effect.forever,
  Effect.forkScoped
)
const daily = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

describe("the sweep", () => {
  it.effect("takes what no record has named for 30 days, however old it is, and what was half stored; a refused state stays", () =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* (yield* left(made)).end
      writeFileSync(join(blobsIn(made), "new-torn"), "half")
      writeFileSync(join(blobsIn(made), sha256("nobody's")), "nobody's")
      storedOn(made, 60)
      const named = filesIn(made).filter((name) => name !== "new-torn" && name !== sha256("nobody's")).sort()
      expect(yield* sweptOn(made, daily(100, 129))).toEqual({ files: 1, bytes: 8 })
      expect(filesIn(made).sort()).toEqual([...named, sha256("nobody's")].sort())
      expect(yield* sweptOn(made, [130, 131])).toEqual({ files: 0, bytes: 0 })
      expect([filesIn(made).sort(), remembered(made)]).toEqual([named, []])
      yield* passingTime
      const after = yield* serve(made)
      const view = person(after).as("GET", statePath.state("demo"))
      expect((yield* ask(`${after}/api/state/v1/workspaces/demo`, userToken)).json.serial).toBe(2)
      const { evidence } = (yield* view).json
      expect((yield* person(after).as("GET", statePath.evidence("demo", evidence[0].id))).json).toEqual(state(1))
    }))

  it.effect.each([
    {
      given: "the server was away, and may have come back with a copy of its database",
      meanwhile: () => undefined,
      days: [100, ...daily(104, 130)]
    },
    { given: "it was stored again", meanwhile: (made: string) => storedOn(made, 115), days: daily(100, 130) }
  ])("counts anew when $given", ({ days, meanwhile }) =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* sweptOn(made, [])
      writeFileSync(join(blobsIn(made), sha256("nobody's")), "nobody's")
      storedOn(made, 60)
      yield* sweptOn(made, days.slice(0, 1))
      meanwhile(made)
      yield* sweptOn(made, days.slice(1))
      expect(filesIn(made)).toHaveLength(1)
      yield* sweptOn(made, daily(131, 145))
      expect(filesIn(made)).toEqual([])
    }))

  it.effect.each([
    { given: "a sweep failed, and each takes its time", days: [100, ...daily(102, 130).map((on) => on + 0.1)] },
    { given: "the clock was a year ahead for one of them", days: [465, ...daily(100, 130)] }
  ])("takes it after 30 days though $given", ({ days }) =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* sweptOn(made, [])
      writeFileSync(join(blobsIn(made), sha256("nobody's")), "nobody's")
      storedOn(made, 60)
      yield* sweptOn(made, days)
      expect(filesIn(made)).toEqual([])
    }))

  it.effect("goes on with the others when a file goes while it is asked about", () =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* sweptOn(made, [])
      const names = ["a", "b", "c", "d"].map((content) => sha256(content))
      for (const name of names) writeFileSync(join(blobsIn(made), name), "")
      storedOn(made, 60)
      yield* sweptOn(made, daily(100, 129))
      const asked = new Set<unknown>()
      const goes = Effect.provideService(Statement.CurrentTransformer, (statement) =>
        Effect.sync(() => {
          const digests = statement.compile()[1].filter((value) => names.includes(String(value)))
          digests.forEach((digest) => asked.add(digest))
          if (asked.size === 2) digests.forEach((digest) => rmSync(join(blobsIn(made), String(digest)), { force: true }))
          return statement
        }))
      expect(yield* goes(sweptOn(made, [130]))).toEqual({ files: 0, bytes: 0 })
      expect(filesIn(made)).toEqual([])
    }))
})

describe("after a copy of the database was put back beside the living files", () => {
  it.effect.each([
    { given: "that the copy never heard of", before: () => undefined },
    {
      given: "that the copy knows as unnamed, since it was stored then as well",
      before: (made: string) => writeFileSync(join(blobsIn(made), sha256(bytesOf(3))), bytesOf(3))
    }
  ])("a state $given is still there after any time, and can be brought", ({ before }) =>
    Effect.gen(function*() {
      const made = yield* directory
      const database = join(made, "data", "agent-job.sqlite")
      yield* (yield* left(made)).end
      before(made)
      storedOn(made, 60)
      yield* sweptOn(made, daily(80, 100))
      copyFileSync(database, join(made, "copy"))
      const scope = yield* Scope.make()
      const url = yield* serve(made).pipe(Scope.provide(scope))
      const address = `${url}/api/state/v1/workspaces/demo`
      yield* ask(address, userToken, "PUT", { ID: "mine" })
      yield* ask(`${address}?ID=mine`, userToken, "POST", state(3))
      yield* ask(address, userToken, "DELETE", { ID: "mine" })
      yield* Scope.close(scope, Exit.void)
      storedOn(made, 101)
      rmSync(`${database}-wal`, { force: true })
      copyFileSync(join(made, "copy"), database)

      expect((yield* sweptOn(made, daily(150, 179)))?.files).toBeGreaterThan(0)
      const after = person(yield* serve(made))
      expect(filesIn(made)).toContain(sha256(bytesOf(3)))
      const { evidence } = (yield* after.as("POST", statePath.bring("demo"), bytesOf(3))).json
      expect((yield* after.settle("demo", { use: evidence[0].id })).json.version.serial).toBe(3)
    }))
})
