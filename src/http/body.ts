// Reads a body up to a limit, because what answers may send one without end, and memory has one.
// Used by cli/server/server-requests, controller/pool/pool, kubernetes/client and worker/network/task-api.
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

/** Returns the body. Fails if it has more than `most` bytes. */
export const bytesUpTo = (most: number) => ({ stream }: HttpClientResponse.HttpClientResponse) =>
  stream.pipe(upTo(most, (said) => new Error(said)), Stream.runCollect, Effect.map((chunks) => Buffer.concat(chunks)))

/** Returns the text of a refusal, which is always shorter than this limit; empty if there is more, or it broke off. */
export const refusalText = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> =>
  bytesUpTo(mebibyte)(response).pipe(Effect.map((bytes) => new TextDecoder().decode(bytes)), Effect.orElseSucceed(() => ""))
