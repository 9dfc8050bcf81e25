// Why a connection failed, in words for a person: by the codes of Node, of its TLS and of undici.
// Invariant: no reason quotes an answer, since an answer may hold a token. Pure.
// Used by whatever asks: kubernetes/client, cli/server/server-requests, controller/pool/pool and worker/network.
import { Predicate } from "effect"
import { codeOf } from "../schema/system-error.ts"

export const notTrusted = "its certificate is from an authority that is not trusted here"
const expired = "its certificate has expired, by the clock here"
const early = "its certificate is not valid yet, by the clock here"
const ofAnotherName = "its certificate is for another name than that of the address"
export const closed = "the connection was closed"
const noTls = "it does not speak TLS; is it http://?"
const noHandshake = "it broke off the TLS handshake; does it want a client certificate?"

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: closed,
  ENOTFOUND: "there is no host of that name",
  EAI_AGAIN: "the name of the host cannot be looked up now",
  EHOSTUNREACH: "no way to that host",
  ENETUNREACH: "no way to that host",
  ETIMEDOUT: "no answer",
  UND_ERR_CONNECT_TIMEOUT: "no answer",
  UND_ERR_SOCKET: closed,
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  EPROTO: noTls,
  DEPTH_ZERO_SELF_SIGNED_CERT: notTrusted,
  SELF_SIGNED_CERT_IN_CHAIN: notTrusted,
  UNABLE_TO_GET_ISSUER_CERT: notTrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: notTrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: notTrusted,
  CERT_HAS_EXPIRED: expired,
  CERT_NOT_YET_VALID: early,
  ERR_TLS_CERT_ALTNAME_INVALID: ofAnotherName
}

/** Returns what to do about a certificate, for the reason that it is of no use. `trust`: how whoever asks comes to trust an authority. */
export const certificateRemedy = (reason: string, trust: string): string | undefined => {
  const remedies: Readonly<Record<string, string>> = {
    [notTrusted]: trust,
    [expired]: "have that certificate renewed, or correct the clock here",
    [early]: "correct the clock here, or wait until it is valid",
    [ofAnotherName]: "use an address that it is for, or have one made for this address"
  }
  return remedies[reason]
}

/** The reasons that mean that there was no connection, so the server did not receive the request. */
export const unconnected: ReadonlySet<string | undefined> = new Set(
  ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"].map((code) => words[code])
)

const wordsFor = (cause: unknown): ReadonlyArray<string> => {
  const code = codeOf(cause)
  const ofTls = code === "EPROTO" || code.startsWith("ERR_SSL_")
  const message = cause instanceof Error ? cause.message : ""
  if (ofTls && /(?:_|\b)alert(?:_|\b)/iu.test(`${code} ${message}`)) return [noHandshake]
  const known = words[code]
  return known === undefined ? [] : [known]
}

const unknown = (cause: unknown): string => {
  if (cause instanceof SyntaxError) return "it answers what is not JSON" // its message quotes the answer
  if (!(cause instanceof Error)) return String(cause)
  if (cause.message.startsWith("Response does not match the HTTP")) {
    return "what it answers is not HTTP, as where http:// should be https://"
  }
  const message = cause.message.replace(
    /^Proxy response \((\d+)\) !== 200 when HTTP Tunneling$/u,
    "the proxy answers $1 and opens no tunnel"
  )
  return message || codeOf(cause) || "the connection broke"
}

/** Returns an error and the causes under it, the innermost last. */
const causesOf = (error: unknown): ReadonlyArray<unknown> =>
  Predicate.hasProperty(error, "cause") && error.cause !== undefined ? [error, ...causesOf(error.cause)] : [error]

/** Returns the cause of an error in plain words, on one line: the outermost cause that there are words for, else the innermost. */
export const failureInWords = (error: unknown): string => {
  const causes = causesOf(error)
  return causes.flatMap(wordsFor)[0] ?? unknown(causes.at(-1)).trim().replace(/\s+/gu, " ")
}
