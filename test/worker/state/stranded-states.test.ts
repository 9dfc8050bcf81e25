// What becomes of a state that the server does not take, on a volume that outlives the Pod.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Option, Random } from "effect"
import { TestClock } from "effect/testing"
import { createDecipheriv } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { keptStateLine } from "../../../src/schema/api/task-api.ts"
import { TaskApi } from "../../../src/worker/network/task-api.ts"
import { Refuge, StateDelivery } from "../../../src/worker/state/state-delivery.ts"
import { carryStrandedStates, sealed } from "../../../src/worker/state/stranded-states.ts"
import { until } from "../../until.ts"
import { type PoolParts, poolParts } from "../pool-parts.ts"

const stage = "run-a.plan.1" // of the task API in memory
const key = Buffer.from("7".repeat(64), "hex")
const state = Buffer.from(JSON.stringify({ version: 4, serial: 3, lineage: "l", resources: ["secret"] }))

const folder = ({ privateDirectory }: PoolParts) => join(privateDirectory, "cache", "kept-states")
/** Returns the files of the stage that are complete; each file has a part of its own in its name. */
const kept = (parts: PoolParts) =>
  existsSync(folder(parts))
    ? readdirSync(folder(parts)).filter((name) => name.startsWith(`${stage}.`) && name.endsWith(".state")).map((name) =>
      join(folder(parts), name)
    )
    : []
const onlyKept = (parts: PoolParts): string => {
  const files = kept(parts)
  expect(files.length).toBe(1)
  return files[0] ?? ""
}

const leave = (parts: PoolParts, names: ReadonlyArray<string>) => {
  mkdirSync(folder(parts), { recursive: true })
  for (const name of names) writeFileSync(join(folder(parts), name), `sealed ${name}`)
}
const numbered = (count: number) => Array.from({ length: count }, (_, at) => `run-${100 + at}.apply.1.state`)

const opened = (bytes: Uint8Array) => {
  const line = Buffer.from(keptStateLine(stage))
  expect(Buffer.from(bytes).subarray(0, line.length)).toEqual(line)
  const rest = bytes.subarray(line.length)
  const decipher = createDecipheriv("aes-256-gcm", key, rest.subarray(0, 12)).setAAD(line).setAuthTag(rest.subarray(12, 28))
  return Buffer.concat([decipher.update(rest.subarray(28)), decipher.final()])
}

const withParts = <A, E, R>(
  use: (parts: PoolParts, delivery: StateDelivery["Service"]) => Effect.Effect<A, E, R>,
  statePatience?: string
) =>
  Effect.gen(function*() {
    const parts = yield* poolParts(undefined, statePatience)
    const context = yield* Layer.build(parts.layer)
    return yield* Effect.flatMap(
      StateDelivery,
      (delivery) => Effect.andThen(delivery.keepSharedCopyAs({ id: stage, keptStateKey: key.toString("hex") }), use(parts, delivery))
    ).pipe(Effect.provide(context))
  }).pipe(Effect.scoped)

describe("a state that the server does not take", () => {
  it.live("is kept encrypted from the first failure on, and is gone when the server has it", () =>
    withParts(Effect.fnUntraced(function*(parts, delivery) {
      yield* delivery.lock({ ID: "a" })
      const up = parts.api.goDown()
      const pushing = yield* Effect.forkChild(delivery.push(state))
      yield* until(() => kept(parts).length > 0)
      expect(yield* delivery.refuge).toEqual(Option.some(Refuge.Shared({ file: onlyKept(parts) })))
      const hidden = readFileSync(onlyKept(parts))
      expect(hidden.includes("secret")).toBe(false)
      expect(opened(hidden)).toEqual(state)
      up()
      yield* Fiber.join(pushing)
      expect(readdirSync(folder(parts))).toEqual([])
    })))

  it("is encrypted otherwise each time, since two that begin alike would tell where they differ", () =>
    expect(sealed(stage, key, state)).not.toEqual(sealed(stage, key, state)))

  it.live("is kept too when the engine waits no longer for a server that is silent", () =>
    withParts(Effect.fnUntraced(function*(parts, delivery) {
      yield* delivery.lock({ ID: "a" })
      yield* delivery.push(state)
      parts.api.fault("POST /state", "silence")
      yield* parts.release
      const later = Buffer.from(JSON.stringify({ version: 4, serial: 4, lineage: "l" }))
      expect(yield* Effect.flip(delivery.push(later))).toMatchObject({ _tag: "NoAnswer" })
      expect(opened(readFileSync(onlyKept(parts)))).toEqual(later)
    })))

  it.live("is named in how it stands, and stays", () =>
    withParts(
      Effect.fnUntraced(function*(parts, delivery) {
        yield* delivery.lock({ ID: "a" })
        parts.api.goDown()
        expect(yield* delivery.settle(Option.some(state))).toMatchObject({
          _tag: "Unsaved",
          refuge: Refuge.Shared({ file: onlyKept(parts) })
        })
        expect(opened(readFileSync(onlyKept(parts)))).toEqual(state)
      }),
      "300 millis"
    ))

  it.live("is not in the file of the one before it, which whoever carries that one removes when it is too late", () =>
    withParts(
      Effect.fnUntraced(function*(parts, delivery) {
        yield* delivery.lock({ ID: "a" })
        parts.api.goDown()
        yield* delivery.settle(Option.some(state))
        const before = onlyKept(parts)
        const later = Buffer.from(JSON.stringify({ version: 4, serial: 4, lineage: "l", resources: ["secret"] }))
        yield* delivery.settle(Option.some(later))
        expect(onlyKept(parts)).not.toBe(before)
        expect(opened(readFileSync(onlyKept(parts)))).toEqual(later)
      }),
      "300 millis"
    ))

  it.live("is not said to be in the file of an older one", () =>
    withParts(
      Effect.fnUntraced(function*(parts, delivery) {
        yield* delivery.lock({ ID: "a" })
        const up = parts.api.goDown()
        expect(yield* delivery.settle(Option.some(state))).toMatchObject({
          _tag: "Unsaved",
          refuge: Refuge.Shared({ file: onlyKept(parts) })
        })
        up()
        parts.api.epoch++ // the server keeps what comes from now on as evidence
        const later = Buffer.from(JSON.stringify({ version: 4, serial: 4, lineage: "l" }))
        expect(yield* delivery.settle(Option.some(later))).toMatchObject({ _tag: "Unsaved", refuge: Refuge.Server() })
        expect(opened(readFileSync(onlyKept(parts)))).toEqual(state)
      }),
      "300 millis"
    ))

  it.live("is kept from the first time on that no lock is given for it, which may go on for days", () =>
    withParts(
      Effect.fnUntraced(function*(parts, delivery) {
        parts.api.goDown()
        const settling = yield* Effect.forkChild(delivery.settle(Option.some(state)))
        yield* until(() => existsSync(folder(parts)) && readdirSync(folder(parts)).length > 0)
        expect([settling.pollUnsafe(), opened(readFileSync(onlyKept(parts)))]).toEqual([undefined, state])
        yield* parts.endGrace
        expect(yield* Fiber.join(settling)).toMatchObject({ _tag: "Unsaved", refuge: Refuge.Shared({ file: onlyKept(parts) }) })
      }),
      "1 hour"
    ))

  it.live("is kept though there was no time left to ask even once", () =>
    withParts(Effect.fnUntraced(function*(parts, delivery) {
      yield* delivery.lock({ ID: "a" })
      parts.api.goDown()
      yield* parts.endGrace
      expect(yield* delivery.settle(Option.some(state))).toMatchObject({
        _tag: "Unsaved",
        refuge: Refuge.Shared({ file: onlyKept(parts) })
      })
    })))

  it.live.each([
    { status: 422, error: "invalid" },
    { status: 413, error: "too-large" },
    { status: 409, error: "locked" }
  ])(
    "is kept when the server refuses it as $error, and does not say that it kept it",
    (refusal) =>
      withParts(Effect.fnUntraced(function*(parts, delivery) {
        yield* delivery.lock({ ID: "a" })
        parts.api.fault("POST /state", refusal)
        yield* Effect.flip(delivery.push(state))
        expect(opened(readFileSync(onlyKept(parts)))).toEqual(state)
      }))
  )

  it.live.each(
    [
      { status: 422, error: "invalid", kept: true },
      { status: 409, error: "locked", kept: true }
    ] as const
  )(
    "is kept nowhere when the server refuses it as $error, and says that it kept it",
    (refusal) =>
      withParts(Effect.fnUntraced(function*(parts, delivery) {
        yield* delivery.lock({ ID: "a" })
        parts.api.fault("POST /state", refusal, refusal)
        yield* Effect.flip(delivery.push(state))
        expect(yield* delivery.settle(Option.none())).toMatchObject({ _tag: "Unsaved", refuge: Refuge.Server() })
        expect(existsSync(folder(parts))).toBe(false)
      }))
  )

  it.live("is kept when there is no lock for it, since then the server never saw it", () =>
    withParts(Effect.fnUntraced(function*(parts, delivery) {
      yield* delivery.lock({ ID: "a" })
      yield* delivery.unlock({ ID: "a" })
      yield* delivery.giveBack
      parts.api.lock = { ID: "somebody-else" }
      expect(yield* delivery.settle(Option.some(state))).toMatchObject({
        _tag: "Unsaved",
        refuge: Refuge.Shared({ file: onlyKept(parts) })
      })
    })))

  it.live("is kept nowhere when the server refuses it, which keeps it itself", () =>
    withParts(Effect.fnUntraced(function*(parts, delivery) {
      yield* delivery.lock({ ID: "a" })
      parts.api.epoch++
      expect(yield* delivery.settle(Option.some(state))).toMatchObject({ _tag: "Unsaved", refuge: Refuge.Server() })
      expect(existsSync(folder(parts))).toBe(false)
    })))
})

describe("the next worker", () => {
  it.live("takes what others had to leave to the server as it is, and only then removes it", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      leave(parts, ["run-x.apply.1.state", "run-y.apply.1.state", "run-z.apply.1.state.new"])
      parts.api.fault("POST /kept-state", 409)
      yield* carryStrandedStates
      const [first] = parts.api.keptStates.map((bytes) => Buffer.from(bytes).toString().replace("sealed ", ""))
      expect(readdirSync(folder(parts)).sort()).toEqual(
        ["run-x.apply.1.state", "run-y.apply.1.state", "run-z.apply.1.state.new"].filter((name) => name !== first)
      )
      yield* carryStrandedStates
      expect(readdirSync(folder(parts))).toEqual(["run-z.apply.1.state.new"])
    })))

  it.live("says that the server has a state whose file it cannot remove", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      const name = "run-x.apply.1.state"
      leave(parts, [name])
      parts.api.onRequest = () => { // a directory is in the place of the file by the time that this is removed
        rmSync(join(folder(parts), name))
        mkdirSync(join(folder(parts), name))
      }
      const said: Array<unknown> = []
      const told = yield* Effect.provide(carryStrandedStates, Logger.layer([Logger.make(({ message }) => said.push(message))]))
      expect(parts.api.keptStates.map(String)).toEqual([`sealed ${name}`])
      const stays = `The server has the kept state ${name}, whose file stays on the volume; remove it by hand, or it is sent again`
      expect(said).toEqual([[stays, expect.stringContaining(name)]])
      expect(told).toEqual([expect.stringContaining(`${stays}: `)])
    })))

  it.live("leaves where it is what something before the server says yes to", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      leave(parts, ["run-x.apply.1.state"])
      parts.api.fault("POST /kept-state", "a page")
      yield* carryStrandedStates
      expect(readdirSync(folder(parts))).toEqual(["run-x.apply.1.state"])
    })))

  it.live("removes what was begun an hour ago and never came to its end, and nothing younger", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      leave(parts, ["run-x.apply.1.state.new", "run-y.apply.1.state.new", "other.new"])
      const minutes = { "run-x.apply.1.state.new": 61, "run-y.apply.1.state.new": 59, "other.new": 61 }
      for (const [name, age] of Object.entries(minutes)) {
        const begun = new Date(Date.now() - age * 60_000)
        utimesSync(join(folder(parts), name), begun, begun)
      }
      yield* carryStrandedStates
      expect([readdirSync(folder(parts)).sort(), parts.api.requests]).toEqual([["other.new", "run-y.apply.1.state.new"], []])
    })))

  it.live("removes the rest of it although a part cannot be removed", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      const [first, last] = ["run-a.apply.1.state.new", "run-z.apply.1.state.new"]
      leave(parts, ["run-m.apply.1.state.new"])
      for (const name of [first, last]) mkdirSync(join(folder(parts), name))
      const before = new Date(Date.now() - 61 * 60_000)
      for (const name of readdirSync(folder(parts))) utimesSync(join(folder(parts), name), before, before)
      yield* carryStrandedStates
      expect(readdirSync(folder(parts)).sort()).toEqual([first, last])
    })))

  it.live("passes by what the server refuses, however much that is", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      leave(parts, numbered(26))
      parts.api.fault("POST /kept-state", ...Array.from({ length: 25 }, () => 409 as const))
      yield* carryStrandedStates
      expect([parts.api.keptStates.length, readdirSync(folder(parts)).length]).toEqual([1, 25])
    })))

  it.live("sends no more than five that are not of this server, since each later stage sends them whole again", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      leave(parts, numbered(26))
      let asked = 0
      parts.api.onRequest = () => void asked++
      parts.api.fault("POST /kept-state", ...Array.from({ length: 26 }, () => ({ status: 409, error: "not-of-this-server" })))
      yield* carryStrandedStates
      expect([asked, readdirSync(folder(parts)).length]).toEqual([5, 26])
    })))

  it.live.each([{ status: 422, error: "invalid" }, { status: 413, error: "too-large" }, { status: 409, error: "not-kept" }])(
    "sends what was refused as $error no second time, and leaves it for a person",
    (refusal) =>
      withParts(Effect.fnUntraced(function*(parts) {
        leave(parts, ["run-x.apply.1.state"])
        let asked = 0
        parts.api.onRequest = () => void asked++
        parts.api.fault("POST /kept-state", refusal)
        yield* carryStrandedStates
        yield* carryStrandedStates
        expect([asked, readdirSync(folder(parts))]).toEqual([1, ["run-x.apply.1.state.refused"]])
        expect(readFileSync(join(folder(parts), "run-x.apply.1.state.refused"), "utf8")).toBe("sealed run-x.apply.1.state")
      }))
  )

  it.live.each(["not-of-this-server", "evidence-full"])(
    "leaves as it is what is refused as %s, and sends it again later",
    (error) =>
      withParts(Effect.fnUntraced(function*(parts) {
        leave(parts, ["run-x.apply.1.state"])
        parts.api.fault("POST /kept-state", { status: 409, error })
        yield* carryStrandedStates
        expect(readdirSync(folder(parts))).toEqual(["run-x.apply.1.state"])
        yield* carryStrandedStates
        expect([parts.api.keptStates.map(String), readdirSync(folder(parts))]).toEqual([["sealed run-x.apply.1.state"], []])
      }))
  )

  /** Leaves states one after the other, in the order of `names`. */
  const leaveInOrder = (parts: PoolParts, names: ReadonlyArray<string>) => {
    leave(parts, names)
    names.forEach((name, at) => utimesSync(join(folder(parts), name), 1_700_000_000 + at, 1_700_000_000 + at))
  }

  it.live("takes no more than twenty, the newest first, since those that no server takes get old", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      leaveInOrder(parts, numbered(45))
      yield* carryStrandedStates
      const newest = numbered(45).slice(25).reverse().map((name) => `sealed ${name}`)
      const [first, ...others] = parts.api.keptStates.map(String)
      expect(others).toEqual(newest.filter((name) => name !== first).slice(0, 19))
    })))

  it.live("begins with any of them, so that none is always last", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      const firsts = new Set<string>()
      for (const worker of ["a", "b", "c", "d", "e", "f", "g", "h"]) {
        leaveInOrder(parts, numbered(3))
        parts.api.keptStates.splice(0)
        yield* carryStrandedStates.pipe(Random.withSeed(worker))
        firsts.add(String(parts.api.keptStates[0]))
      }
      expect(firsts.size).toBe(3)
    })))

  it.effect("ends after a minute, but not within a state that takes longer to arrive", () =>
    Effect.gen(function*() {
      const parts = yield* poolParts()
      leave(parts, numbered(3))
      const begun = Deferred.makeUnsafe<void>()
      const slow = Layer.mock(TaskApi, {
        takeKeptState: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep("9 minutes"))
      })
      const carrying = yield* Effect.forkChild(carryStrandedStates.pipe(Effect.provide(slow), Effect.provide(parts.layer)))
      yield* Deferred.await(begun)
      yield* TestClock.adjust("9 minutes")
      yield* Fiber.join(carrying)
      expect(readdirSync(folder(parts)).length).toBe(2)
    }))

  it.live("begins at once where nothing was left", () =>
    withParts(Effect.fnUntraced(function*(parts) {
      yield* carryStrandedStates
      expect(parts.api.requests).toEqual([])
    })))
})
