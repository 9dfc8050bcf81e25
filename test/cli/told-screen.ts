// A screen that records what it is told, in order, and answers questions as a test says.
// Used by the tests of commands that talk to a person.
import { Effect, Layer, Option, Schedule } from "effect"
import { Screen } from "../../src/cli/terminal/screen.ts"

export interface Told {
  readonly kind: "step" | "status" | "line" | "text" | "result" | "ask"
  readonly text: string
}

/** Returns a screen. `answer`: what somebody answers to a question; undefined makes the screen non-interactive. */
export const toldScreen = (answer?: Effect.Effect<Option.Option<string>>) => {
  const told: Array<Told> = []
  const tell = (kind: Told["kind"]) => (text: string) => Effect.sync(() => void told.push({ kind, text }))
  const of = (...kinds: ReadonlyArray<Told["kind"]>) => told.filter(({ kind }) => kinds.includes(kind)).map(({ text }) => text)
  return {
    told,
    of,
    /** Returns everything that was told but the status, which changes in place, as a person would read it. */
    transcript: () => told.filter(({ kind }) => kind !== "status").map(({ kind, text }) => kind === "text" ? text : `${text}\n`).join(""),
    /** Waits until the screen was told something that contains `part`. */
    until: (part: string) =>
      Effect.sync(() => told.some(({ text }) => text.includes(part))).pipe(
        Effect.repeat({ until: (seen) => seen, schedule: Schedule.spaced("10 millis") }),
        Effect.timeoutOrElse({
          duration: "5 minutes",
          orElse: () => Effect.die(new Error(`never told: ${part}\ntold: ${JSON.stringify(told, null, 1)}`))
        })
      ),
    layer: Layer.succeed(
      Screen,
      Screen.of({
        colours: true,
        interactive: answer !== undefined,
        step: tell("step"),
        status: tell("status"),
        line: tell("line"),
        text: tell("text"),
        result: tell("result"),
        copy: (bytes) => tell("result")(new TextDecoder().decode(bytes)),
        ask: (question) => Effect.andThen(tell("ask")(question), answer ?? Effect.succeed(Option.none()))
      })
    )
  }
}

export const answers = (typed: string) => Effect.succeed(Option.some(typed))
export const silence = Effect.succeed(Option.none<string>())
