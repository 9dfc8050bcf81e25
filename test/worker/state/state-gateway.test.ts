// The engine's state through the worker: acknowledged only when the server has it, whatever happens on the way.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { SettledState } from "../../../src/worker/state/state-delivery.ts"
import { until } from "../../until.ts"
import { answeringServer, noConnection } from "../answering-server.ts"
import { type PoolParts, saved } from "../pool-parts.ts"
import { ask, type Env, kept, lock, lockInfo, settle, state, unlock, withGateway, write } from "./gateway.ts"

describe("the state gateway", () => {
  it.live("is read, locked, written and unlocked like a server", () =>
    withGateway(Effect.fnUntraced(function*(env, { api, ...parts }) {
      expect((yield* ask(env, "read")).status).toBe(404)
      expect((yield* lock(env)).status).toBe(200)
      expect((yield* write(env, 1)).status).toBe(200)
      expect((yield* ask(env, "read")).text).toBe(state(1))
      expect((yield* unlock(env)).status).toBe(200)
      expect(existsSync(kept({ api, ...parts }))).toBe(false)
      expect(yield* settle()).toEqual(saved(state(1)))
      expect(api).toMatchObject({ serials: [1], lock: undefined, epoch: 5 })
    })))

  it.live("answers nobody who does not know the secret address of this command", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      const { origin, pathname } = new URL(env.TF_HTTP_ADDRESS ?? "")
      for (const path of ["/", "/elsewhere", "/state", pathname.slice(0, -1)]) {
        expect((yield* ask({ TF_HTTP_ADDRESS: origin + path }, "read")).status).toBe(401)
        expect((yield* ask({ TF_HTTP_LOCK_ADDRESS: `${origin}${path}/lock` }, "lock", JSON.stringify(lockInfo))).status).toBe(401)
      }
      expect((yield* ask({ TF_HTTP_ADDRESS: `${origin}${pathname}/elsewhere` }, "read")).status).toBe(405)
      expect(api.requests).toEqual([])
    })))

  it.live("leaves the engine's user name and password for remote states to the task", () =>
    withGateway((env) => Effect.sync(() => expect(Object.keys(env).filter((name) => /_(?:USERNAME|PASSWORD)$/u.test(name))).toEqual([]))))

  it.live("listens no longer than its command runs, and never twice with the same words", () =>
    Effect.gen(function*() {
      const first = yield* withGateway((env) => Effect.succeed(env))
      const second = yield* withGateway((env) => Effect.succeed(env))
      const [one, other] = [first, second].map((env) => new URL(env.TF_HTTP_ADDRESS ?? "").pathname)
      expect(other).not.toBe(one)
      expect(yield* Effect.exit(Effect.tryPromise(() => fetch(first.TF_HTTP_ADDRESS ?? "")))).toMatchObject({ _tag: "Failure" })
    }))

  it.live("goes on after a connection that the system could not hand over", () =>
    withGateway(Effect.fnUntraced(function*(env) {
      const server = yield* answeringServer(ask(env, "read"))
      server.emit("error", noConnection)
      expect((yield* ask(env, "read")).status).toBe(404)
    })))

  it.live("lets a command that changes nothing only read", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api }) {
        api.state = Buffer.from(state(7))
        expect((yield* ask(env, "read")).text).toBe(state(7))
        expect((yield* lock(env)).status).toBe(405)
        expect((yield* write(env, 8)).status).toBe(405)
        expect((yield* unlock(env)).status).toBe(405)
        expect(api.requests).toEqual(["GET /state 200"])
      }),
      false
    ))

  it.live("refuses a state without a lock", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      expect((yield* write(env, 1)).status).toBe(409)
      expect(api.requests).toEqual([])
    })))

  it.live("refuses a state that is too large", () =>
    withGateway(Effect.fnUntraced(function*(env) {
      yield* lock(env)
      expect((yield* ask(env, "write", "x".repeat(65 * 1024 ** 2))).status).toBe(413)
    })))

  it.live("names the holder of a lock to the engine", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.lock = { ID: "somebody-else" }
      const answer = yield* lock(env)
      expect(answer.status).toBe(409)
      expect(JSON.parse(answer.text)).toMatchObject({ ID: "somebody-else" })
    })))

  it.live("gets a lock and a state through although their answers are lost", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api }) {
        api.fault("POST /state/lock", "lose answer", "break")
        api.fault("POST /state", "break", "not ours", "lose answer", 500)
        api.fault("POST /state/unlock", "lose answer")
        expect((yield* lock(env)).status).toBe(200)
        expect((yield* write(env, 1)).status).toBe(200)
        expect((yield* unlock(env)).status).toBe(200)
        yield* settle()
        expect(api).toMatchObject({ serials: [1], epoch: 5, lock: undefined })
      }),
      true,
      undefined,
      "1 minute"
    ), { concurrent: true })

  it.live(
    "keeps the engine waiting, and a copy on the disk, until the server is there again",
    () =>
      withGateway(Effect.fnUntraced(function*(env, parts) {
        let tries = 0
        parts.api.onRequest = () => void tries++
        yield* lock(env)
        const up = parts.api.goDown()
        const writing = yield* Effect.forkChild(write(env, 1))
        yield* until(() => existsSync(kept(parts)))
        expect(readFileSync(kept(parts), "utf8")).toBe(state(1))
        yield* until(() => tries > 4) // longer than other requests are repeated
        expect(parts.api.serials).toEqual([])
        expect([writing.pollUnsafe(), parts.isUnsaved()]).toEqual([undefined, true])
        up()
        expect((yield* Fiber.join(writing)).status).toBe(200)
        expect([parts.api.serials, parts.isUnsaved()]).toEqual([[1], false])
        expect(existsSync(kept(parts))).toBe(false)
      })),
    { concurrent: true }
  )

  it.live(
    "keeps the engine waiting though it has to stop where there is no state yet: its next one would have another lineage",
    () =>
      withGateway(Effect.fnUntraced(function*(env, parts) {
        yield* lock(env)
        yield* ask(env, "read")
        const up = parts.api.goDown()
        const writing = yield* Effect.forkChild(write(env, 1))
        yield* until(() => existsSync(kept(parts)))
        yield* parts.release
        let tries = 0
        parts.api.onRequest = () => void tries++
        yield* until(() => tries > 4) // longer than an engine waits that has a state
        expect(writing.pollUnsafe()).toBeUndefined()
        up()
        expect((yield* Fiber.join(writing)).status).toBe(200)
        expect(parts.api.serials).toEqual([1])
      })),
    { concurrent: true }
  )

  it.live(
    "reads through an outage too while it is locked, since the engine reads before it writes",
    () =>
      withGateway(Effect.fnUntraced(function*(env, { api }) {
        let tries = 0
        api.onRequest = () => void tries++
        yield* lock(env)
        const up = api.goDown()
        const reading = yield* Effect.forkChild(ask(env, "read"))
        yield* until(() => tries > 4)
        up()
        expect((yield* Fiber.join(reading)).status).toBe(404)
      })),
    { concurrent: true }
  )

  it.live.each<{ given: string; end: (parts: PoolParts) => Effect.Effect<void>; patience: string }>([
    { given: "the pool's patience is over", end: () => Effect.void, patience: "300 millis" },
    { given: "it has to stop", end: ({ release }) => release, patience: "1 hour" }
  ])(
    "keeps an engine that has read nothing under its lock waiting no longer than until $given, and has its lock go back",
    ({ end, patience }) =>
      withGateway(
        Effect.fnUntraced(function*(env, parts) {
          let tries = 0
          parts.api.state = Buffer.from(state(1))
          parts.api.onRequest = () => void tries++
          yield* lock(env)
          const up = parts.api.goDown()
          const reading = yield* Effect.forkChild(ask(env, "read"))
          yield* until(() => tries > 1)
          yield* end(parts)
          expect((yield* Fiber.join(reading)).status).toBe(503)
          up()
          yield* unlock(env)
          expect(yield* settle()).toEqual(SettledState.Unwritten())
          expect(parts.api.lock).toBeUndefined()
        }),
        true,
        undefined,
        patience
      )
  )

  it.live("does not take a 404 of something before the server for an empty state", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api }) {
        api.state = Buffer.from(state(1))
        api.fault("GET /state", 404)
        expect(yield* ask(env, "read")).toEqual({ status: 200, text: state(1) })
        api.fault("GET /state", ...Array.from({ length: 20 }, () => 404 as const))
        expect((yield* ask(env, "read")).status).toBe(503)
      }),
      true,
      undefined,
      "3 seconds"
    ))

  it.effect("keeps the engine waiting no longer when it has to stop, so that it hears its interrupt and leaves its whole state", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      parts.api.state = Buffer.from(state(1))
      yield* lock(env)
      yield* ask(env, "read")
      const up = parts.api.goDown()
      const writing = yield* Effect.forkChild(write(env, 2))
      yield* until(() => existsSync(kept(parts)))
      yield* parts.release
      yield* TestClock.adjust("2 seconds")
      expect((yield* Fiber.join(writing)).status).toBe(503)
      let tries = 0
      parts.api.onRequest = () => void tries++
      expect([(yield* write(env, 3)).status, tries]).toEqual([503, 1]) // it has waited in vain once, and its grace is short
      expect(readFileSync(kept(parts), "utf8")).toBe(state(3))
      yield* unlock(env)
      up()
      expect(yield* settle(Option.some(Buffer.from(state(4))))).toEqual(saved(state(4)))
      expect([parts.api.serials, parts.api.lock]).toEqual([[4], undefined])
    })))

  it.effect("takes each state of an engine that has to stop for long, since a node may be gone before its end", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      parts.api.state = Buffer.from(state(1))
      yield* lock(env)
      yield* ask(env, "read")
      yield* parts.release
      expect((yield* write(env, 2)).status).toBe(200)
      const up = parts.api.goDown()
      const writing = yield* Effect.forkChild(write(env, 3))
      yield* until(() => existsSync(kept(parts)))
      yield* TestClock.adjust("2 seconds")
      expect((yield* Fiber.join(writing)).status).toBe(503)
      up()
      expect((yield* write(env, 4)).status).toBe(200)
      expect(parts.api.serials).toEqual([2, 4])
    })))

  it.live("delivers a state although the engine has hung up, and keeps its lock, so that the server knows that it did not end in order", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      yield* lock(env)
      const up = parts.api.goDown()
      const writing = yield* Effect.forkChild(write(env, 1))
      yield* until(() => existsSync(kept(parts)))
      yield* Fiber.interrupt(writing)
      const settling = yield* Effect.forkChild(settle())
      up()
      expect(yield* Fiber.join(settling)).toEqual(saved(state(1)))
      expect(new Set(parts.api.requests.filter((request) => request.startsWith("POST /state")))).toEqual(
        new Set(["POST /state/lock 200", "POST /state 204"])
      )
      expect(parts.api.lock).toMatchObject({ ID: "engine-lock" })
    })))

  it.live("does not wait for a push of an engine that is gone, beyond the time that a last state has", () =>
    withGateway(
      Effect.fnUntraced(function*(env, parts) {
        yield* lock(env)
        parts.api.goDown()
        const writing = yield* Effect.forkChild(write(env, 1))
        yield* until(() => existsSync(kept(parts)))
        yield* Fiber.interrupt(writing)
        expect(yield* settle().pipe(Effect.timeout("5 minutes"))).toMatchObject({ _tag: "Unsaved" })
      }),
      true,
      "500 millis"
    ))

  it.live("tells the engine when the server will not have its state, and keeps the copy", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      yield* lock(env)
      parts.api.epoch++ // the lock was taken away and given to somebody else
      const answer = yield* write(env, 1)
      expect(answer.status).toBe(409)
      expect(readFileSync(kept(parts), "utf8")).toBe(state(1))
      const settled = yield* settle()
      expect(settled).toMatchObject({ _tag: "Unsaved", why: "The state is locked by somebody." })
      expect(readFileSync(kept(parts), "utf8")).toBe(state(1))
      expect(parts.api.serials).toEqual([])
    })))

  it.live("gives up at the end of the grace, says so, and keeps the copy", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      yield* lock(env)
      parts.api.goDown()
      const writing = yield* Effect.forkChild(write(env, 1))
      yield* until(() => existsSync(kept(parts)))
      yield* parts.endGrace
      expect((yield* Fiber.join(writing)).status).toBe(503)
      const settled = yield* settle()
      expect(settled).toMatchObject({ _tag: "Unsaved", why: expect.stringMatching(/gave no usable answer/u) })
      expect([existsSync(kept(parts)), parts.isUnsaved()]).toEqual([true, true])
    })))

  it.live("gives a lock back before it takes another one", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* unlock(env)
      expect((yield* ask(env, "lock", JSON.stringify({ ID: "next-lock" }))).status).toBe(200)
      expect(api).toMatchObject({ lock: { ID: "next-lock" }, epoch: 6 })
      expect((yield* unlock(env)).status).toBe(409)
    })))

  it.live("names its own lock to who asks for another one before that is given back", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      const answer = yield* ask(env, "lock", JSON.stringify({ ID: "next-lock" }))
      expect([answer.status, JSON.parse(answer.text)]).toEqual([409, lockInfo])
      expect(api).toMatchObject({ lock: { ID: "engine-lock" }, epoch: 5 })
      yield* unlock(env) // as `force-unlock` does for an engine that was killed
      expect((yield* ask(env, "lock", JSON.stringify({ ID: "next-lock" }))).status).toBe(200)
      expect(api).toMatchObject({ lock: { ID: "next-lock" }, epoch: 6 })
    })))

  it.live("answers from what it knows under the lock when the server is away or refuses, so that the engine's next state reaches the worker's disk", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      parts.api.state = Buffer.from(state(1))
      yield* lock(env)
      expect((yield* ask(env, "read")).text).toBe(state(1))
      yield* write(env, 2)
      parts.api.fault("GET /state", { status: 409, error: "rescue-pending" }) // as one that was restored from an older copy
      expect((yield* ask(env, "read")).text).toBe(state(2))
      const up = parts.api.goDown()
      expect((yield* ask(env, "read")).text).toBe(state(2))
      const writing = yield* Effect.forkChild(write(env, 3))
      yield* until(() => existsSync(kept(parts)) && readFileSync(kept(parts), "utf8") === state(3))
      up()
      expect((yield* Fiber.join(writing)).status).toBe(200)
    })))

  it.live("reads the token again, since it may have been renewed", () =>
    withGateway(Effect.fnUntraced(function*(env, { api, tokenFile }) {
      yield* lock(env)
      writeFileSync(tokenFile, "an old token")
      const writing = yield* Effect.forkChild(write(env, 1))
      yield* until(() => api.requests.includes("POST /state 401"))
      writeFileSync(tokenFile, api.token)
      expect((yield* Fiber.join(writing)).status).toBe(200)
    })))
})

describe("why the engine was not given what it asked for last", () => {
  const read = (env: Env) => ask(env, "read")

  it.live("is known from what the server says, until it is given it", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api, notGiven }) {
        const after = (asked: typeof lock) =>
          Effect.map(Effect.andThen(asked(env), notGiven), (why) => Option.getOrUndefined(Option.map(why, ({ reason }) => reason)))
        const upFirst = api.goDown()
        expect([yield* after(read), yield* after(lock)]).toEqual(["PoolUnreachable", "PoolUnreachable"])
        upFirst()
        expect(yield* after(lock)).toBeUndefined()
        const up = api.goDown()
        expect([yield* after(read), yield* after(unlock)]).toEqual(["PoolUnreachable", "PoolUnreachable"])
        up()
        expect(yield* after(read)).toBeUndefined()
      }),
      true,
      undefined,
      "300 millis"
    ))

  it.live("is not what the engine tells itself: who has the lock", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api, notGiven }) {
        api.fault("GET /state", { status: 409, error: "rescue-pending" })
        yield* read(env)
        expect(Option.getOrThrow(yield* notGiven)).toMatchObject({ reason: "StateRescuePending", message: "Refused as rescue-pending." })
        api.lock = { ID: "somebody-else" }
        yield* lock(env)
        expect(yield* notGiven).toEqual(Option.none())
        api.fault("POST /state/lock", { status: 409, error: "fenced" })
        yield* lock(env)
        expect(Option.getOrThrow(yield* notGiven).message).toContain("Refused as fenced.")
      })
    ))
})

describe("a lock that the engine asks for and does not hear of", () => {
  /** The answer to the first request is lost, and no later request is answered. */
  const unheard = ["lose answer", ...Array.from({ length: 100 }, () => "break" as const)] as const
  const askedTwice = (api: PoolParts["api"]) =>
    Effect.suspend(() => {
      let asked = 0
      api.onRequest = () => void asked++
      return until(() => asked > 1)
    })

  it.live("goes back, since nothing was changed under it", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api }) {
        api.fault("POST /state/lock", ...unheard)
        expect((yield* lock(env)).status).toBe(503)
        expect(api.lock).toMatchObject({ ID: "engine-lock" })
        expect(yield* settle()).toEqual(SettledState.Untouched())
        expect(api.lock).toBeUndefined()
      }),
      true,
      undefined,
      "300 millis"
    ))

  it.live("goes back when the engine has hung up meanwhile", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api }) {
        api.fault("POST /state/lock", ...unheard)
        const locking = yield* Effect.forkChild(lock(env))
        yield* askedTwice(api)
        yield* Fiber.interrupt(locking)
        yield* settle()
        expect(api.lock).toBeUndefined()
      }),
      true,
      undefined,
      "1 hour"
    ))

  it.live("is asked for no longer than the command runs", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api }) {
        api.goDown()
        const locking = yield* Effect.forkChild(lock(env))
        yield* askedTwice(api)
        yield* Fiber.interrupt(locking)
      }),
      true,
      undefined,
      "1 hour"
    ))

  it.live("is held up no longer than the grace lasts", () =>
    withGateway(
      Effect.fnUntraced(function*(env, { api, endGrace }) {
        api.fault("POST /state/lock", ...unheard)
        const locking = yield* Effect.forkChild(lock(env))
        yield* askedTwice(api)
        yield* endGrace
        expect((yield* Fiber.join(locking)).status).toBe(503)
      }),
      true,
      undefined,
      "1 hour"
    ))
})

describe("what the engine left", () => {
  it.live("is sent under the lock of the engine, which is given back only then", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* unlock(env)
      expect(api.lock).toMatchObject({ ID: "engine-lock" })
      yield* settle(Option.some(Buffer.from(state(3))))
      expect(api).toMatchObject({ serials: [3], lock: undefined, epoch: 5 })
    })))

  it.live("is sent under a lock of the worker's own when the engine had none", () =>
    withGateway(Effect.fnUntraced(function*(_, { api }) {
      const settled = yield* settle(Option.some(Buffer.from(state(3))))
      expect(settled).toEqual(saved(state(3)))
      expect(api).toMatchObject({ serials: [3], lock: undefined })
    })))

  it.live("is not sent again when the server has it", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* write(env, 3)
      yield* unlock(env)
      yield* settle(Option.some(Buffer.from(state(3))))
      expect(api.requests.filter((request) => request.startsWith("POST /state "))).toEqual(["POST /state 204"])
    })))

  it.live("is asked for again long after other questions are given up, when the server is away", () =>
    withGateway(Effect.fnUntraced(function*(_, { api }) {
      let tries = 0
      api.onRequest = () => void tries++
      const up = api.goDown()
      const settling = yield* Effect.forkChild(settle(Option.some(Buffer.from(state(3)))))
      yield* until(() => tries > 4)
      up()
      expect(yield* Fiber.join(settling)).toEqual(saved(state(3)))
      expect(api.serials).toEqual([3])
    })))

  it.live("is given up in the end, and kept", () =>
    withGateway(
      Effect.fnUntraced(function*(_, parts) {
        parts.api.goDown()
        expect(yield* settle(Option.some(Buffer.from(state(3))))).toMatchObject({ _tag: "Unsaved" })
        expect(readFileSync(kept(parts), "utf8")).toBe(state(3))
      }),
      true,
      "500 millis"
    ))

  it.live("is nothing when no state was written, and the lock goes back if the engine gave it back", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* unlock(env)
      expect(yield* settle()).toEqual(SettledState.Unwritten())
      expect(api.lock).toBeUndefined()
    })))

  it.live("leaves the lock where the engine never gave it back, since what it changed last may be nowhere", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* write(env, 1)
      expect(yield* settle()).toEqual(saved(state(1)))
      expect(api.lock).toMatchObject({ ID: "engine-lock" })
    })))
})
