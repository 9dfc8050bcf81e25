// Requests of every kind, right and wrong, to every route of the real server, with every kind of token.
// The server never breaks or hangs, and answers only in the forms that it describes.
// FUZZ_REQUESTS is the number of requests; `make fuzz N=…` sets it and prints the results.
import { describe, expect, it } from "@effect/vitest"
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import { Effect, Option, Schema } from "effect"
import { once } from "node:events"
import { Agent, type IncomingMessage, request as call } from "node:http"
import { Problem } from "../../src/schema/api/problem.ts"
import { runPath, type RunView } from "../../src/schema/api/run.ts"
import { statePath } from "../../src/schema/api/state.ts"
import { taskHeader, taskPath } from "../../src/schema/api/task-api.ts"
import { organization, tfePath } from "../../src/schema/api/tfe-api.ts"
import { openApi } from "../../src/server/routes/open-api.ts"
import {
  agent,
  archiveOf,
  ask,
  directory,
  failed,
  person,
  planWith,
  poolToken,
  serve,
  sha256,
  taskUid,
  userToken,
  withoutRates,
  worker
} from "../server/live-server.ts"
import { refusing, registered } from "../server/registered.ts"
import { tell } from "./figures.ts"
import { Chance, damaged, hostileTexts, type JsonSchema, valid } from "./random.ts"

const requests = Number(process.env.FUZZ_REQUESTS ?? 5000)
const seed = Number(process.env.PROPERTY_SEED ?? 1)
const sceneEvery = 250
/** How long a request may take before it counts as a hang; so long because the machine may have other work too. */
const longestAnswerMillis = 300_000

type Kind = "user" | "pool" | "task"

/** The schema of a body by its content type; none: no body. */
type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>

interface Operation {
  readonly method: string
  readonly path: string
  readonly kind: Kind | undefined
  readonly body: JsonSchema | "bytes" | undefined
  readonly query: ReadonlyArray<string>
  /** The content of each answer by its type, by status; absent for the routes that our OpenAPI document does not describe. */
  readonly answers?: Readonly<Record<string, Content>>
}

interface OpenApi {
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>
    readonly responses: Readonly<Record<"Refusal" | "Errors", { readonly content: Content }>>
  }
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<string, {
          readonly security: ReadonlyArray<Partial<Record<Kind, unknown>>>
          readonly parameters: ReadonlyArray<{ readonly name: string; readonly in: string }>
          readonly requestBody?: { readonly content: Content }
          readonly responses: Readonly<Record<string, { readonly content?: Content }>>
        }>
      >
    >
  >
}
const described = openApi() as OpenApi

/** The statuses of refusals. */
const refusals = [400, 401, 403, 404, 408, 409, 413, 414, 422, 423, 429, 431, 500, 503]

/** Of a state, `bytes` has some that the server takes. */
const bodyIn = (content: Content): JsonSchema | "bytes" => {
  const schema = (content["application/json"] ?? content["application/vnd.api+json"])?.schema
  const name = schema?.$ref?.split("/").at(-1)
  if (schema === undefined || name === "State") return "bytes"
  return name === undefined ? schema : described.components.schemas[name] ?? schema
}

const documented: ReadonlyArray<Operation> = Object.entries(described.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    method: method.toUpperCase(),
    path,
    kind: Object.keys(operation.security[0] ?? {})[0] as Kind | undefined,
    body: operation.requestBody === undefined ? undefined : bodyIn(operation.requestBody.content),
    query: operation.parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name),
    answers: Object.fromEntries(Object.entries(operation.responses).map(([status, { content = {} }]) => [status, content]))
  }))
)

const rowOf = ({ method, path }: Pick<Operation, "method" | "path">): string => `${method} ${path}`

/** What our OpenAPI document leaves out: what anybody may ask, and what is always refused, whatever it is sent. */
const others = (method: string, path: string): Operation => ({
  method,
  path,
  kind: "user",
  body: method === "GET" || method === "DELETE" ? undefined : {},
  query: []
})

/** Returns the operations of these routes of the server. */
const operationsOf = (routes: ReadonlyArray<string>): ReadonlyArray<Operation> =>
  routes.map((route) => {
    const [method = "", path = ""] = route.replaceAll(/:(\w+)/gu, "{$1}").split(" ")
    return documented.find((operation) => rowOf(operation) === rowOf({ method, path })) ?? others(method, path)
  })

/** What is on the server while a part of the requests is sent. */
interface Scene {
  readonly ids: ReadonlyArray<string>
  /** Ends of links that need no token: an id, a slash and its secret. */
  readonly links: ReadonlyArray<string>
  readonly tokens: Readonly<Record<"over" | Kind, string>>
}

/** Makes a workspace whose state is in doubt: its apply made something, could not push its state, and was lost. Returns its ids. */
const makeDoubt = Effect.fnUntraced(function*(url: string, name: string) {
  yield* person(url).start(name, { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  const { epoch } = (yield* applier.lock("lock")).json
  const identity = { action: "create", address: "time_sleep.a" }
  yield* applier.as("POST", taskPath.effects, {
    entries: [{ number: 1, kind: "started", ...identity }, { number: 2, kind: "done", ...identity, idKey: "id", id: "1" }]
  })
  yield* applier.pushState({ version: 4, serial: 1, lineage: "l" }, "another lock", epoch)
  yield* agent(url).report(apply.id, { ...failed("The worker ended without a result."), reason: "Lost" })
  const { evidence } = (yield* person(url).as("GET", statePath.state(name))).json
  return [name, String(evidence[0].id)]
})

/**
 * Makes a run that waits for a decision, one that applies, one that waits for its plan and one that left its state in doubt. Returns all
 * the ids that lead to them.
 */
const makeScene = Effect.fnUntraced(function*(url: string, turn: number) {
  const me = person(url)
  const [applying, planned, planning] = [`applying${turn}`, `planned${turn}`, `planning${turn}`]
  yield* me.start(applying, { "auto-apply": true })
  const over = yield* planWith(url)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  const { epoch } = (yield* applier.lock("lock")).json
  yield* applier.log(0, "Applying…\n")
  yield* applier.pushState({ version: 4, serial: 1, lineage: "l", outputs: { o: { value: "v", type: "string" } } }, "lock", epoch)
  const doubted = yield* makeDoubt(url, `doubted${turn}`)
  const waiting = yield* me.start(planned)
  yield* planWith(url)
  const open = yield* me.start(planning)
  const documents = yield* Effect.forEach(
    [`/api/v2/organizations/default/workspaces/${applying}`, `/api/v2/runs/${waiting}`],
    (path) => ask(url + path, userToken)
  )
  const workspaceId: string = documents[0]?.json.data.id
  const state = (yield* ask(`${url}/api/v2/workspaces/${workspaceId}/current-state-version`, userToken)).json.data
  const output = (yield* ask(`${url}/api/v2/workspaces/${workspaceId}/current-state-version-outputs`, userToken)).json.data[0]
  const variable =
    (yield* me.as("POST", tfePath.variables(workspaceId), { data: { attributes: { key: "key", value: "value" } } })).json.data
  const [pool] = (yield* me.as("GET", tfePath.agentPools(organization))).json.data
  const upload = yield* me.upload(workspaceId, archiveOf({ "main.tf": "" }))
  const view = yield* me.view(waiting)
  const links = [...view.stages.map(({ logUrl }) => logUrl), upload.uploadUrl].map((secretUrl) =>
    new URL(secretUrl).pathname.split("/").slice(-2).join("/")
  )
  return {
    ids: [
      applying,
      planned,
      planning,
      ...doubted,
      apply.runId,
      waiting,
      open,
      apply.id,
      over.id,
      `${waiting}.plan.1`,
      `${open}.plan.1`,
      workspaceId,
      String(state.id),
      output.id,
      upload.id,
      variable.id,
      pool.id,
      "default",
      "lock",
      String(epoch),
      taskUid,
      ...links.flatMap((link) => link.split("/"))
    ].map(String),
    links,
    tokens: { user: userToken, pool: poolToken, task: apply.taskToken, over: over.taskToken }
  } satisfies Scene
})

/** Ends all open runs, which an agent of the next scene could take. It repeats, because the end of a run may start the next one. */
const endAll = (url: string) =>
  Effect.gen(function*() {
    const open = (yield* ask(`${url}${runPath.list}`, userToken)).json.runs.filter(({ cancelAsked, final }: RunView) =>
      !final && !cancelAsked
    )
    for (const { id } of open as ReadonlyArray<RunView>) {
      yield* Effect.andThen(person(url).act(id, "cancel"), person(url).act(id, "discard"))
    }
    return open.length
  }).pipe(Effect.repeat({ until: (left) => left === 0, times: 20 }))

interface Sent {
  readonly operation: Operation
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

const segment = (chance: Chance, { ids }: Scene): string =>
  chance.often(0.75)
    ? encodeURIComponent(chance.one(ids))
    : chance.often(0.5)
    ? encodeURIComponent(chance.one(hostileTexts.slice(1)).toWellFormed())
    : chance.one(["%zz", "%", "..", "%2e%2e", "a%00b", "%ff", "a?b", "*"])

/** The ids that fit behind a part of a path, by that part. */
const fittingIds: Readonly<Record<string, RegExp>> = {
  runs: /^run-[a-z0-9]+$/u,
  assignments: /\.(?:plan|apply)\.1$/u,
  plans: /^plan-/u,
  applies: /^apply-/u,
  "configuration-versions": /^cv-/u,
  "state-versions": /^sv-[a-z0-9]+$/u,
  evidence: /^ev-/u,
  "state-version-outputs": /^wsout-/u,
  vars: /^var-/u,
  "agent-pools": /^apool-/u
}
const fitting = (before: string, name: string): RegExp =>
  before === "workspaces" ? name === "{name}" ? /^(?:applying|planned|planning|doubted)\d/u : /^ws-/u : fittingIds[before] ?? /./u

const pathOf = (chance: Chance, scene: Scene, { path }: Operation): string => {
  if (path.endsWith("/{id}/{secret}") && chance.often(0.5)) return path.replace("{id}/{secret}", chance.one(scene.links))
  return path.replaceAll(/([\w-]+)\/(\{\w+\})/gu, (_, before: string, name: string) => {
    const good = name === "{organization}" ? ["default"] : scene.ids.filter((id) => fitting(before, name).test(id))
    return `${before}/${good.length > 0 && chance.often(0.6) ? chance.one(good) : segment(chance, scene)}`
  })
}

const runOf = (ids: ReadonlyArray<string>) => ({
  data: {
    attributes: { message: "a run", "plan-only": true },
    relationships: { workspace: { data: { id: ids.find((id) => id.startsWith("ws-")) ?? "" } } }
  }
})

const bodyOf = (chance: Chance, { ids }: Scene, operation: Operation): Buffer | undefined => {
  const { body } = operation
  if (chance.often(0.05)) return undefined
  if (body === undefined) return chance.often(0.9) ? undefined : Buffer.from("{}")
  if (chance.often(0.08)) return Buffer.from(Array.from({ length: chance.below(200) }, () => chance.below(256)))
  if (chance.often(0.005)) {
    return Buffer.from(
      chance.one(["[".repeat(100_000), "{\"a\":".repeat(50_000), `"${"x".repeat(1_200_000)}"`, `[${"0,".repeat(100_000)}0]`])
    )
  }
  if (body === "bytes") {
    return chance.one([
      Buffer.from(JSON.stringify({ version: 4, serial: chance.below(5), lineage: "l", outputs: { o: { value: "v", type: "string" } } })),
      Buffer.from(archiveOf({ [chance.one(hostileTexts).slice(0, 90)]: "x" })),
      Buffer.from(chance.one(hostileTexts)),
      Buffer.from("the plan"),
      Buffer.from(
        JSON.stringify(
          damaged(chance, { version: 4, serial: 1, lineage: "l", outputs: { o: { value: { a: [1] }, type: "string", sensitive: true } } })
        )
      )
    ])
  }
  const value = operation.path === "/api/v2/runs" && chance.often(0.5) ? runOf(ids) : valid(chance, body, ids)
  return Buffer.from(JSON.stringify(chance.often(0.35) ? damaged(chance, value) : value))
}

/** Routes after which few other requests of the same scene can succeed; so they are drawn less often. */
const ends = /(?:result|cancel|discard|unlock|apply)$/u

const requestOf = (chance: Chance, scene: Scene, operations: ReadonlyArray<Operation>): Sent => {
  const drawn = chance.one(operations)
  const operation = ends.test(drawn.path) && chance.often(0.8) ? chance.one(operations) : drawn
  const path = pathOf(chance, scene, operation)
  const query = [...operation.query, ...(chance.often(0.05) ? ["wait", "x"] : [])].filter(() => chance.often(0.5))
    .map((name) => `${encodeURIComponent(name)}=${name === "wait" ? 0 : chance.often(0.5) ? chance.below(300) : segment(chance, scene)}`)
  const body = bodyOf(chance, scene, operation)
  const token = chance.often(0.8) ? operation.kind : chance.one(["user", "pool", "task", "over"] as const)
  const authorization = token === undefined || chance.often(0.05)
    ? chance.one(["Bearer", "Basic !!!", "Digest a", "Bearer a b c", `Basic ${Buffer.from(`:${userToken}`).toString("base64")}`])
    : `Bearer ${scene.tokens[token]}`
  const headerText = () => chance.one(scene.ids.concat("0", "-1", "x", "1e3", "")).replaceAll(/[^\x20-\x7e]/gu, "?")
  return {
    operation,
    method: chance.often(0.97) ? operation.method : chance.one(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    path: path + (query.length > 0 ? `?${query.join("&")}` : ""),
    headers: {
      ...(chance.often(0.97) && { authorization }),
      ...(chance.often(0.95) && { [taskHeader.taskUid]: chance.often(0.9) ? taskUid : headerText() }),
      ...(chance.often(0.6) && { [taskHeader.digest]: chance.often(0.8) ? sha256(body ?? "") : headerText() }),
      ...(chance.often(0.6) && { [taskHeader.lockId]: chance.often(0.8) ? "lock" : headerText() }),
      ...(chance.often(0.6) && { [taskHeader.lockEpoch]: chance.often(0.8) ? "1" : headerText() }),
      ...(chance.often(0.3) &&
        {
          "content-type": chance.one(["application/json", "text/plain", "multipart/form-data; boundary=x", "application/vnd.api+json", ""])
        }),
      ...(chance.often(0.05) &&
        { "x-forwarded-proto": chance.one(["https", "javascript", "\t"]), host: chance.one(["a", "evil.example:99999", "[::1]", ""]) })
    },
    body
  }
}

interface Got {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  readonly text: string
}

const sendTo = (url: string) => {
  const connections = new Agent({ keepAlive: true, maxSockets: 8 })
  return async ({ body, headers, method, path }: Sent): Promise<Got> => {
    const sent = call(url, {
      agent: connections,
      path: path.replaceAll(/[^\x21-\x7e]/gu, "?"),
      method,
      headers: { ...headers, ...(body !== undefined && { "content-length": String(body.byteLength) }) },
      signal: AbortSignal.timeout(longestAnswerMillis)
    })
    sent.end(body)
    const [response] = await once(sent, "response") as [IncomingMessage]
    response.setEncoding("latin1")
    return { status: response.statusCode ?? 0, headers: response.headers, text: (await response.toArray()).join("") }
  }
}

const ajv = new Ajv2020({ strict: false })
ajv.addFormat("binary", true)
const decodes = (schema: Schema.ConstraintDecoder<unknown>) => (text: string) => Option.isSome(Schema.decodeUnknownOption(schema)(text))
const isProblem = decodes(Schema.fromJsonString(Problem))
const isErrors = decodes(
  Schema.fromJsonString(
    Schema.Struct({ errors: Schema.NonEmptyArray(Schema.Struct({ status: Schema.String, title: Schema.String, detail: Schema.String })) })
  )
)
const compiled = new Map<JsonSchema, ValidateFunction>()
const validatorOf = (schema: JsonSchema): ValidateFunction => {
  const validator = compiled.get(schema) ?? ajv.compile({ ...schema, components: described.components })
  compiled.set(schema, validator)
  return validator
}

/** Returns what is wrong with the body of an answer whose content is described so, or undefined if nothing is. */
const otherContent = (content: Content, { headers, text }: Got): string | undefined => {
  const types = Object.keys(content)
  if (types.length === 0) return text === "" ? undefined : "it has a body"
  const type = headers["content-type"] ?? "no type"
  const schema = content[type]?.schema
  if (schema === undefined) return `its content is ${type}, not ${types.join(", ")}`
  const fits = validatorOf(schema)
  return !type.endsWith("json") || fits(JSON.parse(Buffer.from(text, "latin1").toString("utf8")))
    ? undefined
    : ajv.errorsText(fits.errors)
}

/** Returns what is wrong with an answer, or undefined if nothing is. */
const troubleWith = ({ method, operation, path }: Sent, got: Got): string | undefined => {
  const { headers, status, text } = got
  if (status >= 500) return "it failed"
  if (status < 200) return "it is no answer"
  if (headers["x-content-type-options"] !== "nosniff") return "it has no guarding headers"
  if (/\n\s+at |node:internal|\.ts:\d+|SqlError/u.test(text)) return "it shows what the server is made of"
  if (method === "HEAD" || operation.method !== method) return undefined
  const ofTfe = operation.path.startsWith("/api/v2/")
  if (status >= 400 && !(ofTfe ? isErrors : isProblem)(text)) return "its form is another"
  if (operation.answers === undefined) return undefined
  const content = refusals.includes(status)
    ? described.components.responses[ofTfe ? "Errors" : "Refusal"].content
    : operation.answers[String(status)]
  if (content === undefined) return `its status is not described for ${path}`
  const other = otherContent(content, got)
  return other === undefined ? undefined : `it is not as described: ${other}`
}

const told = ({ body, headers, method, path }: Sent) =>
  `${method} ${path} ${JSON.stringify(headers)} ${body === undefined ? "" : JSON.stringify(body.toString("utf8").slice(0, 300))}`

describe("the server", () => {
  it.live(`answers ${requests} requests of every kind as it says it does`, () =>
    Effect.gen(function*() {
      const url = yield* withoutRates(Effect.flatMap(directory, serve))
      const send = sendTo(url)
      const refused = yield* refusing
      const mayServe = operationsOf((yield* registered).filter((route) => !refused.includes(route)))
      const operations = [...mayServe, ...mayServe, ...operationsOf(refused)] // so that less is drawn of what never succeeds
      const chance = new Chance(seed)
      const statuses = new Map<number, number>()
      const reached = new Set<string>()
      const crashes: Array<string> = []
      const one = (scene: Scene) =>
        Effect.promise(async () => {
          const request = requestOf(chance, scene, operations)
          const answer = await send(request).catch((error: unknown) => error instanceof Error ? error : new Error("no answer"))
          if (answer instanceof Error) return void crashes.push(`no answer (${answer.message}): ${told(request)}`)
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
          if (answer.status < 300) reached.add(rowOf(request.operation))
          const trouble = troubleWith(request, answer)
          if (trouble !== undefined) crashes.push(`${trouble}: ${answer.status} ${answer.text.slice(0, 200)}\n  to ${told(request)}`)
        })
      for (let done = 0, turn = 0; done < requests; done += sceneEvery, turn++) {
        const scene = yield* makeScene(url, turn)
        yield* Effect.forEach(Array.from({ length: Math.min(sceneEvery, requests - done) }), () => one(scene), {
          concurrency: 8,
          discard: true
        })
        yield* endAll(url)
      }
      tell(
        "the server",
        seed,
        { of: "requests", inputs: requests, failures: crashes.length },
        `; ${[...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`).join(", ")}`
      )
      const unserved = mayServe.map(rowOf).filter((row) => !reached.has(row))
      console.log(`never with success: ${unserved.join(", ") || "none"}`)
      expect(crashes).toEqual([])
      expect((yield* ask(`${url}/readyz`, undefined)).status).toBe(200)
      expect(unserved.length).toBeLessThan(mayServe.length * 0.2)
    }), Math.max(1_200_000, requests * 20))
})
