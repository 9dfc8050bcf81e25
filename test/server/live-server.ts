// A real server on a free port with a real SQLite file, and its three kinds of client: a person, an agent and a worker.
// Used by the tests of the server; a restart is a second `serve` on the same directory.
import { Effect, Layer, Schema, type Scope } from "effect"
import { HttpServer } from "effect/http"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import type { JournalEntry } from "../../src/schema/api/effects.ts"
import { keptByDefault } from "../../src/schema/api/keep.ts"
import { AcquireResponse, type Assignment, CancellationsResponse, poolPath } from "../../src/schema/api/pool-api.ts"
import { runPath, type RunView, RunView as RunViewSchema } from "../../src/schema/api/run.ts"
import { statePath } from "../../src/schema/api/state.ts"
import { taskHeader, taskPath } from "../../src/schema/api/task-api.ts"
import { tfePath } from "../../src/schema/api/tfe-api.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { Rates } from "../../src/server/access/limits.ts"
import type { User } from "../../src/server/access/tokens.ts"
import { ServerWithAddress, stores } from "../../src/server/lifecycle/server.ts"
import type { ServerOptions } from "../../src/server/settings.ts"
import { layerDatabase } from "../../src/server/store/database.ts"
import { databaseIn } from "../../src/server/store/earlier-data.ts"
import { temporaryFolder } from "../temporary-folder.ts"

export const userToken = "user-token-0123456789"
/** Of `CI`, and of a board that shows runs. */
export const [planToken, readToken] = ["plan-token-0123456789", "read-token-0123456789"]
/** Of a team, for `demo` and whatever begins with `team-a-`. */
export const teamToken = "team-token-0123456789"
export const poolToken = "pool-token-0123456789"
export const ada: User = { kind: "user", name: "Ada", role: "everything", workspaces: "all" }

export const sha256 = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** A directory with the two token files, removed when the scope closes. */
export const directory = Effect.map(temporaryFolder("server"), (made) => {
  writeFileSync(
    join(made, "user.token"),
    `# people\n${userToken}\n${planToken} CI role=plan\n${readToken} Board role=read\n${teamToken} Team A workspaces=team-a-*,demo\n`
  )
  writeFileSync(join(made, "pool.token"), poolToken)
  return made
})

/** What a run asks for that plans, waits for an approval, and wants nothing special. */
export const plainRun = {
  planOnly: false,
  autoApply: false,
  destroy: false,
  message: "",
  engine: undefined,
  options: {},
  variables: []
} as const

export const optionsIn = (made: string) => ({
  port: 0,
  dataDir: join(made, "data"),
  userTokenFile: join(made, "user.token"),
  poolTokenFile: join(made, "pool.token")
})

const unlimited = { perSecond: 1e6, burst: 1e6 }
/** Lets a server take any number of requests, for a test that is not about how many. */
export const withoutRates = Effect.provideService(Rates, {
  user: unlimited,
  pool: unlimited,
  task: unlimited,
  link: unlimited,
  follower: unlimited,
  address: unlimited
})

/** A database that has no row. It is made once, since to make its tables takes longer than to open it. */
const migrated = Effect.runSync(Effect.cached(Effect.scoped(Effect.gen(function*() {
  const file = join(yield* temporaryFolder("database"), "new")
  yield* Effect.scoped(Layer.build(layerDatabase(file)))
  return readFileSync(file)
}))))

/** Puts that database where there is no data yet, as a first start would leave it. */
const begun = ({ dataDir }: ServerOptions) =>
  Effect.map(migrated, (database) => {
    if (existsSync(dataDir)) return
    mkdirSync(dataDir, { mode: 0o700 })
    writeFileSync(databaseIn(dataDir), database, { mode: 0o600 })
  })

/** Runs a server with these options until the scope closes; returns its URL and its services. */
export const serveWith = (options: ServerOptions) =>
  Effect.gen(function*() {
    yield* begun(options)
    const context = yield* Layer.build(ServerWithAddress(options))
    const url = yield* Effect.map(HttpServer.HttpServer.pipe(Effect.provide(context)), ({ address }) => {
      if (address._tag === "UnixPathAddress") throw new Error("not a TCP address")
      return `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${address.port}`
    })
    return { url, context }
  })

/** Runs a server until the scope closes; returns its URL and its services. */
export const serveOpenly = (made: string, keep = keptByDefault, defaultPool?: string) =>
  serveWith({ ...optionsIn(made), keep, ...(defaultPool !== undefined && { defaultPool }) })

/** Runs a server until the scope closes; returns its URL. */
export const serve = (made: string, keep = keptByDefault, defaultPool?: string) =>
  Effect.map(serveOpenly(made, keep, defaultPool), ({ url }) => url)

/** Runs a server that clients reach at `publicUrl`, until the scope closes; returns its own URL. */
export const serveAt = (made: string, publicUrl: string) => Effect.map(serveWith({ ...optionsIn(made), publicUrl }), ({ url }) => url)

/** The URL of a server on data of its own, which runs until the scope closes. */
export const server = Effect.flatMap(directory, serve)

/** Runs an effect in the server's stores, on data of their own, which close with the scope. */
export const inStores = <A, E>(use: Effect.Effect<A, E, Layer.Success<ReturnType<typeof stores>> | Scope.Scope>) =>
  Effect.gen(function*() {
    const options = optionsIn(yield* directory)
    yield* begun(options)
    return yield* Effect.provide(use, yield* Layer.build(stores(options)))
  })

/** A state without resources, as far as `more` says nothing else. */
export const state = (serial: number, lineage = "l", more: object = {}) => ({
  version: 4,
  serial,
  lineage,
  outputs: {},
  resources: [],
  ...more
})

/** A resource in the `data` or `included` of an answer. */
export interface Resource {
  readonly id: string
  readonly type: string
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: any // whatever was answered; each test says what it expects
}

export const ask = (url: string, token: string | undefined, method = "GET", body?: unknown, headers: Record<string, string> = {}) =>
  Effect.promise(async (signal): Promise<Answer> => {
    const isRaw = typeof body === "string" || body instanceof Uint8Array
    const response = await fetch(url, {
      method,
      signal,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      ...(body !== undefined && { body: isRaw ? Buffer.from(body) : JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: text.startsWith("{") ? JSON.parse(text) : undefined }
  })

export const person = (url: string, token = userToken) => {
  const as = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    ask(path.startsWith("http") ? path : url + path, token, method, body, headers)
  const workspace = (name: string, settings: Record<string, unknown> = {}) =>
    Effect.map(
      as("POST", tfePath.workspaces("default"), { data: { type: "workspaces", attributes: { name, ...settings } } }),
      ({ json }): string => json.data.id
    )
  const upload = (workspaceId: string, archive: Uint8Array, speculative = false) =>
    Effect.gen(function*() {
      const made = yield* as("POST", tfePath.configurationVersions(workspaceId), {
        data: { type: "configuration-versions", attributes: { speculative } }
      })
      const { id, attributes } = made.json.data
      const stored = yield* ask(attributes["upload-url"], undefined, "PUT", archive)
      return { id: String(id), uploadUrl: String(attributes["upload-url"]), status: stored.status, answer: stored }
    })
  const run = (workspaceId: string, attributes: Record<string, unknown> = {}, version?: string) =>
    as("POST", tfePath.runs, {
      data: {
        type: "runs",
        attributes,
        relationships: {
          workspace: { data: { type: "workspaces", id: workspaceId } },
          ...(version !== undefined && { "configuration-version": { data: { type: "configuration-versions", id: version } } })
        }
      }
    })
  /** Makes the workspace, unless it is there, and starts a run of it; returns the run's id. */
  const start = (name: string, attributes: Record<string, unknown> = {}) =>
    Effect.gen(function*() {
      const workspaceId = yield* workspace(name)
      yield* upload(workspaceId, archiveOf({ "main.tf": "output \"m\" { value = 1 }" }))
      const made = yield* run(workspaceId, attributes)
      return String(made.json.data.id)
    })
  const view = (id: string): Effect.Effect<RunView> =>
    Effect.map(as("GET", runPath.run(id)), ({ json }) => Schema.decodeUnknownSync(RunViewSchema)(json))
  const state = (name: string) => Effect.map(as("GET", statePath.state(name)), ({ json }) => json)
  /** Settles the open rescues of the workspace as they are now. */
  const settle = (name: string, more: object = {}) =>
    Effect.flatMap(
      state(name),
      ({ evidence, pending, version }) =>
        as("POST", statePath.rescue(name), {
          by: "me@here",
          pending: pending.map(({ id }: { id: string }) => id),
          journals: Object.fromEntries(pending.map(({ id, journal }: { id: string; journal: number }) => [id, journal])),
          evidence: evidence[0]?.id,
          version: version?.id,
          ...more
        })
    )
  const act = (id: string, action: Parameters<typeof tfePath.action>[1]) => as("POST", tfePath.action(id, action), {})
  return { as, workspace, upload, run, start, view, state, settle, act }
}

/** The UID of the AgentTask, in tests that need only one. */
export const taskUid = "task-uid-1"

export const agent = (url: string, name = "agent-1", uid = taskUid, token = poolToken) => {
  const post = (path: string, body: unknown) => ask(url + path, token, "POST", body)
  const acquire = (waitSeconds = 0, max = 10) =>
    Effect.map(
      post(poolPath.acquire, { agent: name, waitSeconds, max }),
      ({ json }) => Schema.decodeUnknownSync(AcquireResponse)(json).assignments
    )
  const acknowledge = (id: string) => post(poolPath.acknowledge(id), { taskUid: uid })
  const wait = (id: string, reason: string, message: string) => post(poolPath.wait(id), { agent: name, taskUid: uid, reason, message })
  const report = (id: string, result: StageResult) => post(`${poolPath.result(id)}?taskUid=${uid}`, result)
  /** Reports the result of a stage for which no AgentTask was made. */
  const reportTaskless = (id: string, result: StageResult) => post(`${poolPath.result(id)}?agent=${name}`, result)
  const cancellations = (after = 0, waitSeconds = 0, because?: string) =>
    Effect.map(
      post(poolPath.cancellations, { after, waitSeconds, ...(because !== undefined && { resting: { agent: name, because } }) }),
      ({ json }) => Schema.decodeUnknownSync(CancellationsResponse)(json)
    )
  /** Acquires and acknowledges the only assignment that is open; throws if there is none or more than one. */
  const take = Effect.gen(function*() {
    const [assignment, ...others] = yield* acquire()
    if (assignment === undefined || others.length > 0) {
      throw new Error(`expected one assignment, got ${others.length + Number(assignment !== undefined)}`)
    }
    yield* acknowledge(assignment.id)
    return assignment
  })
  return { acquire, acknowledge, wait, report, reportTaskless, cancellations, take, post }
}

export const worker = (url: string, { taskToken }: Pick<Assignment, "taskToken">, uid = taskUid) => {
  const as = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    ask(url + path, taskToken, method, body, { [taskHeader.taskUid]: uid, ...headers })
  return {
    as,
    log: (offset: number, text: string) => as("POST", `${taskPath.log}?offset=${offset}`, text),
    savePlan: (plan: string) => as("PUT", taskPath.plan, plan, { [taskHeader.digest]: sha256(plan) }),
    lock: (ID: string) => as("POST", taskPath.lock, { ID, Who: "worker", Operation: "OperationTypeApply" }),
    unlock: (ID: string) => as("POST", taskPath.unlock, { ID }),
    pushState: (state: unknown, lockId: string, epoch: number) =>
      as("POST", taskPath.state, JSON.stringify(state), {
        [taskHeader.lockId]: lockId,
        [taskHeader.lockEpoch]: String(epoch),
        [taskHeader.digest]: sha256(JSON.stringify(state))
      }),
    result: (result: StageResult) => as("POST", taskPath.result, result)
  }
}

/**
 * Sends the first request of a stage up to the first byte of its body, and waits until the server has accepted its token. Returns an effect
 * that sends the rest and gives the status.
 */
export const onTheWay = Effect.fnUntraced(function*(url: string, { runId, taskToken }: Assignment, path: string, body: string) {
  const sent = request(url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${taskToken}`, [taskHeader.taskUid]: taskUid, "content-length": Buffer.byteLength(body) }
  })
  const status = new Promise<number | undefined>((resolve) => sent.on("response", (response) => resolve(response.statusCode)))
  sent.write(body.slice(0, 1))
  yield* Effect.repeat(person(url).view(runId), { until: ({ stages }) => stages.at(-1)?.status === "running" }).pipe(
    Effect.timeout("5 minutes")
  )
  return Effect.promise(() => {
    sent.end(body.slice(1))
    return status
  })
})

export const succeeded = (more: Partial<StageResult> = {}): StageResult => ({
  outcome: "succeeded",
  reason: "Completed",
  message: "The stage ended with success.",
  exitCode: 0,
  finishedAt: "2026-01-31T12:00:00Z",
  ...more
})
export const failed = (message = "The engine ended with exit code 1."): StageResult => ({
  outcome: "failed",
  reason: "ExitCode",
  message,
  exitCode: 1,
  finishedAt: "2026-01-31T12:00:00Z"
})
export const evicted: StageResult = {
  outcome: "failed",
  reason: "Evicted",
  message: "The Pod had to leave its node during tofu plan; nothing was changed.",
  finishedAt: "2026-01-31T12:00:00Z"
}
export const cancelled: StageResult = {
  outcome: "cancelled",
  reason: "Cancelled",
  message: "The task was cancelled.",
  finishedAt: "2026-01-31T12:00:00Z"
}
export const withChanges = { changes: { add: 1, change: 0, destroy: 0 }, hasChanges: true }

/** A gzipped tar of files, as plain as tar can be. */
export const archiveOf = (files: Readonly<Record<string, string>>): Uint8Array => {
  const entries = Object.entries(files).map(([name, content]) => {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write("0000644\0", 100)
    header.write(Buffer.byteLength(content).toString(8).padStart(11, "0") + "\0", 124)
    header.write("        ", 148)
    header.write("0", 156)
    header.write("ustar\0" + "00", 257)
    header.write(header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0") + "\0 ", 148)
    return Buffer.concat([header, Buffer.from(content), Buffer.alloc((512 - Buffer.byteLength(content) % 512) % 512)])
  })
  return gzipSync(Buffer.concat([...entries, Buffer.alloc(1024)]))
}

/** Takes the plan stage that waits, stores its plan and reports its result; returns the assignment. */
export const planWith = (
  url: string,
  plan = "the plan",
  result: StageResult = succeeded(withChanges),
  planned: ReadonlyArray<JournalEntry> = []
) =>
  Effect.gen(function*() {
    const assignment = yield* agent(url).take
    if (planned.length > 0) yield* worker(url, assignment).as("POST", taskPath.effects, { entries: planned })
    yield* worker(url, assignment).savePlan(plan)
    yield* worker(url, assignment).result({ ...result, ...(result.hasChanges === true && { planDigest: sha256(plan) as never }) })
    return assignment
  })

/** A server with a run of the workspace `demo` in its apply stage, and its worker. `address` is where people find the state. */
export const applying = Effect.gen(function*() {
  const made = yield* directory
  const url = yield* serve(made)
  const id = yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  return { made, url, id, apply, applier: worker(url, apply), address: `${url}/api/state/v1/workspaces/demo` }
})
