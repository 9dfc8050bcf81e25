// The events of a watch out of its bytes: a line of JSON each, or a frame of protobuf each for the kinds that have a table.
// Invariant: never more than one open event is held, and one without an end fails the watch; what a connection cut off in the middle is no event.
// Used by client.ts.
import { Effect, Stream } from "effect"
import { Ndjson } from "effect/encoding"
import { type Fields, watchEvent } from "./protobuf.ts"

/** Bytes, or UTF-16 units of text. etcd refuses objects far smaller than this. */
const longestEvent = 16 * 1024 * 1024

const protobufType = "application/vnd.kubernetes.protobuf"

/** What to ask for: a server that does not know protobuf for the kind answers with JSON. */
export const acceptFor = (fields: Fields | undefined): string =>
  fields === undefined ? "application/json" : `${protobufType};stream=watch, application/json`

const tooLong = () => new Error("an event has no end")

const lines = <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<unknown, E | Error> =>
  bytes.pipe(
    Stream.decodeText(),
    Stream.mapAccumEffect(() => 0, (open: number, text) => {
      const end = text.lastIndexOf("\n")
      const left = end < 0 ? open + text.length : text.length - end - 1
      return left > longestEvent ? Effect.fail(tooLong()) : Effect.succeed([left, [text]] as const)
    }),
    Stream.pipeThroughChannel(Ndjson.decodeString({ ignoreEmptyLines: true }))
  )

const lengthBytes = 4

/** The whole frames in the bytes, and what is left of them: each has its length before it, in four bytes, the largest first. */
const framesIn = (bytes: Uint8Array): { readonly frames: ReadonlyArray<Uint8Array>; readonly left: Uint8Array } => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frames: Array<Uint8Array> = []
  let at = 0
  while (bytes.length - at >= lengthBytes) {
    const length = view.getUint32(at)
    if (length > longestEvent) throw tooLong()
    if (bytes.length - at - lengthBytes < length) break
    frames.push(bytes.subarray(at + lengthBytes, at + lengthBytes + length))
    at += lengthBytes + length
  }
  return { frames, left: bytes.subarray(at) }
}

const asError = (error: unknown): Error => error instanceof Error ? error : new Error(String(error))

const frames = <E>(bytes: Stream.Stream<Uint8Array, E>, fields: Fields): Stream.Stream<unknown, E | Error> =>
  Stream.mapAccumEffect(bytes, (): Uint8Array => new Uint8Array(), (open, chunk) =>
    Effect.try({
      try: () => {
        const { frames, left } = framesIn(open.length === 0 ? chunk : Buffer.concat([open, chunk]))
        return [left, frames.map((frame) => watchEvent(frame, fields))] as const
      },
      catch: asError
    }))

/** The events as JSON has them, unchecked. An `Error` says what is wrong with the bytes. */
export const watchEvents = <E>(
  bytes: Stream.Stream<Uint8Array, E>,
  contentType: string | undefined,
  fields: Fields | undefined
): Stream.Stream<unknown, E | Error> =>
  fields !== undefined && contentType?.startsWith(protobufType) === true ? frames(bytes, fields) : lines(bytes)
