// The server as a process of its own, for the tests that end one with a signal: serve.ts DIRECTORY [LEVEL], prints its address.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Console, Effect, Exit, Layer, References, Runtime } from "effect"
import { HttpServer } from "effect/http"
import { ServerWithAddress } from "../../src/server/lifecycle/server.ts"
import { optionsIn } from "./live-server.ts"

const program = Layer.effectDiscard(HttpServer.addressFormattedWith(Console.log)).pipe(
  Layer.provide(ServerWithAddress(optionsIn(process.argv[2] ?? ".")))
)

const teardown: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)

const level = process.argv[3] === "Debug" ? "Debug" : "Info"
NodeRuntime.runMain(Effect.provideService(Effect.scoped(Layer.launch(program)), References.MinimumLogLevel, level), { teardown })
