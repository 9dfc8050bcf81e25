// Whether what a user asks for is of a workspace that the token is for.
// Invariant: for a token of some workspaces, one lookup decides whether there is nothing or nothing for it, and both get the same answer.
// Used by server/access/authorize before the handler of each route of users, and by handlers whose request has the workspace in its query or body.
import { Effect, Schema } from "effect"
import { SqlClient, type Statement } from "effect/sql"
import { mayTouch, notMade, notOfAll } from "../../core/run/permission.ts"
import { WorkspaceName } from "../../schema/names.ts"
import { notFound, type Refused, refuseIf, type StoreFailure, withheld } from "../refused.ts"
import { row } from "../store/database.ts"
import { parseOutputId, runOfStep } from "../store/ids.ts"
import type { Params } from "./http-answer.ts"
import type { User } from "./tokens.ts"

/** What the id in a path is of, if it is not of the workspace itself. */
type OfWorkspace = "run" | "step" | "configuration version" | "state version" | "output"

/**
 * Where a request says which workspace it is about. `name`: its name in the path; `made`: the same, and if it is not there it is made. Any
 * thing: its id in the path. `asked`: in the query or the body, or the request asks for all there are, so that the handler has to see to it.
 * `all`: it is about all of them together; `none`: about no workspace.
 */
export type Where = "name" | "made" | "workspace" | OfWorkspace | "asked" | "all" | "none"

export const makeReach = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const of = (table: string, id: string) => sql`(SELECT workspaceId FROM ${sql(table)} WHERE id = ${id})`
  const workspaceIds: Readonly<Record<"workspace" | OfWorkspace, (id: string) => Statement.Fragment>> = {
    workspace: (id) => sql`${id}`,
    run: (id) => of("runs", id),
    step: (id) => of("runs", runOfStep(id)),
    "configuration version": (id) => of("configurationVersions", id),
    "state version": (id) => of("stateVersions", id),
    output: (id) => of("stateVersions", parseOutputId(id)?.versionId ?? "")
  }
  const workspaceOf = row(Schema.Struct({ name: WorkspaceName }))

  /** Fails with 404 if it is of a workspace that the token is not for. */
  const named = (user: User, name: string): Effect.Effect<void, Refused> => mayTouch(user, name) ? Effect.void : Effect.fail(withheld())

  /** Fails with 404 if it is of a workspace that the token is not for, or if a token of some workspaces asks for what is not there. */
  const thing = (user: User, what: "workspace" | OfWorkspace, id: string): Effect.Effect<void, StoreFailure> =>
    user.workspaces === "all"
      ? Effect.void
      : Effect.flatMap(
        workspaceOf(sql`SELECT name FROM workspaces WHERE id = ${workspaceIds[what](id)}`),
        (found) => found === undefined ? Effect.fail(notFound()) : named(user, found.name)
      )

  /** Fails with 403 if a workspace is to be made, or used where it is there, that the token is not for. */
  const making = (user: User, name: string) => refuseIf(notMade(user, name))

  /** Fails if the token is not for the workspace that the path of a request leads to. */
  const enter = (user: User, where: Where, { id = "", name = "" }: Params, asked: string): Effect.Effect<void, StoreFailure> => {
    switch (where) {
      case "none":
      case "asked":
        return Effect.void
      case "all":
        return refuseIf(notOfAll(user, asked))
      case "made":
        return making(user, name)
      case "name":
        return named(user, name)
      default:
        return thing(user, where, id)
    }
  }

  return { enter, making, named, thing }
})
