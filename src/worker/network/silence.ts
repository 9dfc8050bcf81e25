// Ends an attempt whose connection went dead, as where something in between forgot it, and lets one go on that is only slow.
// Used by worker/network/task-api.
import { Duration, Effect, Stream } from "effect"

/** How long nothing may come: what stands before the server has to wait that long too (kustomize/README.md), while it stores a large body. */
export const longestSilence = Duration.minutes(1)

const pieceBytes = 64 * 1024

/** The bytes in pieces, of which the network takes one after another. */
export const piecesOf = (bytes: Uint8Array): Stream.Stream<Uint8Array> =>
  Stream.map(
    Stream.range(0, Math.ceil(bytes.length / pieceBytes) - 1),
    (piece) => bytes.subarray(piece * pieceBytes, (piece + 1) * pieceBytes)
  )

/** Sends the pieces. Looks at times whether it goes on, and fails as `dead` says if no piece was taken since the last look, nor an answer came. */
export const unlessSilent = <A, E, E2, E3>(
  pieces: Stream.Stream<Uint8Array, E>,
  send: (pieces: Stream.Stream<Uint8Array, E>) => Effect.Effect<A, E2>,
  dead: Effect.Effect<never, E3>
): Effect.Effect<A, E2 | E3> =>
  Effect.suspend(() => {
    let taken = 0
    const counted = Stream.tap(pieces, () => Effect.sync(() => void taken++))
    const looking = (before: number): Effect.Effect<never, E3> =>
      Effect.flatMap(Effect.sleep(longestSilence), () => taken === before ? dead : looking(taken))
    return Effect.raceFirst(send(counted), looking(taken))
  })
