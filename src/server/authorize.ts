// What every route has in common: who is asking, how often they may, and what is recorded of it.
// Invariant: every wrong token gets the same answer, whatever it might have been good for, before the handler looks anything up.
// Used by the routes, each with the one kind of token that it takes.
import { Effect, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { type Answer, type Failure, type Handler, type Params, routesWith } from "./answer.ts"
import { Audit } from "./audit.ts"
import { Limits } from "./limits.ts"
import type { isLogSecret } from "./links.ts"
import { notFound, unauthorized } from "./refused.ts"
import { type Caller, tokenOf, Tokens } from "./tokens.ts"

type Form = Parameters<typeof routesWith>[0]
type Request = HttpServerRequest.HttpServerRequest

/** Returns whose token it is, with what the route wants to know of them; none if the token is not good for these routes. */
type Who<A> = (token: string, request: Request) => Effect.Effect<Option.Option<readonly [Caller, A]>, Failure>

/** Returns the function that makes routes for the callers that `who` knows. */
export const routesOf = <A>(who: Who<A>, form: Form) =>
  Effect.gen(function*() {
    const audit = yield* Audit
    const limits = yield* Limits
    const route = routesWith(form)
    return (
      method: Parameters<typeof route>[0],
      path: Parameters<typeof route>[1],
      handler: (request: Request, params: Params, known: A) => Answer
    ) =>
      route(method, path, (request, params, requestId) =>
        Effect.gen(function*() {
          const nobody = limits.admit(Option.none(), request)
          const known = yield* Option.match(tokenOf(request.headers.authorization), {
            onNone: () => Effect.succeedNone,
            onSome: (token) => Effect.tapError(who(token, request), () => nobody)
          })
          yield* Option.match(known, { onNone: () => nobody, onSome: ([caller]) => limits.admit(Option.some(caller), request) })
          if (Option.isNone(known)) return yield* unauthorized()
          const [by, rest] = known.value
          yield* limits.place(by, request)
          return yield* audit.kept({ by, method, path, params, requestId }, handler(request, params, rest))
        }))
  })

/** Makes routes for the holder of a user's or a pool's token; the handler gets the holder. */
export const routesFor = (kind: "user" | "pool", form: Form) =>
  Effect.flatMap(
    Tokens,
    (tokens) => routesOf((token) => Effect.succeed(Option.map(tokens.holderOf(kind, token), (caller) => [caller, caller] as const)), form)
  )

/** Makes routes whose address is the permission: its last part is a secret, and `opens` checks it against the id before it. */
export const linkRoutes = (form: Form) =>
  Effect.gen(function*() {
    const audit = yield* Audit
    const limits = yield* Limits
    const tokens = yield* Tokens
    const route = routesWith(form)
    return (method: Parameters<typeof route>[0], path: Parameters<typeof route>[1], opens: typeof isLogSecret, handler: Handler) =>
      route(method, path, (request, params, requestId) =>
        Effect.gen(function*() {
          const { id = "", secret = "" } = params
          const by: Caller = { kind: "link", name: id }
          const known = opens(tokens, id, secret)
          yield* limits.admit(known ? Option.some(by) : Option.none(), request)
          if (!known) return yield* notFound()
          yield* limits.place(by, request)
          return yield* audit.kept({ by, method, path, params, requestId }, handler(request, params, requestId))
        }))
  })

/** Makes routes that need no token; they change nothing. */
export const openRoutes = (form: Form) =>
  Effect.gen(function*() {
    const limits = yield* Limits
    const route = routesWith(form)
    return (method: "GET", path: Parameters<typeof route>[1], handler: Handler) =>
      route(method, path, (request, ...rest) => Effect.andThen(limits.admit(Option.none(), request), handler(request, ...rest)))
  })
