// The journal of a stage's effects: what the engine tells, numbered, and with a pool sent to its server as it happens.
// Always holds: the engine never waits for the server, an entry is sent until the server has it, and no secret is in one.
// Used by worker/stage.ts.
import { Duration, Effect, Latch, Option, type Scope } from "effect"
import type { Told } from "../core/engine-events.ts"
import { nextEntry } from "../core/journal.ts"
import { journalBatch, type JournalEntry } from "../schema/effects.ts"

/** Up to which number the server has the journal; or that it will take none any more. */
export type Sent = { readonly _tag: "StoredUpTo"; readonly number: number } | { readonly _tag: "Refused" }

/** Sends entries that follow each other; fails when the server did not answer. */
export type SendEffects = (entries: ReadonlyArray<JournalEntry>) => Effect.Effect<Sent, { readonly message: string }>

export interface Journal {
  readonly add: (told: Told) => void
  readonly entries: () => ReadonlyArray<JournalEntry>
  /** Waits until the server has everything, at most this long; gives whether it has. */
  readonly flush: (limit: Duration.Input) => Effect.Effect<boolean>
}

/** The first of several goes at once, since with the node everything is gone that was not sent; what comes within this time then goes together. */
const pause = Duration.millis(20)

/** An id with a secret in it identifies nothing once that is taken out, so it is left out. */
const withoutSecrets = ({ address, id, idKey, ...what }: Told, redact: (text: string) => string): Told =>
  ({ ...what, address: redact(address), ...(idKey !== undefined && id !== undefined && redact(id) === id && { idKey, id }) })

/** Sends until the scope closes. */
export const makeJournal = Effect.fnUntraced(function*(redact: (text: string) => string, send: Option.Option<SendEffects>): Effect.fn.Return<Journal, never, Scope.Scope> {
  const entries: Array<JournalEntry> = []
  const sending = yield* Option.match(send, { onNone: () => Effect.succeed({ wake: () => {}, flush: () => Effect.succeed(true) }), onSome: (send) => startSending(entries, send) })
  return {
    add: (told) => {
      const entry = nextEntry(entries.length, withoutSecrets(told, redact))
      if (Option.isNone(entry)) return
      entries.push(entry.value)
      sending.wake()
    },
    entries: () => entries,
    flush: sending.flush
  }
})

/** Entries stay after they are stored: a server that was put back to an older copy asks for them again. */
const startSending = Effect.fnUntraced(function*(entries: ReadonlyArray<JournalEntry>, send: SendEffects) {
  const work = Latch.makeUnsafe(false)
  const idle = Latch.makeUnsafe(true)
  let refused = false
  let stored = 0
  let failures = 0

  const loop = Effect.gen(function*() {
    yield* work.await
    const answer = yield* Effect.result(send(entries.slice(stored, stored + journalBatch)))
    if (answer._tag === "Failure") {
      failures++
      return yield* Effect.logDebug("effects not taken", answer.failure.message)
    }
    if (answer.success._tag === "Refused") {
      refused = true
      yield* Effect.logWarning("The pool's server takes no journal of what the stage makes; what an engine that is killed has made is then named in its result alone.")
    } else {
      failures = answer.success.number > stored ? 0 : failures + 1 // told of a gap: not in a tight loop
      stored = Math.max(0, Math.min(answer.success.number, entries.length))
    }
    if (stored < entries.length && !refused) return
    work.closeUnsafe()
    idle.openUnsafe()
  })
  const rest = Effect.suspend(() => Effect.sleep(failures === 0 ? pause : Duration.millis(Math.min(200 * 2 ** failures, 5000))))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(loop, rest)))

  return {
    wake: () => {
      if (refused) return
      idle.closeUnsafe()
      work.openUnsafe()
    },
    flush: (limit: Duration.Input) => Effect.map(Effect.timeoutOption(idle.await, limit), (idle) => Option.isSome(idle) && stored === entries.length)
  }
})
