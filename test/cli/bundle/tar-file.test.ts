// How the archive is written: the end of what is long, for its owner alone, whole or not at all.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { Tar } from "effect/encoding"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { endOf, writeTarGz } from "../../../src/cli/bundle/tar-file.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

const bytes = (...pieces: ReadonlyArray<string>) => Stream.fromIterable(pieces).pipe(Stream.encodeText)
const place = Effect.map(temporaryFolder("bundle"), (folder) => join(folder, "made.tar.gz"))
const one = Stream.make(Tar.file("a", "hello\n"))

describe("the end of a content", () => {
  it.effect.each([
    { given: "all of it, if it is short", pieces: ["a\n", "b\n"], most: 4, end: "a\nb\n" },
    { given: "nothing of nothing", pieces: [], most: 4, end: "" },
    { given: "whole lines of a long one", pieces: ["one\n", "two\nthree", "\nfour\n"], most: 12, end: "three\nfour\n", left: 8 },
    { given: "whole lines of one long piece", pieces: ["one\ntwo\nthree\n"], most: 7, end: "three\n", left: 8 }
  ])("is $given", ({ end, left, most, pieces }) =>
    Effect.map(endOf(bytes(...pieces), most), (found) => {
      expect(Buffer.from(found).toString()).toBe(
        `${left === undefined ? "" : `# The first ${left} bytes are left out; this is the end.\n`}${end}`
      )
    }))
})

it.effect("a content that hangs is given up after two minutes without a byte, however long it takes in all", () =>
  Effect.gen(function*() {
    const slow = Stream.concat(
      Stream.mapEffect(bytes("a\n", "b\n"), (piece) => Effect.delay(Effect.succeed(piece), "90 seconds")),
      Stream.never
    )
    const reading = yield* Effect.forkChild(Effect.flip(endOf(slow, 4)))
    yield* TestClock.adjust("299 seconds")
    expect(reading.pollUnsafe()).toBeUndefined()
    yield* TestClock.adjust("1 second")
    expect((yield* Fiber.join(reading)).message).toBe("Nothing came for 2m, so it was given up; try again later.")
  }))

describe("the archive", () => {
  it.live("is a tar.gz that only its owner may read", () =>
    Effect.gen(function*() {
      const file = yield* place
      expect(yield* writeTarGz(file, false, one)).toBe(statSync(file).size)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      expect(execFileSync("tar", ["-xzOf", file, "a"]).toString()).toBe("hello\n")
    }))

  it.live("replaces what is there only by force, and then it is as private as a new one", () =>
    Effect.gen(function*() {
      const file = yield* place
      writeFileSync(file, "mine", { mode: 0o644 })
      expect((yield* Effect.flip(writeTarGz(file, false, one))).message).toBe(
        `${file} is there already; name another file, or replace it with --force.`
      )
      expect(readFileSync(file, "utf8")).toBe("mine")
      yield* writeTarGz(file, true, one)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      const pipe = `${file}.pipe` // and not a device: root would replace the machine's own if this fails
      execFileSync("mkfifo", [pipe])
      expect((yield* Effect.flip(writeTarGz(pipe, true, one))).message).toBe(
        `Cannot write ${pipe} (something else than a file is there); name another file.`
      )
      expect(statSync(pipe).isFIFO()).toBe(true)
    }))

  it.live("takes its name once it is whole: until then what is there stays, and nothing is left of a part", () =>
    Effect.gen(function*() {
      const file = yield* place
      const folder = dirname(file)
      yield* Effect.flip(writeTarGz(file, false, Stream.concat(one, Stream.fail({ message: "away" }))))
      expect(readdirSync(folder)).toEqual([])
      writeFileSync(file, "mine")
      yield* Effect.flip(writeTarGz(file, true, Stream.concat(one, Stream.fail({ message: "away" }))))
      expect([readdirSync(folder), readFileSync(file, "utf8")]).toEqual([[basename(file)], "mine"])
      const begun = yield* Deferred.make<void>()
      const writing = yield* Effect.forkChild(
        writeTarGz(file, true, Stream.concat(one, Stream.fromEffect(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))))
      )
      yield* Deferred.await(begun)
      expect(readFileSync(file, "utf8")).toBe("mine")
      yield* Fiber.interrupt(writing)
      expect([readdirSync(folder), readFileSync(file, "utf8")]).toEqual([[basename(file)], "mine"])
    }))

  it.live("does not replace what somebody else has put there meanwhile", () =>
    Effect.gen(function*() {
      const file = yield* place
      const meanwhile = Stream.fromEffectDrain(Effect.sync(() => writeFileSync(file, "theirs")))
      expect((yield* Effect.flip(writeTarGz(file, false, Stream.concat(one, meanwhile)))).message).toBe(
        `${file} is there already; name another file, or replace it with --force.`
      )
      expect(readFileSync(file, "utf8")).toBe("theirs")
    }))
})
