// `agent-job worker`, `install` and `probe`: what runs in the Pods of tasks, of the doctor and of a move from the Helm chart.
// Used by those Pods; nobody types them.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { place } from "../../core/task/places.ts"
import { pathFlag, portFlag } from "../flags/settings.ts"
import { lazily } from "../terminal/lazily.ts"
import { serve } from "../terminal/serve.ts"

export const worker = Command.make("worker", {}, () =>
  serve(lazily(async () => {
    const [{ worker }, { Kubernetes }, { inCluster }] = await Promise.all([
      import("../../worker/stage/worker.ts"),
      import("../../kubernetes/client.ts"),
      import("../../kubernetes/in-cluster.ts")
    ])
    return Effect.provide(worker, Kubernetes.layer(inCluster()))
  }))).pipe(
    Command.withDescription("Claim and run the task of this Pod.")
  )

/** Prints an error as main does and not as a line of JSON, because the kubelet takes what it prints for the termination message. */
export const install = Command.make("install", {
  dataDir: Argument.Path("DIR").pipe(Argument.withDescription("The volume shared with the runner."))
}, ({ dataDir }) => lazily(async () => (await import("../../worker/install.ts")).install(dataDir))).pipe(
  Command.withDescription("Put the runner's exec loop on the shared volume.")
)

const probes = {
  port: portFlag("listen").pipe(
    Flag.optional,
    Flag.withDescription("Take connections there, instead of making some.")
  ),
  pool: Flag.String("pool").pipe(
    Flag.withMetavar("URL"),
    Flag.optional,
    Flag.withDescription("Ask this server as a controller does, and take no work.")
  ),
  tokenFile: pathFlag("token-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDefault(`${place.poolToken}/token`),
    Flag.withDescription("The pool token for --pool.")
  )
}

const connections = (port: Option.Option<number>) =>
  lazily(async () => {
    const { listen, tryTargets } = await import("../../worker/probe.ts")
    return Option.match(port, { onNone: () => tryTargets, onSome: listen })
  })

const askPool = (url: string, tokenFile: string) =>
  lazily(async () => (await import("../../controller/pool/pool.ts")).askPool(url, tokenFile))

export const probe = Command.make(
  "probe",
  probes,
  Effect.fn("probe")(function*({ pool, port, tokenFile }) {
    yield* Option.isSome(pool) ? serve(askPool(pool.value, tokenFile)) : serve(connections(port))
  })
).pipe(Command.withDescription("Try the connections that agent-job doctor or a move from the Helm chart ask about."))
