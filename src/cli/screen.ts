// Where a command tells a person what happens: lines that stay, one line that changes in place, the engine's log, and a question.
// Invariant: results for programs are alone on stdout, and what is told to a person on stderr then; nothing said elsewhere speaks to a terminal.
// Provided by each command of people; tests give one that keeps what it is told.
import { Clock, Context, Effect, Layer, Option, Schedule, type Scope, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { elapsed } from "./elapsed.ts"
import { endWithReaders } from "./readers.ts"
import { fit } from "./table.ts"
import { visible } from "./visible.ts"

export type Style = "plain" | "good" | "bad" | "bold" | "faint"

export class Screen extends Context.Service<Screen, {
  readonly colours: boolean
  /** Whether a person is there to answer a question. */
  readonly interactive: boolean
  /** A line that stays, with the time since the command began in front. */
  readonly step: (text: string) => Effect.Effect<void>
  /** What happens now: in place on a terminal until something else is told; elsewhere a line, once it was said again after a second. */
  readonly status: (text: string) => Effect.Effect<void>
  readonly line: (text: string, style?: Style) => Effect.Effect<void>
  /** Text as it is, such as a piece of a log: whoever gives it has taken out what a terminal would heed. */
  readonly text: (text: string) => Effect.Effect<void>
  /** For programs: on stdout, whatever else is told. */
  readonly result: (text: string) => Effect.Effect<void>
  /** On stdout as they are, unless that is a terminal. */
  readonly copy: (bytes: Uint8Array) => Effect.Effect<void>
  /** What was typed; none when the input ended without an answer. */
  readonly ask: (question: string) => Effect.Effect<Option.Option<string>>
}>()("agent-job/cli/Screen") {
  static readonly layer = (options: ScreenOptions): Layer.Layer<Screen, never, Terminal.Terminal> => Layer.effect(Screen, make(options))
}

export interface ScreenOptions {
  readonly colours: boolean
  /** stdout belongs to a program. */
  readonly forProgram: boolean
}

const codes: Readonly<Record<Exclude<Style, "plain">, string>> = { good: "32", bad: "31", bold: "1", faint: "2" }
const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
/** Milliseconds after which a state of affairs is worth a line of its own. */
const settledAfter = 1000
const eraseLine = "\r\u001b[2K"

const make = Effect.fnUntraced(
  function*({ colours: wanted, forProgram }: ScreenOptions): Effect.fn.Return<Screen["Service"], never, Terminal.Terminal | Scope.Scope> {
    const terminal = yield* Terminal.Terminal
    const capabilities = yield* TerminalCapabilities.TerminalCapabilities
    const began = yield* Clock.currentTimeMillis
    const out = forProgram ? process.stderr : process.stdout
    const colours = wanted && capabilities.canColor && (!forProgram || process.stderr.isTTY)
    const inPlace = out.isTTY && process.env.TERM !== "dumb"
    let shown: Option.Option<string> = Option.none()
    let since = began // when what is shown was said first
    let printed: string | undefined // where nothing can be changed in place
    let atLineStart = true
    let turn = 0

    yield* endWithReaders
    yield* Effect.addFinalizer(() => Effect.sync(clear))

    const write = (text: string) => void out.write(text)
    const clear = () => {
      if (inPlace && Option.isSome(shown)) write(eraseLine)
      shown = Option.none()
    }
    const paint = (text: string, style: Style) => colours && style !== "plain" ? `\u001b[${codes[style]}m${text}\u001b[0m` : text
    const newLine = () => atLineStart ? "" : "\n"
    const text = (text: string) =>
      Effect.sync(() => {
        if (text === "") return
        clear()
        write(text)
        atLineStart = text.endsWith("\n")
      })
    const line = (content: string, style: Style = "plain") => Effect.suspend(() => text(`${newLine()}${paint(visible(content), style)}\n`))
    const print = (content: string | Uint8Array) =>
      Effect.andThen(Effect.sync(clear), Effect.sync(() => void process.stdout.write(content)))
    const result = (content: string) => print(visible(content.endsWith("\n") ? content : `${content}\n`))
    const time = Effect.map(Clock.currentTimeMillis, (now) => elapsed(now - began).padStart(6))

    const draw = Effect.map(time, (time) => {
      if (!inPlace || !Option.isSome(shown)) return
      turn = (turn + 1) % spinner.length
      const width = (out.columns || 80) - 1
      write(`${eraseLine}${paint(time, "faint")}  ${spinner[turn]} ${fit(shown.value, width - time.length - 4)}`)
    })
    if (inPlace) yield* draw.pipe(Effect.repeat(Schedule.spaced("100 millis")), Effect.forkScoped)

    return Screen.of({
      colours,
      interactive: capabilities.canPrompt,
      step: (content) => Effect.flatMap(time, (time) => text(`${newLine()}${paint(time, "faint")}  ${visible(content)}\n`)),
      status: Effect.fnUntraced(function*(said) {
        const content = visible(said)
        const now = yield* Clock.currentTimeMillis
        if (!Option.contains(shown, content)) {
          if (inPlace && !atLineStart) yield* text("\n")
          shown = Option.some(content)
          since = now
        }
        if (inPlace) yield* draw
        else if (printed !== content && now - since >= settledAfter) {
          write(`${newLine()}${yield* time}  ${content}\n`)
          printed = content
          atLineStart = true
        }
      }),
      line,
      text,
      result,
      copy: (bytes) => process.stdout.isTTY ? result(new TextDecoder().decode(bytes)) : print(bytes),
      ask: Effect.fnUntraced(function*(question) {
        yield* line("")
        yield* text(`${paint(visible(question), "bold")}\n  > `)
        const typed = yield* Effect.option(terminal.readLine)
        atLineStart = Option.isSome(typed) // the terminal has echoed the end of the line
        return typed
      })
    })
  }
)
