// Takes bytes up to a limit, because what sends them may do so without end, and memory has one; and lets go of a body that nobody reads.
// Used by the clients of the API server and of ours, for requests to our servers, and for what is downloaded, packed or unpacked.
import { Effect, Stream } from "effect"
import type { HttpClientResponse } from "effect/http"

const mebibyte = 1024 * 1024

/** Returns the same bytes. Once there are more than `most`, it fails with what `beyond` makes of that, and reads no further. */
export const upTo =
  <E2>(most: number, beyond: (said: string) => E2) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | E2, R> =>
    Stream.suspend(() => {
      let size = 0
      return Stream.mapEffect(bytes, (chunk) => {
        size += chunk.length
        return size > most ? Effect.fail(beyond(`it answers more than ${most / mebibyte} MiB`)) : Effect.succeed(chunk)
      })
    })

/** Returns all bytes as one, with the same limit. */
export const wholeUpTo =
  <E2>(most: number, beyond: (said: string) => E2) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Effect.Effect<Buffer<ArrayBuffer>, E | E2, R> =>
    Effect.map(Stream.runCollect(upTo(most, beyond)(bytes)), (chunks) => Buffer.concat(chunks))

/** Returns the body. Fails if it has more than `most` bytes. */
export const bytesUpTo = (most: number) => ({ stream }: HttpClientResponse.HttpClientResponse) =>
  wholeUpTo(most, (said) => new Error(said))(stream)

/** Returns the text of a refusal, which is always shorter than this limit; empty if there is more, or it broke off. */
export const refusalText = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> =>
  bytesUpTo(mebibyte)(response).pipe(Effect.map((bytes) => new TextDecoder().decode(bytes)), Effect.orElseSucceed(() => ""))

/** Ends a body that nobody reads, which would keep its connection, after its first bytes, for which it waits a second at most. */
export const letGo = ({ stream }: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Stream.runDrain(Stream.take(stream, 1)).pipe(Effect.timeoutOption("1 second"), Effect.ignore)
