// The worker as a program of its own, as `agent-job worker` runs it: node worker-program.ts ENVIRONMENT-JSON.
// KUBECONFIG in that environment leads to the API server. The exit code is the worker's.
// Started by test/faults/worker-death.cluster.test.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ConfigProvider, Effect } from "effect"
import { serve } from "../../src/cli/terminal/serve.ts"
import { teardown } from "../../src/cli/terminal/teardown.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { worker } from "../../src/worker/stage/worker.ts"

serve(Effect.provide(worker, Kubernetes.layer(fromKubeconfig()))).pipe(
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(JSON.parse(process.argv[2] ?? "{}")))),
  NodeRuntime.runMain({ teardown, disableErrorReporting: true })
)
