// What all TFE routes have in common: who asks, from which URL, and the two envelopes of JSON:API.
// Used by the tfe-*-routes.
import { Effect } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { organization } from "../../schema/api/tfe-api.ts"
import { routesForUsers } from "../access/authorize.ts"
import { jsonApiErrors, type Params } from "../access/http-answer.ts"
import { countOf, pageSizeOf } from "../access/http-request.ts"
import { basePath, baseUrl } from "../access/links.ts"
import { notFound, type Refused } from "../refused.ts"
import { Settings } from "../settings.ts"

const contentType = "application/vnd.api+json"

export const document = (data: unknown, status = 200, included?: ReadonlyArray<unknown>) =>
  HttpServerResponse.jsonUnsafe({ data, ...(included !== undefined && { included }) }, { status, contentType })

interface Page {
  readonly number: number
  readonly size: number
}

/** Returns which page of a list the request asks for. As in TFE, a page has 20 entries unless it says otherwise, and 100 at most. */
export const pageOf = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Page, Refused> =>
  Effect.all({
    number: Effect.map(countOf(request, "page[number]", 1), (number) => Math.max(1, number)),
    size: pageSizeOf(request, 20, 100)
  })

/** The answer with one page of a list; without `page`, the list is complete. */
export const documents = (
  data: ReadonlyArray<unknown>,
  { more, number, size }: Page & { readonly more: boolean } = { number: 1, size: data.length, more: false }
) =>
  HttpServerResponse.jsonUnsafe({
    data,
    meta: {
      pagination: {
        "current-page": number,
        "page-size": size,
        "prev-page": number > 1 ? number - 1 : null,
        "next-page": more ? number + 1 : null,
        "total-pages": number + (more ? 1 : 0),
        "total-count": (number - 1) * size + data.length + (more ? 1 : 0)
      }
    }
  }, { contentType })

export const makeTfe = Effect.gen(function*() {
  const { publicUrl } = yield* Settings
  const path = basePath(publicUrl)
  return {
    ...(yield* routesForUsers(jsonApiErrors)),
    path,
    base: (request: HttpServerRequest.HttpServerRequest) => baseUrl(publicUrl, request),
    /** The answer to a request that made something, with the address of what it made. */
    made: (address: string, data: { readonly id: string }) =>
      HttpServerResponse.jsonUnsafe({ data }, { status: 201, contentType, headers: { location: `${path}${address}/${data.id}` } }),
    /** Fails with 404 for any organization but ours. */
    member: ({ organization: asked }: Params) => asked === organization ? Effect.void : Effect.fail(notFound())
  }
})
