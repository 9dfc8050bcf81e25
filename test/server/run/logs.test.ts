import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { StatementSync } from "node:sqlite"
import { afterEach, vi } from "vitest"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { Logs } from "../../../src/server/run/logs.ts"
import { gapMark } from "../../../src/worker/engine/log-shipper.ts"
import {
  agent,
  applying,
  ask,
  cancelled,
  directory,
  evicted,
  failed,
  onTheWay,
  person,
  serve,
  serveOpenly,
  succeeded,
  worker
} from "../live-server.ts"

const largestPiece = 256 * 1024

const planning = Effect.gen(function*() {
  const url = yield* Effect.flatMap(directory, serve)
  const id = yield* person(url).start("demo", { "plan-only": true })
  const plan = yield* agent(url).take
  const shipper = worker(url, plan)
  const logUrl = (yield* person(url).view(id)).stages[0]!.logUrl
  const read = (offset: number, query = "") => Effect.map(ask(`${logUrl}?offset=${offset}${query}`, undefined), ({ text }) => text)
  return { url, id, plan, shipper, logUrl, read }
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe("a log", () => {
  it.live("takes bytes at its end, the same bytes again, and an overlap; a gap is told the true end", () =>
    Effect.gen(function*() {
      const { read, shipper } = yield* planning
      expect((yield* shipper.log(0, "one\n")).json).toEqual({ offset: 4 })
      expect((yield* shipper.log(0, "one\n")).json).toEqual({ offset: 4 })
      expect((yield* shipper.log(2, "e\ntwo\n")).json).toEqual({ offset: 8 })
      const gap = yield* shipper.log(20, "lost")
      expect([gap.status, gap.json.offset]).toEqual([409, 8])
      expect(yield* read(0)).toBe("\x02one\ntwo\n")
    }))

  it.effect("goes on where the last attempt ended when a plan is planned again, and ends once", () =>
    Effect.gen(function*() {
      const { read, shipper, url } = yield* planning
      yield* shipper.log(0, "one\n")
      yield* shipper.result(evicted)
      const heading = "\n[Evicted: planned again, attempt 2]\n\n"
      expect(yield* read(0)).toBe(`\x02one\n${heading}`)
      yield* TestClock.adjust("5 seconds")
      const second = worker(url, yield* agent(url).take)
      yield* second.log(0, "two\n")
      yield* second.result(succeeded({ hasChanges: false }))
      const whole = `\x02one\n${heading}two\n\x03`
      for (const offset of [0, 1, 4, 5, 20, whole.length - 3]) expect(yield* read(offset)).toBe(whole.slice(offset))
      expect(yield* read(3, "&limit=44")).toBe(whole.slice(3, 47))
    }))

  it.live.each([
    { end: "to be planned again", result: evicted, after: "\n[Evicted: planned again, attempt 2]\n\n" },
    { end: "for good", result: succeeded({ hasChanges: false }), after: "\x03" }
  ])(
    "takes no piece that was on the way when its stage ended $end, so that positions stay what they are",
    ({ after, result }) =>
      Effect.gen(function*() {
        const url = yield* Effect.flatMap(directory, serve)
        const id = yield* person(url).start("demo", { "plan-only": true })
        const plan = yield* agent(url).take
        const late = yield* onTheWay(url, plan, `${taskPath.log}?offset=0`, "late\n")
        yield* agent(url).report(plan.id, result)
        expect(yield* late).toBe(401)
        expect((yield* ask((yield* person(url).view(id)).stages[0]!.logUrl, undefined)).text).toBe(`\x02${after}`)
      })
  )

  it.live("shares one commit among pieces that come together; a refused one leaves no gap in the others", () =>
    Effect.gen(function*() {
      const { url, context } = yield* Effect.flatMap(directory, serveOpenly)
      const logs: Logs["Service"] = Context.getUnsafe(context, Logs)
      const stages = yield* Effect.forEach(["one", "two", "three"], (workspace) =>
        Effect.andThen(person(url).start(workspace, { "plan-only": true }), agent(url).take))
      const statements = vi.spyOn(StatementSync.prototype, "all")
      const answers = yield* Effect.forEach(
        [...stages.map(({ id }) => ({ id, offset: 0 })), { id: stages[0]!.id, offset: 99 }, { id: stages[1]!.id, offset: 4 }],
        ({ id, offset }) =>
          Effect.result(logs.append(id, offset, Buffer.from("one\n"))),
        { concurrency: "unbounded" }
      )
      expect(statements.mock.contexts.filter((statement) => Object(statement).sourceSQL === "COMMIT")).toHaveLength(1)
      expect(answers).toMatchObject([{ success: 4 }, { success: 4 }, { success: 4 }, { failure: { error: "log-gap" } }, { success: 8 }])
    }))

  it.live("counts bytes, not characters", () =>
    Effect.gen(function*() {
      const { read, shipper } = yield* planning
      expect((yield* shipper.log(0, "é→\n")).json).toEqual({ offset: 6 })
      yield* shipper.log(6, "end")
      expect(yield* read(7)).toBe("end")
    }))

  it.live("is read from any offset with any limit, as if it were one piece", () =>
    Effect.gen(function*() {
      const { read, shipper } = yield* planning
      for (const [n, text] of ["abc", "defg", "h"].entries()) yield* shipper.log([0, 3, 7][n]!, text)
      yield* shipper.result(succeeded({ hasChanges: false }))
      const whole = "\x02abcdefgh\x03"
      for (let offset = 0; offset <= whole.length + 2; offset++) {
        for (const limit of [1, 2, 5, 100]) expect(yield* read(offset, `&limit=${limit}`)).toBe(whole.slice(offset, offset + limit))
      }
    }))

  it.live("that came byte by byte is read 500 pieces at a time, and in the end as if it were one piece", () =>
    Effect.gen(function*() {
      const { url, context } = yield* Effect.flatMap(directory, serveOpenly)
      const logs: Logs["Service"] = Context.getUnsafe(context, Logs)
      const id = yield* person(url).start("demo", { "plan-only": true })
      const plan = yield* agent(url).take
      const text = Array.from({ length: 1200 }, (_, n) => String(n % 10)).join("")
      yield* Effect.forEach([...text], (byte, offset) => logs.append(plan.id, offset, Buffer.from(byte)), { concurrency: "unbounded" })
      const { logUrl } = (yield* person(url).view(id)).stages[0]!
      const readFrom = Effect.fnUntraced(function*(start: number) {
        const read: Array<string> = []
        while (!read.join("").endsWith("\x03")) {
          const piece = (yield* ask(`${logUrl}?offset=${start + read.join("").length}`, undefined)).text
          expect(piece.length).toBeGreaterThan(0)
          read.push(piece)
        }
        return read
      })
      yield* worker(url, plan).result(succeeded({ hasChanges: false }))
      const [fromStart, later] = [yield* readFrom(0), yield* readFrom(700)]
      expect(fromStart.map(({ length }) => length)).toEqual([501, 500, 201])
      expect([fromStart.join(""), later.join("")]).toEqual([`\x02${text}\x03`, `${text.slice(699)}\x03`])
    }))

  it.live("ends with 0x03 only when its stage is over", () =>
    Effect.gen(function*() {
      const { read, shipper } = yield* planning
      yield* shipper.log(0, "x")
      expect(yield* read(0)).toBe("\x02x")
      expect(yield* read(2)).toBe("")
      yield* shipper.result(succeeded({ hasChanges: false }))
      expect(yield* read(2)).toBe("\x03")
      expect(yield* read(3)).toBe("")
    }))

  it.live("comes to a waiting reader with the commit that appends it", () =>
    Effect.gen(function*() {
      const { id, read, shipper, url } = yield* planning
      const waiting = yield* Effect.forkChild(read(1, "&wait=30"))
      for (let n = 0; n < 3; n++) yield* person(url).view(id) // the reader waits by now
      yield* shipper.log(0, "news")
      expect(yield* Fiber.join(waiting)).toBe("news")
    }))

  it.live.each([
    { when: "its run is cancelled before it was offered", told: "\x03", end: (url: string, id: string) => person(url).act(id, "cancel") },
    {
      when: "its stage ends before it was acknowledged, and is made again",
      told: "[Evicted: planned again, attempt 2]",
      end: (url: string) => Effect.flatMap(agent(url).acquire(), ([plan]) => agent(url).report(plan!.id, evicted))
    }
  ])("tells a waiting reader at once when $when", ({ end, told }) =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const id = yield* person(url).start("demo")
      const logUrl = (yield* person(url).view(id)).stages[0]!.logUrl
      const head = (yield* ask(`${logUrl}?offset=0`, undefined)).text
      const waiting = yield* Effect.forkChild(ask(`${logUrl}?offset=${head.length}&wait=30`, undefined))
      for (let n = 0; n < 3; n++) yield* person(url).view(id) // the reader waits by now
      yield* end(url, id)
      expect((yield* Effect.timeout(Fiber.join(waiting), "25 seconds")).text).toContain(told)
    }))

  it.live("is kept up to 64 MiB, then a notice; what follows is acknowledged, and its end shown from when the stage is over", () =>
    Effect.gen(function*() {
      const { id, read, shipper, url } = yield* planning
      const [piece, limit] = ["x".repeat(largestPiece), 64 * 1024 * 1024]
      const pieceCount = limit / largestPiece + 16
      for (let n = 0; n < pieceCount; n++) {
        expect((yield* shipper.log(n * largestPiece, piece)).json).toEqual({ offset: (n + 1) * largestPiece })
      }
      expect((yield* shipper.log(pieceCount * largestPiece, "more")).json).toEqual({ offset: pieceCount * largestPiece + 4 })
      const notice = "xx\n[The log is longer than 64 MiB; of the rest only the end is kept, and shown when the stage is over.]\n"
      expect(yield* read(limit - 1)).toBe(notice)
      yield* shipper.result(evicted)
      const again = "\n[Evicted: planned again, attempt 2]\n\n"
      const end = `[${16 * largestPiece + 4 - 256 * 1024} bytes are left out here.]\n${"x".repeat(256 * 1024 - 4)}more${again}`
      const pieces = yield* Effect.forEach([0, 1, 2, 3, 4], (n) => read(limit - 1 + n * 64 * 1024, "&wait=0"))
      // A read by those who follow gives at most 64 KiB.
      expect(pieces.map(({ length }) => length)).toEqual([65_536, 65_536, 65_536, 65_536, (notice + end).length - 4 * 65_536])
      expect(pieces.join("") === notice + end).toBe(true)
      expect((yield* read(limit - 1 + notice.length, "&wait=0")) === end.slice(0, 65_536)).toBe(true)
      yield* person(url).act(id, "cancel")
      expect(yield* read(limit - 1 + notice.length + end.length)).toBe("\nCancelled: The run was cancelled before this began.\n\x03")
    }))

  it.live("is read in pieces of 3 KiB by stock clients, which read no more of an answer, and close the connection if there is more", () =>
    Effect.gen(function*() {
      const { read, shipper } = yield* planning
      const text = "x".repeat(5000)
      yield* shipper.log(0, text)
      const pieces = [yield* read(0, "&limit=65536"), yield* read(3072, "&limit=65536")]
      expect(pieces.map(({ length }) => length)).toEqual([3072, 5001 - 3072])
    }))

  it.live("takes what a worker sends at most, no piece over 256 KiB and no offset that is no number", () =>
    Effect.gen(function*() {
      const { shipper } = yield* planning
      expect((yield* shipper.log(0, "x".repeat(largestPiece + 1))).status).toBe(413)
      const ofWorker = gapMark(2 ** 40, "the server did not take them in time").length + 64 * 1024
      expect((yield* shipper.log(0, "x".repeat(ofWorker))).status).toBe(200)
      expect((yield* shipper.log(ofWorker, "x".repeat(largestPiece))).status).toBe(200)
      expect((yield* shipper.as("POST", `${taskPath.log}?offset=-1`, "x")).status).toBe(422)
    }))

  it.live("is not there for a wrong secret, nor under another's", () =>
    Effect.gen(function*() {
      const { id, logUrl, url } = yield* planning
      const secret = logUrl.split("/").at(-1)!
      expect((yield* ask(logUrl.replace(secret, "0".repeat(64)), undefined)).status).toBe(404)
      expect((yield* ask(`${url}/api/v2/logs/apply-${id.slice(4)}/${secret}`, undefined)).status).toBe(404)
      expect((yield* ask(`${url}/api/v2/logs/plan-other/${secret}`, undefined)).status).toBe(404)
    }))
})

describe("the log of a step that did not succeed, as stock clients read it, which learn nowhere else why", () => {
  const pull = "The image registry.example.com/runner:9 could not be pulled: not found."
  const gone = "The Pod is gone with its node."
  const doubt = "The state is in doubt; look at it and settle it with: agent-job state rescue demo"

  it.live("ends with the reason where no worker could say it, from any offset; for ours, which say it themselves, it does not", () =>
    Effect.gen(function*() {
      const { plan, read, url } = yield* planning
      yield* agent(url).report(plan.id, { ...failed(pull), reason: "ImagePull" })
      const whole = `\x02\nImagePull: ${pull}\n\x03`
      for (const offset of [0, 1, 2, 9, whole.length - 1, whole.length]) expect(yield* read(offset)).toBe(whole.slice(offset))
      expect(yield* read(3, "&limit=7")).toBe(whole.slice(3, 10))
      expect(yield* read(0, "&wait=0")).toBe("\x02\x03")
    }))

  it.live("says it once where its worker has said it", () =>
    Effect.gen(function*() {
      const { read, shipper } = yield* planning
      const said = `Error: no\n\n\u001b[1m${failed().message}\u001b[0m\n`
      yield* shipper.log(0, said)
      yield* shipper.result(failed())
      expect(yield* read(0)).toBe(`\x02${said}\x03`)
    }))

  const nodeLost: StageResult = { ...failed(gone), reason: "NodeLost" }
  it.live.each([
    { when: "its worker has said nothing", said: "Creating...\n", result: nodeLost, told: `NodeLost: ${gone} ${doubt}` },
    { when: "its worker has said the rest", said: `Creating...\n${gone}\n`, result: nodeLost, told: doubt },
    { when: "it was cancelled and killed", said: `Creating...\n${cancelled.message}\n`, result: cancelled, told: doubt }
  ])(
    "says that an apply left the state in doubt where $when, and nothing of it in the log of the plan",
    ({ result, said, told }) =>
      Effect.gen(function*() {
        const { applier, apply, id, url } = yield* applying
        yield* applier.log(0, said)
        yield* applier.lock("l")
        yield* agent(url).report(apply.id, result)
        const { failure, stages } = yield* person(url).view(id)
        expect(failure).toBe(result === cancelled ? undefined : `${gone} ${doubt}`)
        const [plan, lost] = yield* Effect.forEach(stages, ({ logUrl }) => ask(logUrl, undefined))
        expect([plan?.text, lost?.text]).toEqual([
          "\x02\x03",
          `\x02Run ${id}\nWorkspace demo\nApplies the saved plan\n${said}\n${told}\n\x03`
        ])
      })
  )

  it.live("says that the run was cancelled before anything began", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const id = yield* person(url).start("demo")
      yield* person(url).act(id, "cancel")
      const { logUrl } = (yield* person(url).view(id)).stages[0]!
      expect((yield* ask(logUrl, undefined)).text).toBe("\x02\nCancelled: The run was cancelled before this began.\n\x03")
    }))
})
