// Fetches the archive that a task names by its URL.
// Invariant: no credential is sent, no message contains a URL's query, which may be one, and nothing leads to a forbidden address, unless a proxy looks its name up.
// Used by worker/backing/own-backing.ts; an archive that comes by another way is kept under the same name.
import { Context, Data, Effect, Option, Stream } from "effect"
import { Headers, HttpClient, HttpClientRequest as Request, type HttpClientResponse } from "effect/http"
import { isForbiddenAddress } from "../../core/network/forbidden-address.ts"
import { reasonOf } from "../../http/cause.ts"
import { forbiddenAddress, lookupBut, toAnybody } from "../../http/connections.ts"
import { letGo } from "../../http/let-go.ts"
import { archiveLimitBytes } from "../../schema/api/task-api.ts"
import { invalid, type StageFailed } from "../stage-failed.ts"
import { saveChecked } from "./download.ts"
import { askAgain } from "./patience.ts"

/** The name of the packed archive in the worker's own directory. */
export const archiveFile = "configuration.tar.gz"

const redirects = 3
/** How long the server may send nothing: before its answer, or between two pieces of it. */
const silence = "30 seconds"
/** How long the first bytes of an answer without the archive may take. */
const unwanted = "1 second"
/** How long one attempt at the whole download may take. */
const allInAll = "10 minutes"

/** Reports whether an address must never be asked. Tests replace it, because they have their servers on loopback. */
export const Forbidden = Context.Reference<(address: string) => boolean>("agent-job/worker/Forbidden", {
  defaultValue: () => isForbiddenAddress
})

class NotNow extends Data.TaggedError("NotNow")<{ readonly failure: StageFailed }> {}

const place = ({ host, pathname, protocol }: URL) => `${protocol}//${host}${pathname}`

const unfetched = (url: URL) => (why: string) =>
  invalid(`The archive cannot be fetched from ${place(url)} (${why}); check the URL of the source and the network.`)
const notNow = (url: URL) => (why: string) => new NotNow({ failure: unfetched(url)(why) })

/** Returns the URL's host if it is an address itself, which is checked here because it is not looked up. */
const addressIn = ({ hostname }: URL): string | undefined =>
  /^\[.*\]$|^[\d.]+$/u.test(hostname) ? hostname.replace(/^\[|\]$/gu, "") : undefined

/** Returns the URL if it may be asked: http or https (after https no http), without user and password, and not a forbidden address. */
export const archiveUrl = Effect.fnUntraced(function*(text: string, base?: URL): Effect.fn.Return<URL, StageFailed> {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return yield* invalid("The URL of the source is not an http or https URL; correct it.")
  }
  if (url.username !== "" || url.password !== "") {
    return yield* invalid(`The URL of the source has a user or password in it (${place(url)}); use one that needs none.`)
  }
  if (base?.protocol === "https:" && url.protocol === "http:") {
    return yield* invalid(`${place(base)} redirects from https to http; use another URL for the source.`)
  }
  const address = addressIn(url)
  if (address !== undefined && (yield* Forbidden)(address)) return yield* unfetched(url)(forbiddenAddress)
  return url
})

const ask = (
  url: URL,
  redirectsLeft: number
): Effect.Effect<HttpClientResponse.HttpClientResponse, StageFailed | NotNow, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const cannot = unfetched(url)
    const later = notNow(url)
    const response = yield* HttpClient.execute(Request.get(url)).pipe(
      Effect.mapError((error) => reasonOf(error) === forbiddenAddress ? cannot(forbiddenAddress) : later(reasonOf(error))),
      Effect.timeoutOrElse({ duration: silence, orElse: () => Effect.fail(later(`no answer in ${silence}`)) })
    )
    if (response.status === 200) return response
    yield* Effect.timeoutOption(letGo(response), unwanted)
    if (response.status === 429 || response.status >= 500) return yield* later(`it answers ${response.status}`)
    const location = Headers.get(response.headers, "location")
    if (response.status < 300 || response.status > 399 || Option.isNone(location)) return yield* cannot(`it answers ${response.status}`)
    if (redirectsLeft === 0) return yield* cannot("it redirects too often")
    return yield* ask(yield* archiveUrl(location.value, url), redirectsLeft - 1)
  })

/** Downloads the archive into `file` and checks it against `sha256`; tries again for a minute while there is no answer. */
export const fetchArchive = Effect.fn("Archive.fetch")(
  function*(text: string, sha256: string, file: string): Effect.fn.Return<void, StageFailed> {
    const url = yield* archiveUrl(text)
    const later = notNow(url)
    const once = ask(url, redirects).pipe(
      Effect.flatMap((response) =>
        saveChecked(
          response.stream.pipe(
            Stream.mapError((error) => later(reasonOf(error))),
            Stream.timeoutOrElse({ duration: silence, orElse: () => Stream.fail(later(`nothing more in ${silence}`)) })
          ),
          file,
          { what: "the configuration archive", sha256, limitBytes: archiveLimitBytes }
        )
      ),
      Effect.timeoutOrElse({ duration: allInAll, orElse: () => Effect.fail(later(`not all of it in ${allInAll}`).failure) })
    )
    yield* askAgain(once, { while: ({ _tag }) => _tag === "NotNow", first: "500 millis", spaced: "30 seconds", limit: "1 minute" }).pipe(
      Effect.catchTag("NotNow", ({ failure }) => Effect.fail(failure)),
      Effect.provide(toAnybody({ connections: 1, lookup: lookupBut(yield* Forbidden) })),
      Effect.catchTag("ProxyUnusable", ({ message }) => Effect.fail(invalid(message)))
    )
  }
)
