// The worker as a process of its own, as `agent-job worker` runs it, with the API server in memory: node worker-process.ts ENVIRONMENT-JSON.
// Prints the final status as its last line; its exit code is the worker's.
// Started by worker-process.cluster.test.ts and users.cluster.test.ts.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ConfigProvider, Effect } from "effect"
import { writeSync } from "node:fs"
import { serve } from "../../src/cli/terminal/serve.ts"
import { teardown } from "../../src/cli/terminal/teardown.ts"
import { worker } from "../../src/worker/stage/worker.ts"
import { fakeKubernetes } from "./fake-kubernetes.ts"

const { env, spec, status } = JSON.parse(process.argv[2] ?? "{}")
const kubernetes = fakeKubernetes(spec, status)
process.on("exit", () => writeSync(1, `\n${JSON.stringify(kubernetes.task().status)}\n`))

serve(Effect.provide(worker, kubernetes.layer)).pipe(
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))),
  NodeRuntime.runMain({ teardown, disableErrorReporting: true })
)
