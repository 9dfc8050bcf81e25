// Runs of the example against a real server whose agent plays a part, told to a screen. Used by the tests beside it.
import { Duration, Effect, Layer, Option, Redacted } from "effect"
import { parse } from "yaml"
import { runDirectory, type RunRequest } from "../../../../src/cli/run/run-directory.ts"
import { Patience } from "../../../../src/cli/server/patiently.ts"
import { ServerClient } from "../../../../src/cli/server/server-client.ts"
import { NoUse, type ServerFailure, ServerUnreachable, unanswered } from "../../../../src/cli/terminal/failure.ts"
import { runPath, type RunView } from "../../../../src/schema/api/run.ts"
import { directory, failed, person, serve, userToken } from "../../../server/live-server.ts"
import { type Play, playing, quickstart } from "../../fake-agent.ts"
import { toldScreen } from "../../told-screen.ts"

export const example = "examples/quickstart"
export const unconnected = NoUse.Unanswered({ hadNoEffect: true, throughProxy: false })

export const request = (more: Partial<RunRequest> = {}): RunRequest => ({
  directory: example,
  workspace: "demo",
  autoApprove: false,
  allowEmptyApply: false,
  destroy: false,
  planOnly: false,
  detailedExitcode: false,
  engine: Option.none(),
  variables: [],
  output: "text",
  ...more
})

export const client = (url: string) => ServerClient.layer({ url, token: Option.some(Redacted.make(userToken)) })

export const closed = (url: string) => new ServerUnreachable({ url, detail: "the connection was closed", why: unanswered })

/** Has the command ask a server that gives no usable answer this many times more, without a pause, before it gives it up. */
export const eager = (times: number) => Effect.provideService(Patience, { every: Duration.millis(1), times })

/** Wraps a request: the server carries it out each time, but the first answer is lost. */
export const answerLost = <Asked extends ReadonlyArray<unknown>, A>(
  url: string,
  ask: (...asked: Asked) => Effect.Effect<A, ServerFailure>
) => {
  let times = 0
  return (...asked: Asked) =>
    Effect.tap(
      ask(...asked),
      () => times++ === 0 ? Effect.fail(closed(url)) : Effect.void
    )
}

/** Returns a client in which `otherwise` replaces some of the requests. */
export const asking = (otherwise: (server: ServerClient["Service"], url: string) => Partial<ServerClient["Service"]>) => (url: string) =>
  Layer.effect(ServerClient, Effect.map(ServerClient, (server) => ServerClient.of({ ...server, ...otherwise(server, url) }))).pipe(
    Layer.provide(client(url))
  )

/** A client that loses the first answer to each request that decides on a run, or that reads the outputs or the version of the state. */
export const losing = asking((server, url) => ({
  approve: answerLost(url, server.approve),
  act: answerLost(url, server.act),
  outputs: answerLost(url, server.outputs),
  state: answerLost(url, server.state)
}))

/** Starts a real server whose agent plays `play`. Returns its URL, and the effect that runs the example against it. */
export const running = Effect.fnUntraced(
  function*(screen: ReturnType<typeof toldScreen>, asked: RunRequest, play: Play = quickstart, clientOf: typeof client = client) {
    const url = yield* Effect.flatMap(directory, serve)
    yield* playing(url, play)
    return { url, run: runDirectory(asked).pipe(Effect.provide(clientOf(url)), Effect.provide(screen.layer)) }
  }
)

export const runId = (screen: ReturnType<typeof toldScreen>) =>
  /run-[a-z0-9]+/u.exec(screen.of("step").find((text) => text.startsWith("Started")) ?? "")?.[0] ?? ""

export const runsAt = (url: string) => Effect.map(person(url).as("GET", runPath.list), ({ json }) => json.runs as ReadonlyArray<RunView>)

/** A stand-in for run ids, as long as a real one. */
export const anyRun = `run-${"0".repeat(16)}`

/** Returns the transcript with all that differs from run to run replaced by the same text. */
export const settled = (screen: ReturnType<typeof toldScreen>) =>
  screen.transcript().replaceAll(/run-[a-z0-9]{16}/gu, anyRun).replace(/\d+ files, [\d.]+ kB/u, "N files, SIZE")

/** Returns the documents that were printed for a program. */
export const printed = (screen: ReturnType<typeof toldScreen>): ReadonlyArray<unknown> =>
  screen.of("result").map((text) => JSON.parse(text))

/** The two languages for programs. */
export const languages = [
  { output: "json", read: (text: string): unknown => JSON.parse(text) },
  { output: "yaml", read: (text: string): unknown => parse(text) }
] as const

/** An agent whose apply fails. */
export const failing: Play = { plan: quickstart.plan, apply: { log: ["card.ada: Creating...\n", "Error: no\n"], result: failed() } }
