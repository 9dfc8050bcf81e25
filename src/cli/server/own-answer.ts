// Which answers are the server's own, and what to say of one that something else gives: a proxy, an ingress, a login page.
// Invariant: no text names the path of a redirect, because the path of a log or an upload has a secret in it.
// Used by cli/server/server-requests.
import { type Duration, Option, Schema } from "effect"
import type { HttpClientRequest, HttpClientResponse } from "effect/http"
import { notOwn } from "../../core/network/server-refusal.ts"
import { inLine } from "../../core/text/in-line.ts"
import { Problem } from "../../schema/api/problem.ts"

/** How the server answers a request that succeeds. */
export interface Expected {
  /** What a 404 says is not there. */
  readonly thing: string
  readonly status: number
  /** The media type of a body that nothing decodes. */
  readonly mediaType?: string
  /** How long the headers may take; absent: as long as for any call. */
  readonly timeout?: Duration.Duration
}

/** The body of a refusal: JSON:API errors on the TFE paths, a problem on our own paths. */
const Refusal = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ errors: Schema.NonEmptyArray(Schema.Struct({ status: Schema.String, title: Schema.String, detail: Schema.String })) }),
  Problem
]))

/** Returns what the body of a refusal says, in whichever form and on one line; none if the body is not the server's own. */
export const saidBy = (text: string): Option.Option<Problem> =>
  Option.map(Schema.decodeUnknownOption(Refusal)(text), (refusal) => {
    if ("message" in refusal) return { ...refusal, message: inLine(refusal.message) }
    const [{ detail, title }] = refusal.errors
    return { error: title.replaceAll(" ", "-"), message: inLine(detail) }
  })

/** Reports whether an answer may be the one that the server gives. */
export const isOwn = ({ headers, status }: HttpClientResponse.HttpClientResponse, { mediaType, status: own }: Expected): boolean =>
  status === own && (mediaType === undefined || headers["content-type"]?.split(";")[0]?.trim().toLowerCase() === mediaType)

/**
 * Returns what is wrong with an answer that is no failure and not the server's own. A redirect to the same path elsewhere, such as from
 * http to https, gives the address to use instead of `url`.
 */
export const strangeAnswer = (
  url: string,
  asked: HttpClientRequest.HttpClientRequest,
  { headers: { location = "" }, status }: HttpClientResponse.HttpClientResponse
): string => {
  if (status < 300 || !URL.canParse(location, asked.url)) return notOwn(status)
  const { origin, pathname, protocol } = new URL(location, asked.url)
  const path = asked.url.slice(url.length)
  if (!/^https?:$/u.test(protocol)) return notOwn(status)
  if (!pathname.endsWith(path)) return `it redirects to ${origin}, which is not the server's own`
  const address = `${origin}${pathname.slice(0, -path.length)}`
  return address === url ? notOwn(status) : `it redirects to ${address}; use that address`
}
