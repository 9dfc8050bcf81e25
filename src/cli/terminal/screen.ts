// Where a command tells a person what happens: lines that stay, one line that changes in place, the engine's log, and a question.
// Invariant: if a program reads stdout, only results are there, the rest is on stderr. Text from elsewhere cannot control the terminal.
// Provided by each command that people type; tests provide one that records what it is told.
import { Clock, Context, Effect, Layer, Option, Schedule, type Scope, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { inLine } from "../../core/text/in-line.ts"
import { elapsed } from "./amounts.ts"
import { endWithReaders } from "./readers.ts"
import { fit } from "./table.ts"
import { dropTyped } from "./typed-ahead.ts"
import { visible, visibleInOrder } from "./visible.ts"

export type Style = keyof typeof codes

export class Screen extends Context.Service<Screen, {
  readonly colours: boolean
  /** Whether a person is there to answer a question. */
  readonly interactive: boolean
  /** Prints a line that stays, after the time since the command began. */
  readonly step: (text: string) => Effect.Effect<void>
  /**
   * Shows what happens now: on a terminal in a line that changes in place, elsewhere as a line of its own once the same status is reported
   * again after a second. On a terminal that is too narrow for it, it gets such a line too.
   */
  readonly status: (text: string) => Effect.Effect<void>
  readonly line: (text: string, style?: Style) => Effect.Effect<void>
  /**
   * Prints text as it is, such as a piece of a log. The caller has removed what could control a terminal. Colours that the text leaves on end
   * before the next line of another kind, and with the command.
   */
  readonly text: (text: string) => Effect.Effect<void>
  /** Prints the result for a program, always on stdout. */
  readonly result: (text: string) => Effect.Effect<void>
  /** Writes bytes to stdout as they are, or with control characters escaped if stdout is a terminal. */
  readonly copy: (bytes: Uint8Array) => Effect.Effect<void>
  /** Asks a question and returns what was typed after it; none if the input ended without an answer. */
  readonly ask: (question: string) => Effect.Effect<Option.Option<string>>
}>()("agent-job/cli/Screen") {
  static readonly layer = (options: ScreenOptions): Layer.Layer<Screen, never, Terminal.Terminal> => Layer.effect(Screen, make(options))
}

export interface ScreenOptions {
  readonly colours: boolean
  /** Whether a program reads stdout, so that only results are printed there. */
  readonly forProgram: boolean
  /** Whether text, such as a log, is such a result. */
  readonly logIsResult?: boolean
}

const codes = { good: "32", bold: "1", faint: "2" } as const
const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
/** How many milliseconds a status has to last for a line of its own, where one that changes in place cannot tell all of it. */
const settledAfter = 1000
const eraseLine = "\r\u001b[2K"
const noColour = "\u001b[0m"
// oxlint-disable-next-line no-control-regex
const colour = /\u001b\[[0-9;:]*m/gu

/** The time by a clock that nobody sets, for spans alone. */
const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

const make = Effect.fnUntraced(
  function*(
    { colours: wanted, forProgram, logIsResult = false }: ScreenOptions
  ): Effect.fn.Return<Screen["Service"], never, Terminal.Terminal | Scope.Scope> {
    const terminal = yield* Terminal.Terminal
    const capabilities = yield* TerminalCapabilities.TerminalCapabilities
    const began = yield* monotonicMillis
    const out = forProgram ? process.stderr : process.stdout
    const log = logIsResult ? process.stdout : out
    const colours = wanted && capabilities.canColor && (log === process.stdout || process.stderr.isTTY)
    const inPlace = out.isTTY && process.env.TERM !== "dumb"
    let shown: Option.Option<string> = Option.none()
    let since = began // when the shown status was first reported
    let printed: string | undefined // the last status with a line of its own
    let atLineStart = true
    let coloured = false // by the text that was printed last
    let turn = 0

    yield* endWithReaders
    yield* Effect.addFinalizer(() => Effect.sync(settle))

    const write = (text: string) => void out.write(text)
    const clear = () => {
      if (inPlace && Option.isSome(shown)) write(eraseLine)
      shown = Option.none()
    }
    const endColour = () => {
      if (coloured) log.write(noColour)
      coloured = false
    }
    const settle = () => {
      clear()
      endColour()
    }
    const paint = (text: string, style?: Style) => colours && style !== undefined ? `\u001b[${codes[style]}m${text}${noColour}` : text
    const newLine = () => atLineStart ? "" : "\n"
    const text = (text: string, to = out) =>
      Effect.sync(() => {
        if (text === "") return
        clear()
        to.write(text)
        atLineStart = text.endsWith("\n")
      })
    const ours = (content: string) => Effect.andThen(Effect.sync(endColour), text(content))
    const line = (content: string, style?: Style) => Effect.suspend(() => ours(`${newLine()}${paint(visibleInOrder(content), style)}\n`))
    const print = (content: string | Uint8Array) =>
      Effect.andThen(Effect.sync(settle), Effect.sync(() => void process.stdout.write(content)))
    const result = (content: string) => print(visible(content.endsWith("\n") ? content : `${content}\n`))
    const time = Effect.map(monotonicMillis, (now) => elapsed(now - began).padStart(6))

    /** Returns what fits behind the time and the spinner. */
    const inWidth = (content: string, time: string) => fit(content, (out.columns || 80) - time.length - 5)
    const draw = Effect.map(time, (time) => {
      if (!inPlace || !Option.isSome(shown)) return
      turn = (turn + 1) % spinner.length
      write(`${eraseLine}${paint(time, "faint")}  ${spinner[turn]} ${inWidth(shown.value, time)}`)
    })
    if (inPlace) yield* draw.pipe(Effect.repeat(Schedule.spaced("100 millis")), Effect.forkScoped)

    return Screen.of({
      colours,
      interactive: capabilities.canPrompt,
      step: (content) => Effect.flatMap(time, (time) => ours(`${newLine()}${paint(time, "faint")}  ${visibleInOrder(content)}\n`)),
      status: Effect.fnUntraced(function*(said) {
        const content = visibleInOrder(inLine(said)) // Kubernetes has messages of several lines
        const now = yield* monotonicMillis
        endColour()
        if (!Option.contains(shown, content)) {
          if (inPlace && !atLineStart) yield* text("\n")
          shown = Option.some(content)
          since = now
        }
        const at = yield* time
        if (printed !== content && now - since >= settledAfter && !(inPlace && inWidth(content, at) === content)) {
          write(`${inPlace ? eraseLine : newLine()}${at}  ${content}\n`)
          printed = content
          atLineStart = true
        }
        if (inPlace) yield* draw
      }),
      line,
      text: (content) =>
        Effect.andThen(
          text(content, log),
          Effect.sync(() => {
            const last = content.match(colour)?.at(-1)
            if (last !== undefined) coloured = last !== noColour
          })
        ),
      result,
      copy: (bytes) => process.stdout.isTTY ? result(new TextDecoder().decode(bytes)) : print(bytes),
      ask: Effect.fnUntraced(function*(question) {
        yield* line("")
        dropTyped()
        yield* text(`${paint(visibleInOrder(question), "bold")}\n  > `)
        const typed = yield* Effect.option(terminal.readLine)
        atLineStart = Option.isSome(typed) // the terminal has echoed the end of the line
        return typed
      })
    })
  }
)
