// How the worker saves a state: at a real server that has given the stage up meanwhile, which refuses a late state but never loses it,
// and at a server that is away, for as long as a last state may take.
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { unansweredWords } from "../../../src/core/task/status.ts"
import { statePath } from "../../../src/schema/api/state.ts"
import { NoAnswer, TokenRefused } from "../../../src/worker/network/task-api-error.ts"
import { TaskApi } from "../../../src/worker/network/task-api.ts"
import { Refuge, SettledState, StateDelivery } from "../../../src/worker/state/state-delivery.ts"
import { TaskStatus } from "../../../src/worker/task/task-status.ts"
import { agent, directory, failed, person, planWith, serve, taskUid } from "../../server/live-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { claimedTask } from "../claimed-task.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"
import { noTaskStatus, poolParts, saved } from "../pool-parts.ts"

const state = (serial: number) => Buffer.from(JSON.stringify({ version: 4, serial, lineage: "l", outputs: {}, resources: [{ serial }] }))

const stop = neverStops()

/** An apply of `demo` whose worker has the lock and has saved the serial 1. */
const applying = Effect.gen(function*() {
  const made = yield* directory
  const url = yield* serve(made)
  yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  const tokenFile = join(made, "task.token")
  writeFileSync(tokenFile, apply.taskToken)
  const settings = podSettings(made, made, { AGENT_JOB_TOKEN_FILE: tokenFile, AGENT_JOB_POOL_PATIENCE: "300 millis" })
  const parts = StateDelivery.layer.pipe(
    Layer.provide(noTaskStatus),
    Layer.provide(Layer.orDie(TaskApi.layer(url, taskUid))),
    Layer.provide(Layer.merge(settings, stop))
  )
  const delivery = Context.get(yield* Layer.build(parts), StateDelivery)
  yield* delivery.lock({ ID: "engine-lock", Who: "me@pod" })
  yield* delivery.push(state(1))
  const looked = Effect.map(person(url).as("GET", statePath.state("demo")), ({ json }) => json)
  const settle = (use?: string) => person(url).settle("demo", use === undefined ? {} : { use })
  return { url, apply, delivery, looked, settle }
})

const lost = { ...failed("The node is gone."), reason: "NodeLost" } as const

describe("a worker that comes late", () => {
  it.live("after its stage was given up, leaves its state as evidence, which a person then makes the state", () =>
    Effect.gen(function*() {
      const { apply, delivery, looked, settle, url } = yield* applying
      yield* agent(url).report(apply.id, lost)
      const next = yield* person(url).start("demo")
      const refused = yield* Effect.flip(delivery.push(state(5)))
      expect(refused).toMatchObject({
        _tag: "Declined",
        status: 409,
        message: expect.stringMatching(/is over, so its state is not stored\. It is kept as ev-/u)
      })
      const settled = yield* delivery.settle(Option.none())
      expect(settled).toMatchObject({ _tag: "Unsaved", why: expect.stringContaining("It is kept as ev-") })
      const { evidence: [{ id, serial }], version } = yield* looked
      expect([serial, version.serial]).toEqual([5, 1])
      expect(yield* agent(url).acquire()).toEqual([])
      expect((yield* settle(id)).json.version).toMatchObject({ serial: 5, lineage: "l", runId: apply.runId })
      expect((yield* agent(url).take).runId).toBe(next)
    }))

  it.live("after its lock was opened by force and another has written, changes nothing, whatever it tries", () =>
    Effect.gen(function*() {
      const { delivery, looked, url } = yield* applying
      yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "engine-lock" })
      const address = `${url}/api/state/v1/workspaces/demo`
      yield* person(url).as("PUT", address, { ID: "mine" })
      yield* person(url).as("POST", `${address}?ID=mine`, { version: 4, serial: 2, lineage: "l", outputs: {}, resources: [] })
      yield* person(url).as("DELETE", address, { ID: "mine" })
      expect((yield* Effect.flip(delivery.push(state(9)))).message).toContain("It is kept as ev-")
      expect(yield* Effect.flip(delivery.lock({ ID: "again" }))).toMatchObject({
        status: 409,
        body: { ID: "engine-lock" }
      })
      expect((yield* looked).version.serial).toBe(2)
      expect((yield* looked).evidence).toMatchObject([{ serial: 9 }])
    }))

  it.live("after its stage was ended by force with its state saved, does not keep its Pod for the lock", () =>
    Effect.gen(function*() {
      const { apply, delivery, looked, url } = yield* applying
      yield* delivery.unlock({ ID: "engine-lock" })
      for (const action of ["cancel", "force-cancel"] as const) yield* person(url).act(apply.runId, action)
      expect(yield* delivery.settle(Option.none())).toEqual(saved(state(1)))
      yield* delivery.giveBack
      expect((yield* looked).lock).toBeUndefined()
    }))

  it.live("after its stage was ended by force, has its last state kept at once", () =>
    Effect.gen(function*() {
      const { apply, delivery, looked, url } = yield* applying
      for (const action of ["cancel", "force-cancel"] as const) yield* person(url).act(apply.runId, action)
      const settled = yield* delivery.settle(Option.some(state(5)))
      expect(settled).toMatchObject({ _tag: "Unsaved", why: expect.stringContaining("It is kept as ev-") })
      expect((yield* looked).evidence).toMatchObject([{ serial: 5 }])
    }))

  it.live("in the very moment in which its stage is given up, has its state stored or kept, never neither", () =>
    Effect.gen(function*() {
      const { apply, delivery, looked, url } = yield* applying
      const pushing = yield* Effect.forkChild(Effect.exit(delivery.push(state(5))))
      yield* agent(url).report(apply.id, lost)
      yield* Fiber.join(pushing)
      const { evidence, version } = yield* looked
      expect([version.serial, ...evidence.map(({ serial }: { serial: number }) => serial)].includes(5)).toBe(true)
    }), { repeats: 5 })
})

describe("a state that the server has taken", () => {
  it.live("is confirmed from that moment on, whatever is said of it meanwhile", () =>
    Effect.gen(function*() {
      const { api, layer } = yield* poolParts()
      const said = Deferred.makeUnsafe<void>()
      const slow = Layer.succeed(TaskStatus, {
        unansweredDuring: (work) => work,
        unwrittenDuring: (work) => work,
        unsavedDuring: (work) => Effect.tap(work, Effect.andThen(Deferred.succeed(said, undefined), Effect.never))
      })
      const delivery = Context.get(
        yield* Layer.build(Layer.fresh(StateDelivery.layer).pipe(Layer.provide(slow), Layer.provide(layer))),
        StateDelivery
      )
      yield* delivery.lock({ ID: "a" })
      const pushing = yield* Effect.forkChild(delivery.push(state(1)))
      yield* Deferred.await(said)
      yield* Fiber.interrupt(pushing)
      const before = api.requests.length
      expect(yield* delivery.settle(Option.none())).toEqual(saved(state(1)))
      expect(api.requests.slice(before)).toEqual([])
    }))
})

/**
 * A delivery, which goes on trying for an hour so that a test that takes that long asks no thousand times, to a server that
 * answers no request in `deaf`, refuses every token with the status `token.refused`, if there is one, and lists in `done` the requests that
 * it has carried out and in `pushed` the states. Nothing can be kept in the directory of the worker unless one is given.
 */
const withOutages = Effect.fnUntraced(function*(own = "/none") {
  const deaf = new Set<"lock" | "push" | "unlock">()
  const done: Array<string> = []
  const pushed: Array<Uint8Array> = []
  const token: { refused?: number | undefined } = {}
  const ask = (what: "lock" | "push" | "unlock") =>
    Effect.suspend((): Effect.Effect<void, NoAnswer | TokenRefused> => {
      if (deaf.has(what)) return Effect.fail(new NoAnswer({ detail: "down" }))
      if (token.refused !== undefined) return Effect.fail(new TokenRefused({ status: token.refused }))
      return Effect.sync(() => void done.push(what))
    })
  const taskApi = Layer.mock(TaskApi, {
    patiently: (ask) => ask,
    lockState: ({ ID }) => Effect.as(ask("lock"), { id: ID, epoch: 1 }),
    pushState: (bytes) => Effect.tap(ask("push"), Effect.sync(() => void pushed.push(bytes))),
    unlockState: () => ask("unlock")
  })
  const { status, taskStatus } = yield* claimedTask()
  const anHour = podSettings(own, own, { AGENT_JOB_STATE_PATIENCE: "1 hour" })
  const parts = StateDelivery.layer.pipe(
    Layer.provide(Layer.mergeAll(Layer.succeed(TaskStatus, taskStatus), taskApi, anHour, stop))
  )
  return { deaf, done, pushed, token, reason: () => status().reason, delivery: Context.get(yield* Layer.build(parts), StateDelivery) }
})

describe("a state that is on its way", () => {
  it.effect.each([
    { place: "on the worker's own volume", own: temporaryFolder("own"), refuge: Refuge.Pod() },
    {
      place: "nowhere but in memory if that does not take it",
      own: Effect.succeed("/none"),
      refuge: Refuge.Memory({
        because: "The worker cannot use a copy of the state (ENOENT); check the volumes of the Pod and who owns them."
      })
    }
  ])("is $place until the server has it", ({ own, refuge }) =>
    Effect.gen(function*() {
      const { deaf, delivery } = yield* withOutages(yield* own)
      yield* delivery.lock({ ID: "a" })
      yield* delivery.push(state(1))
      expect(yield* delivery.refuge).toEqual(Option.none())
      deaf.add("push")
      yield* Fiber.interrupt(yield* Effect.forkChild(delivery.push(state(2)), { startImmediately: true }))
      expect(yield* delivery.refuge).toEqual(Option.some(refuge))
      deaf.clear()
      yield* delivery.settle(Option.none())
      expect(yield* delivery.refuge).toEqual(Option.none())
    }))

  it.effect("is not overtaken by the next one of its engine", () =>
    Effect.gen(function*() {
      const { deaf, delivery, pushed } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      deaf.add("push")
      yield* Effect.forkChild(delivery.push(state(1)))
      yield* TestClock.adjust("1 minute")
      deaf.clear()
      yield* Effect.forkChild(delivery.push(state(2)))
      yield* TestClock.adjust("1 minute")
      expect(pushed).toEqual([state(1), state(2)])
    }))
})

describe("a state that is read", () => {
  it.effect("is fetched once at a time, and for the next who asks when the first has hung up", () =>
    Effect.gen(function*() {
      let fetching = 0
      const taskApi = Layer.mock(TaskApi, {
        patiently: (ask) => ask,
        state: Effect.suspend(() => {
          fetching++
          return Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => {
              fetching--
            }))
        })
      })
      const parts = StateDelivery.layer.pipe(Layer.provide(Layer.mergeAll(noTaskStatus, taskApi, podSettings("/none", "/none"), stop)))
      const { read } = Context.get(yield* Layer.build(parts), StateDelivery)
      const [first, second] = [yield* Effect.forkChild(read), yield* Effect.forkChild(read)]
      yield* TestClock.adjust(0)
      expect(fetching).toBe(1)
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust(0)
      expect(fetching).toBe(1)
      yield* Fiber.interrupt(second)
      expect(fetching).toBe(0)
    }))

  it.effect.each([{ given: "before any lock", locked: false }, { given: "under a lock", locked: true }])(
    "for the first time $given has the status tell that there is no answer yet",
    ({ locked }) =>
      Effect.gen(function*() {
        const taskApi = Layer.mock(TaskApi, {
          patiently: (ask) => ask,
          lockState: ({ ID }) => Effect.succeed({ id: ID, epoch: 1 }),
          state: Effect.never
        })
        const { status, taskStatus } = yield* claimedTask()
        const told = Layer.succeed(TaskStatus, taskStatus)
        const parts = StateDelivery.layer.pipe(Layer.provide(Layer.mergeAll(told, taskApi, podSettings("/none", "/none"), stop)))
        const { lock, read } = Context.get(yield* Layer.build(parts), StateDelivery)
        if (locked) yield* lock({ ID: "a" })
        yield* Effect.forkChild(read)
        yield* TestClock.adjust("19 seconds")
        expect(status().message).not.toContain(unansweredWords)
        yield* TestClock.adjust("2 seconds")
        expect(status()).toMatchObject({ reason: "Claimed", message: expect.stringContaining(unansweredWords) })
      })
  )

  it.effect("under one lock is not what is known under the next, since another may have written between them", () =>
    Effect.gen(function*() {
      const answer = Deferred.makeUnsafe<void>()
      let asked = 0
      const taskApi = Layer.mock(TaskApi, {
        patiently: (ask) => ask,
        lockState: ({ ID }) => Effect.succeed({ id: ID, epoch: 1 }),
        unlockState: () => Effect.void,
        state: Effect.suspend(() =>
          ++asked === 1 ? Effect.as(Deferred.await(answer), Option.some(state(1))) : Effect.fail(new NoAnswer({ detail: "down" }))
        )
      })
      const parts = StateDelivery.layer.pipe(Layer.provide(Layer.mergeAll(noTaskStatus, taskApi, podSettings("/none", "/none"), stop)))
      const { lock, read, unlock } = Context.get(yield* Layer.build(parts), StateDelivery)
      yield* lock({ ID: "a" })
      const before = yield* Effect.forkChild(read, { startImmediately: true })
      yield* unlock({ ID: "a" })
      yield* lock({ ID: "b" })
      yield* Deferred.succeed(answer, undefined)
      yield* Fiber.join(before)
      expect(yield* Effect.flip(read)).toMatchObject({ _tag: "NoAnswer" })
    }))
})

describe("an engine that asks for a second lock", () => {
  it.effect.each([
    { given: "while it has the first", unlocked: false },
    { given: "when it has given the first back", unlocked: true }
  ])("does not get it $given, as long as its state is unsaved, and the first stays", ({ unlocked }) =>
    Effect.gen(function*() {
      const { deaf, delivery, done } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      deaf.add("push")
      yield* Fiber.interrupt(yield* Effect.forkChild(delivery.push(state(1)), { startImmediately: true }))
      if (unlocked) yield* delivery.unlock({ ID: "a" })
      expect(yield* Effect.flip(delivery.lock({ ID: "b" }))).toMatchObject({ _tag: "Declined", status: 409, body: { ID: "a" } })
      deaf.clear()
      expect([yield* delivery.settle(Option.none()), done]).toEqual([saved(state(1)), ["lock", "push"]])
    }))

  it.effect("gets it in place of one that it never heard of", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done } = yield* withOutages()
      deaf.add("lock")
      yield* Effect.flip(delivery.lock({ ID: "a" }))
      deaf.clear()
      yield* delivery.lock({ ID: "b" })
      expect(done).toEqual(["unlock", "lock"])
    }))

  it.effect("does not get it while the first cannot be given back, which then is given back after the engine", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      yield* delivery.unlock({ ID: "a" })
      deaf.add("unlock")
      expect(yield* Effect.flip(delivery.lock({ ID: "b" }))).toMatchObject({ _tag: "NoAnswer" })
      deaf.clear()
      yield* delivery.settle(Option.none())
      yield* delivery.giveBack
      expect(done).toEqual(["lock", "unlock"])
    }))
})

describe("an engine that is gone", () => {
  it.effect("has its lock given back after an outage of most of an hour, so that its state is in no doubt", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      yield* delivery.push(state(1))
      yield* delivery.unlock({ ID: "a" })
      expect(yield* delivery.settle(Option.none())).toEqual(saved(state(1)))
      deaf.add("unlock")
      const giving = yield* Effect.forkChild(delivery.giveBack)
      yield* TestClock.adjust("59 minutes")
      deaf.clear()
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(giving)
      expect(done).toEqual(["lock", "push", "unlock"])
    }))

  it.effect("has its lock given back by who asks later, when that hour was not enough", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      yield* delivery.unlock({ ID: "a" })
      deaf.add("unlock")
      yield* delivery.settle(Option.none())
      const giving = yield* Effect.forkChild(delivery.giveBack)
      yield* TestClock.adjust("61 minutes")
      yield* Fiber.join(giving)
      deaf.clear()
      yield* delivery.giveBack
      expect(done).toEqual(["lock", "unlock"])
    }))

  it.effect("has a lock given back that it never heard of, since the server may have granted it", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done } = yield* withOutages()
      deaf.add("lock")
      yield* Effect.flip(delivery.lock({ ID: "a" }))
      deaf.clear()
      expect(yield* delivery.settle(Option.none())).toEqual(SettledState.Untouched())
      yield* delivery.giveBack
      expect(done).toEqual(["unlock"])
    }))

  it.effect("is waited for no longer than that hour, however many questions it takes", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done } = yield* withOutages()
      for (const what of ["lock", "push"] as const) deaf.add(what)
      const settling = yield* Effect.forkChild(delivery.settle(Option.some(state(1))))
      yield* TestClock.adjust("50 minutes")
      deaf.delete("lock")
      yield* TestClock.adjust("11 minutes")
      expect(done).toEqual(["lock"])
      expect(yield* Fiber.join(settling)).toMatchObject({ _tag: "Unsaved" })
    }))

  it.effect.each([
    { under: "the lock of the engine", locked: true },
    { under: "a lock that the worker has to ask for", locked: false }
  ])(
    "has its state saved under $under by a server that knows the token only after most of that hour",
    ({ locked }) =>
      Effect.gen(function*() {
        const { deaf, delivery, done, token } = yield* withOutages()
        if (locked) yield* delivery.lock({ ID: "a" })
        if (locked) yield* delivery.unlock({ ID: "a" })
        yield* TestClock.adjust("2 hours") // the hour begins when the engine is gone, however long it ran
        for (const what of ["lock", "push"] as const) deaf.add(what)
        const settling = yield* Effect.forkChild(Effect.tap(delivery.settle(Option.some(state(1))), delivery.giveBack))
        yield* TestClock.adjust("10 minutes")
        token.refused = 401 // as by a server that was restored from an older copy, or is still empty
        deaf.clear()
        yield* TestClock.adjust("45 minutes")
        token.refused = undefined
        yield* TestClock.adjust("1 minute")
        expect([yield* Fiber.join(settling), done]).toEqual([saved(state(1)), ["lock", "push", "unlock"]])
      })
  )

  it.effect("has its state saved no more, at once, when another task has the stage", () =>
    Effect.gen(function*() {
      const { delivery, token } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      token.refused = 409
      expect(yield* delivery.settle(Option.some(state(1)))).toMatchObject({
        _tag: "Unsaved",
        why: expect.stringContaining("Another task has this stage")
      })
    }))

  it.effect("has its lock given back with a renewed token, but is waited for no longer than five minutes for that alone", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done, token } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      yield* delivery.push(state(1))
      yield* delivery.unlock({ ID: "a" })
      yield* delivery.settle(Option.none())
      deaf.add("unlock")
      token.refused = 401
      const giving = yield* Effect.forkChild(delivery.giveBack)
      yield* TestClock.adjust("30 minutes")
      deaf.clear()
      yield* TestClock.adjust("4 minutes")
      expect(giving.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(giving)
      expect(done).toEqual(["lock", "push"])
      const again = yield* Effect.forkChild(delivery.giveBack)
      yield* TestClock.adjust("1 minute")
      token.refused = undefined
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(again)
      expect(done).toEqual(["lock", "push", "unlock"])
    }))

  it.effect("has its lock kept while a state is unsaved, so that the server takes its state to be in doubt", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      yield* delivery.unlock({ ID: "a" })
      deaf.add("push")
      const settling = yield* Effect.forkChild(delivery.settle(Option.some(state(1))))
      yield* TestClock.adjust("61 minutes")
      expect(yield* Fiber.join(settling)).toMatchObject({ _tag: "Unsaved" })
      yield* delivery.giveBack
      expect(done).toEqual(["lock"])
    }))

  it.effect("has the state sent that was on its way, and not the one before it that it left in a file", () =>
    Effect.gen(function*() {
      const { deaf, delivery, pushed } = yield* withOutages()
      const [before, after] = [state(1), Buffer.from(state(1).toString().replace("resources", "results"))]
      yield* delivery.lock({ ID: "a" })
      yield* delivery.push(before)
      deaf.add("push")
      yield* Fiber.interrupt(yield* Effect.forkChild(delivery.push(after), { startImmediately: true }))
      deaf.clear()
      expect([yield* delivery.settle(Option.some(before)), pushed]).toEqual([saved(after), [before, after]])
    }))

  it.effect("has saved its state, even if it then locked once more and wrote nothing", () =>
    Effect.gen(function*() {
      const { delivery } = yield* withOutages()
      yield* delivery.lock({ ID: "a" })
      yield* delivery.push(state(1))
      yield* delivery.unlock({ ID: "a" })
      yield* delivery.lock({ ID: "b" })
      expect(yield* delivery.settle(Option.none())).toEqual(saved(state(1)))
    }))

  it.effect("has a state that is unsaved, as its AgentTask says, until the server has it, and not only its lock", () =>
    Effect.gen(function*() {
      const { deaf, delivery, done, reason } = yield* withOutages()
      for (const what of ["lock", "push"] as const) deaf.add(what)
      const settling = yield* Effect.forkChild(delivery.settle(Option.some(state(1))))
      yield* TestClock.adjust("1 minute")
      deaf.delete("lock")
      yield* TestClock.adjust("10 seconds")
      expect([done, reason()]).toEqual([["lock"], "StateUnsaved"])
      deaf.clear()
      yield* TestClock.adjust("10 seconds")
      expect([yield* Fiber.join(settling), reason()]).toEqual([saved(state(1)), "Claimed"])
    }))
})
