// The server's own certificate: two files in PEM, as in a Secret of type kubernetes.io/tls, which are replaced while the server runs.
// Invariant: what is shown to clients belongs together. While the files have no such pair, that is the former one.
// Used by server/lifecycle/listen, and by server/lifecycle/health-routes, which say how long it is valid.
import { Context, Data, Effect, Equal } from "effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { errorInWords, whyUnreadable } from "../../schema/system-error.ts"
import { OptionsUnusable, type TlsFiles } from "../settings.ts"

/** A certificate, with those between it and its root, and its private key, in PEM. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

/** Returns the pair that clients are shown now; a server that speaks HTTP shows none. */
export const ShownPair = Context.Reference<() => Pair | undefined>("agent-job/server/ShownPair", { defaultValue: () => () => undefined })

/** There is no usable pair in the files; `what` says why, in half a sentence. */
class PairUnusable extends Data.TaggedError("PairUnusable")<{ readonly what: string }> {}

/** How often the files are read. The kubelet itself takes a minute or two to bring them up to date. */
const readEvery = "10 seconds"

const attempt = <A>(work: () => A, what: (cause: unknown) => string): Effect.Effect<A, PairUnusable> =>
  Effect.try({ try: work, catch: (cause) => new PairUnusable({ what: what(cause) }) })

const read = (whose: string, file: string) =>
  attempt(
    () => readFileSync(file, "utf8"),
    (cause) => `the ${whose} file ${file} cannot be read (${whyUnreadable(cause)})`
  )

const readTexts = ({ certFile, keyFile }: TlsFiles): Effect.Effect<Pair, PairUnusable> =>
  Effect.all({ cert: read("certificate", certFile), key: read("key", keyFile) })

/** Fails unless the two belong together and TLS takes them. */
const check = Effect.fnUntraced(function*({ certFile, keyFile }: TlsFiles, { cert, key }: Pair) {
  const leaf = yield* attempt(() => new X509Certificate(cert), () => `the certificate file ${certFile} has no whole certificate in PEM`)
  const own = yield* attempt(
    () => createPrivateKey(key),
    () => `the key file ${keyFile} has no whole private key in PEM without a password`
  )
  if (!leaf.checkPrivateKey(own)) {
    return yield* new PairUnusable({ what: `the key in ${keyFile} is not that of the certificate in ${certFile}` })
  }
  yield* attempt(
    () => createSecureContext({ cert, key }),
    (cause) => `TLS takes no certificate and key as those in ${certFile} and ${keyFile} (${errorInWords(cause)})`
  )
})

/** Reads the pair for the start, which fails without a usable one. */
export const firstPair = (files: TlsFiles): Effect.Effect<Pair, OptionsUnusable> =>
  Effect.mapError(
    Effect.tap(readTexts(files), (pair) => check(files, pair)),
    ({ what }) =>
      new OptionsUnusable({
        message:
          `The server cannot speak TLS, since ${what}; put a certificate and its key there, as a Secret of type kubernetes.io/tls has them.`
      })
  )

/** Reads the files again and again, and hands on each usable pair that is another. What is wrong is logged once. */
export const following = (files: TlsFiles, first: Pair, use: (pair: Pair) => void): Effect.Effect<never> =>
  Effect.suspend(() => {
    let [held, told] = [first, ""]
    const isHeld = (pair: Pair) => Equal.equals(pair, held)
    const whole = Effect.tap(readTexts(files), (pair) => isHeld(pair) ? Effect.void : check(files, pair))
    const look = Effect.matchEffect(whole, {
      onFailure: ({ what }) => {
        if (what === told) return Effect.void
        told = what
        return Effect.logWarning(`the server goes on showing its former certificate, since ${what}`)
      },
      onSuccess: (pair) => {
        told = ""
        if (isHeld(pair)) return Effect.void
        held = pair
        use(pair)
        return Effect.logInfo("the server shows a new certificate", { until: new X509Certificate(pair.cert).validTo })
      }
    })
    return Effect.forever(Effect.delay(look, readEvery))
  })
