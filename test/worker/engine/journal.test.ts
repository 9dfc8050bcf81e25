// The journal of a stage is sent at once and in order until the server has it, and never holds up the engine.
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import type { UnnumberedEntry } from "../../../src/core/stage/engine-events.ts"
import { leftOverOf } from "../../../src/core/state/left-over.ts"
import { stateObjects } from "../../../src/core/state/state-objects.ts"
import { journalBatch, type JournalEntry, journalLimit, longestIdentity } from "../../../src/schema/api/effects.ts"
import { makeJournal, type SendJournal } from "../../../src/worker/engine/journal.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import type { ServerAnswer } from "../../../src/worker/network/sending.ts"
import { variablesOf } from "../../../src/worker/stage/variables.ts"

const made = (address: string, id?: string): UnnumberedEntry => ({
  kind: "done",
  action: "create",
  address,
  ...(id !== undefined && { idKey: "id", id })
})

/** A state as the engine writes it. */
const stateOf = JSON.stringify({
  version: 4,
  resources: [
    { mode: "managed", type: "aws_db_instance", name: "postgres", instances: [{ attributes: {} }] },
    {
      module: "module.app-owner",
      mode: "managed",
      type: "aws_db_instance",
      name: "main",
      instances: [{ index_key: "postgres", attributes: {} }]
    }
  ]
})

/** A server's copy of the journal, with answers that a test can set in advance. */
const server = () => {
  const stored: Array<JournalEntry> = []
  const answers: Array<"no answer" | "lost answer" | ServerAnswer> = []
  const batches: Array<number> = []
  const send: SendJournal = (entries) =>
    Effect.suspend((): Effect.Effect<ServerAnswer, { readonly message: string }> => {
      const answer = answers.shift()
      if (answer === "no answer") return Effect.fail({ message: "down" })
      if (typeof answer === "object") return Effect.succeed(answer)
      for (const entry of entries) if (entry.number === stored.length + 1) stored.push(entry)
      if (answer === "lost answer") return Effect.fail({ message: "reset" })
      batches.push(entries.length)
      return Effect.succeed({ _tag: "StoredUpTo", end: stored.length })
    })
  return { send, answers, batches, stored, numbers: () => stored.map(({ number }) => number) }
}

const masked = (text: string): string => text.replaceAll(/hunter\d/gu, "***")
const journalTo = (send: SendJournal) => makeJournal({ redact: masked, redactKey: masked }, Option.some(send))

describe("the journal", () => {
  it.effect("goes to the server at once, and soon after when something was sent just before", () =>
    Effect.gen(function*() {
      const { batches, send } = server()
      const journal = yield* journalTo(send)
      journal.add(made("a.b"))
      yield* TestClock.adjust(0)
      expect(batches).toEqual([1])
      journal.add(made("a.c"))
      yield* TestClock.adjust("19 millis")
      expect(batches).toEqual([1])
      yield* TestClock.adjust("1 millis")
      expect(batches).toEqual([1, 1])
    }))

  it.effect("reaches the server within 100 ms, what came together in one request", () =>
    Effect.gen(function*() {
      const { batches, numbers, send } = server()
      const journal = yield* journalTo(send)
      journal.add(made("a.b"))
      journal.add(made("a.c"))
      yield* TestClock.adjust("100 millis")
      expect(batches).toEqual([2])
      journal.add(made("a.d"))
      yield* TestClock.adjust("100 millis")
      expect(numbers()).toEqual([1, 2, 3])
    }))

  it.effect("is sent again after an outage and after a lost answer, and arrives once and in order", () =>
    Effect.gen(function*() {
      const { answers, numbers, send } = server()
      answers.push("no answer", "no answer", "lost answer", "no answer")
      const journal = yield* journalTo(send)
      for (let at = 0; at < 3; at++) journal.add(made(`a.b${at}`))
      yield* TestClock.adjust("30 seconds")
      yield* journal.flush("1 second")
      expect(numbers()).toEqual([1, 2, 3])
    }))

  it.effect("goes in requests of a size that the server takes", () =>
    Effect.gen(function*() {
      const { batches, send } = server()
      const journal = yield* journalTo(send)
      for (let at = 0; at < 2 * journalBatch + 7; at++) journal.add(made(`a.b${at}`))
      yield* TestClock.adjust("1 second")
      expect(batches).toEqual([journalBatch, journalBatch, 7])
    }))

  it.effect("takes no more once it is full, and what it has arrives", () =>
    Effect.gen(function*() {
      const { send, stored } = server()
      const journal = yield* journalTo(send)
      for (let at = 0; at < journalLimit + 2; at++) journal.add(made(`a.b${at}`))
      yield* TestClock.adjust("30 seconds")
      expect([stored.length, stored.at(-1)?.kind, yield* journal.flush(0)]).toEqual([journalLimit, "full", true])
    }))

  it.effect("goes back to where the server says its copy ends", () =>
    Effect.gen(function*() {
      const { answers, numbers, send, stored } = server()
      const journal = yield* journalTo(send)
      for (let at = 0; at < 4; at++) journal.add(made(`a.b${at}`))
      yield* TestClock.adjust("100 millis")
      stored.splice(2)
      answers.push({ _tag: "StoredUpTo", end: 2 })
      journal.add(made("a.b5"))
      yield* TestClock.adjust("10 seconds")
      expect(numbers()).toEqual([1, 2, 3, 4, 5])
    }))

  it.effect("asks a server no more that refuses it, and keeps no one waiting", () =>
    Effect.gen(function*() {
      const { answers, batches, send } = server()
      answers.push({ _tag: "Refused" })
      const journal = yield* journalTo(send)
      journal.add(made("a.b"))
      yield* TestClock.adjust("1 second")
      journal.add(made("a.c"))
      yield* TestClock.adjust("1 minute")
      yield* journal.flush("1 hour")
      expect(batches).toEqual([])
      expect(journal.entries()).toHaveLength(2)
    }))

  it.effect("has no secret in it, and no id that would be half of one", () =>
    Effect.gen(function*() {
      const { send, stored } = server()
      const journal = yield* journalTo(send)
      journal.add(made(`a.b["hunter2"]`, "i-1"))
      journal.add(made("a.c", "db/hunter2"))
      yield* TestClock.adjust("100 millis")
      journal.add(made(`a.b["hunter2 cut off`))
      yield* TestClock.adjust("100 millis")
      expect(stored).toEqual([
        { number: 1, ...made(`a.b["***"]`, "i-1") },
        { number: 2, ...made("a.c") },
        {
          number: 3,
          ...made(`a.b["*** cut off`)
        }
      ])
    }))

  it.effect("tells things apart that are alike without their secrets, and knows each again", () =>
    Effect.gen(function*() {
      const journal = yield* journalTo(server().send)
      for (const key of ["hunter1", "hunter2/x", "hunter3", "hunter1", "hunter3", "***"]) journal.add(made(`a.b["${key}"]`))
      const [first, second] = [`a.b["***"]`, `a.b["***2"]`]
      expect(journal.entries().map(({ address }) => address)).toEqual([first, `a.b["***/x"]`, second, first, second, first])
    }))

  it.effect("tells them apart too where a key goes on with a number, or is as long as a journal takes", () =>
    Effect.gen(function*() {
      const journal = yield* journalTo(server().send)
      const filled = "x".repeat(longestIdentity.address - `a.b["pw10"]`.length)
      const redacted = yield* makeJournal({ redact: (text) => text, redactKey: (text) => text.replace(/pw\d\d/u, "***") }, Option.none())
      for (const key of ["hunter1", "hunter2", "hunter12"]) journal.add(made(`a.b["${key}"]`))
      for (let at = 10; at < 25; at++) redacted.add(made(`a.b["${filled}pw${at}"]`))
      const addresses = [journal, redacted].flatMap(({ entries }) => entries().map(({ address }) => address))
      expect(new Set(addresses).size).toBe(18)
      expect(addresses.filter(({ length }) => length > longestIdentity.address)).toEqual([])
    }))

  it.effect("names a thing as the state does, whatever words a secret is of, or has inside; the log shows none of these", () =>
    Effect.gen(function*() {
      const printed: Array<string> = []
      const secret = (name: string, value: string) => ({ name, value, sensitive: true })
      const { parts, secrets } = yield* variablesOf([
        secret("user", "app-owner"),
        secret("db", `{"driver":"postgres","password":"hunter2!"}`)
      ], [])
      const log = Context.get(
        yield* Layer.build(Log.layer({
          secrets,
          parts,
          ship: Option.none(),
          print: (bytes) => Effect.sync(() => void printed.push(Buffer.from(bytes).toString("utf8")))
        })),
        Log
      )
      const journal = yield* makeJournal(log, Option.none())
      const addresses = ["aws_db_instance.postgres", `module.app-owner.aws_db_instance.main["postgres"]`]
      for (const address of addresses) {
        journal.add(made(address))
        yield* log.line(`${address}: app-owner logs in with hunter2!`)
      }
      expect(journal.entries().map(({ address }) => address)).toEqual(addresses)
      expect(leftOverOf({ journal: journal.entries(), state: stateObjects(stateOf), inOrder: true }).unsavedCount).toBe(0)
      expect(printed.join("")).toBe(
        `aws_db_instance.***: *** logs in with ***\nmodule.***.aws_db_instance.main["***"]: *** logs in with ***\n`
      )
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))))
})
