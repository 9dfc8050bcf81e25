// What all TFE routes have in common: who asks, from which URL, and the two envelopes of JSON:API.
// Used by the tfe-*-routes.
import { Effect } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { organization } from "../../schema/api/tfe-api.ts"
import { routesForUsers } from "../access/authorize.ts"
import { jsonApiErrors, type Params } from "../access/http-answer.ts"
import { countOf, pageSizeOf } from "../access/http-request.ts"
import { basePath, baseUrl } from "../access/links.ts"
import { notFound } from "../refused.ts"
import { Settings } from "../settings.ts"

const contentType = "application/vnd.api+json"

export const document = (data: unknown, included?: ReadonlyArray<unknown>) =>
  HttpServerResponse.jsonUnsafe({ data, ...(included !== undefined && { included }) }, { contentType })

/** The answer with one page of a list; without what is told of a page, the list is complete. */
export const documents = (data: ReadonlyArray<unknown>, { more = false, number = 1, size = data.length } = {}) =>
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

/**
 * Answers with the page of a list that the request asks for. As in TFE, a page has 20 entries unless it says otherwise, and 100 at most.
 * One entry more is looked for, which tells whether there is a next page.
 */
export const paged = Effect.fnUntraced(function*<A, E, R>(
  request: HttpServerRequest.HttpServerRequest,
  find: (most: number, before: number) => Effect.Effect<ReadonlyArray<A>, E, R>,
  show: (found: A, place: number) => Effect.Effect<unknown, E, R>
) {
  const number = Math.max(1, yield* countOf(request, "page[number]", 1))
  const size = yield* pageSizeOf(request, 20, 100)
  const before = (number - 1) * size
  const found = yield* find(size + 1, before)
  const data = yield* Effect.forEach(found.slice(0, size), (each, at) => show(each, before + at))
  return documents(data, { number, size, more: found.length > size })
})

export const makeTfe = Effect.gen(function*() {
  const { publicUrl } = yield* Settings
  const path = basePath(publicUrl)
  const { route: inAny, ...others } = yield* routesForUsers(jsonApiErrors)
  const isOurs = ({ organization: asked = organization }: Params) => asked === organization
  /** Makes a route that answers 404 for any organization but ours. */
  const route: typeof inAny = (method, address, where, handler) =>
    inAny(method, address, where, (request, params, user) => isOurs(params) ? handler(request, params, user) : Effect.fail(notFound()))
  return {
    ...others,
    route,
    path,
    base: (request: HttpServerRequest.HttpServerRequest) => baseUrl(publicUrl, request),
    /** The answer to a request that made something, with the address of what it made. */
    made: (address: string, data: { readonly id: string }) =>
      HttpServerResponse.jsonUnsafe({ data }, { status: 201, contentType, headers: { location: `${path}${address}/${data.id}` } })
  }
})
