// The journal of a stage's effects: what the engine tells, numbered and, with a pool, sent to the server as it happens.
// Invariant: the engine never waits for the server, an entry is sent until the server has it, and its keys and ids contain no secrets.
// Used by worker/stage/stage.ts and worker/stage/settlement.ts.
import { Duration, Effect, Option, type Scope } from "effect"
import type { UnnumberedEntry } from "../../core/stage/engine-events.ts"
import { nextEntry } from "../../core/stage/journal.ts"
import { maskedAddress, numbered } from "../../core/stage/masked-address.ts"
import { journalBatch, type JournalEntry } from "../../schema/api/effects.ts"
import { type ServerAnswer, startSending } from "../network/sending.ts"
import type { Log } from "./log-shipper.ts"

/** Sends consecutive entries; fails when the server did not answer, or refused the token. */
export type SendJournal = (entries: ReadonlyArray<JournalEntry>) => Effect.Effect<ServerAnswer, { readonly message: string }>

export interface Journal {
  readonly add: (told: UnnumberedEntry) => void
  readonly entries: () => ReadonlyArray<JournalEntry>
  /** Waits until the server has everything, at most this long; returns whether it has. */
  readonly flush: (limit: Duration.Input) => Effect.Effect<boolean>
}

/**
 * The pause after a request. The first entry is sent at once, because what was not sent is lost with the node; the entries that come during
 * the pause are then sent together.
 */
const pause = Duration.millis(20)

type Redacting = Pick<Log["Service"], "redact" | "redactKey">

/** Takes the secrets out of addresses. Of two that look alike without them the later has a number, so that it does not pass for the other. */
const addressing = (redactKey: Redacting["redactKey"]) => {
  const written = new Map<string, string>()
  const alike = new Map<string, number>()
  const taken = new Set<string>()
  return (address: string): string => {
    const masked = maskedAddress(address, redactKey)
    const before = masked === address ? address : written.get(address)
    if (before !== undefined) return before
    let [nth, own] = [alike.get(masked) ?? 0, ""]
    do {
      nth++
      own = numbered(masked, nth)
    } while (taken.has(own)) // a key may go on with a number of its own
    taken.add(own)
    alike.set(masked, nth)
    written.set(address, own)
    return own
  }
}

/** Takes the secrets out of an entry. An id that contains one identifies nothing once that is taken out, so it is left out. */
const withoutSecrets = ({ redact, redactKey }: Redacting): (told: UnnumberedEntry) => UnnumberedEntry => {
  const addressOf = addressing(redactKey)
  return ({ address, id, idKey, ...what }) => ({
    ...what,
    address: addressOf(address),
    ...(idKey !== undefined && id !== undefined && redact(id) === id && { idKey, id })
  })
}

/** Makes a journal that is sent until the scope closes. */
export const makeJournal = Effect.fnUntraced(
  function*(redacting: Redacting, send: Option.Option<SendJournal>): Effect.fn.Return<Journal, never, Scope.Scope> {
    /** All are kept once the server has them, because a server restored from a backup asks for them again. */
    const entries: Array<JournalEntry> = []
    const redacted = withoutSecrets(redacting)
    let stored = 0
    const sending = yield* startSending({
      send: Option.map(send, (send) => Effect.suspend(() => send(entries.slice(stored, stored + journalBatch)))),
      storedUpTo: (end) => {
        const isTaken = end > stored // otherwise the server told of a gap
        stored = Math.max(0, Math.min(end, entries.length))
        return isTaken
      },
      refused: Effect.logWarning(
        "The pool's server does not accept the journal of what the stage makes. If the engine is killed, only the result of the stage names what it had made."
      ),
      isLeft: () => stored < entries.length,
      pause: () => pause
    })
    return {
      add: (told) => {
        const entry = nextEntry(entries.length, redacted(told))
        if (Option.isNone(entry)) return
        entries.push(entry.value)
        sending.wake()
      },
      entries: () => entries,
      flush: sending.flush
    }
  }
)
