// The worker as a process of its own, as `agent-job worker` runs it, with the API server in memory: node worker-process.ts ENVIRONMENT-JSON.
// Prints the final status as its last line; its exit code is the worker's.
// Started by worker-process.cluster.test.ts and users.cluster.test.ts.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, ConfigProvider, Effect, Exit, type Runtime } from "effect"
import { writeSync } from "node:fs"
import { exitCodeOf } from "../../src/cli/terminal/failure.ts"
import { serve } from "../../src/cli/terminal/serve.ts"
import { worker } from "../../src/worker/stage/worker.ts"
import { fakeKubernetes } from "./fake-kubernetes.ts"

/** Exits as src/main.ts does. */
const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  if (Cause.hasInterruptsOnly(exit.cause)) return onExit(Number(process.exitCode ?? 130))
  return onExit(exitCodeOf(Cause.squash(exit.cause)))
}

const { env, spec, status } = JSON.parse(process.argv[2] ?? "{}")
const kubernetes = fakeKubernetes(spec, status)
process.on("exit", () => writeSync(1, `\n${JSON.stringify(kubernetes.task().status)}\n`))

serve(Effect.provide(worker, kubernetes.layer)).pipe(
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))),
  NodeRuntime.runMain({ teardown, disableErrorReporting: true })
)
