// The journal of a stage's effects: what the engine tells, numbered, and with a pool sent to its server as it happens.
// Always holds: the engine never waits for the server, an entry is sent until the server has it, and the keys and ids in one are without secrets.
// Used by worker/stage.ts and worker/settlement.ts.
import { Duration, Effect, Option, type Scope } from "effect"
import type { UnnumberedEntry } from "../core/engine-events.ts"
import { nextEntry } from "../core/journal.ts"
import { journalBatch, type JournalEntry } from "../schema/effects.ts"
import type { Log } from "./log-shipper.ts"
import { Received, startSending, toNobody } from "./sending.ts"

/** Sends entries that follow each other; fails when the server did not answer. */
export type SendEffects = (entries: ReadonlyArray<JournalEntry>) => Effect.Effect<Received, { readonly message: string }>

export interface Journal {
  readonly add: (told: UnnumberedEntry) => void
  readonly entries: () => ReadonlyArray<JournalEntry>
  /** Waits until the server has everything, at most this long; gives whether it has. */
  readonly flush: (limit: Duration.Input) => Effect.Effect<boolean>
}

/**
 * The first of several goes at once, since with the node everything is gone that was not sent; what comes within this time then goes
 * together.
 */
const pause = Duration.millis(20)

type Redacting = Pick<Log["Service"], "redact" | "redactKey">

/** The last one may have been cut off. */
const key = /"(?:[^"\\]|\\.)*"?/gu

/**
 * By its address a thing is found in the state. All of that but keys is as the configuration says it, so no secret comes in there, though a
 * word may be the same.
 * An id with a secret in it identifies nothing once that is taken out, so it is left out.
 */
const withoutSecrets = ({ address, id, idKey, ...what }: UnnumberedEntry, { redact, redactKey }: Redacting): UnnumberedEntry => ({
  ...what,
  address: address.replace(key, redactKey),
  ...(idKey !== undefined && id !== undefined && redact(id) === id && { idKey, id })
})

/** Sends until the scope closes. */
export const makeJournal = Effect.fnUntraced(
  function*(redacting: Redacting, send: Option.Option<SendEffects>): Effect.fn.Return<Journal, never, Scope.Scope> {
    const entries: Array<JournalEntry> = []
    const sending = yield* Option.match(send, { onNone: () => Effect.succeed(toNobody), onSome: (send) => sendingOf(entries, send) })
    return {
      add: (told) => {
        const entry = nextEntry(entries.length, withoutSecrets(told, redacting))
        if (Option.isNone(entry)) return
        entries.push(entry.value)
        sending.wake()
      },
      entries: () => entries,
      flush: sending.flush
    }
  }
)

/** Entries stay after they are stored: a server that was put back to an older copy asks for them again. */
const sendingOf = (entries: ReadonlyArray<JournalEntry>, send: SendEffects) => {
  let stored = 0
  const once = Effect.matchEffect(Effect.suspend(() => send(entries.slice(stored, stored + journalBatch))), {
    onFailure: ({ message }) => Effect.as(Effect.logDebug("effects not taken", message), "failed" as const),
    onSuccess: Received.$match({
      Refused: () =>
        Effect.as(
          Effect.logWarning(
            "The pool's server takes no journal of what the stage makes; what an engine that is killed has made is then named in its result alone."
          ),
          "refused" as const
        ),
      StoredUpTo: ({ end }) =>
        Effect.sync(() => {
          const isTaken = end > stored // else it told of a gap
          stored = Math.max(0, Math.min(end, entries.length))
          return isTaken ? "taken" : "failed"
        })
    })
  })
  return startSending({ once, isLeft: () => stored < entries.length, pause })
}
