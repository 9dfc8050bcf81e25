// What every route has in common: who is asking, how often they may, and what is recorded of it.
// Invariant: every wrong token gets the same answer, whatever it might have been good for, before the handler looks anything up.
// Used by the routes, each with the one kind of token that it takes.
import { Effect, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { neededBy, notAllowed } from "../../core/run/permission.ts"
import type { Role } from "../../core/text/token-lines.ts"
import { notFound, type Refused, refuseIf, unauthorized } from "../refused.ts"
import { Blobs } from "../store/blobs.ts"
import { Audit } from "./audit.ts"
import { Bodies } from "./bodies.ts"
import { type Answer, type Failure, type Handler, type Params, routesWith } from "./http-answer.ts"
import { CurrentArrival } from "./http-request.ts"
import { type Limited, Limits } from "./limits.ts"
import type { isLogSecret } from "./links.ts"
import { makeReach, type Where } from "./reach.ts"
import { type Caller, tokenOf, Tokens, type User } from "./tokens.ts"

type Form = Parameters<typeof routesWith>[0]
type Request = HttpServerRequest.HttpServerRequest

interface Known<A> {
  readonly caller: Caller
  /**
   * Returns what the route wants to know of the caller; none if the token is not good for these routes any more. Runs after the caller is
   * charged, so that a failure is never charged to the address.
   */
  readonly enter: Effect.Effect<Option.Option<A>, Failure>
}

/** Returns whose token it is; none if it is no token for these routes. */
type Who<A> = (token: string, request: Request) => Effect.Effect<Option.Option<Known<A>>, Failure>

/** Returns the function that makes routes for the callers that `who` knows. */
export const routesOf = Effect.fnUntraced(function*<A>(who: Who<A>, form: Form) {
  const audit = yield* Audit
  const bodies = yield* Bodies
  const limits = yield* Limits
  const route = routesWith(form)
  return (
    method: Parameters<typeof route>[0],
    path: Parameters<typeof route>[1],
    handler: (request: Request, params: Params, known: A) => Answer
  ) =>
    route(method, path, (request, params, requestId) =>
      Effect.gen(function*() {
        const chargeAddress = limits.admit(Option.none(), request)
        const token = tokenOf(request.headers.authorization)
        const known = Option.isNone(token) ? Option.none() : yield* who(token.value, request)
        if (Option.isNone(known)) return yield* Effect.andThen(chargeAddress, unauthorized())
        const { caller: by, enter } = known.value
        const asked = { by, method, path, params, requestId }
        yield* limits.admit(Option.some(by), request)
        const entered = yield* audit.beforehand(asked, enter)
        if (Option.isNone(entered)) return yield* Effect.andThen(chargeAddress, unauthorized())
        yield* limits.place(by, request)
        if (method === "GET") yield* limits.turn(by)
        const answer = Effect.provideService(handler(request, params, entered.value), CurrentArrival, bodies.arrival(by))
        // The answer to a write has no need of room: it tells what was done.
        return yield* audit.recorded(asked, method === "GET" ? Effect.tap(answer, (made) => bodies.answer(by, request, made)) : answer)
      }))
})

const routesOfHolders = <A extends Caller>(holder: (token: string) => Option.Option<A>, form: Form) =>
  routesOf((token) => Effect.succeed(Option.map(holder(token), (caller) => ({ caller, enter: Effect.succeedSome(caller) }))), form)

/** Makes routes for the holder of a pool's token; the handler gets the holder. */
export const routesForPools = (form: Form) => Effect.flatMap(Tokens, ({ pool }) => routesOfHolders(pool, form))

/**
 * Fails if the role of the user's token does not allow what is asked: with 403, of which the audit trail has an entry, or as if it were
 * not there.
 */
export const permit = (user: User, needed: Role, asked: string, status: 403 | 404 = 403): Effect.Effect<void, Refused> =>
  refuseIf(notAllowed(user, needed, asked), status)

/**
 * Makes routes for the holder of a user's token; the handler gets the holder. A `route` needs the role that its method says
 * (core/run/permission), and one that is made by `needing` another role. Each says where its requests have their workspace, for which the
 * token has to be; where it is `asked`, the handler does what `reach` has for it, and gives lists the workspaces of the holder.
 * While the server keeps what room it has for what is at work, people look and delete, and use the routes that are made by `always`, which
 * settle or end something, or save the state of an engine that has the lock. All others take room, or begin something.
 */
export const routesForUsers = Effect.fnUntraced(function*(form: Form) {
  const { spareRoom } = yield* Blobs
  const { user } = yield* Tokens
  const known = yield* routesOfHolders(user, form)
  const reach = yield* makeReach
  const makerOf = (takesRoom: (method: string) => boolean) =>
  (needed?: Role) =>
  (
    method: Parameters<typeof known>[0],
    path: Parameters<typeof known>[1],
    where: Where,
    handler: Parameters<typeof known>[2]
  ) =>
    known(method, path, (request, params, user) =>
      Effect.gen(function*() {
        const asked = `${method} ${path}`
        yield* permit(user, needed ?? neededBy(method), asked)
        yield* reach.enter(user, where, params, asked)
        if (takesRoom(method)) yield* spareRoom
        return yield* handler(request, params, user)
      }))
  const needing = makerOf((method) => method !== "GET" && method !== "DELETE")
  return { always: makerOf(() => false), needing, reach, route: needing() }
})

/**
 * Makes routes whose address is the permission: its last part is a secret, and `opens` checks it against the id before it. `follows` tells
 * which requests are of those who follow something, and have limits of their own.
 */
export const linkRoutes = Effect.fnUntraced(function*(form: Form) {
  const audit = yield* Audit
  const limits = yield* Limits
  const tokens = yield* Tokens
  const route = routesWith(form)
  return (
    method: Parameters<typeof route>[0],
    path: Parameters<typeof route>[1],
    opens: typeof isLogSecret,
    handler: Handler,
    follows: (request: Request) => boolean = () => false
  ) =>
    route(method, path, (request, params, requestId) =>
      Effect.gen(function*() {
        const { id = "", secret = "" } = params
        const by: Caller = { kind: "link", name: id }
        const limited: Limited = follows(request) ? { kind: "follower", name: id } : by
        const known = opens(tokens, id, secret)
        yield* limits.admit(known ? Option.some(limited) : Option.none(), request)
        if (!known) return yield* notFound()
        yield* limits.place(limited, request)
        return yield* audit.recorded({ by, method, path, params, requestId }, handler(request, params, requestId))
      }))
})
