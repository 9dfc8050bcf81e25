import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { copyFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { vi } from "vitest"
import { statePath } from "../../src/schema/state.ts"
import { NamedBlobs } from "../../src/server/named-blobs.ts"
import { stores } from "../../src/server/server.ts"
import { agent, archiveOf, ask, directory, failed, optionsIn, person, planWith, serve, sha256, userToken, worker } from "./live-server.ts"

const day = 24 * 3600 * 1000
const state = (serial: number) => ({ version: 4, serial, lineage: "l" })
const bytesOf = (serial: number) => JSON.stringify(state(serial))

const blobsIn = (made: string) => join(made, "data", "blobs")
const age = (made: string, name: string, days: number) => utimesSync(join(blobsIn(made), name), new Date(), new Date(Date.now() - days * day))
const ageAll = (made: string, days: number) => readdirSync(blobsIn(made)).forEach((name) => age(made, name, days))
const until = (check: () => void) => Effect.promise(() => vi.waitFor(check, { timeout: 30_000 }))

/** With a run in its apply that has saved the state 2, and a state, an upload and a body that were refused. */
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
  const { uploadUrl } = yield* person(url).upload(yield* person(url).workspace("demo"), archiveOf({ a: "b" }))
  expect((yield* ask(uploadUrl, undefined, "PUT", archiveOf({ c: "d" }))).status).toBe(409)
  const end = Effect.andThen(applier.result(failed()), Scope.close(scope, Exit.void))
  return { url, applier, epoch, end }
})

const swept = (made: string, before: number) =>
  Effect.scoped(Effect.flatMap(Layer.build(stores(optionsIn(made))), (context) => Effect.flatMap(NamedBlobs, ({ sweep }) => sweep(before)).pipe(Effect.provide(context))))

describe("after a start, the data directory", () => {
  it.live("loses what no record names and is old, and what was half stored; a refused state stays", () =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* (yield* left(made)).end
      writeFileSync(join(blobsIn(made), "new-torn"), "half")
      ageAll(made, 31)
      expect(readdirSync(blobsIn(made))).toHaveLength(6)
      const after = yield* serve(made)
      yield* until(() => expect(readdirSync(blobsIn(made))).toHaveLength(4))
      expect((yield* ask(`${after}/api/state/v1/workspaces/demo`, userToken)).json.serial).toBe(2)
      const { evidence } = (yield* person(after).as("GET", statePath.state("demo"))).json
      expect((yield* person(after).as("GET", statePath.evidence("demo", evidence[0].id))).json).toEqual(state(1))
    }))

  it.live("keeps what no record names for 30 days, and says how much it is", () =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* (yield* left(made)).end
      ageAll(made, 29)
      const before = Date.now() - 30 * day
      expect(yield* swept(made, before)).toEqual({ files: 1, bytes: archiveOf({ c: "d" }).byteLength })
      expect(readdirSync(blobsIn(made))).toHaveLength(5)
    }))
})

describe("after a copy of the database was put back beside the living files", () => {
  it.live("the states since are still there, and one can be brought", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const database = join(made, "data", "agent-job.sqlite")
      const before = yield* left(made)
      yield* before.end
      copyFileSync(database, join(made, "copy"))
      const scope = yield* Scope.make()
      const url = yield* serve(made).pipe(Scope.provide(scope))
      const address = `${url}/api/state/v1/workspaces/demo`
      yield* ask(address, userToken, "PUT", { ID: "mine" })
      yield* ask(`${address}?ID=mine`, userToken, "POST", state(3))
      yield* ask(address, userToken, "DELETE", { ID: "mine" })
      yield* Scope.close(scope, Exit.void)
      rmSync(`${database}-wal`, { force: true })
      copyFileSync(join(made, "copy"), database)

      expect((yield* swept(made, Date.now() - 30 * day)).files).toBeGreaterThan(0)
      const after = person(yield* serve(made))
      expect(readdirSync(blobsIn(made))).toContain(sha256(bytesOf(3)))
      const { evidence } = (yield* after.as("POST", statePath.bring("demo"), bytesOf(3))).json
      expect((yield* after.as("POST", statePath.rescue("demo"), { by: "me", use: evidence[0].id })).json.version.serial).toBe(3)
    }))
})
