// Fetches the archive that a task names by its URL.
// Invariant: no credential is sent, no message contains a URL's query, which may be one, and nothing leads to a forbidden address, unless a proxy looks its name up.
// Used by worker/backing/own-backing.ts; an archive that comes by another way is kept under the same name.
import { Context, Data, type Duration, Effect, Option, Stream } from "effect"
import { Headers, HttpClient, HttpClientRequest as Request, type HttpClientResponse } from "effect/http"
import { isForbiddenAddress } from "../../core/network/forbidden-address.ts"
import { letGo } from "../../http/body.ts"
import { forbiddenAddress, lookupBut, toAnybody } from "../../http/connections.ts"
import { failureInWords } from "../../http/failure-words.ts"
import { archiveLimitBytes } from "../../schema/api/task-api.ts"
import type { Artifact } from "../../schema/task/source.ts"
import { invalid, StageFailed } from "../stage-failed.ts"
import { saveChecked } from "./download.ts"
import { askAgain } from "./patience.ts"

/** What is fetched: an artifact of Flux, if it has a revision. */
export type Archive = Pick<Artifact, "url" | "sha256"> & Partial<Pick<Artifact, "revision">>

/** The name of the packed archive in the worker's own directory. */
export const archiveFile = "configuration.tar.gz"

const redirects = 3
/** How long the server may send nothing: before its answer, or between two pieces of it. */
const silence = "30 seconds"
/** How long there may be nothing to be had. Flux has none of its artifacts when it was restarted, and makes them again in that time. */
const patienceWith = ({ revision }: Archive): Duration.Input => revision === undefined ? "1 minute" : "3 minutes"
/** How long one attempt at the whole download may take. */
const allInAll = "10 minutes"

/** Reports whether an address must never be asked. Tests replace it, because they have their servers on loopback. */
export const Forbidden = Context.Reference<(address: string) => boolean>("agent-job/worker/Forbidden", {
  defaultValue: () => isForbiddenAddress
})

class NotNow extends Data.TaggedError("NotNow")<{ readonly failure: StageFailed }> {}

const place = ({ host, pathname, protocol }: URL) => `${protocol}//${host}${pathname}`

const unfetched = (url: URL, why: string) =>
  `The archive cannot be fetched from ${place(url)} (${why}); check the URL of the source and the network.`
const never = (url: URL) => (why: string) => invalid(unfetched(url, why))
const unreachable = (message: string) => new NotNow({ failure: new StageFailed({ reason: "SourceUnreachable", message }) })
const notNow = (url: URL) => (why: string) => unreachable(unfetched(url, why))

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
  if (address !== undefined && (yield* Forbidden)(address)) return yield* never(url)(forbiddenAddress)
  return url
})

const ask = (
  url: URL,
  redirectsLeft: number,
  revision: string | undefined
): Effect.Effect<HttpClientResponse.HttpClientResponse, StageFailed | NotNow, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const cannot = never(url)
    const later = notNow(url)
    const response = yield* HttpClient.execute(Request.get(url)).pipe(
      Effect.mapError((error) => failureInWords(error) === forbiddenAddress ? cannot(forbiddenAddress) : later(failureInWords(error))),
      Effect.timeoutOrElse({ duration: silence, orElse: () => Effect.fail(later(`no answer in ${silence}`)) })
    )
    if (response.status === 200) return response
    yield* letGo(response)
    if (response.status === 404 && revision !== undefined) {
      return yield* unreachable(
        `Flux no longer has revision ${revision} (${
          place(url)
        } answers 404); check that its source is ready, and if it is, run the task again for the present revision.`
      )
    }
    if (response.status === 429 || response.status >= 500) return yield* later(`it answers ${response.status}`)
    const location = Headers.get(response.headers, "location")
    if (response.status < 300 || response.status > 399 || Option.isNone(location)) return yield* cannot(`it answers ${response.status}`)
    if (redirectsLeft === 0) return yield* cannot("it redirects too often")
    return yield* ask(yield* archiveUrl(location.value, url), redirectsLeft - 1, revision)
  })

/** Downloads the archive into `file` and checks it against its digest; tries again for as long as `patience` while it is not to be had. */
export const fetchArchive = Effect.fn("Archive.fetch")(
  function*(archive: Archive, file: string, patience = patienceWith(archive)): Effect.fn.Return<void, StageFailed> {
    const url = yield* archiveUrl(archive.url)
    const later = notNow(url)
    const once = ask(url, redirects, archive.revision).pipe(
      Effect.flatMap((response) =>
        saveChecked(
          response.stream.pipe(
            Stream.mapError((error) => later(failureInWords(error))),
            Stream.timeoutOrElse({ duration: silence, orElse: () => Stream.fail(later(`nothing more in ${silence}`)) })
          ),
          file,
          { what: "the configuration archive", sha256: archive.sha256, limitBytes: archiveLimitBytes }
        )
      ),
      Effect.timeoutOrElse({ duration: allInAll, orElse: () => Effect.fail(later(`not all of it in ${allInAll}`).failure) })
    )
    const told = Effect.tapErrorTag(once, "NotNow", ({ failure }) => Effect.logWarning(failure.message))
    yield* askAgain(told, { while: ({ _tag }) => _tag === "NotNow", first: "500 millis", spaced: "30 seconds", limit: patience }).pipe(
      Effect.catchTag("NotNow", ({ failure }) => Effect.fail(failure)),
      Effect.provide(toAnybody({ connections: 1, lookup: lookupBut(yield* Forbidden) })),
      Effect.catchTag("ProxyUnusable", ({ message }) => Effect.fail(invalid(message)))
    )
  }
)
