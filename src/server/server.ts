// `agent-job server`: one process, one SQLite file and a directory of blobs, all APIs on one port.
// It ends in order: it answers long polls empty, then gives open requests two seconds, then closes the database.
// Used by cli/commands/server and the tests.
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { keptByDefault } from "../schema/keep.ts"
import { Assignments } from "./assignments.ts"
import { Audit } from "./audit.ts"
import { Blobs } from "./blobs.ts"
import { Bodies } from "./bodies.ts"
import { Commits } from "./commits.ts"
import { Configurations } from "./configurations.ts"
import { layerDatabase } from "./database.ts"
import { Effects } from "./effects.ts"
import { Evidence } from "./evidence.ts"
import { healthRoutes } from "./health-routes.ts"
import { ImportRuns } from "./import-runs.ts"
import { KeptStates } from "./kept-states.ts"
import { Limits } from "./limits.ts"
import { guarded, listen } from "./listen.ts"
import { Logs } from "./logs.ts"
import { NamedBlobs } from "./named-blobs.ts"
import { poolRoutes } from "./pool-routes.ts"
import { Rescues } from "./rescues.ts"
import { Retention } from "./retention.ts"
import { runRoutes } from "./run-routes.ts"
import { Runs } from "./runs.ts"
import { type OptionsUnusable, ServerError, type ServerOptions, Settings } from "./settings.ts"
import { StageEnds } from "./stage-ends.ts"
import { StageStates } from "./stage-states.ts"
import { Stages } from "./stages.ts"
import { StateLocks } from "./state-locks.ts"
import { StateRescue } from "./state-rescue.ts"
import { stateRoutes } from "./state-routes.ts"
import { StateVersions } from "./state-versions.ts"
import { taskRoutes } from "./task-routes.ts"
import { tfeRunRoutes } from "./tfe-run-routes.ts"
import { tfeStateRoutes } from "./tfe-state-routes.ts"
import { tfeWorkspaceRoutes } from "./tfe-workspace-routes.ts"
import { Tokens } from "./tokens.ts"
import { upkeep } from "./upkeep.ts"
import { Variables } from "./variables.ts"
import { workspaceRoutes } from "./workspace-routes.ts"
import { Workspaces } from "./workspaces.ts"

/** All routes. Each route names the kind of token that it takes; a test has a table of all of them. */
export const routes = Layer.mergeAll(
  healthRoutes,
  poolRoutes,
  taskRoutes,
  stateRoutes,
  workspaceRoutes,
  runRoutes,
  tfeWorkspaceRoutes,
  tfeRunRoutes,
  tfeStateRoutes
)

const dataDirectory = (directory: string) =>
  Layer.effectDiscard(Effect.tryPromise({
    try: () => mkdir(directory, { recursive: true, mode: 0o700 }),
    catch: (cause) =>
      new ServerError({
        message: `The data directory ${directory} cannot be made (${
          cause instanceof Error ? cause.message : cause
        }); choose another one or make it writable.`
      })
  }))

/** All stores; each layer needs those below it. */
export const stores = (options: ServerOptions) =>
  Layer.mergeAll(Assignments.layer, ImportRuns.layer, KeptStates.layer, Retention.layer, StageStates.layer, StateRescue.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(Logs.layer, StageEnds.layer)),
    Layer.provideMerge(Runs.layer),
    Layer.provideMerge(Effects.layer),
    Layer.provideMerge(Stages.layer),
    Layer.provideMerge(Layer.mergeAll(Audit.layer, Bodies.layer, Configurations.layer, Limits.layer, StateVersions.layer, Variables.layer)),
    Layer.provideMerge(Layer.mergeAll(Evidence.layer, Rescues.layer, StateLocks.layer)),
    Layer.provideMerge(NamedBlobs.layer),
    Layer.provideMerge(Workspaces.layer),
    Layer.provideMerge(Commits.layer),
    Layer.provideMerge(Tokens.layer(options)), // after the database, which only one process can open, so only one makes the key
    Layer.provideMerge(layerDatabase(join(options.dataDir, "agent-job.sqlite"))),
    Layer.provideMerge(Blobs.layer(join(options.dataDir, "blobs"))),
    Layer.provideMerge(
      Layer.succeed(Settings, { dataDir: options.dataDir, publicUrl: options.publicUrl, keep: options.keep ?? keptByDefault })
    ),
    Layer.provideMerge(dataDirectory(options.dataDir))
  )

/** The stores, the routes and the port; the HttpServer in it has the address. */
export const ServerWithAddress = (options: ServerOptions): Layer.Layer<HttpServer.HttpServer | Commits, OptionsUnusable | ServerError> =>
  Layer.effectDiscard(Effect.flatMap(Commits, (commits) => Effect.addFinalizer(() => commits.stop))).pipe(
    Layer.merge(upkeep),
    Layer.provideMerge(HttpRouter.serve(Layer.merge(routes, guarded), { disableLogger: true, disableListenLog: true })),
    Layer.provideMerge(listen(options.port)),
    Layer.provideMerge(stores(options))
  )

/** The whole server, for as long as the layer lives. */
export const Server = (options: ServerOptions): Layer.Layer<never, OptionsUnusable | ServerError> =>
  Layer.effectDiscard(
    HttpServer.addressFormattedWith((address) => Effect.logInfo("the server listens", { address, dataDir: options.dataDir }))
  ).pipe(
    Layer.provide(ServerWithAddress(options))
  )
