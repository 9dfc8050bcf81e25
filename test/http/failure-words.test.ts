// Why a connection failed, as a person is told: nothing of a library, of OpenSSL or of an answer.
import { expect, it } from "@effect/vitest"
import { certificateRemedy, failureInWords, unconnected } from "../../src/http/failure-words.ts"

const coded = (code: string, message = `${code}\n of a socket`, cause?: unknown) => Object.assign(new Error(message, { cause }), { code })
const openssl = (said: string) => `write EPROTO 40DD:error:0A00010B:SSL routines:${said}:../deps/openssl/ssl.c:354:`

it.each([
  { given: "a code that there are words for", error: coded("ECONNREFUSED"), says: "connection refused" },
  {
    given: "an authority that is not trusted",
    error: coded("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate; if the root CA is installed locally, try --use-system-ca"),
    says: "its certificate is from an authority that is not trusted here"
  },
  {
    given: "a certificate of another time, which may be the fault of either clock",
    error: coded("CERT_NOT_YET_VALID", "certificate is not yet valid"),
    says: "its certificate is not valid yet, by the clock here"
  },
  {
    given: "TLS to a plain port",
    error: coded("EPROTO", openssl("ssl3_get_record:wrong version number")),
    says: "it does not speak TLS; is it http://?"
  },
  {
    given: "an alert while the handshake is written",
    error: coded("EPROTO", openssl("ssl3_read_bytes:ssl/tls alert handshake failure")),
    says: "it broke off the TLS handshake; does it want a client certificate?"
  },
  {
    given: "an alert after it",
    error: coded("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    says: "it broke off the TLS handshake; does it want a client certificate?"
  },
  { given: "two codes, the outer one", error: coded("ENOTFOUND", "", coded("ECONNREFUSED")), says: "there is no host of that name" },
  { given: "an unknown code around a known one", error: coded("OTHER", "", coded("ENOTFOUND")), says: "there is no host of that name" },
  { given: "no known code, its message", error: coded("OTHER"), says: "OTHER of a socket" },
  { given: "an unknown code alone", error: coded("OTHER", ""), says: "OTHER" },
  { given: "an unknown code around a message", error: coded("OTHER", "", new Error("inner")), says: "inner" },
  { given: "an error that says nothing", error: new Error(""), says: "the connection broke" },
  { given: "an answer that is no JSON", error: new SyntaxError("Unexpected token 's', \"s3cret\""), says: "it answers what is not JSON" },
  {
    given: "an answer that is no JSON, under another error",
    error: new Error("Decode error", { cause: new SyntaxError("Unexpected token 's', \"s3cret\"") }),
    says: "it answers what is not JSON"
  },
  {
    given: "a proxy that refuses a tunnel",
    error: coded("UND_ERR_ABORTED", "Proxy response (407) !== 200 when HTTP Tunneling"),
    says: "the proxy answers 407 and opens no tunnel"
  },
  {
    given: "an answer of TLS, or of another protocol",
    error: new Error("Response does not match the HTTP/1.1 protocol (Expected HTTP/, RTSP/ or ICE/)"),
    says: "what it answers is not HTTP, as where http:// should be https://"
  },
  { given: "a sentence", error: "no answer in 30s", says: "no answer in 30s" }
])("says of $given: $says", ({ error, says }) => expect(failureInWords(error)).toBe(says))

it.each([
  { code: "CERT_HAS_EXPIRED", remedy: "have that certificate renewed, or correct the clock here" },
  { code: "CERT_NOT_YET_VALID", remedy: "correct the clock here, or wait until it is valid" },
  { code: "ERR_TLS_CERT_ALTNAME_INVALID", remedy: "use an address that it is for, or have one made for this address" },
  { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE", remedy: "trust it" },
  { code: "ECONNREFUSED", remedy: undefined }
])(
  "knows what to do about a certificate: $code",
  ({ code, remedy }) => expect(certificateRemedy(failureInWords(coded(code)), "trust it")).toBe(remedy)
)

it.each([
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"].map((code) => ({ code, heardNothing: true })),
  ...["ECONNRESET", "ETIMEDOUT", "UND_ERR_SOCKET", "OTHER"].map((code) => ({ code, heardNothing: false }))
])(
  "takes it for sure that the server got no request only where there was no connection: $code",
  ({ code, heardNothing }) => expect(unconnected.has(failureInWords(coded(code)))).toBe(heardNothing)
)
