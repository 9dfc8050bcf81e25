// How the server refuses inside: one error with a status, a code for programs and a sentence for a person.
// Each API gives it its own form at its border (server/access/http-answer); nothing secret is ever put in it.
// Used by every store and route of the server.
import { Data, Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { ProblemCode } from "../schema/api/problem.ts"

export class Refused extends Data.TaggedError("Refused")<{
  readonly status: 400 | 401 | 403 | 404 | 408 | 409 | 410 | 413 | 414 | 422 | 423 | 429 | 500 | 503
  readonly error: ProblemCode
  readonly message: string
  /** The token is not for what is there. The audit trail has it, and the answer is that of what is not there. */
  readonly isWithheld?: true
  /** More for programs, such as the holder of a lock or the true end of a log. */
  readonly details?: Readonly<Record<string, unknown>>
  /** How long to wait before asking again may help. */
  readonly retryAfterSeconds?: number
  /** What failed beneath a `storage` refusal: for the log, and never in an answer. */
  readonly beneath?: { readonly cause: unknown; readonly code?: string; readonly path?: string }
}> {}

/** What a store fails with: a refusal, or a database that cannot be used, which the border answers with 503. */
export type StoreFailure = Refused | SqlError.SqlError

const nothingHere = { status: 404, error: "not-found", message: "There is nothing here; check the address and the id in it." } as const

/** The answer for everything that does not exist. */
export const notFound = () => new Refused(nothingHere)

/** The same answer, for what the caller may not know of. */
export const withheld = () => new Refused({ ...nothingHere, isWithheld: true })

/** Fails if there is a sentence that refuses what the caller's token does not allow. The audit trail has it, whatever its status. */
export const refuseIf = (message: string | undefined, status: 403 | 404 = 403): Effect.Effect<void, Refused> =>
  message === undefined ? Effect.void : Effect.fail(new Refused({ status, error: "not-allowed", message }))

/** Returns what was looked for; fails with 404 if it is not there. */
export const orNotFound = <A>(found: A | undefined): Effect.Effect<A, Refused> =>
  found === undefined ? Effect.fail(notFound()) : Effect.succeed(found)

/** The answer for every wrong or missing token. */
export const unauthorized = () =>
  new Refused({
    status: 401,
    error: "unauthorized",
    message: "The token is missing, wrong or no longer valid; send a valid one as a bearer token."
  })

export const conflict = (error: ProblemCode, message: string, details?: Readonly<Record<string, unknown>>) =>
  new Refused({ status: 409, error, message, ...(details !== undefined && { details }) })

export const invalid = (message: string) => new Refused({ status: 422, error: "invalid", message })

export const tooLarge = (limitBytes: number) =>
  new Refused({ status: 413, error: "too-large", message: `The body has more than ${limitBytes} bytes; make it smaller.` })
