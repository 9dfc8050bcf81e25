// The calls about workspaces: they themselves, their pools and their variables.
// Used by cli/server/server-client, whose calls they are.
import { Effect, Option, Schema, Stream } from "effect"
import { HttpClientRequest as Request } from "effect/http"
import { poolId, PoolList, poolOfId, poolsPath } from "../../schema/api/pools.ts"
import { organization, tfePath } from "../../schema/api/tfe-api.ts"
import { NotAllowed } from "../terminal/failure.ts"
import { Identified, VariableList, Workspace, WorkspaceList } from "./server-answers.ts"
import type { ServerClient } from "./server-client.ts"
import { jsonApi, made, type Requests } from "./server-requests.ts"

/** What comes after a page is a later one, and no page before it is empty; otherwise a list would never end. */
const isEndingAfter = (page: number) =>
  Schema.makeFilter<typeof WorkspaceList.Type>(({ data, meta }) => {
    const next = meta.pagination["next-page"] ?? undefined
    return next === undefined || (next > page && data.length > 0)
  })

export const workspaceCalls = ({ authorised, decoded, send, url }: Requests) => {
  const workspace = (name: string) =>
    Effect.map(
      decoded(Workspace, Request.get(tfePath.workspace(organization, name)), `workspace ${name}`),
      ({ data: { attributes, id } }) => ({ id, workingDirectory: attributes["working-directory"] })
    )
  const create = (attributes: object) =>
    decoded(
      Identified,
      jsonApi(Request.post(tfePath.workspaces(organization)), { type: "workspaces", attributes }),
      "organization",
      made
    )
  const setMode = (id: string, attributes: object) =>
    Effect.asVoid(
      decoded(Identified, jsonApi(Request.patch(tfePath.workspaceById(id)), { type: "workspaces", attributes }), "workspace")
    )

  return {
    ensureWorkspace: Effect.fn("ServerClient.ensureWorkspace")(function*(name) {
      const get = Effect.map(workspace(name), ({ id }) => ({ id, created: false }))
      return yield* get.pipe(
        Effect.catchTag("NothingThere", () =>
          create({ name }).pipe(
            Effect.map(({ data }) => ({ id: data.id, created: true })),
            Effect.catchTag(
              "NotAllowed",
              ({ message }) =>
                Effect.fail(
                  new NotAllowed({ message: `There is no workspace ${name} on ${url} for this token, and none is made: ${message}` })
                )
            ),
            // Somebody else may have made the workspace in between.
            Effect.catchTag("ServerRefused", (refusal) => Effect.catchTag(get, "NothingThere", () => Effect.fail(refusal)))
          ))
      )
    }),
    workspace,
    workspaces: Stream.paginate(1, (page) =>
      Effect.map(
        decoded(
          WorkspaceList.check(isEndingAfter(page)),
          Request.get(tfePath.workspaces(organization), { urlParams: { "page[number]": page, "page[size]": 100 } }),
          "organization"
        ),
        ({ data, meta }) => [
          data.map(({ attributes: { "agent-pool-id": poolId, "created-at": createdAt, "in-doubt": inDoubt, name }, relationships }) => ({
            name,
            run: relationships["current-run"].data?.id ?? null,
            createdAt,
            ...(poolId !== null && { pool: Option.getOrElse(poolOfId(poolId), () => poolId) }),
            ...(inDoubt === true && { inDoubt })
          })),
          Option.fromNullishOr(meta.pagination["next-page"])
        ]
      )).pipe(Stream.runCollect),
    pools: decoded(PoolList, Request.get(poolsPath), "list of pools"),
    bindPool: Effect.fn("ServerClient.bindPool")(function*(name, pool) {
      const bound = { "execution-mode": "agent", "agent-pool-id": poolId(pool) }
      const found = yield* Effect.catchTag(workspace(name), "NothingThere", () => Effect.undefined)
      if (found !== undefined) return yield* Effect.as(setMode(found.id, bound), { created: false })
      return yield* Effect.as(create({ name, ...bound }), { created: true })
    }),
    unbindPool: (name) => Effect.flatMap(workspace(name), ({ id }) => setMode(id, { "execution-mode": "remote" })),
    variables: (workspaceId) =>
      Effect.map(
        decoded(VariableList, Request.get(tfePath.variables(workspaceId)), "workspace"),
        ({ data }) => data.map(({ attributes, id }) => ({ id, ...attributes }))
      ),
    setVariable: (workspaceId, attributes) =>
      Effect.asVoid(send(authorised(jsonApi(Request.post(tfePath.variables(workspaceId)), { type: "vars", attributes })), {
        ...made,
        thing: "workspace"
      })),
    deleteVariable: (workspaceId, id) =>
      Effect.asVoid(send(authorised(Request.delete(tfePath.variable(workspaceId, id))), { thing: "variable", status: 204 }))
  } satisfies Partial<ServerClient["Service"]>
}
