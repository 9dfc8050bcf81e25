// `agent-job controller`: watches AgentTasks and makes their Jobs, and takes work from a server's pool if the values name a server.
// Used by the controller's Deployment; started by hand, it works on the cluster that the kubeconfig names.
import { Config, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { hostname } from "node:os"
import { setFlagsFromString } from "node:v8"
import { controllerHealthPort, place } from "../../core/task/places.ts"
import { namespaceFlag, pathFlag, portFlag } from "../flags/settings.ts"
import { lazily } from "../terminal/lazily.ts"
import { serve } from "../terminal/serve.ts"

const flags = {
  values: pathFlag("values").pipe(
    Flag.withAlias("f"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("A values file (YAML), or a directory of them: its *.yaml are laid over each other by name, values.yaml last.")
  ),
  name: Flag.String("name").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDefault("agent-job"),
    Flag.withDescription("The name of this installation; agent-job by default.")
  ),
  namespace: namespaceFlag.pipe(
    Flag.withDefault("agent-job"),
    Flag.withDescription("The namespace of this installation; agent-job by default.")
  ),
  healthPort: portFlag("health-port").pipe(
    Flag.withDefault(controllerHealthPort),
    Flag.withDescription(`Serves /healthz, /readyz and /metrics; ${controllerHealthPort} by default.`)
  ),
  poolTokenFile: pathFlag("pool-token-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDefault(`${place.poolToken}/token`),
    Flag.withDescription(
      `The pool token, read anew for every request; wanted only when the values name a server. ${place.poolToken}/token by default.`
    )
  )
}

/** The identity that is unique to this process: the Pod's name, or host name and process id outside of a Pod. */
const identity = Effect.map(Effect.option(Config.String("POD_NAME")), Option.getOrElse(() => `${hostname()}-${process.pid}`))

/**
 * How often a function is called before V8 optimizes it for the first time; by default 400 times. A start among 1,000 tasks calls hundreds
 * of functions that often, and a controller that makes as many Jobs calls some of them thousands of times: malloc would keep 16 MiB of what
 * their compilation took.
 */
export const laterOptimized = "--invocation-count-for-maglev=10000"

/** Sets the flag once all is loaded: Node would compile its own modules anew, for 40 ms, if it were given on the command line. */
const load = async () => {
  const { controller } = await import("../../controller/lifecycle/controller.ts")
  setFlagsFromString(laterOptimized)
  return controller
}

export const controller = Command.make(
  "controller",
  flags,
  (given) =>
    serve(
      Effect.flatMap(identity, (identity) => lazily(async () => (await load())({ ...given, identity })))
    )
).pipe(Command.withDescription("Watch AgentTasks and run each as a Job."))
