// Splits the bytes of a watch into events: one line of JSON each, or one frame of protobuf each for the kinds that have a table.
// Invariant: at most one incomplete event is held, an endless event fails the watch, and an event that the end of the connection cuts off is never emitted.
// Used by client.ts.
import { Effect, Stream } from "effect"
import { Ndjson } from "effect/encoding"
import { type Fields, watchEvent } from "./protobuf.ts"

/** The longest event, in bytes or in UTF-16 units of text. etcd refuses objects far smaller than this. */
const longestEvent = 16 * 1024 * 1024

const protobufType = "application/vnd.kubernetes.protobuf"

/** Returns the Accept header of a watch. A server that does not know protobuf for the kind answers with JSON. */
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

/**
 * Returns the complete frames in the bytes, and the bytes that are left. The length of each frame comes before it, as four bytes in
 * big-endian order.
 */
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

/** Returns the events in the shape that they have in JSON, unchecked. An `Error` says what is wrong with the bytes. */
export const watchEvents = <E>(
  bytes: Stream.Stream<Uint8Array, E>,
  contentType: string | undefined,
  fields: Fields | undefined
): Stream.Stream<unknown, E | Error> =>
  fields !== undefined && contentType?.startsWith(protobufType) === true ? frames(bytes, fields) : lines(bytes)
