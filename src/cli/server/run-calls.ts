// The calls about runs: what one is made of, what becomes of it, and its logs.
// Used by cli/server/server-client, whose calls they are.
import { Duration, Effect, Option, Schema, Stream } from "effect"
import { HttpClientRequest as Request } from "effect/http"
import { RunList, runPath, RunView } from "../../schema/api/run.ts"
import { tfePath } from "../../schema/api/tfe-api.ts"
import { ConfigurationVersion, Identified } from "./server-answers.ts"
import type { ServerClient } from "./server-client.ts"
import { json, jsonApi, made, type Requests } from "./server-requests.ts"

/** The time limit for uploading an archive: the server gives its bytes as long to arrive (server/lifecycle/listen). */
const uploadTimeout = Duration.minutes(15)
/** How many runs that are not over to show beside the newest: to find the place of each in its queue costs the server something. */
const mostOpen = 900
/** How many bytes of a log to ask for at once. */
const logLimit = 65_536

const related = (type: string, id: string) => ({ data: { type, id } })

export const runCalls = ({ atOwnUrl, authorised, bytesOf, decoded, send }: Requests) => {
  const run = (id: string) => decoded(RunView, Request.get(runPath.run(id)), `run ${id}`)
  const runPage = (workspace: Option.Option<string>, asked: Readonly<Record<string, string | number>>) =>
    decoded(
      RunList.check(Schema.makeFilter(({ older, runs }) => older === undefined || runs.length > 0)), // else it might never end
      Request.get(runPath.list, { urlParams: { ...asked, ...(Option.isSome(workspace) && { workspace: workspace.value }) } }),
      Option.match(workspace, { onNone: () => "list of runs", onSome: (name) => `workspace ${name}` })
    )
  /** Returns the runs before this one that are not over or left a state in doubt. */
  const openRuns = (workspace: Option.Option<string>, before: string | undefined) =>
    before === undefined ? Effect.succeed([]) : Stream.paginate(before, (before) =>
      Effect.map(
        runPage(workspace, { before, open: "true" }),
        ({ older, runs }) => [runs, Option.fromUndefinedOr(older)]
      )).pipe(Stream.take(mostOpen), Stream.runCollect)
  const ask = (id: string, action: Parameters<typeof tfePath.action>[1], body: object) =>
    Effect.asVoid(send(authorised(json(Request.post(tfePath.action(id, action)), body)), { thing: `run ${id}`, status: 202 }))

  return {
    createVersion: (workspaceId, { speculative }) => {
      const request = jsonApi(Request.post(tfePath.configurationVersions(workspaceId)), {
        type: "configuration-versions",
        attributes: { speculative, "auto-queue-runs": false }
      })
      return Effect.map(
        decoded(ConfigurationVersion, request, "workspace", made),
        ({ data: { attributes: { "upload-url": uploadUrl }, id } }) => ({ id, uploadUrl })
      )
    },
    upload: (uploadUrl, archive) =>
      Effect.asVoid(
        send(
          Request.put(atOwnUrl(uploadUrl)).pipe(Request.bodyUint8Array(archive, "application/octet-stream")),
          { thing: "upload", status: 204, timeout: uploadTimeout }
        )
      ),
    createRun: ({ allowEmptyApply, autoApply, configurationVersionId, destroy, engine, planOnly, variables, workspaceId }) =>
      decoded(
        Identified,
        jsonApi(Request.post(tfePath.runs), {
          type: "runs",
          attributes: {
            "is-destroy": destroy,
            "auto-apply": autoApply,
            ...(allowEmptyApply && { "allow-empty-apply": true }),
            "may-ask": true,
            "plan-only": planOnly,
            variables: variables.map((variable) => ({ ...variable, declared: true })),
            ...(Option.isSome(engine) && { engine: { name: engine.value } })
          },
          relationships: {
            workspace: related("workspaces", workspaceId),
            "configuration-version": related("configuration-versions", configurationVersionId)
          }
        }),
        "workspace",
        made
      ).pipe(Effect.map(({ data }) => data.id)),
    run,
    newestRun: (workspace) => Effect.map(runPage(workspace, { "page[size]": 1 }), ({ runs }) => Option.fromUndefinedOr(runs[0])),
    runs: Effect.fn("ServerClient.runs")(function*(workspace, before) {
      if (Option.isSome(before)) {
        return yield* Effect.catchTag(
          runPage(workspace, { "page[size]": 100, before: before.value }),
          "NothingThere",
          (nothing) => Effect.andThen(run(before.value), Effect.fail(nothing))
        )
      }
      const newest = yield* runPage(workspace, { "page[size]": 100 })
      const open = yield* openRuns(workspace, newest.older)
      return { ...newest, runs: [...newest.runs, ...open] }
    }),
    act: (id, action) => ask(id, action, {}),
    approve: (id, seal) => ask(id, "apply", { seal }),
    log: (logUrl, offset, wait) =>
      send(Request.get(atOwnUrl(logUrl), { urlParams: { limit: logLimit, offset, wait } }), {
        thing: "log",
        status: 200,
        mediaType: "application/octet-stream"
      }).pipe(Effect.flatMap(bytesOf))
  } satisfies Partial<ServerClient["Service"]>
}
