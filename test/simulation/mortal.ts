// The database of a server that may die at any commit of a request: before it, which leaves files without their rows, or after it.
// Invariant: what the server was about to do never comes, and no transaction stays open.
// Used by test/simulation/pool-server.
import { Context, Effect, Option } from "effect"
import { SqlClient } from "effect/sql"
import { counted } from "../../src/server/store/database.ts"
import type { Fault } from "./one-thread.ts"

/** How many rows have been written since the database was opened. */
export const writes = Effect.flatMap(SqlClient.SqlClient, (sql) => counted(sql`SELECT total_changes() AS n`))

/** Decides what happens to a commit of the request, as `disturb` does for requests. Of what people ask for, each is done. */
export const AtCommit = Context.Reference<() => Fault>("test/simulation/AtCommit", { defaultValue: () => () => "none" })

/** What a commit is called among the requests of a run. */
export const commitOf = (request: string): string => `the server's commit of ${request}`
export const isCommit = (request: string): boolean => request.startsWith(commitOf(""))

/** Returns the client as the stores have it: `crash` is called where the server dies. A transaction that writes no row is no commit. */
export const mortal = (sql: SqlClient.SqlClient, crash: () => void): SqlClient.SqlClient => {
  const written = Effect.provideService(writes, SqlClient.SqlClient, sql)
  const begun = <A, E, R>(transaction: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const atCommit = yield* AtCommit
      let fault: Fault = "none"
      // registered first, so that nobody is told of the commit
      yield* sql.afterCommit(
        Effect.suspend(() => fault === "killed after" ? Effect.andThen(Effect.sync(crash), Effect.never) : Effect.void)
      )
      const before = yield* written
      const done = yield* transaction
      if ((yield* written) !== before) fault = atCommit()
      if (fault !== "killed before") return done
      crash()
      return yield* Effect.die("killed") // which rolls back
    })
  const withTransaction: typeof sql.withTransaction = (transaction) =>
    Effect.flatMap(
      Effect.serviceOption(sql.transactionService),
      (outer) => sql.withTransaction(Option.isSome(outer) ? transaction : begun(transaction))
    )
  return new Proxy(sql, { get: (target, key) => key === "withTransaction" ? withTransaction : Reflect.get(target, key) })
}
