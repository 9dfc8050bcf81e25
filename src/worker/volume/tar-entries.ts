// The entries of a tar that a stranger may have made, with no more beside them than a packer writes.
// Invariant: what the decoder keeps before an entry, and applies to each, is bounded: it does so in one step, and has no limit for global records.
// Used by worker/volume/archive.ts and worker/backing/saved-plan.ts.
import { Effect, Stream } from "effect"
import { Tar } from "effect/encoding"
import { inMebibytes } from "./mebibytes.ts"

/** The most bytes before an entry, or after the last one, that belong to no entry: its extended headers and long names, and global ones. */
const besideBytes = 1024 ** 2
/** The most records of extended headers that an entry has, with the global ones: git writes one, and others one for each attribute. */
const mostRecords = 1000

/** Continues a sentence about such an archive. */
export const tooMuchBeside = `has more than ${
  inMebibytes(besideBytes)
} beside its files, or more than ${mostRecords} header records for one of them`

const recordsOf = (pax: Tar.Header["pax"]) =>
  Object.entries(pax).reduce(({ bytes, count }, [key, value]) => ({ bytes: bytes + key.length + value.length, count: count + 1 }), {
    bytes: 0,
    count: 0
  })

/** Decodes the tar, whose chunks are small; fails with `refused` if it has too much beside its entries. Each body is read before the next entry. */
export const tarEntries = <E, E2>(tar: Stream.Stream<Uint8Array, E>, refused: () => E2) =>
  Stream.suspend(() => {
    let beside = 0
    return tar.pipe(
      Stream.tap((chunk) => {
        beside += chunk.length
        return beside > besideBytes ? Effect.fail(refused()) : Effect.void
      }),
      Stream.pipeThroughChannel(Tar.decode<E | E2>()),
      Stream.tap(({ header: { pax, size } }) => {
        beside = -size // the bytes of its body come next
        const { bytes, count } = recordsOf(pax)
        return bytes > besideBytes || count > mostRecords ? Effect.fail(refused()) : Effect.void
      })
    )
  })
