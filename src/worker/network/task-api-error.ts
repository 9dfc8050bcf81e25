// What an answer of the pool's server other than success means for the worker, as an error that says what to do.
// Invariant: only the server's own words are final; whatever else answers in its place may be asked again.
// Used by worker/network/task-api.ts and the parts that deliver states.
import { Data, Option, Predicate } from "effect"
import { meaningOf, problemIn, ServerRefusal, trustInPods } from "../../core/network/server-refusal.ts"
import { certificateRemedy } from "../../http/failure-words.ts"
import { isOneOf } from "../../schema/api/problem.ts"
import { archiveLimitBytes, planLimitBytes } from "../../schema/api/task-api.ts"
import { invalid, StageFailed } from "../stage-failed.ts"

/** No answer, a broken one, one that is not the server's own, 429, 5xx, or a request that broke off: asking again may help. */
export class NoAnswer extends Data.TaggedError("NoAnswer")<{
  readonly detail: string
  /** Whether the detail is a whole sentence that says what to do, such as the server's own. */
  readonly isSaid?: boolean
  /** The address that was asked. */
  readonly url?: string
}> {
  override get message() {
    if (this.isSaid === true) return this.detail
    const where = this.url === undefined ? "" : ` at ${this.url}`
    const next = certificateRemedy(this.detail, trustInPods) ??
      "check that it answers there, and the network: a task asks the address that agent.url had when it was made, whatever the values say now"
    return `The pool's server${where} gave no usable answer (${this.detail}); ${next}.`
  }
}

/** The server refused the token (401), even after it was read again, or said that the stage is another task's or pool's (409). */
export class TokenRefused extends Data.TaggedError("TokenRefused")<{ readonly status: number }> {
  override get message() {
    return this.status === 409
      ? "Another task has this stage, or another pool is to run it, so nothing was run here; follow the run at the pool's server."
      : `The pool's server refuses the token of this stage (${this.status}): the stage is over there, or the server does not know the token; see: agent-job get RUN`
  }
}

/** Any other refusal by the server itself; `body` is its answer, such as the holder of a lock. */
export class Declined extends Data.TaggedError("Declined")<{ readonly status: number; readonly message: string; readonly body: unknown }> {}

export type TaskApiError = NoAnswer | TokenRefused | Declined

/**
 * Reports whether the server refuses the token (401), which may be renewed: a server that is restored from a copy does not know a later
 * token, and gives the stage a new one when it offers it again. Whose task a stage belongs to never changes, and another pool is offered it
 * anew, so 409 is final.
 */
export const mayBeRenewed = (error: TaskApiError): boolean => error._tag === "TokenRefused" && error.status === 401

const largestBodyMiB = Math.max(archiveLimitBytes, planLimitBytes) / 1024 ** 2

/** Returns the error of a body that a gateway in front of the server does not take, such as nginx beyond 1 MB. */
const tooLargeBefore = () =>
  new NoAnswer({
    detail:
      `Something before the pool's server takes no body of this size (it answers 413); raise its limit to ${largestBodyMiB} MiB (nginx: client_max_body_size ${largestBodyMiB}m).`,
    isSaid: true
  })

const parseJson = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** Returns the error that an answer of `url` other than success means. */
export const refusalOf = (url: string, status: number, text: string): TaskApiError =>
  ServerRefusal.$match(meaningOf(status, problemIn(text)), {
    NotOwn: (): TaskApiError => status === 413 ? tooLargeBefore() : new NoAnswer({ url, detail: `it answers ${status}` }),
    AskAgain: ({ message }) => new NoAnswer({ detail: message, isSaid: true }),
    TokenRefused: () => new TokenRefused({ status }),
    Final: ({ error, message }) =>
      isOneOf(error, "taken")
        ? new TokenRefused({ status })
        : new Declined({ status, message, body: Option.getOrUndefined(parseJson(text)) })
  })

/** Returns the error code for programs in the server's answer, if there is one. */
export const problemCodeOf = ({ body }: Declined): string | undefined =>
  Predicate.hasProperty(body, "error") && typeof body.error === "string" ? body.error : undefined

/** Returns the failure of a stage that cannot go on without the answer. */
export const stageFailure = (error: TaskApiError): StageFailed => {
  switch (error._tag) {
    case "NoAnswer":
      return new StageFailed({ reason: "PoolUnreachable", message: error.message })
    case "TokenRefused":
      return new StageFailed({ reason: "TokenRefused", message: error.message })
    case "Declined":
      return problemCodeOf(error) === "rescue-pending"
        ? new StageFailed({ reason: "StateRescuePending", message: error.message })
        : invalid(`The pool's server does not give what the stage needs: ${error.message}`)
  }
}
