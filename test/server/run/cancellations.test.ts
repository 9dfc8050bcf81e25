import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Option } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { cpSync } from "node:fs"
import { Speaker } from "../../../src/core/run/standing.ts"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { Assignments } from "../../../src/server/run/assignments.ts"
import { Commits } from "../../../src/server/store/commits.ts"
import { agent, cancelled, directory, inStores, person, serve, serveOpenly, server, succeeded, worker } from "../live-server.ts"
import { offering } from "./offering.ts"

describe("the feed of cancellations", () => {
  it.live("answers a controller that says nothing of itself, as earlier ones do, and one that says what this server does not know", () =>
    Effect.gen(function*() {
      const url = yield* server
      for (const more of [{}, { restingSince: "noon" }, { resting: { agent: "agent-1", because: "Tired", since: "noon" } }]) {
        const { json, status } = yield* agent(url).post(poolPath.cancellations, { after: 0, waitSeconds: 0, ...more })
        expect([status, json]).toEqual([200, { ids: [], next: 0 }])
      }
    }))

  it.live("names what to cancel to an agent that is drained, though there is no room to note that it is there", () =>
    Effect.gen(function*() {
      const { context, url } = yield* Effect.flatMap(directory, (made) => serveOpenly(made))
      const id = yield* person(url).start("one")
      yield* agent(url).take
      yield* person(url).act(id, "cancel")
      const sql = Context.getUnsafe(context, SqlClient.SqlClient)
      yield* sql`CREATE TRIGGER full BEFORE INSERT ON agents BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`
      expect((yield* agent(url).cancellations(0, 0, "drained")).ids).toEqual([`${id}.plan.1`])
    }))

  it.live("names what to cancel from a cursor on, wakes who waits, and forgets what has its result", () =>
    Effect.gen(function*() {
      const url = yield* server
      const one = yield* person(url).start("one")
      const two = yield* person(url).start("two")
      for (const { id } of yield* agent(url).acquire()) yield* agent(url).acknowledge(id)
      expect(yield* agent(url).cancellations()).toEqual({ ids: [], next: 0 })
      const waiting = yield* Effect.forkChild(agent(url).cancellations(0, 60))
      yield* person(url).act(one, "cancel")
      const first = yield* Fiber.join(waiting)
      expect(first.ids).toEqual([`${one}.plan.1`])
      yield* person(url).act(two, "cancel")
      expect((yield* agent(url).cancellations(first.next)).ids).toEqual([`${two}.plan.1`])
      expect((yield* agent(url).cancellations(0)).ids).toHaveLength(2)
      yield* agent(url).report(`${one}.plan.1`, cancelled)
      expect((yield* agent(url).cancellations(0)).ids).toEqual([`${two}.plan.1`])
    }))

  it.effect("names a thousand at a time", () =>
    Effect.gen(function*() {
      const [assignments, sql] = [yield* Assignments, yield* SqlClient.SqlClient]
      yield* offering
      const [stage] = yield* sql<{ readonly id: string; readonly seq: number }>`SELECT * FROM stages`
      yield* Effect.forEach(
        Array.from({ length: 1001 }, (_, at) => at + 1),
        (at) =>
          sql`INSERT INTO stages ${
            sql.insert({ ...stage, id: `${stage!.id}-${at}`, attempt: at + 1, seq: stage!.seq + at, cancelSeq: at })
          }`
      )
      const first = yield* assignments.cancellations(0, 0)
      expect([first.ids.length, first.next]).toEqual([1000, 1000])
      expect(yield* assignments.cancellations(first.next, 0)).toEqual({ ids: [`${stage!.id}-1001`], next: 1001 })
    }).pipe(inStores))

  it.live("moves the cursor past what no agent has to be told, so that no later look reads it again", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("one")
      const [plan] = yield* agent(url).acquire()
      yield* agent(url).acknowledge(plan!.id)
      yield* person(url).act(id, "cancel")
      const { next } = yield* agent(url).cancellations()
      yield* agent(url).report(plan!.id, cancelled)
      expect(yield* agent(url).cancellations(0)).toEqual({ ids: [], next })
      expect(next).toBeGreaterThan(0)
    }))

  it.effect("is not looked at again when a run ends that no agent has to be told of", () =>
    Effect.gen(function*() {
      const [assignments, commits, sql] = [yield* Assignments, yield* Commits, yield* SqlClient.SqlClient]
      const { stageId } = yield* offering
      yield* assignments.acquire({ name: "one", pool: "p", tokenHash: "" }, 0, 1)
      yield* assignments.acknowledge(stageId, Speaker.Agent({ pool: "p", taskUid: Option.some("uid") }))
      const looks: Array<string> = []
      let now = "at first"
      const look = Effect.sync(() => ({ found: looks.push(now) > 1 && now === "told" ? looks : undefined }))
      const waiting = yield* Effect.forkChild(commits.await("cancellations", 60, look))
      yield* Effect.repeat(Effect.yieldNow, { until: () => looks.length > 0 })
      now = "ended"
      yield* assignments.end(stageId, Speaker.Agent({ pool: "p", taskUid: Option.some("uid") }), succeeded({ hasChanges: false }))
      yield* Effect.repeat(Effect.yieldNow, { times: 10 })
      now = "told"
      yield* sql.withTransaction(commits.news("cancellations"))
      expect(yield* Fiber.join(waiting)).toEqual(["at first", "told"])
    }).pipe(inStores))

  it.live("begins anew for a cursor that a server before a restore has given", () =>
    Effect.gen(function*() {
      const url = yield* server
      const runs = yield* Effect.forEach(["one", "two"], (name) => person(url).start(name))
      for (const { id } of yield* agent(url).acquire()) yield* agent(url).acknowledge(id)
      expect(yield* agent(url).cancellations(1)).toEqual({ ids: [], next: 0 })
      yield* Effect.forEach(runs, (run) => person(url).act(run, "cancel"))
      const all = yield* agent(url).cancellations()
      expect(yield* agent(url).cancellations(all.next + 7)).toEqual({ ids: runs.map((run) => `${run}.plan.1`), next: all.next })
      expect(yield* agent(url).cancellations(all.next)).toEqual({ ids: [], next: all.next })
    }))

  it.live("goes on after a restore for the cursor that was given last before it, which the copy comes up to with its next number", () =>
    Effect.gen(function*() {
      const [original, copy] = [yield* directory, yield* directory]
      const before = yield* serve(original)
      const runs = yield* Effect.forEach(["one", "two", "three"], (name) => person(before).start(name))
      for (const { id } of yield* agent(before).acquire()) yield* agent(before).acknowledge(id)
      yield* person(before).act(runs[0]!, "cancel")
      cpSync(original, copy, { recursive: true })
      yield* person(before).act(runs[1]!, "cancel")
      const { next } = yield* agent(before).cancellations()
      const after = yield* serve(copy)
      yield* person(after).act(runs[2]!, "cancel")
      expect((yield* agent(after).cancellations(next)).ids).toEqual([`${runs[2]}.plan.1`])
    }))

  it.effect("numbers what is cancelled upwards, though the clock is set back", () =>
    Effect.gen(function*() {
      const url = yield* server
      const runs = yield* Effect.forEach(["one", "two"], (name) => person(url).start(name))
      for (const { id } of yield* agent(url).acquire()) yield* agent(url).acknowledge(id)
      yield* TestClock.adjust("1 hour")
      yield* person(url).act(runs[0]!, "cancel")
      const { next } = yield* agent(url).cancellations()
      expect(next).toBe(3_600_000)
      yield* TestClock.setTime(0)
      yield* person(url).act(runs[1]!, "cancel")
      expect(yield* agent(url).cancellations(next)).toEqual({ ids: [`${runs[1]}.plan.1`], next: next + 1 })
    }))

  it.live("names what ended by the word of an agent without a task, once another one's task is heard of, also to who is past its number", () =>
    Effect.gen(function*() {
      const url = yield* server
      const [one, two] = [agent(url, "one", "uid-of-one"), agent(url, "two", "uid-of-two")]
      yield* person(url).start("another")
      yield* one.take
      const id = yield* person(url).start("demo")
      const [plan] = yield* one.acquire()
      yield* person(url).act(id, "cancel")
      const { next } = yield* two.cancellations()
      yield* one.reportTaskless(plan!.id, cancelled)
      expect((yield* two.cancellations()).ids).toEqual([])
      expect((yield* two.acknowledge(plan!.id)).status).toBe(204)
      const told = yield* two.cancellations(next)
      expect(told.ids).toEqual([plan!.id])
      expect((yield* two.acknowledge(plan!.id)).status).toBe(204)
      expect((yield* two.cancellations(told.next)).ids).toEqual([])
      expect((yield* person(url).view(id)).status).toBe("canceled")
    }))

  it.live("names once more what was withdrawn, when its task is heard of after an agent has looked for one, until that task has said its end", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* person(url).act(id, "cancel")
      const { ids, next } = yield* agent(url).cancellations()
      expect(ids).toEqual([plan!.id])
      expect((yield* agent(url).acknowledge(plan!.id)).status).toBe(204)
      expect((yield* agent(url).reportTaskless(plan!.id, cancelled)).status).toBe(409)
      const told = yield* agent(url).cancellations(next)
      expect(told.ids).toEqual([plan!.id])
      expect((yield* agent(url).acknowledge(plan!.id)).status).toBe(204)
      expect((yield* agent(url).cancellations(told.next)).ids).toEqual([])
      yield* agent(url).report(plan!.id, cancelled)
      expect((yield* agent(url).cancellations()).ids).toEqual([])
    }))

  it.live("names an assignment that was withdrawn between offer and acknowledgement, whose token is over", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* person(url).act(id, "cancel")
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect((yield* agent(url).acknowledge(plan!.id)).status).toBe(204)
      expect((yield* agent(url).cancellations()).ids).toEqual([plan!.id])
      expect((yield* worker(url, plan!).as("GET", taskPath.assignment)).status).toBe(401)
      expect((yield* agent(url).report(plan!.id, cancelled)).status).toBe(204)
      expect((yield* agent(url).cancellations()).ids).toEqual([])
      expect((yield* person(url).view(id)).status).toBe("canceled")
    }))
})
