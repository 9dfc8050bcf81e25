// The outputs of states, and how much of them the server holds for clients that have not read them yet.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { Rooms } from "../../../src/server/access/bodies.ts"
import { agent, ask, directory, person, planWith, serve, server, userToken, worker } from "../live-server.ts"
import { unreadOf, untilRefused } from "../unread.ts"

const mebibyte = 1024 * 1024
const one = (id: string) => `/api/v2/state-version-outputs/${id}`

/** Makes a workspace with this state; returns its id. */
const stored = Effect.fnUntraced(function*(url: string, state: Readonly<Record<string, unknown>>, workspace = "demo") {
  const address = `${url}/api/state/v1/workspaces/${workspace}`
  yield* ask(address, userToken, "PUT", { ID: "a" })
  expect((yield* ask(`${address}?ID=a`, userToken, "POST", state)).status).toBe(204)
  yield* ask(address, userToken, "DELETE", { ID: "a" })
  return yield* person(url).workspace(workspace)
})

/** Makes a workspace whose state has these outputs; returns its id. */
const stateWith = (url: string, outputs: Readonly<Record<string, unknown>>, workspace?: string) => {
  const written = Object.entries(outputs).map(([name, value]) => [name, { value, type: "string", sensitive: name === "secret" }] as const)
  return stored(url, { version: 4, serial: 1, lineage: "l", outputs: Object.fromEntries(written) }, workspace)
}

describe("the outputs of a state", () => {
  it.live("that are more than 4 MiB are refused with what to do instead, all together or one of them", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* stateWith(url, { large: "x".repeat(3 * mebibyte), more: "y".repeat(5 * mebibyte) })
      const refused = yield* me.as("GET", tfePath.outputs(id))
      expect([refused.status, refused.json.errors[0].detail]).toEqual([
        413,
        expect.stringMatching(
          /^These outputs of (sv-\w+) are more than 4194304 bytes, which are not given out at once; ask for one of them, or take the whole state from \/api\/v2\/state-versions\/\1\/download\.$/u
        )
      ])
      const [version] = /sv-\w+/u.exec(refused.text) ?? []
      const outputId = (name: string) => `wsout-${version}-${Buffer.from(name).toString("hex")}`
      expect((yield* me.as("GET", one(outputId("more")))).status).toBe(413)
      expect((yield* me.as("GET", one(outputId("large")))).json.data.attributes.value).toHaveLength(3 * mebibyte)
      expect((yield* me.as("GET", one(outputId("other")))).status).toBe(404)
    }))

  it.live("are measured as they are listed, so a sensitive value hides none of the others, however large it is", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* stateWith(url, { p: "hi", secret: "x".repeat(5 * mebibyte) })
      const listed = yield* person(url).as("GET", tfePath.outputs(id))
      expect([listed.status, listed.json.data]).toMatchObject([200, [
        { attributes: { name: "p", value: "hi" } },
        { attributes: { name: "secret", value: null, sensitive: true } }
      ]])
      const [, { id: secret }] = listed.json.data
      expect((yield* person(url).as("GET", one(secret))).status).toBe(413)
    }))

  it.live("have their numbers with all digits, all together and one of them", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* stateWith(url, { big: [JSON.rawJSON("12345678901234567890"), JSON.rawJSON("1e400")] })
      const { json, text } = yield* me.as("GET", tfePath.outputs(id))
      expect(text).toContain(`"value":[12345678901234567890,1e400]`)
      expect((yield* me.as("GET", one(json.data[0].id))).text).toContain(`"value":[12345678901234567890,1e400]`)
    }))

  it.live("that are very many values, among them a long number, are refused with where they are", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* stateWith(url, { big: [JSON.rawJSON("1e400"), ...Array.from({ length: 100_000 }, () => 1)] })
      const refused = yield* person(url).as("GET", tfePath.outputs(id))
      expect([refused.status, refused.json.errors[0].detail]).toEqual([
        413,
        expect.stringMatching(
          /^The outputs of (sv-\w+) are more than 100000 values, and a number among them has more digits than are read of so many; take the whole state from \/api\/v2\/state-versions\/\1\/download\.$/u
        )
      ])
    }))

  it.live("that no one can read, since a stage has pushed what is no JSON, are refused with where to look", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const applier = worker(url, yield* agent(url).take)
      yield* applier.lock("a")
      const broken = "{\"version\":4,\"serial\":1,\"lineage\":\"l\",\"outputs\":{nothing}}"
      expect((yield* applier.as("POST", taskPath.state, broken, { "x-lock-id": "a", "x-lock-epoch": "1" })).status).toBe(204)
      const refused = yield* person(url).as("GET", tfePath.outputs(yield* person(url).workspace("demo")))
      expect([refused.status, refused.json.errors[0].detail]).toEqual([
        422,
        expect.stringMatching(
          /^The state (sv-\w+) with the serial 1 is not as the engines write one, .* \/api\/v2\/state-versions\/\1\/download/u
        )
      ])
    }))

  it.live("that the engine encrypted are refused with where they are, since an empty list would say that there are none", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* stored(url, { serial: 1, lineage: "l", meta: { k: "e30=" }, encrypted_data: "eA==", encryption_version: "v0" })
      const refused = yield* person(url).as("GET", tfePath.outputs(id))
      expect([refused.status, refused.json.errors[0].detail]).toEqual([
        422,
        expect.stringMatching(
          /^The engine encrypted the state (sv-\w+) with the serial 1, so the server cannot read its outputs; take it from \/api\/v2\/state-versions\/\1\/download to where its key is\.$/u
        )
      ])
    }))

  it.live.each([
    { room: "is room for them", all: 7 * mebibyte, status: 200 },
    { room: "is no room for them either", all: 4 * mebibyte, status: 503 }
  ])(
    "are held until their client reads: meanwhile it is told when to come again, small ones are given out, and another token's as there $room",
    ({ all, status: ofOther }) =>
      Effect.gen(function*() {
        const rooms = yield* Rooms
        const answers = { ...rooms.answers, other: { all, ofCaller: { task: 0, other: 3 * mebibyte + 2048 } } }
        const made = yield* directory
        writeFileSync(join(made, "user.token"), `${userToken} me\nanother-token-0123456789 another\n`)
        const url = yield* serve(made).pipe(Effect.provideService(Rooms, { ...rooms, answers }))
        const outputs = tfePath.outputs(yield* stateWith(url, { large: "x".repeat(3 * mebibyte) }))
        const small = tfePath.outputs(yield* stateWith(url, { small: "x".repeat(4096) }, "small"))
        const unread = yield* unreadOf(url)
        const refusal = yield* untilRefused(unread, url + outputs, userToken, 503)
        expect(refusal?.headers.get("retry-after")).toBe("5")
        expect((yield* ask(url + small, userToken)).status).toBe(200)
        expect((yield* ask(url + outputs, "another-token-0123456789")).status).toBe(ofOther)
        unread.resume()
        yield* Effect.repeat(ask(url + outputs, userToken), { until: ({ status }) => status === 200 }).pipe(Effect.timeout("5 minutes"))
      })
  )
})
