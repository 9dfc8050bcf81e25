// A run that is approved while a token that may only plan asks for its cancel.
import { expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { archiveOf, directory, person, planToken, planWith, serveOpenly } from "./live-server.ts"

it.live("is not cancelled by a token that may only plan, however close the two come", () =>
  Effect.gen(function*() {
    const { context, url } = yield* serveOpenly(yield* directory)
    const sql = Context.getUnsafe(context, SqlClient.SqlClient)
    const [ada, ci] = [person(url), person(url, planToken)]
    const workspaceId = yield* ada.workspace("demo")
    const version = yield* ada.upload(workspaceId, archiveOf({ "main.tf": "" }))
    const id = String((yield* ci.run(workspaceId, {}, version.id)).json.data.id)
    yield* planWith(url)
    // Both wait for the database, which another transaction has, and come to it in either order.
    const free = yield* Deferred.make<void>()
    yield* Effect.forkChild(sql.withTransaction(Deferred.await(free)), { startImmediately: true })
    const asked = yield* Effect.forEach([ci.act(id, "cancel"), ada.act(id, "apply")], (act) =>
      Effect.forkChild(act, { startImmediately: true }).pipe(
        Effect.tap(() =>
          Effect.promise(() => fetch(new URL("/.well-known/terraform.json", url)))
        ) // an answer to a later request
      ))
    yield* Deferred.succeed(free, undefined)
    const [cancelled, approved] = yield* Effect.forEach(asked, Fiber.join)
    const { status } = yield* ada.view(id)
    expect([[403, 202, "confirmed"], [202, 409, "discarded"]]).toContainEqual([cancelled?.status, approved?.status, status])
  }))
