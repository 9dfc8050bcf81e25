import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { TestClock } from "effect/testing"
import { Screen } from "../../../src/cli/terminal/screen.ts"
import { printed } from "../typed.ts"

/** A terminal at which somebody answers yes. */
const answered = Terminal.make({
  columns: Effect.succeed(80),
  rows: Effect.succeed(24),
  size: Effect.never,
  readInput: Effect.never,
  readLine: Effect.succeed("yes"),
  display: () => Effect.void
})

/** Returns what `use` writes to stdout. `terminal`: whether stdout is a terminal. */
const shown = (use: (screen: Screen["Service"]) => Effect.Effect<unknown>, options: { readonly terminal?: boolean } = {}) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const { isTTY } = process.stdout
      process.stdout.isTTY = options.terminal === true
      return isTTY
    }),
    () =>
      printed(
        Effect.flatMap(Screen, use).pipe(
          Effect.provide(Screen.layer({ colours: true, forProgram: false })),
          Effect.provide(Layer.succeed(TerminalCapabilities.TerminalCapabilities, { canColor: true, canAnimate: false, canPrompt: false })),
          Effect.provide(Layer.succeed(Terminal.Terminal, answered))
        )
      ),
    (isTTY) =>
      Effect.sync(() => {
        process.stdout.isTTY = isTTY
      })
  )

/** A text that writes the clipboard, goes up a line, and begins a colour with a one-character control. */
const hostile = "a\u001b]52;c;eA==\u0007\u001b[1A\u009b31m\u007fb"
const harmless = "a\\u001b]52;c;eA==\\u0007\\u001b[1A\\u009b31m\\u007fb"

describe("what comes from elsewhere", () => {
  it.effect("speaks to no terminal: its controls are told as JSON writes them", () =>
    Effect.gen(function*() {
      expect(yield* shown(({ result }) => result(hostile))).toBe(`${harmless}\n`)
      expect(yield* shown(({ line }) => line(hostile, "good"))).toBe(`\u001b[32m${harmless}\u001b[0m\n`)
      expect(yield* shown(({ step }) => step(hostile))).toMatch(/^\u001b\[2m +\d\.\ds\u001b\[0m {2}a/u)
      expect(yield* shown(({ step }) => step(hostile))).toContain(`  ${harmless}\n`)
      expect(yield* shown(({ ask }) => ask(hostile))).toContain(harmless)
      expect(yield* shown(({ status }) => status(hostile), { terminal: true })).toContain(harmless)
    }))

  it.effect.each<readonly [where: string, how: (screen: Screen["Service"], text: string) => Effect.Effect<unknown>]>([
    ["a line", ({ line }, text) => line(text)],
    ["a step", ({ step }, text) => step(text)],
    ["a status", ({ status }, text) => status(text)],
    ["a question", ({ ask }, text) => ask(text)]
  ])("turns the reading order of nothing in %s", ([, how]) =>
    Effect.gen(function*() {
      expect(yield* shown((screen) => how(screen, "fine\u202edeliaf\u2066"), { terminal: true })).toContain("fine\\u202edeliaf\\u2066")
    }))

  it.effect("keeps its lines and tabs, and as JSON its meaning", () =>
    Effect.gen(function*() {
      expect(yield* shown(({ result }) => result("a\tb\nc"))).toBe("a\tb\nc\n")
      const document = { value: hostile }
      const printed = yield* shown(({ result }) => result(JSON.stringify(document)))
      expect(printed).toMatch(/^[ -~]+\n$/u)
      expect(JSON.parse(printed)).toEqual(document)
    }))
})

describe("a status", () => {
  const long = `No controller has asked for work in the last 90 seconds; ${"check ".repeat(10)}that one runs`
  const standing = (text: string) => ({ status }: Screen["Service"]) =>
    Effect.andThen(Effect.andThen(status(text), TestClock.adjust("1 second")), Effect.andThen(status(text), status(text)))
  const whole = (text: string, written: string) => written.split(`  ${text}\n`).length - 1
  it.effect("that stands is told in full once, also by a terminal that is too narrow for it", () =>
    Effect.gen(function*() {
      expect(whole(long, yield* shown(standing(long), { terminal: true }))).toBe(1)
      expect(whole(long, yield* shown(standing(long)))).toBe(1)
    }))
  it.effect("is one line, also of a message that has several", () =>
    Effect.gen(function*() {
      const several = standing("Waiting: MountVolume failed\n\tMounting command: mount\n")
      expect(yield* shown(several)).toMatch(/^.*Waiting: MountVolume failed Mounting command: mount\n$/u)
      expect(yield* shown(several, { terminal: true })).not.toContain("\n")
    }))
  it.effect("is told after how long, whatever the machine's clock is set to meanwhile", () =>
    Effect.gen(function*() {
      const told = ({ status }: Screen["Service"]) =>
        Effect.gen(function*() {
          yield* TestClock.adjust("1 hour")
          yield* status("Planning")
          yield* TestClock.setTime(0)
          yield* TestClock.adjust("1 minute")
          yield* status("Planning")
        })
      expect(yield* shown(told)).toBe(" 1h01m  Planning\n")
    }))
  it.effect("that fits the terminal has no line of its own", () =>
    Effect.gen(function*() {
      const written = yield* shown(standing("Planning"), { terminal: true })
      expect([written.includes("Planning"), written.includes("\n")]).toEqual([true, false])
    }))
})

describe("a colour that a log leaves on", () => {
  const hidden = "\u001b[8msecret = \u001b[1m"
  const reset = "\u001b[0m"
  it.effect.each<[string, (screen: Screen["Service"]) => Effect.Effect<unknown>]>([
    ["line", ({ line }) => line("Applied")],
    ["step", ({ step }) => step("Applied")],
    ["status", ({ status }) => status("Applied")],
    ["question", ({ ask }) => ask("Applied")],
    ["result", ({ result }) => result("Applied")]
  ])("ends before the next %s", ([, next]) =>
    Effect.gen(function*() {
      for (const terminal of [true, false]) {
        const written = yield* shown((screen) => Effect.andThen(screen.text(hidden), next(screen)), { terminal })
        expect(written.startsWith(`${hidden}${reset}`)).toBe(true)
      }
    }))
  it.effect("ends with the command, if it has not ended itself", () =>
    Effect.gen(function*() {
      const alone = (text: string) => shown((screen) => screen.text(text))
      expect(yield* alone(hidden)).toBe(`${hidden}${reset}`)
      expect(yield* alone(`${hidden}${reset}`)).toBe(`${hidden}${reset}`)
      expect(yield* alone("plain")).toBe("plain")
    }))
  it.effect("goes on in the log", () =>
    Effect.map(shown(({ text }) => Effect.andThen(text(hidden), text("more"))), (written) => expect(written).toBe(`${hidden}more${reset}`)))
})

describe("a copy", () => {
  const bytes = new TextEncoder().encode(`{"lineage":"\u009b2J"}\r\n`)
  it.effect("is byte for byte what was stored", () =>
    Effect.map(shown(({ copy }) => copy(bytes)), (written) => expect(written).toBe(new TextDecoder().decode(bytes))))
  it.effect("is told to a terminal as anything else is", () =>
    Effect.map(
      shown(({ copy }) => copy(bytes), { terminal: true }),
      (written) => expect(written).toBe("{\"lineage\":\"\\u009b2J\"}\\u000d\n")
    ))
})
