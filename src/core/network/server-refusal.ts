// What an answer of the server means that is not the expected success: the same for every client.
// Invariant: only an answer in the server's own form is the server's; any other may come from a proxy while the server is away.
// Used by worker/network/task-api, controller/pool/pool and cli/server/server-requests, which say it in their own errors.
import { Data, Option, Schema } from "effect"
import { isOneOf, Problem } from "../../schema/api/problem.ts"

export type ServerRefusal = Data.TaggedEnum<{
  NotOwn: {}
  /** The server cannot do it now, or did not get the request whole, or as it was sent. */
  AskAgain: Problem
  TokenRefused: Problem
  /** The same request would be refused again. */
  Final: Problem
}>
export const ServerRefusal = Data.taggedEnum<ServerRefusal>()

/** How our Pods come to trust the authority of the server's certificate. */
export const trustInPods = "put the certificate of that authority into global.tls.caBundle"

/** Says of an answer that it is not the server's own. */
export const notOwn = (answer: number | string): string => `it answers ${answer}, which is not the server's own`

/** Returns the problem in the body of an answer; none if the body is not the server's. */
export const problemIn = Schema.decodeUnknownOption(Schema.fromJsonString(Problem))

/** Returns what an answer with this status means, in whose body the server says this, if it does. */
export const meaningOf = (status: number, said: Option.Option<Problem>): ServerRefusal => {
  if (Option.isNone(said) || status < 400) return ServerRefusal.NotOwn()
  if (status === 401) return ServerRefusal.TokenRefused(said.value)
  const brokeOff = isOneOf(said.value.error, "bad-request", "digest-mismatch", "request-timeout")
  return status === 429 || status >= 500 || brokeOff ? ServerRefusal.AskAgain(said.value) : ServerRefusal.Final(said.value)
}
