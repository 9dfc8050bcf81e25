// Which states are copied to the volume that tasks share, and how long each stays there; stranded-states.test.ts shows what becomes of them.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Declined, NoAnswer } from "../../../src/worker/network/task-api-error.ts"
import { sharedCopy } from "../../../src/worker/state/shared-copy.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

const stage = { id: "run-a.apply.1", keptStateKey: "7".repeat(64) }
const [first, later] = [Buffer.from("the first state"), Buffer.from("a later state")]
const down = new NoAnswer({ detail: "down" })
const refused = new Declined({ status: 409, message: "The stage is over.", body: { error: "over" } })
const evidence = new Declined({ status: 409, message: "The stage is over. It is kept as ev-1.", body: { error: "over", kept: true } })

const place = Effect.gen(function*() {
  const volume = yield* temporaryFolder("shared")
  const folder = join(volume, "kept-states")
  return { copy: sharedCopy(Option.some(volume)), folder, files: () => existsSync(folder) ? readdirSync(folder) : [] }
})

/** A volume on which the copies are those of a stage. */
const stagePlace = Effect.tap(place, ({ copy }) => copy.keepAs(stage))

describe("the copy on the shared volume", () => {
  it.effect.each([{ why: "the server is away", error: down }, { why: "the server refuses it", error: refused }])(
    "is made when $why, once however often that is so",
    ({ error }) =>
      Effect.gen(function*() {
        const { copy, files, folder } = yield* stagePlace
        yield* copy.notTaken(first, error)
        const [file = "none"] = files()
        for (const _ of [1, 2]) yield* copy.notTaken(first, error)
        expect(files()).toEqual([file])
        expect(copy.fileOf(first)).toEqual(Option.some(join(folder, file)))
      })
  )

  it.effect("is not made of a state that the server keeps as evidence, whatever it says of that state later", () =>
    Effect.gen(function*() {
      const { copy, files } = yield* stagePlace
      yield* copy.notTaken(first, evidence)
      yield* copy.notTaken(first, down)
      yield* copy.keep(first)
      expect([files(), copy.fileOf(first)]).toEqual([[], Option.none()])
    }))

  it.effect("is made of the next state, though the one before is evidence", () =>
    Effect.gen(function*() {
      const { copy, files } = yield* stagePlace
      yield* copy.notTaken(first, evidence)
      yield* copy.notTaken(later, down)
      expect([files().length, Option.isSome(copy.fileOf(later))]).toEqual([1, true])
    }))

  it.effect("has only the latest state, in a file of its own", () =>
    Effect.gen(function*() {
      const { copy, files } = yield* stagePlace
      yield* copy.keep(first)
      const before = files()
      yield* copy.keep(later)
      expect([files().length, copy.fileOf(first)]).toEqual([1, Option.none()])
      expect(files()).not.toEqual(before)
    }))

  it.effect("is gone when it is no longer needed, and made again when it is", () =>
    Effect.gen(function*() {
      const { copy, files } = yield* stagePlace
      yield* copy.remove
      yield* copy.keep(first)
      yield* copy.remove
      expect([files(), copy.fileOf(first)]).toEqual([[], Option.none()])
      yield* copy.keep(first)
      expect(files().length).toBe(1)
    }))

  it.effect("stays as it was when the volume takes no more, and is said to have only what it has", () =>
    Effect.gen(function*() {
      const { copy, folder } = yield* stagePlace
      yield* copy.keep(first)
      const before = copy.fileOf(first)
      rmSync(folder, { recursive: true })
      writeFileSync(folder, "in the way")
      yield* copy.keep(later)
      expect([copy.fileOf(first), copy.fileOf(later)]).toEqual([before, Option.none()])
    }))

  it.effect("is never made before the stage is known, or where tasks share no volume", () =>
    Effect.gen(function*() {
      const { copy, files } = yield* place
      yield* copy.notTaken(first, down)
      const none = sharedCopy(Option.none())
      yield* none.keepAs(stage)
      yield* none.notTaken(first, down)
      expect([files(), copy.fileOf(first), none.fileOf(first)]).toEqual([[], Option.none(), Option.none()])
    }))
})
