// `agent-job server`: one process, one SQLite file and a directory of blobs, all APIs on one port.
// It ends in order: it answers long polls empty, then gives open requests two seconds, then closes the database.
// Used by cli/commands/server and the tests.
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { keptByDefault } from "../../schema/api/keep.ts"
import { Audit } from "../access/audit.ts"
import { Bodies } from "../access/bodies.ts"
import { Limits } from "../access/limits.ts"
import { Tokens } from "../access/tokens.ts"
import { ImportRuns } from "../rescue/import-runs.ts"
import { KeptStates } from "../rescue/kept-states.ts"
import { Settlements } from "../rescue/settlements.ts"
import { StateViews } from "../rescue/state-views.ts"
import { poolRoutes } from "../routes/pool-routes.ts"
import { runRoutes } from "../routes/run-routes.ts"
import { stateRoutes } from "../routes/state-routes.ts"
import { taskRoutes } from "../routes/task-routes.ts"
import { workspaceStateRoutes } from "../routes/workspace-state-routes.ts"
import { Agents } from "../run/agents.ts"
import { Assignments } from "../run/assignments.ts"
import { Configurations } from "../run/configurations.ts"
import { Journals } from "../run/journals.ts"
import { LeftOvers } from "../run/left-overs.ts"
import { Logs } from "../run/logs.ts"
import { Pools } from "../run/pools.ts"
import { RunQueue } from "../run/run-queue.ts"
import { Runs } from "../run/runs.ts"
import { StageEnds } from "../run/stage-ends.ts"
import { StageStates } from "../run/stage-states.ts"
import { Stages } from "../run/stages.ts"
import { type OptionsUnusable, type ServerError, type ServerOptions, Settings } from "../settings.ts"
import { Blobs } from "../store/blobs.ts"
import { Commits } from "../store/commits.ts"
import { layerDatabase } from "../store/database.ts"
import { blobsIn, databaseIn, refuseLost, warningOfNew, warnOfLostKey } from "../store/earlier-data.ts"
import { NamedBlobs } from "../store/named-blobs.ts"
import { tfePoolRoutes } from "../tfe/tfe-pool-routes.ts"
import { tfeRefusedRoutes } from "../tfe/tfe-refused-routes.ts"
import { tfeRunRoutes } from "../tfe/tfe-run-routes.ts"
import { tfeStateRoutes } from "../tfe/tfe-state-routes.ts"
import { tfeWorkspaceRoutes } from "../tfe/tfe-workspace-routes.ts"
import { Evidence } from "../workspace/evidence.ts"
import { Rescues } from "../workspace/rescues.ts"
import { StateLocks } from "../workspace/state-locks.ts"
import { StateVersions } from "../workspace/state-versions.ts"
import { Variables } from "../workspace/variables.ts"
import { Workspaces } from "../workspace/workspaces.ts"
import { healthRoutes } from "./health-routes.ts"
import { guarded, listen } from "./listen.ts"
import { LittleRoom } from "./little-room.ts"
import { MissingStates } from "./missing-states.ts"
import { Retention } from "./retention.ts"
import { upkeep } from "./upkeep.ts"

/** All routes. Each route names the kind of token that it takes; a test has a table of all of them. */
export const routes = Layer.mergeAll(
  healthRoutes,
  poolRoutes,
  taskRoutes,
  stateRoutes,
  workspaceStateRoutes,
  runRoutes,
  tfeWorkspaceRoutes,
  tfeRunRoutes,
  tfeStateRoutes,
  tfePoolRoutes,
  tfeRefusedRoutes
)

/** All stores, and the chores that upkeep has with them; each layer needs those below it. */
export const stores = (options: ServerOptions) =>
  Layer.mergeAll(
    Assignments.layer,
    ImportRuns.layer,
    KeptStates.layer,
    LittleRoom.layer,
    MissingStates.layer,
    Retention.layer,
    Settlements.layer,
    StageStates.layer,
    StateViews.layer
  ).pipe(
    Layer.provideMerge(Layer.mergeAll(Logs.layer, StageEnds.layer)),
    Layer.provideMerge(Layer.mergeAll(LeftOvers.layer, Runs.layer)),
    Layer.provideMerge(Layer.mergeAll(Journals.layer, RunQueue.layer)),
    Layer.provideMerge(Stages.layer),
    Layer.provideMerge(
      Layer.mergeAll(Audit.layer, Bodies.layer, Configurations.layer, Limits.layer, StateVersions.layer, Variables.layer)
    ),
    Layer.provideMerge(Layer.mergeAll(Evidence.layer, Rescues.layer, StateLocks.layer)),
    Layer.provideMerge(NamedBlobs.layer),
    Layer.provideMerge(Layer.mergeAll(Pools.layer, Workspaces.layer)),
    Layer.provideMerge(Layer.mergeAll(Agents.layer, Commits.layer)),
    Layer.provideMerge(Tokens.layer(options)), // after the database, which only one process can open, so only one makes the key
    Layer.provideMerge(layerDatabase(databaseIn(options.dataDir))),
    Layer.provideMerge(Layer.effectDiscard(refuseLost(options.dataDir))),
    Layer.provideMerge(Blobs.layer(blobsIn(options.dataDir))), // makes the data directory, in which the database is
    Layer.provideMerge(
      Layer.succeed(Settings, { ...options, keep: options.keep ?? keptByDefault })
    )
  )

/** The stores, the routes and the port; the HttpServer in it has the address. */
export const ServerWithAddress = (options: ServerOptions): Layer.Layer<HttpServer.HttpServer | Commits, OptionsUnusable | ServerError> =>
  Layer.effectDiscard(Effect.flatMap(Commits, (commits) => Effect.addFinalizer(() => commits.stop))).pipe(
    Layer.merge(upkeep),
    Layer.provideMerge(HttpRouter.serve(Layer.merge(routes, guarded), { disableLogger: true, disableListenLog: true })),
    Layer.provideMerge(listen(options)),
    Layer.provideMerge(stores(options))
  )

/** The whole server, for as long as the layer lives. */
export const Server = (options: ServerOptions): Layer.Layer<never, OptionsUnusable | ServerError> =>
  Layer.unwrap(Effect.map(Effect.andThen(warnOfLostKey(options.dataDir), warningOfNew(options.dataDir)), (warning) =>
    Layer.effectDiscard(
      HttpServer.addressFormattedWith((formatted) => {
        const address = options.tls === undefined ? formatted : formatted.replace("http:", "https:")
        return Effect.andThen(Effect.logInfo("the server listens", { address, dataDir: options.dataDir }), warning)
      })
    ).pipe(Layer.provide(ServerWithAddress(options)))))
