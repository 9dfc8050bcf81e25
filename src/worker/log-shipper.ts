// The log of a stage: what the engine prints, without secrets, to the worker's own output and, with a pool, to the server by offset.
// Always holds: nothing unredacted leaves this file, the engine never waits for the server, and what had to be dropped is marked.
// Used by worker/stage.ts and worker/engine.ts.
import { Context, Duration, Effect, Latch, Layer, Option, type Scope, Stream } from "effect"
import { begin, type Redaction, redactor } from "../core/redact.ts"
import type { Output } from "./exec-loop.ts"

/** Where the server's copy of the log ended after a piece was sent; or that it will take none any more. */
export type Shipped = { readonly _tag: "StoredUpTo"; readonly offset: number } | { readonly _tag: "Refused" }

/** Sends a piece of the log at its offset; fails when the server did not answer. */
export type Ship = (offset: number, bytes: Uint8Array) => Effect.Effect<Shipped, { readonly message: string }>

export class Log extends Context.Service<Log, {
  /** Shows a command's output as it comes, and gives its end, at most 64 KiB of text, when the output is over. */
  readonly show: (output: Stream.Stream<Output>, secrets: ReadonlyArray<string>) => Effect.Effect<string>
  /** A line of the worker's own. */
  readonly line: (text: string) => Effect.Effect<void>
  /** Takes the secrets out of a message. */
  readonly redact: (text: string) => string
  /** Waits until the server has everything, at most this long. */
  readonly flush: (limit: Duration.Input) => Effect.Effect<void>
}>()("agent-job/worker/Log") {
  static readonly layer = (options: Options) => Layer.effect(Log, make(options))
}

interface Options {
  /** Of every stream; see core/redact for what becomes of them. */
  readonly secrets: ReadonlyArray<string>
  readonly ship: Option.Option<Ship>
  /** The worker's own output. */
  readonly print: (bytes: Uint8Array) => Effect.Effect<void>
}

const pieceBytes = 64 * 1024
const pieceEvery = Duration.millis(200)
/** What is kept for a server that does not answer; the end of a log matters most, so the oldest goes first. */
const bufferBytes = 4 * 1024 * 1024
const tailBytes = 64 * 1024
/** Chunks are put together up to this size, so that there are never very many of them. */
const smallBytes = 4096

const gapMark = (bytes: number) => `\n[${bytes} bytes of the log are missing here: the server did not take them in time]\n`

const make = Effect.fnUntraced(function*({ print, secrets, ship }: Options): Effect.fn.Return<Log["Service"], never, Scope.Scope> {
  const shipping = yield* Option.match(ship, { onNone: () => Effect.succeed({ add: () => {}, flush: () => Effect.void }), onSome: startShipping })

  const emit = (bytes: Uint8Array) =>
    bytes.length === 0 ? Effect.void : Effect.suspend(() => {
      shipping.add(bytes)
      return print(bytes)
    })

  const show = Effect.fnUntraced(function*(output: Stream.Stream<Output>, more: ReadonlyArray<string>) {
    const { end, next } = redactor([...secrets, ...more])
    const states: Record<Output["stream"], Redaction> = { stdout: begin, stderr: begin }
    const tail = new Tail()
    const put = (bytes: Uint8Array) =>
      Effect.suspend(() => {
        tail.add(bytes)
        return emit(bytes)
      })
    yield* Stream.runForEach(output, ({ bytes, stream }) =>
      Effect.suspend(() => {
        const [state, shown] = next(states[stream], bytes)
        states[stream] = state
        return put(shown)
      }))
    yield* put(end(states.stdout))
    yield* put(end(states.stderr))
    return tail.text()
  })

  const own = redactor(secrets)
  return Log.of({
    show,
    line: (text) => emit(Buffer.from(`${own.text(text)}\n`)),
    redact: own.text,
    flush: shipping.flush
  })
})

/** The end of what was added. Each byte is moved twice at most, however small the pieces are that it comes in. */
class Tail {
  private readonly kept = Buffer.allocUnsafe(2 * tailBytes)
  private end = 0

  add(bytes: Uint8Array): void {
    const last = bytes.subarray(-tailBytes)
    if (this.end + last.length > this.kept.length) {
      this.kept.copyWithin(0, this.end - tailBytes, this.end)
      this.end = tailBytes
    }
    this.kept.set(last, this.end)
    this.end += last.length
  }

  text(): string {
    return new TextDecoder().decode(this.kept.subarray(Math.max(0, this.end - tailBytes), this.end))
  }
}

/** What waits to be sent: changed only in one synchronous step at a time. */
class Buffered {
  chunks: Array<Uint8Array> = []
  bytes = 0
  dropped = 0

  add(chunk: Uint8Array): void {
    const last = this.chunks.at(-1)
    if (last !== undefined && last.length + chunk.length <= smallBytes) this.chunks[this.chunks.length - 1] = Buffer.concat([last, chunk])
    else this.chunks.push(chunk)
    this.bytes += chunk.length
    while (this.bytes > bufferBytes) this.drop()
  }

  private drop(): void {
    const oldest = this.chunks.shift()?.length ?? 0
    this.bytes -= oldest
    this.dropped += oldest
  }

  /** The next piece, with a mark for what is missing before it. */
  take(): Uint8Array {
    const parts: Array<Uint8Array> = this.dropped > 0 ? [Buffer.from(gapMark(this.dropped))] : []
    this.dropped = 0
    let room = pieceBytes
    while (room > 0) {
      const [first] = this.chunks
      if (first === undefined) break
      const part = first.subarray(0, room)
      if (part.length === first.length) this.chunks.shift()
      else this.chunks[0] = first.subarray(part.length)
      parts.push(part)
      room -= part.length
      this.bytes -= part.length
    }
    return Buffer.concat(parts)
  }
}

const startShipping = Effect.fnUntraced(function*(ship: Ship) {
  const waiting = new Buffered()
  const work = Latch.makeUnsafe(false)
  const idle = Latch.makeUnsafe(true)
  let refused = false
  let offset = 0

  /** Until the server has it. What it has of it already is left out; what it lost, it cannot have again. */
  const send = Effect.fnUntraced(function*(piece: Uint8Array) {
    let rest = piece
    for (let failures = 0; rest.length > 0 && !refused;) {
      const answer = yield* Effect.result(ship(offset, rest))
      if (answer._tag === "Failure") {
        yield* Effect.logDebug("log not taken", answer.failure.message)
        yield* Effect.sleep(Math.min(200 * 2 ** failures++, 5000))
      } else if (answer.success._tag === "Refused") {
        refused = true
      } else {
        const stored = answer.success.offset - offset
        rest = stored < 0 ? rest : rest.subarray(Math.min(stored, rest.length))
        offset = answer.success.offset
      }
    }
  })

  const loop = Effect.gen(function*() {
    yield* work.await
    if (waiting.bytes < pieceBytes) yield* Effect.sleep(pieceEvery)
    yield* send(waiting.take())
    if (waiting.bytes > 0 && !refused) return
    work.closeUnsafe()
    idle.openUnsafe()
  })
  yield* Effect.forkScoped(Effect.forever(loop))

  return {
    add: (bytes: Uint8Array) => {
      if (refused) return
      waiting.add(bytes)
      idle.closeUnsafe()
      work.openUnsafe()
    },
    flush: (limit: Duration.Input) => Effect.asVoid(Effect.timeoutOption(idle.await, limit))
  }
})
