// The log of a stage: bytes appended at an offset, read from an offset, nothing lost and nothing twice.
// Invariant: a position counts bytes over all attempts at a step. Past 64 MiB of a stage's log only its end is kept, for when it is over.
// Used by the task API (append) and by whoever follows a log.
import { Array, Context, Effect, Exit, Layer, Request, RequestResolver, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { isFinal, type Step } from "../../core/run/run-machine.ts"
import { harmless } from "../../core/text/sentence.ts"
import { mutates } from "../../schema/task/agent-task.ts"
import { longestMessage } from "../../schema/task/stage-result.ts"
import { conflict, Refused, type StoreFailure, unauthorized } from "../refused.ts"
import { Blobs } from "../store/blobs.ts"
import { Commits } from "../store/commits.ts"
import { rows } from "../store/database.ts"
import { runOfStep, stepId } from "../store/ids.ts"
import { type Run, Runs } from "./runs.ts"
import { type StageRow, Stages, stepOf, stepStatus } from "./stages.ts"

/** How many bytes of a stage's log are kept, from its beginning. */
const logLimitBytes = 64 * 1024 * 1024

/** How many of the bytes after that are kept, from its end: an error is mostly there. */
const tailLimitBytes = 256 * 1024

const notice = new TextEncoder().encode(
  "\n[The log is longer than 64 MiB; of the rest only the end is kept, and shown when the stage is over.]\n"
)

/**
 * Returns what comes before a log. Stock clients want 0x02 before a log and 0x03 after it, and drop the first three lines of an apply's.
 */
const opening = (run: Run, step: Step): Uint8Array =>
  new TextEncoder().encode(step === "plan" ? "\x02" : `\x02Run ${run.id}\nWorkspace ${run.workspace}\nApplies the saved plan\n`)

const closing = new Uint8Array([3])

/** Returns why a step ended without success, but for what its worker has said in its log already; empty if it succeeded. */
const whyEnded = ({ failure, status }: Run, result: StageRow["result"], isSaid: (message: string) => boolean): string => {
  if (result === null) return status === "canceled" ? "Cancelled: The run was cancelled before this began." : ""
  const { message, outcome, reason } = result
  if (outcome === "succeeded") return failure ?? ""
  const why = failure ?? message
  return isSaid(message) ? why.replace(message, "").trim() : `${reason}: ${why}`
}

const again = ({ result }: StageRow, { attempt }: StageRow): Uint8Array =>
  new TextEncoder().encode(`\n[${result?.reason ?? "Lost"}: planned again, attempt ${attempt}]\n\n`)

const removed = (id: string, at: string) =>
  new Refused({
    status: 410,
    error: "removed",
    message: `The log of ${id} was removed on ${
      at.slice(0, 10)
    }, as it was old; the server's --keep-days and --keep-runs say how long logs are kept.`
  })

/** How many bytes at the end of a log are looked through for the message of its stage's result. */
const longestSaid = 4 * longestMessage

const nothing = new Uint8Array(0)

/** Returns what of new bytes is stored of a log that ends at `logEnd`, with the notice after its last byte, and what is beyond that. */
const divided = (fresh: Uint8Array, logEnd: number) => {
  const kept = fresh.subarray(0, Math.max(0, logLimitBytes - logEnd))
  const beyond = fresh.subarray(kept.byteLength)
  const cutHere = beyond.byteLength > 0 && logEnd <= logLimitBytes
  return { stored: cutHere ? Buffer.concat([kept, notice]) : kept, beyond }
}

/** Returns the end of a log whose middle is gone, after a note of how much is left out. */
const tailOf = ({ logEnd }: StageRow, bytes: Uint8Array): Uint8Array => {
  const lost = logEnd - logLimitBytes - bytes.byteLength
  return lost === 0 ? bytes : Buffer.concat([new TextEncoder().encode(`[${lost} bytes are left out here.]\n`), bytes])
}

/**
 * Returns where the log of each attempt begins and ends, and the heading before it. A log grows no more once its stage is over. `tails` has
 * what is kept beyond the limit, of those that are over.
 */
const partsOf = (head: Uint8Array, attempts: ReadonlyArray<StageRow>, tails: ReadonlyMap<string, Uint8Array>) => {
  let end = 0
  return attempts.map((stage, index) => {
    const before = attempts[index - 1]
    const heading = { at: end, bytes: before === undefined ? head : again(before, stage) }
    const start = end + heading.bytes.byteLength
    const beyond = tails.get(stage.id)
    const tail = { at: start + stage.logStored, bytes: beyond === undefined ? nothing : tailOf(stage, beyond) }
    end = tail.at + tail.bytes.byteLength
    return { stage, heading, start, tail, end }
  })
}

/** Bytes that a worker sends at an offset of its stage's log, which is answered with the log's end. */
class Piece extends Request.Class<
  { readonly stageId: string; readonly offset: number; readonly bytes: Uint8Array },
  number,
  StoreFailure
> {}

const Tail = Schema.Struct({ stageId: Schema.String, bytes: Schema.Uint8Array })
const Chunk = Schema.Struct({ position: Schema.Int, bytes: Schema.Uint8Array })

/** The most pieces of an attempt that are read for one answer: a worker may send its log byte by byte. */
const piecesAtOnce = 500

interface Laid {
  readonly at: number
  readonly bytes: Uint8Array
}

/** Returns where to end the answer, because the pieces after that were not read; infinite if all were. */
const endOfRead = (read: ReadonlyArray<ReadonlyArray<Laid>>): number =>
  Math.min(...read.flatMap((pieces) => pieces.length < piecesAtOnce ? [] : pieces.slice(-1)).map(({ at, bytes }) => at + bytes.byteLength))

/** Returns at most `limit` bytes of the pieces, laid end to end, from `offset` on. */
const cut = (pieces: ReadonlyArray<Laid>, offset: number, limit: number): Uint8Array =>
  Buffer.concat(pieces.map(({ at, bytes }) => bytes.subarray(Math.max(0, offset - at), Math.max(0, offset + limit - at))))

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const { spareRoom } = yield* Blobs
  const commits = yield* Commits
  const runs = yield* Runs
  const stages = yield* Stages

  const tailsOf = (stageIds: ReadonlyArray<string>) => rows(Tail)(sql`SELECT * FROM logTails WHERE ${sql.in("stageId", stageIds)}`)

  const keepTail = Effect.fnUntraced(function*(stageId: string, beyond: Uint8Array) {
    const [before] = yield* tailsOf([stageId])
    const bytes = Buffer.concat([before?.bytes ?? nothing, beyond]).subarray(-tailLimitBytes)
    yield* sql`INSERT INTO logTails ${sql.insert({ stageId, bytes })} ON CONFLICT (stageId) DO UPDATE SET bytes = excluded.bytes`
  })

  /** Stores what is new of a piece, in the transaction around it, and returns the log's end. It writes nothing before it refuses. */
  const store = Effect.fnUntraced(function*({ bytes, offset, stageId }: Piece) {
    const stage = yield* stages.get(stageId)
    if (stage.endedAt !== null) return yield* unauthorized() // it ended while the piece came, and readers have gone on from its end
    if (!mutates(stage.stage)) yield* spareRoom // its worker keeps the end of the log
    if (offset > stage.logEnd) {
      return yield* conflict("log-gap", `The log ends at ${stage.logEnd}, not at ${offset}; go on from there.`, { offset: stage.logEnd })
    }
    const fresh = bytes.subarray(stage.logEnd - offset)
    if (fresh.byteLength === 0) return stage.logEnd
    const logEnd = stage.logEnd + fresh.byteLength
    const { beyond, stored } = divided(fresh, stage.logEnd)
    if (stored.byteLength > 0) yield* sql`INSERT INTO logChunks ${sql.insert({ stageId, position: stage.logStored, bytes: stored })}`
    if (beyond.byteLength > 0) yield* keepTail(stageId, beyond)
    yield* sql`UPDATE stages SET ${sql.update({ logEnd, logStored: stage.logStored + stored.byteLength })} WHERE id = ${stageId}`
    yield* commits.news(`logs ${stage.runId}`)
    return logEnd
  })

  /** Stores a piece and returns how to answer it, which holds once the transaction around it is committed. */
  const answerOf = (piece: Piece) =>
    store(piece).pipe(
      Effect.map((logEnd): Exit.Exit<number, Refused> => Exit.succeed(logEnd)),
      Effect.catchTag("Refused", (refused) => Effect.succeed(Exit.fail(refused)))
    )

  /**
   * Stores the pieces that came in one turn of the event loop with one commit: a commit waits for the disk, and all else waits with it. The
   * slower the disk, the more pieces share a commit.
   */
  const pieces = RequestResolver.make<Piece>((entries) =>
    sql.withTransaction(Effect.forEach(entries, ({ request }) => answerOf(request))).pipe(
      Effect.map((answers) => Array.zip(entries, answers).forEach(([entry, answer]) => entry.completeUnsafe(answer)))
    )
  )

  /** Appends bytes and returns the log's end. Bytes that are stored already may be sent again; a gap is refused with the true end. */
  const append = Effect.fn("Logs.append")((stageId: string, offset: number, bytes: Uint8Array) =>
    Effect.request(new Piece({ stageId, offset, bytes }), pieces)
  )

  /** Returns the stored pieces of a stage's log, or parts of them, of at most `limit` bytes from `from` on. */
  const piecesOf = ({ id }: StageRow, from: number, limit: number) =>
    rows(Chunk)(
      sql`SELECT MAX(position, ${from}) AS position, substr(bytes, MAX(0, ${from} - position) + 1, ${limit}) AS bytes
      FROM logChunks WHERE stageId = ${id}
      AND position >= (SELECT COALESCE(MAX(position), 0) FROM logChunks WHERE stageId = ${id} AND position <= ${from})
      AND position + length(bytes) > ${from} AND position < ${from + limit} ORDER BY position LIMIT ${piecesAtOnce}`
    )

  /** Returns what ends the log of a step that is over, for clients that learn nowhere else why it failed; `last` is its last attempt. */
  const endOf = Effect.fnUntraced(function*({ id }: Run, last: StageRow | undefined, tail: Uint8Array) {
    const run = yield* runs.get(id) // after its stage, which has moved it on when it ended
    const pieces = last === undefined ? [] : yield* piecesOf(last, Math.max(0, last.logStored - longestSaid), longestSaid)
    const said = Buffer.concat([...pieces.map(({ bytes }) => bytes), tail]).subarray(-longestSaid).toString()
    const why = whyEnded(run, last?.result ?? null, (message) => said.includes(message))
    return why === "" ? closing : Buffer.concat([Buffer.from(`\n${harmless(why)}\n`), closing])
  })

  /**
   * Returns at most `limit` bytes of the framed log of a run's step, from `offset` on; the closing byte at its end tells that the log is
   * over. No more is read than asked for, because a piece that an older version stored may have megabytes; and less of many small pieces.
   */
  const look = Effect.fnUntraced(function*(run: Run, step: Step, offset: number, limit: number, tellsWhy: boolean) {
    const all = yield* stages.ofRun(run.id)
    const attempts = all.filter((candidate) => stepOf(candidate.stage) === step)
    const last = attempts.at(-1)
    const status = last === undefined ? "pending" : stepStatus(last)
    const over = (status !== "pending" && status !== "running") || isFinal(run.status)
    const head = opening(run, step)
    const ended = over ? attempts : attempts.slice(0, -1)
    const tails = yield* tailsOf(ended.map(({ id }) => id))
    const parts = partsOf(head, attempts, new Map(tails.map(({ bytes, stageId }) => [stageId, bytes])))
    const chunks = yield* Effect.forEach(parts, ({ stage, start }) =>
      Effect.map(
        piecesOf(stage, offset - start, limit),
        (found) => found.map(({ bytes, position }) => ({ at: start + position, bytes }))
      ))
    const end = over && tellsWhy && last === all.at(-1) ? yield* endOf(run, last, parts.at(-1)?.tail.bytes ?? nothing) : closing
    return cut(
      [
        ...(parts.length === 0
          ? [{ at: 0, bytes: head }]
          : parts.flatMap(({ heading, tail }, index) => [heading, ...chunks[index] ?? [], tail])),
        ...(over ? [{ at: parts.at(-1)?.end ?? head.byteLength, bytes: end }] : [])
      ],
      offset,
      Math.min(limit, endOfRead(chunks) - offset)
    )
  })

  /**
   * Reads the log of a plan or an apply, which `id` names. Waits up to `waitSeconds` for something to read, or a second where too many wait,
   * and then returns no bytes. With `tellsWhy`, the log of a step that did not succeed ends with the reason.
   */
  const read = Effect.fn("Logs.read")(function*(id: string, offset: number, limit: number, waitSeconds: number, tellsWhy = false) {
    const runId = runOfStep(id)
    const found = yield* commits.await(
      `logs ${runId}`,
      waitSeconds,
      Effect.gen(function*() {
        const run = yield* runs.get(runId)
        if (run.removedAt !== null) return yield* removed(run.id, run.removedAt)
        const bytes = yield* look(run, id === stepId(runId, "plan") ? "plan" : "apply", offset, limit, tellsWhy)
        return { found: bytes.byteLength === 0 ? undefined : bytes }
      })
    )
    return found ?? nothing
  })

  return { append, read }
})

export class Logs extends Context.Service<Logs>()("agent-job/server/Logs", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
