// The task API in memory, with the rules of the real server and faults on demand: no answer, a lost or foreign answer, or a refusal.
// Records the requests that it answers by its rules, and all that it has taken, so that a test can say what really reached it.
// Used by the tests of the worker's pool side.
import { Effect, type Scope } from "effect"
import { Stream } from "effect"
import { Tar } from "effect/encoding"
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"
import type { JournalEntry } from "../../src/schema/api/effects.ts"
import { type StageVariable, taskHeader } from "../../src/schema/api/task-api.ts"

/**
 * What happens to the next request of a kind. "silence" never answers it, and "stall" begins an answer; "lose answer" carries it out and then breaks the connection. "not
 * ours" is a 404 of a proxy, and "a page", "a large page" and "a document" are successful answers of a proxy with a body of its own. "another state" has the
 * digest of one that it is not.
 */
export type Fault =
  | "break"
  | "silence"
  | "stall"
  | "lose answer"
  | "not ours"
  | "a page"
  | "a large page"
  | "a document"
  | "another state"
  | 401
  | 404
  | 409
  | 500
  | Refusal

/** A refusal as the server words it. */
interface Refusal {
  readonly status: number
  readonly error: string
  /** The server has kept the state as evidence. */
  readonly kept?: true
}

export interface FakeTaskApi {
  readonly url: string
  readonly token: string
  /** Adds faults for the next requests of `METHOD path`, one each, in order. */
  readonly fault: (request: string, ...faults: ReadonlyArray<Fault>) => void
  /** Every request breaks until the returned function is called. */
  readonly goDown: () => () => void
  /** The UID of the AgentTask that the stage belongs to, which is the first one that asks. */
  owner: string | undefined
  archive: Uint8Array
  plan: Uint8Array | undefined
  variables: ReadonlyArray<StageVariable>
  /** The options of the stage, as a newer server may have more. */
  options: object
  state: Uint8Array | undefined
  /** Every accepted state's serial. */
  readonly serials: Array<number>
  log: Uint8Array
  readonly journal: Array<JournalEntry>
  /** The journal of the plan stage: what the plan is to make. */
  readonly planned: Array<JournalEntry>
  /** The encrypted states that workers brought for other stages. */
  readonly keptStates: Array<Uint8Array>
  lock: { ID: string } | undefined
  epoch: number
  readonly results: Array<unknown>
  /** `METHOD path status` of every request that was answered without a fault. */
  readonly requests: Array<string>
  /** Called when a request arrives, before it is answered. */
  onRequest: (request: string) => void
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** A tar.gz of these files. */
export const tarGz = (files: Readonly<Record<string, string>>): Uint8Array =>
  gzipSync(
    Buffer.concat(Effect.runSync(Stream.runCollect(
      Stream.fromIterable(Object.entries(files).map(([name, content]) => Tar.file(name, content))).pipe(
        Stream.pipeThroughChannel(Tar.encode())
      )
    )))
  )

const markOf = (state: Uint8Array | undefined) => {
  if (state === undefined) return {}
  const { lineage, serial } = JSON.parse(Buffer.from(state).toString("utf8"))
  return { state: { lineage, serial } }
}

const read = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export const taskApi: Effect.Effect<FakeTaskApi, never, Scope.Scope> = Effect.gen(function*() {
  const faults = new Map<string, Array<Fault>>()
  let down = false
  const token = "task-token-0123456789"
  const prefix = "/api/task/v1"

  type Reply = readonly [status: number, body?: Uint8Array | object]

  const locked = (): Reply => [409, { error: "locked", message: "The state is locked by somebody.", ...api.lock }]

  /** The refusal of a state that is kept as evidence. */
  const kept = ([status, said]: Reply): Reply => [status, { ...said, kept: true }]

  /** Returns the refusal of a request without the right token or task, whatever it asks for. */
  const refusal = ({ headers }: IncomingMessage): Reply | undefined => {
    if (headers.authorization !== `Bearer ${token}`) return [401, { error: "unauthorized", message: "No." }]
    const uid = headers[taskHeader.taskUid]
    if (typeof uid !== "string") return [422, { error: "invalid", message: "No task is named." }]
    api.owner ??= uid
    return api.owner === uid ? undefined : [409, { error: "taken", message: "Another agent has the stage." }]
  }

  const answer = async (name: string, request: IncomingMessage, url: URL): Promise<Reply> => {
    const body = await read(request)
    switch (name) {
      case "GET /assignment":
        return [200, {
          id: "run-a.plan.1",
          runId: "run-a",
          workspace: "demo",
          stage: "plan",
          archiveSha256: sha256(api.archive),
          variables: api.variables,
          options: api.options,
          sealKey: "5".repeat(64),
          keptStateKey: "7".repeat(64),
          ...markOf(api.state)
        }]
      case "GET /archive":
        return [200, api.archive]
      case "GET /plan":
        return api.plan === undefined ? [404, { error: "no-plan", message: "The run has no saved plan." }] : [200, api.plan]
      case "PUT /plan":
        if (sha256(body) !== request.headers[taskHeader.digest]) return [409, { error: "digest-mismatch", message: "The digest differs." }]
        api.plan = body
        return [204]
      case "POST /log": {
        const offset = Number(url.searchParams.get("offset"))
        if (offset > api.log.length) return [409, { error: "log-gap", message: "A gap.", offset: api.log.length }]
        api.log = Buffer.concat([api.log, body.subarray(api.log.length - offset)])
        return [200, { offset: api.log.length }]
      }
      case "POST /effects": {
        const { entries }: { entries: ReadonlyArray<JournalEntry> } = JSON.parse(body.toString("utf8"))
        const first = entries[0]?.number ?? 0
        const journal = entries.some(({ kind }) => kind === "planned") ? api.planned : api.journal
        if (first > journal.length + 1) return [409, { error: "journal-gap", message: "A gap.", number: journal.length }]
        journal.push(...entries.slice(journal.length + 1 - first))
        return [200, { number: journal.length }]
      }
      case "GET /state":
        return api.state === undefined ? [404, { error: "no-state", message: "No state." }] : [200, api.state]
      case "POST /kept-state":
        api.keptStates.push(body)
        return [204]
      case "POST /state": {
        const state = JSON.parse(body.toString("utf8"))
        if (
          api.lock === undefined || api.lock.ID !== request.headers[taskHeader.lockId] ||
          String(api.epoch) !== request.headers[taskHeader.lockEpoch]
        ) return kept(locked())
        if (sha256(body) !== request.headers[taskHeader.digest]) return [409, { error: "digest-mismatch", message: "The digest differs." }]
        const last = api.serials.at(-1) ?? -1
        if (api.state !== undefined && sha256(body) === sha256(api.state)) return [204]
        if (state.serial <= last) return kept([409, { error: "old-serial", message: "An old serial." }])
        api.state = body
        api.serials.push(state.serial)
        return [204]
      }
      case "POST /state/lock": {
        const info = JSON.parse(body.toString("utf8"))
        if (api.lock !== undefined && api.lock.ID !== info.ID) return locked()
        if (api.lock === undefined) api.epoch++
        api.lock = info
        return [200, { epoch: api.epoch }]
      }
      case "POST /state/unlock":
        if (api.lock !== undefined && api.lock.ID !== JSON.parse(body.toString("utf8")).ID) return locked()
        api.lock = undefined
        return [200]
      case "POST /result":
        api.results.push(JSON.parse(body.toString("utf8")))
        return [204]
      default:
        return [404, { error: "not-found", message: "There is nothing here." }]
    }
  }

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "/", "http://localhost")
    const name = `${request.method} ${url.pathname.slice(prefix.length)}`
    api.onRequest(name)
    const fault = faults.get(name)?.shift()
    if (down || fault === "break") return void request.socket.destroy()
    if (fault === "silence") return
    if (fault === "stall") return void response.writeHead(200, { [taskHeader.digest]: "of much more" }).write("a part")
    if (fault === "not ours") return void response.writeHead(404).end("<h1>Not Found</h1>")
    if (fault === "another state") return void response.writeHead(200, { [taskHeader.digest]: "b".repeat(64) }).end("{}")
    if (fault === "a page") return void response.writeHead(200, { "content-type": "text/html" }).end("<h1>Back soon</h1>")
    if (fault === "a large page") return void response.writeHead(200, { "content-type": "text/html" }).end("x".repeat(300_000))
    if (fault === "a document") return void response.writeHead(200, { "content-type": "application/json" }).end(`{"status":"maintenance"}`)
    if (typeof fault === "number") {
      return void response.writeHead(fault).end(JSON.stringify({ error: "fault", message: `Refused with ${fault}.` }))
    }
    if (typeof fault === "object") {
      return void response.writeHead(fault.status).end(JSON.stringify({ ...fault, message: `Refused as ${fault.error}.` }))
    }
    const [status, body = ""] = refusal(request) ?? await answer(name, request, url)
    if (fault === "lose answer") return void request.socket.destroy()
    api.requests.push(`${name} ${status}`)
    response.writeHead(status, body instanceof Uint8Array ? { [taskHeader.digest]: sha256(body) } : {}).end(
      body instanceof Uint8Array ? body : body === "" ? "" : JSON.stringify(body)
    )
  }

  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => (server.close(), server.closeAllConnections()))
  )
  const api: FakeTaskApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    fault: (request, ...next) => void faults.set(request, [...(faults.get(request) ?? []), ...next]),
    goDown: () => {
      down = true
      return () => void (down = false)
    },
    owner: undefined,
    archive: new Uint8Array(),
    plan: undefined,
    variables: [],
    options: {},
    state: undefined,
    serials: [],
    keptStates: [],
    log: new Uint8Array(),
    journal: [],
    planned: [],
    lock: undefined,
    epoch: 4,
    results: [],
    requests: [],
    onRequest: () => {}
  }
  return api
})
