// The log of a stage: what the engine prints goes, without secrets, to the worker's own output and, with a pool, to the server by offset.
// Invariant: nothing unredacted leaves this file, the engine never waits for the server, and bytes that were dropped or lost are marked.
// Used by worker/stage/stage.ts and worker/engine/engine.ts; worker/engine/container-output.ts marks its gaps alike.
import { Context, Duration, Effect, Layer, Option, type Scope, Stream } from "effect"
import { begin, type Redaction, redactor } from "../../core/text/redact.ts"
import { harmless } from "../../core/text/sentence.ts"
import { type ServerAnswer, startSending } from "../network/sending.ts"
import type { OutputChunk } from "./exec-loop.ts"

/** Sends a piece of the log at its offset; fails when the server did not answer, or refused the token. */
export type ShipLog = (offset: number, bytes: Uint8Array) => Effect.Effect<ServerAnswer, { readonly message: string }>

export class Log extends Context.Service<Log, {
  /** Logs a command's output as it comes; when the output is over, returns its end as text, at most 64 KiB. */
  readonly show: (output: Stream.Stream<OutputChunk>, secrets: ReadonlyArray<string>) => Effect.Effect<string>
  /** Logs a line of the worker's own. */
  readonly line: (text: string) => Effect.Effect<void>
  /** Takes the secrets out of a message, and what a terminal obeys: no secret hides behind a sign that is taken out, its own or one in between. */
  readonly redact: (text: string) => string
  /**
   * Takes the secrets out of the key in a resource's address, by which the resource is found in the state. Hides only whole secrets: a text
   * inside of a secret document is easily a common word, and such a key too.
   */
  readonly redactKey: (key: string) => string
  /** Waits until the server has everything, at most this long; where that is too little time for all, the end goes alone. */
  readonly flush: (limit: Duration.Input) => Effect.Effect<void>
}>()("agent-job/worker/Log") {
  static readonly layer = (options: Options) => Layer.effect(Log, make(options))
}

interface Options {
  /** Hidden wherever they occur; see core/text/secret-forms. */
  readonly secrets: ReadonlyArray<string>
  /** The texts inside of secrets that are documents; hidden in output, lines and messages, but not in keys. */
  readonly parts: ReadonlyArray<string>
  readonly ship: Option.Option<ShipLog>
  /** Writes to the worker's own output. */
  readonly print: (bytes: Uint8Array) => Effect.Effect<void>
}

const pieceBytes = 64 * 1024
/** The pause after a piece, unless another whole one waits. What comes after a silence is sent at once, for whoever reads along. */
const pieceEvery = Duration.millis(200)
/** How much is kept for a server that does not answer. The oldest bytes are dropped first, because the end of a log matters most. */
const bufferBytes = 4 * 1024 * 1024
const tailBytes = 64 * 1024
/** Small chunks are joined up to this size, so that there are never very many of them. */
const smallBytes = 4096

export const gapMark = (bytes: number, why: string): Uint8Array => Buffer.from(`\n[${bytes} bytes of the log are missing here: ${why}]\n`)

const make = Effect.fnUntraced(function*({ parts, print, secrets, ship }: Options): Effect.fn.Return<Log["Service"], never, Scope.Scope> {
  const shipping = yield* startShipping(ship)

  const emit = (bytes: Uint8Array) =>
    bytes.length === 0 ? Effect.void : Effect.suspend(() => {
      shipping.add(bytes)
      return print(bytes)
    })

  const keys = redactor(secrets)
  const own = keys.and(parts)

  const show = Effect.fnUntraced(function*(output: Stream.Stream<OutputChunk>, more: ReadonlyArray<string>) {
    const { end, next } = own.and(more)
    const states: Record<OutputChunk["stream"], Redaction> = { stdout: begin, stderr: begin }
    const tail = keepingTail()
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

  return Log.of({
    show,
    line: (text) => emit(Buffer.from(`${own.text(text)}\n`)),
    redact: (text) => own.text(harmless(own.text(text))),
    redactKey: keys.text,
    flush: shipping.flush
  })
})

/** Keeps the end of what was added. Each byte is copied twice at most, however small the pieces are. */
const keepingTail = () => {
  const kept = Buffer.allocUnsafe(2 * tailBytes)
  let end = 0
  return {
    add: (bytes: Uint8Array): void => {
      const last = bytes.subarray(-tailBytes)
      if (end + last.length > kept.length) {
        kept.copyWithin(0, end - tailBytes, end)
        end = tailBytes
      }
      kept.set(last, end)
      end += last.length
    },
    text: (): string => new TextDecoder().decode(kept.subarray(Math.max(0, end - tailBytes), end))
  }
}

/** Keeps what waits to be sent. Every change is one synchronous step. */
const buffering = () => {
  const chunks: Array<Uint8Array> = []
  let [size, dropped] = [0, 0]
  /** Drops the oldest bytes beyond this many. */
  const keepLast = (bytes: number): void => {
    while (size > bytes) {
      const [oldest] = chunks
      if (oldest === undefined) return
      const going = Math.min(oldest.length, size - bytes)
      if (going === oldest.length) chunks.shift()
      else chunks[0] = oldest.subarray(going)
      size -= going
      dropped += going
    }
  }
  return {
    size: () => size,
    keepLast,
    add: (chunk: Uint8Array): void => {
      const last = chunks.at(-1)
      if (last !== undefined && last.length + chunk.length <= smallBytes) chunks[chunks.length - 1] = Buffer.concat([last, chunk])
      else chunks.push(chunk)
      size += chunk.length
      keepLast(bufferBytes)
    },
    /** Takes out the next piece, with a mark for the bytes that were dropped before it. */
    take: (): Uint8Array => {
      const parts: Array<Uint8Array> = dropped > 0 ? [gapMark(dropped, "the server did not take them in time")] : []
      dropped = 0
      let room = pieceBytes
      while (room > 0) {
        const [first] = chunks
        if (first === undefined) break
        const part = first.subarray(0, room)
        if (part.length === first.length) chunks.shift()
        else chunks[0] = first.subarray(part.length)
        parts.push(part)
        room -= part.length
        size -= part.length
      }
      return Buffer.concat(parts)
    }
  }
}

const startShipping = Effect.fnUntraced(function*(ship: Option.Option<ShipLog>) {
  const waiting = buffering()
  /** The piece on its way, without what the server has of it already. What the server loses, as by a restore, cannot be sent again. */
  let piece: Uint8Array = new Uint8Array()
  let offset = 0

  const left = () => piece.length + waiting.size()
  const sending = yield* startSending({
    send: Option.map(ship, (send) =>
      Effect.suspend(() => {
        if (piece.length === 0) piece = waiting.take()
        return send(offset, piece)
      })),
    storedUpTo: (end) => {
      const stored = end - offset
      piece = stored < 0 ? Buffer.concat([gapMark(-stored, "the server has lost them"), piece]) : piece.subarray(stored)
      offset = end
      return stored > 0
    },
    refused: Effect.void,
    isLeft: () => left() > 0,
    pause: () => left() < pieceBytes ? pieceEvery : Duration.zero
  })

  return {
    add: (bytes: Uint8Array) => {
      if (sending.isRefused()) return
      waiting.add(bytes)
      sending.wake()
    },
    flush: Effect.fnUntraced(function*(limit: Duration.Input) {
      const half = Duration.divideUnsafe(Duration.fromInputUnsafe(limit), 2)
      const before = offset
      if (yield* sending.flush(half)) return
      waiting.keepLast(Math.max(pieceBytes, Math.floor((offset - before) / 2))) // the server took twice as much in as long, so it takes all of this
      yield* sending.flush(half)
    })
  }
})
