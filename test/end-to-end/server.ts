// The server as another program sees it, through its HTTP API: runs, and the states of workspaces.
// Used by the end-to-end tests, beside the CLI.
import { Schema } from "effect"
import { RunList, runPath, RunView } from "../../src/schema/api/run.ts"
import { tfePath } from "../../src/schema/api/tfe-api.ts"
import { overdue, patienceSeconds } from "./process.ts"

/** Returns a variable that scripts/test puts into the environment. */
export const required = (name: string): string => {
  const value = process.env[name]
  if (value === undefined || value === "") throw new Error(`${name} is not set; run these tests with scripts/test node`)
  return value
}

const ask = async (path: string): Promise<Response> => {
  const url = path.startsWith("http") ? path : required("AGENT_JOB_URL") + path
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${required("AGENT_JOB_TOKEN")}` },
    signal: AbortSignal.timeout(30_000)
  })
  if (!response.ok) throw new Error(`GET ${path} answers ${response.status}: ${await response.text()}`)
  return response
}

const document = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownSync(schema)
  return async (path: string): Promise<S["Type"]> => decode(await (await ask(path)).json())
}

const Identified = document(Schema.Struct({ data: Schema.Struct({ id: Schema.String }) }))
const StateVersion = document(
  Schema.Struct({ data: Schema.Struct({ attributes: Schema.Struct({ serial: Schema.Int, "hosted-state-download-url": Schema.String }) }) })
)
const State = document(Schema.Struct({
  serial: Schema.Int,
  resources: Schema.Array(Schema.Struct({ type: Schema.String, name: Schema.String, instances: Schema.Array(Schema.Unknown) })),
  outputs: Schema.Record(Schema.String, Schema.Struct({ value: Schema.Unknown, sensitive: Schema.optionalKey(Schema.Boolean) }))
}))
const view = document(RunView)
const list = document(RunList)

export const runOf = (id: string): Promise<RunView> => view(runPath.run(id))

/** Returns the runs of a workspace, newest first. */
export const runsOf = async (workspace: string): Promise<ReadonlyArray<RunView>> =>
  (await list(`${runPath.list}?workspace=${workspace}`)).runs

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** Reads again and again, also while the server does not answer, until `wanted` returns true. Otherwise `wanted` returns what was seen. */
const untilSeen = async <A>(
  what: string,
  seconds: number,
  read: () => Promise<A>,
  wanted: (seen: A) => true | string,
  everyMillis = 200
): Promise<A> => {
  const deadline = Date.now() + seconds * 1000
  let last = "nothing"
  while (Date.now() < deadline) {
    const seen = await read().catch((error: unknown) => void (last = String(error)))
    if (seen !== undefined) {
      const verdict = wanted(seen)
      if (verdict === true) return seen
      last = verdict
    }
    await pause(everyMillis)
  }
  throw overdue(what, seconds, last)
}

/** Waits until the server answers. */
export const untilServed = async (seconds = patienceSeconds): Promise<void> =>
  void await untilSeen("the server answers", seconds, () => ask(runPath.list), () => true)

/** Waits until the run is as `wanted`, and returns it. Fails at once when the run ends in another way. */
export const untilRun = (
  id: string,
  what: string,
  wanted: (run: RunView) => boolean,
  seconds = patienceSeconds,
  everyMillis?: number
): Promise<RunView> =>
  untilSeen(`${id}: ${what}`, seconds, () => runOf(id), (run) => {
    if (wanted(run)) return true
    const last = `${run.status}, ${run.queue?.message ?? run.failure ?? "nothing said"}`
    if (run.final) throw new Error(`${id} never came to "${what}": ${last}`)
    return last
  }, everyMillis)

export const untilFinal = (id: string, seconds?: number): Promise<RunView> => untilRun(id, "is final", ({ final }) => final, seconds)

/** Returns the current state of a workspace as it is stored. */
export const stateOf = async (workspace: string) => {
  const { data: { id } } = await Identified(tfePath.workspace("default", workspace))
  const { data: { attributes } } = await StateVersion(`/api/v2/workspaces/${id}/current-state-version`)
  return State(attributes["hosted-state-download-url"])
}

/** Returns the addresses ("type.name") of the resources in the state of a workspace, one for each instance. */
export const resourcesOf = async (workspace: string): Promise<ReadonlyArray<string>> =>
  (await stateOf(workspace)).resources.flatMap(({ instances, name, type }) => instances.map(() => `${type}.${name}`)).sort()
