// Who is asking, from the Authorization header; every wrong token gets the same answer, whatever it might have been good for.
// Used by the routes, each with the one kind of token that it takes.
import { Effect, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { type Answer, type Params, routesWith } from "./answer.ts"
import { unauthorized } from "./refused.ts"
import { tokenOf, Tokens } from "./tokens.ts"

type Form = Parameters<typeof routesWith>[0]
type Handler = (request: HttpServerRequest.HttpServerRequest, params: Params) => Answer

/** Routes for the holder of a user's or a pool's token. */
export const routesFor = (who: "isUser" | "isPool", form: Form) =>
  Effect.map(Tokens, (tokens) => {
    const route = routesWith(form)
    return (method: Parameters<typeof route>[0], path: Parameters<typeof route>[1], handler: Handler) =>
      route(method, path, (request, params) =>
        Option.exists(tokenOf(request.headers.authorization), tokens[who]) ? handler(request, params) : Effect.fail(unauthorized()))
  })
