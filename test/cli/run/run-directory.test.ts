import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Option, Redacted, Scope } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach } from "vitest"
import { parse } from "yaml"
import { archiveOf } from "../../../src/cli/run/archive.ts"
import { runDirectory, type RunRequest } from "../../../src/cli/run/run-directory.ts"
import { Patience } from "../../../src/cli/server/patiently.ts"
import { ServerClient } from "../../../src/cli/server/server-client.ts"
import {
  exitCodeOf,
  MaybeStarted,
  NotAllowed,
  NothingThere,
  NoUse,
  type ServerFailure,
  ServerRefused,
  ServerUnreachable,
  TokenRefused,
  unanswered
} from "../../../src/cli/terminal/failure.ts"
import { runPath, type RunView } from "../../../src/schema/api/run.ts"
import { ServerWithAddress } from "../../../src/server/lifecycle/server.ts"
import { freePort } from "../../free-port.ts"
import { agent, directory, failed, optionsIn, person, serve, sha256, succeeded, userToken, worker } from "../../server/live-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { until } from "../../until.ts"
import { green, type Play, playing, quickstart } from "../fake-agent.ts"
import { answers, silence, toldScreen } from "../told-screen.ts"

const example = "examples/quickstart"
const unconnected = NoUse.Unanswered({ hadNoEffect: true, throughProxy: false })

const request = (more: Partial<RunRequest> = {}): RunRequest => ({
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

const client = (url: string) => ServerClient.layer({ url, token: Option.some(Redacted.make(userToken)) })

/** Wraps a request: the server carries it out each time, but the first answer is lost. */
const answerLost = <Asked extends ReadonlyArray<unknown>, A>(url: string, ask: (...asked: Asked) => Effect.Effect<A, ServerFailure>) => {
  let times = 0
  return (...asked: Asked) =>
    Effect.tap(
      ask(...asked),
      () => times++ === 0 ? Effect.fail(new ServerUnreachable({ url, detail: "the connection was closed", why: unanswered })) : Effect.void
    )
}

/** A client that loses the first answer to each request that decides on a run, or that reads the outputs or the version of the state. */
const losing = (url: string) =>
  Layer.effect(
    ServerClient,
    Effect.map(ServerClient, (server) =>
      ServerClient.of({
        ...server,
        approve: answerLost(url, server.approve),
        act: answerLost(url, server.act),
        outputs: answerLost(url, server.outputs),
        state: answerLost(url, server.state)
      }))
  ).pipe(Layer.provide(client(url)))

/** Returns a client in which `otherwise` replaces some of the requests. */
const asking = (otherwise: (server: ServerClient["Service"], url: string) => Partial<ServerClient["Service"]>) => (url: string) =>
  Layer.effect(ServerClient, Effect.map(ServerClient, (server) => ServerClient.of({ ...server, ...otherwise(server, url) }))).pipe(
    Layer.provide(client(url))
  )

/** Starts a real server whose agent plays `play`. Returns its URL, and the effect that runs the example against it. */
const running = Effect.fnUntraced(
  function*(screen: ReturnType<typeof toldScreen>, asked: RunRequest, play: Play = quickstart, clientOf: typeof client = client) {
    const url = yield* Effect.flatMap(directory, serve)
    yield* playing(url, play)
    return { url, run: runDirectory(asked).pipe(Effect.provide(clientOf(url)), Effect.provide(screen.layer)) }
  }
)

const runId = (screen: ReturnType<typeof toldScreen>) =>
  /run-[a-z0-9]+/u.exec(screen.of("step").find((text) => text.startsWith("Started")) ?? "")?.[0] ?? ""

const runsAt = (url: string) => Effect.map(person(url).as("GET", runPath.list), ({ json }) => json.runs as ReadonlyArray<RunView>)

/** A stand-in for run ids, as long as a real one. */
const anyRun = `run-${"0".repeat(16)}`

/** Returns the transcript with all that differs from run to run replaced by the same text. */
const settled = (screen: ReturnType<typeof toldScreen>) =>
  screen.transcript().replaceAll(/run-[a-z0-9]{16}/gu, anyRun).replace(/\d+ files, [\d.]+ kB/u, "N files, SIZE")

describe("a run", () => {
  it.live("with --auto-approve is told from the archive to the outputs", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run } = yield* running(screen, request({ autoApprove: true }))
      yield* run
      expect(settled(screen)).toBe([
        "Archived examples/quickstart: N files, SIZE",
        "Made the workspace demo",
        `Started ${anyRun} in workspace demo`,
        "Planning",
        "Initializing…",
        `${green("+")} card.ada`,
        "",
        "Plan: 3 to add, 0 to change, 0 to destroy.",
        "Applying",
        "card.ada: Creating...",
        green("Apply complete!"),
        "",
        "Applied: 3 added, 0 changed, 0 destroyed. The state is at serial 7.",
        "",
        "Outputs",
        "  cards      = {\"ada\":\"hello, ada\"}",
        "  created_at = \"2026-01-31T12:00:00Z\"",
        "  session    = (sensitive)",
        "",
        "Next",
        "  agent-job run examples/quickstart --workspace demo             run again after a change",
        "  agent-job run examples/quickstart --workspace demo --destroy   remove it all",
        `  agent-job get ${anyRun}                             what happened, stage by stage`,
        ""
      ].join("\n"))
    }))

  it.live("shows each piece of the log when it is written, not when the stage ends", () =>
    Effect.gen(function*() {
      const until = yield* Deferred.make<void>()
      const screen = toldScreen()
      const { run } = yield* running(screen, request({ planOnly: true }), { plan: { ...quickstart.plan, until } })
      const fiber = yield* Effect.forkChild(run)
      yield* screen.until("Initializing…")
      expect(screen.transcript()).not.toContain("card.ada")
      yield* Deferred.succeed(until, undefined)
      yield* Fiber.join(fiber)
      expect(screen.transcript()).toContain("card.ada")
    }))

  it.live("uploads the directory as it is, and its variables as expressions", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run, url } = yield* running(
        screen,
        request({ planOnly: true, variables: [{ key: "greeting", value: "good\tbye" }, { key: "zones", value: "[\"a\"]" }] })
      )
      yield* run
      const view = yield* person(url).view(runId(screen))
      const { json } = yield* person(url).as("GET", `/api/v2/runs/${view.id}`)
      expect(view.archiveSha256).toBe(sha256((yield* archiveOf(example, Effect.succeed(""))).bytes))
      expect(json.data.attributes.variables).toEqual([{ key: "greeting", value: "\"good\\tbye\"" }, { key: "zones", value: "[\"a\"]" }])
    }))

  it.live("is of a directory whose workspace works below it, where alone its configuration is", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const place = yield* temporaryFolder("run")
      mkdirSync(join(place, "live"))
      writeFileSync(join(place, "live/main.tf"), "")
      const { run, url } = yield* running(screen, request({ directory: place, planOnly: true }))
      yield* person(url).workspace("demo", { "working-directory": "live" })
      yield* run
      expect(screen.of("step")[0]).toContain(": 1 file,")
    }))

  it.live("of a directory without a configuration makes no workspace", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run, url } = yield* running(screen, request({ directory: yield* temporaryFolder("run"), planOnly: true }))
      expect(yield* Effect.flip(run)).toMatchObject({ message: expect.stringContaining("There is no configuration in ") })
      expect((yield* person(url).as("GET", "/api/v2/organizations/default/workspaces")).json.data).toEqual([])
    }))

  it.live.each([
    { asked: undefined, engine: undefined },
    { asked: "terraform" as const, engine: { name: "terraform" } }
  ])("is of the engine that is asked for ($asked), or of any", ({ asked, engine }) =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run, url } = yield* running(screen, request({ planOnly: true, engine: Option.fromUndefinedOr(asked) }))
      yield* run
      expect((yield* person(url).view(runId(screen))).engine).toEqual(engine)
    }))

  it.live("without a terminal stays planned, and says how to go on", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run, url } = yield* running(screen, request())
      yield* run
      const id = runId(screen)
      const { planSha256, status } = yield* person(url).view(id)
      expect(status).toBe("planned")
      expect(screen.of("line").slice(-3)).toEqual([
        `${id} waits for your decision and keeps its workspace until then:`,
        `  agent-job approve ${id} --seal ${planSha256?.slice(0, 12)}   apply this very plan`,
        `  agent-job discard ${id}                       change nothing`
      ])
    }))

  const moved: Play = { ...quickstart, plan: { ...quickstart.plan, result: { ...quickstart.plan.result, unusedBackend: "s3" } } }
  const why =
    `its configuration has a backend s3, which is not used, and workspace demo has no state yet; discard it and bring that state, or approve it if there is none to bring (docs/state.md, "Bring an existing state").`

  it.live("with --auto-approve is not applied by itself where its plan asks for a person, and fails with the reason", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run, url } = yield* running(screen, request({ autoApprove: true }), moved)
      const error = yield* Effect.flip(run)
      const id = runId(screen)
      expect([error.message, exitCodeOf(error)]).toEqual([`${id} was not applied by itself: ${why}`, 1])
      expect((yield* person(url).view(id)).status).toBe("planned")
      expect(screen.of("line")).toContain(`It does not apply by itself: ${why}`)
      expect(screen.of("line").at(-1)).toContain(`agent-job discard ${id}`)
    }))

  it.live("with --auto-approve asks the person at the terminal where its plan asks for one", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      const { run } = yield* running(screen, request({ autoApprove: true }), moved)
      yield* run
      expect(screen.of("line")).toContain("Applied: 3 added, 0 changed, 0 destroyed. The state is at serial 7.")
    }))

  it.live("that may have been started is not asked for again, and where to look for it is said", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const deaf = asking((server, url) => ({ createRun: answerLost(url, server.createRun) }))
      const { run, url } = yield* running(screen, request(), quickstart, deaf)
      const error = yield* Effect.flip(run)
      expect([error.message, exitCodeOf(error)]).toEqual([
        `The agent-job server at ${url} did not say whether it started the run (the connection was closed); look before you try again: agent-job get runs --workspace demo`,
        4
      ])
      expect(yield* runsAt(url)).toHaveLength(1)
    }))

  it.live("that changes nothing ends without a question", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      const { run } = yield* running(screen, request(), {
        plan: { log: ["No changes.\n"], result: succeeded({ changes: { add: 0, change: 0, destroy: 0 }, hasChanges: false }) }
      })
      yield* run
      expect(screen.of("ask")).toEqual([])
      expect(screen.transcript()).toContain("The plan changes nothing in demo.")
    }))

  it.live("that changes nothing is asked about and applied where an empty plan may be", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      const { run } = yield* running(screen, request({ allowEmptyApply: true }), {
        plan: { log: [], result: { ...quickstart.plan.result, changes: { add: 0, change: 0, destroy: 0 }, hasChanges: false } },
        apply: { log: [], result: succeeded({ changes: { add: 0, change: 0, destroy: 0 } }) }
      })
      yield* run
      expect(screen.of("ask")).toEqual([
        expect.stringMatching(/^Apply this plan, which changes nothing, to demo \(seal [0-9a-f]{12}\)\? Only "yes" applies it\.$/u)
      ])
      expect(screen.transcript()).toContain("Applied: 0 added, 0 changed, 0 destroyed.")
    }))

  it.live("that fails says why, and fails", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run } = yield* running(screen, request(), {
        plan: { log: ["Error: Unsupported argument\n"], result: failed("The engine ended with exit code 1.") }
      })
      const error = yield* Effect.flip(run)
      expect(error).toMatchObject({ _tag: "Failed" })
      expect(error.message.replace(/run-\w+/u, "RUN")).toBe(
        "The plan of RUN failed: The engine ended with exit code 1.\nExitCode: The engine ended with an error; its log says which."
      )
      expect(screen.transcript()).toContain("Error: Unsupported argument\n")
    }))

  it.live("whose apply fails says so of the apply", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run } = yield* running(screen, request({ autoApprove: true }), {
        plan: quickstart.plan,
        apply: { log: ["Error: no\n"], result: failed("tofu ended with exit code 1.") }
      })
      expect((yield* Effect.flip(run)).message).toContain("The apply of run-")
    }))

  it.live("whose apply has failed before it was looked at shows that apply", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const late = asking((server) => ({ run: (id) => Effect.repeat(server.run(id), { until: ({ final }) => final }) }))
      const play = { plan: quickstart.plan, apply: { log: ["card.ada: Creating...\n", "Error: no\n"], result: failed() } }
      const { run } = yield* running(screen, request({ autoApprove: true }), play, late)
      expect((yield* Effect.flip(run)).message).toContain("The apply of run-")
      expect(screen.transcript()).toContain("Applying\ncard.ada: Creating...\nError: no\n")
    }))

  it.live.each(
    [
      { output: "json", read: (text: string) => JSON.parse(text) },
      { output: "yaml", read: (text: string) => parse(text) }
    ] as const
  )("for a program is one document of $output, sensitive values left out", ({ output, read }) =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run } = yield* running(screen, request({ autoApprove: true, output }))
      yield* run
      const [result, ...others] = screen.of("result")
      expect(others).toEqual([])
      expect(result).not.toContain("swordfish")
      expect(read(result ?? "")).toMatchObject({
        run: { status: "applied", workspace: "demo", changes: { add: 3, change: 0, destroy: 0 } },
        stateSerial: 7,
        outputs: [{ name: "cards", sensitive: false }, { name: "created_at" }, { name: "session", sensitive: true, value: null }]
      })
    }))

  it.live.each(
    [
      { output: "text", says: /^ {2}big = \[12345678901234567890,1e400\]$/mu },
      { output: "json", says: /"value": \[\s+12345678901234567890,\s+1e400\s+\]/u },
      { output: "yaml", says: /^ {4}value:\n {6}- 12345678901234567890\n {6}- 1e400$/mu }
    ] as const
  )("shows all digits of a number as $output", ({ output, says }) =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const big = { value: [JSON.rawJSON("12345678901234567890"), JSON.rawJSON("1e400")], type: ["tuple", ["number", "number"]] }
      const play = { ...quickstart, apply: { ...quickstart.apply!, state: { serial: 7, outputs: { big } } } }
      const { run } = yield* running(screen, request({ autoApprove: true, output }), play)
      yield* run
      expect(screen.transcript()).toMatch(says)
    }))

  it.live("goes on when the server was started again meanwhile", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const first = yield* Scope.make()
      const port = yield* freePort
      yield* Layer.buildWithScope(ServerWithAddress({ ...optionsIn(made), port }), first)
      const screen = toldScreen()
      const fiber = yield* Effect.forkChild(
        runDirectory(request({ planOnly: true })).pipe(Effect.provide(client(`http://127.0.0.1:${port}`)), Effect.provide(screen.layer))
      )
      yield* screen.until("Started run-")
      yield* Scope.close(first, Exit.void)
      yield* screen.until("No usable answer from the server (connection refused); trying again")
      yield* Layer.build(ServerWithAddress({ ...optionsIn(made), port }))
      yield* playing(`http://127.0.0.1:${port}`, quickstart)
      yield* Fiber.join(fiber)
      expect(screen.transcript()).toContain("Plan: 3 to add, 0 to change, 0 to destroy.")
    }))
})

describe("a server that is busy, or away, before the run is started", () => {
  const eager = (times = 60) => Effect.provideService(Patience, { every: Duration.millis(1), times })
  const failing = (detail: string, why: NoUse) => new ServerUnreachable({ url: "http://server", detail, why })
  const busy = failing("it answers 429", NoUse.Busy({ seconds: 0, hadNoEffect: true }))
  const noConnection = failing("connection refused", unconnected)
  const inFront = failing("it answers 503", NoUse.Failing({ status: 503, hadNoEffect: false }))
  const lost = failing("the connection was closed", unanswered)
  const instead = failing("it answers 403, which is not the server's own", NoUse.Strange())

  type Asked = "ensureWorkspace" | "createVersion" | "upload" | "createRun"

  /** A client whose requests fail the first `times` times, without reaching the server, as `failures` say; `asked` has them in order. */
  const keptWaiting = (failures: Partial<Record<Asked, ServerUnreachable>>, times = 1) => {
    const asked: Array<Asked> = []
    const first = <Given extends ReadonlyArray<unknown>, A>(name: Asked, ask: (...given: Given) => Effect.Effect<A, ServerFailure>) => {
      const failure = failures[name]
      let left = times
      return (...given: Given) =>
        Effect.suspend(() => {
          asked.push(name)
          return failure !== undefined && left-- > 0 ? Effect.fail(failure) : ask(...given)
        })
    }
    const clientOf = asking((server) => ({
      ensureWorkspace: first("ensureWorkspace", server.ensureWorkspace),
      createVersion: first("createVersion", server.createVersion),
      upload: first("upload", server.upload),
      createRun: first("createRun", server.createRun)
    }))
    return { asked, clientOf }
  }

  it.live("is asked again for all, and starts one run", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { asked, clientOf } = keptWaiting({ ensureWorkspace: busy, createVersion: busy, upload: busy, createRun: busy }, 2)
      const { run, url } = yield* running(screen, request({ planOnly: true }), quickstart, clientOf)
      yield* eager()(run)
      expect(asked).toEqual(
        (["ensureWorkspace", "createVersion", "upload", "createRun"] as const).flatMap((name) => [name, name, name])
      )
      expect(screen.of("status")).toContain("The server is busy (it answers 429); trying again")
      expect(yield* runsAt(url)).toHaveLength(1)
    }))

  it.live("gets the archive again for the same version where its answer is lost", () =>
    Effect.gen(function*() {
      const uploaded: Array<string> = []
      const deaf = asking((server, url) => ({
        createVersion: answerLost(url, server.createVersion),
        upload: answerLost(url, (uploadUrl: string, archive: Uint8Array) =>
          Effect.suspend(() => {
            uploaded.push(uploadUrl)
            return server.upload(uploadUrl, archive)
          }))
      }))
      const { run, url } = yield* running(toldScreen(), request({ planOnly: true }), quickstart, deaf)
      yield* eager()(run)
      expect([uploaded.length, new Set(uploaded).size]).toEqual([2, 1])
      expect(yield* runsAt(url)).toHaveLength(1)
    }))

  it.live.each([
    { what: "says that it is busy", failures: { ensureWorkspace: busy }, asked: 3 },
    { what: "is away from what is before it", failures: { ensureWorkspace: inFront }, asked: 3 },
    { what: "does not listen, as where the address is wrong", failures: { ensureWorkspace: noConnection }, asked: 1 },
    { what: "does not listen any more", failures: { createVersion: noConnection }, asked: 1 + 3 },
    { what: "takes no archive now", failures: { upload: lost }, asked: 2 + 3 },
    { what: "gets no archive through what is before it", failures: { upload: instead }, asked: 2 + 1 },
    { what: "is not what answers", failures: { createVersion: instead }, asked: 1 + 1 },
    { what: "is busy when it is asked for the run", failures: { createRun: busy }, asked: 3 + 3 },
    { what: "does not listen when it is asked for the run", failures: { createRun: noConnection }, asked: 3 + 3 }
  ])(
    "ends the command with exit code 4 once it was asked as often as it may be, where it $what",
    ({ asked: times, failures }) =>
      Effect.gen(function*() {
        const { asked, clientOf } = keptWaiting(failures, 60)
        const { run, url } = yield* running(toldScreen(), request(), quickstart, clientOf)
        const error = yield* Effect.flip(eager(2)(run))
        expect([error._tag, exitCodeOf(error), asked.length]).toEqual(["ServerUnreachable", 4, times])
        expect(yield* runsAt(url)).toEqual([])
      })
  )

  it.live.each([lost, inFront])(
    "is not asked again for a run that it may have started ($detail), also after it was busy",
    (failure) =>
      Effect.gen(function*() {
        let asked = 0
        const clientOf = asking(() => ({ createRun: () => Effect.suspend(() => Effect.fail(asked++ === 0 ? busy : failure)) }))
        const { run } = yield* running(toldScreen(), request(), quickstart, clientOf)
        const error = yield* Effect.flip(eager()(run))
        expect([error._tag, exitCodeOf(error), asked]).toEqual(["MaybeStarted", 4, 2])
      })
  )

  it.live("is left at once by an interrupt between two requests for the run, and starts none", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { asked, clientOf } = keptWaiting({ createRun: failing("it answers 429", NoUse.Busy({ seconds: 30, hadNoEffect: true })) })
      const { run, url } = yield* running(screen, request(), quickstart, clientOf)
      const fiber = yield* Effect.forkChild(run)
      yield* screen.until("The server is busy (it answers 429); trying again")
      yield* Fiber.interrupt(fiber).pipe(Effect.timeout("10 seconds"))
      expect(asked.filter((name) => name === "createRun")).toHaveLength(1)
      expect(screen.transcript()).not.toContain("Waiting for the server")
      expect(yield* runsAt(url)).toEqual([])
    }))
})

describe("outputs that the server does not give", () => {
  const refused = new ServerRefused({ status: 413, message: "These outputs are too large." })
  const away = new ServerUnreachable({ url: "http://server", detail: "the connection was closed", why: unanswered })
  const impatient = Effect.provideService(Patience, { every: Duration.millis(1), times: 1 })

  it.live.each([
    { given: "in its words", failure: refused, says: "These outputs are too large." },
    { given: "where nobody answers any more", failure: away, says: "No usable answer from the agent-job server at http://server" },
    {
      given: "where the token is no longer taken",
      failure: new TokenRefused({ url: "http://server", given: true }),
      says: "refuses the token"
    }
  ])("are told so, $given, and the run is as well as it was", ({ failure, says }) =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      const { run } = yield* running(screen, request(), quickstart, asking(() => ({ outputs: () => Effect.fail(failure) })))
      yield* impatient(run)
      expect(screen.transcript()).toContain(says)
      expect(screen.transcript()).toContain("Applied: 3 added, 0 changed, 0 destroyed. The state is at serial 7.")
    }))

  it.live("are null for a program, as the serial is then, which can tell that from none", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const silent = asking(() => ({ state: () => Effect.fail(away) }))
      const { run } = yield* running(screen, request({ autoApprove: true, output: "json" }), quickstart, silent)
      yield* impatient(run)
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([
        { run: { status: "applied" }, outputs: null, stateSerial: null }
      ])
    }))
})

describe("the outputs and the serial of a run", () => {
  /** An agent whose first apply is that of the quickstart, and each later one stores a newer state with other outputs. */
  const changing = (): Play => {
    let serial = 7
    return {
      plan: quickstart.plan,
      get apply() {
        const { outputs } = quickstart.apply!.state!
        const state = { serial, outputs: serial === 7 ? outputs : { cards: { value: "of a later run", type: "string" } } }
        serial += 1
        return { ...quickstart.apply!, state }
      }
    }
  }

  const another = Effect.fnUntraced(function*(url: string) {
    const id = yield* person(url).start("demo", { "auto-apply": true })
    yield* Effect.repeat(person(url).view(id), { until: ({ status }) => status === "applied" }).pipe(Effect.timeout("30 seconds"))
  })

  const passed =
    "The state of demo was changed again after this run, so the outputs of this run are not shown; see what is there now: agent-job state show demo"

  it.live.each([
    {
      given: "before they were asked for",
      between: (server: ServerClient["Service"], change: Effect.Effect<void>) => ({
        run: (id: string) => Effect.tap(server.run(id), ({ status }) => status === "applied" ? change : Effect.void)
      }),
      serial: null,
      line: "Applied: 3 added, 0 changed, 0 destroyed."
    },
    {
      given: "while they were asked for",
      between: (server: ServerClient["Service"], change: Effect.Effect<void>) => ({
        outputs: (id: string) => Effect.andThen(change, server.outputs(id))
      }),
      serial: 7,
      line: "Applied: 3 added, 0 changed, 0 destroyed. The state is at serial 7."
    }
  ])("are never those of a later run that changed the state $given", ({ between, line, serial }) =>
    Effect.gen(function*() {
      for (const output of ["text", "json"] as const) {
        const screen = toldScreen()
        let changed = false
        const crossed = asking((server, url) =>
          between(
            server,
            Effect.suspend(() => {
              if (changed) return Effect.void
              changed = true
              return another(url).pipe(Effect.orDie)
            })
          )
        )
        const { run } = yield* running(screen, request({ autoApprove: true, output }), changing(), crossed)
        yield* run
        expect(screen.of("line")).toContain(passed)
        if (output === "json") {
          expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([
            { run: { status: "applied" }, outputs: null, stateSerial: serial }
          ])
        } else {
          expect(screen.of("line")).toContain(line)
          expect(screen.transcript()).not.toContain("Outputs")
        }
      }
    }))

  it.live("are those of an earlier run where this one changed nothing", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const nothing = { log: ["No changes.\n"], result: succeeded({ changes: { add: 0, change: 0, destroy: 0 }, hasChanges: false }) }
      let plans = 0
      const play: Play = {
        ...quickstart,
        get plan() {
          return plans++ === 0 ? quickstart.plan : nothing
        }
      }
      const { url } = yield* running(screen, request(), play)
      yield* another(url)
      yield* runDirectory(request({ output: "json" })).pipe(Effect.provide(client(url)), Effect.provide(screen.layer))
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([
        {
          run: { status: "planned_and_finished" },
          outputs: [{ name: "cards" }, { name: "created_at" }, { name: "session" }],
          stateSerial: 7
        }
      ])
    }))
})

describe("a run of a newer server", () => {
  it.live("that ends in a status which is not known here is no success", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const newer = asking((server) => ({
        run: (id) => Effect.map(server.run(id), (run) => run.status === "applied" ? { ...run, status: "half_applied" } : run)
      }))
      const { run } = yield* running(screen, request({ autoApprove: true }), quickstart, newer)
      const error = yield* Effect.flip(run)
      const id = runId(screen)
      expect([exitCodeOf(error), error.message]).toEqual([
        1,
        `${id} ended as half applied, which this version of agent-job does not know; see agent-job get ${id}.`
      ])
    }))
})

describe("a run whose server does not come back", () => {
  const impatient = Effect.provideService(Patience, { every: Duration.millis(1), times: 1 })

  /** A client of a server that answers nothing more of the run once it was seen with status `last`; without `last`, nothing at all. */
  const leaving = (last?: RunView["status"]) =>
    asking((server, url) => {
      let away = last === undefined
      const unlessAway = <A>(call: Effect.Effect<A, ServerFailure>) =>
        Effect.suspend(() => away ? Effect.fail(new ServerUnreachable({ url, detail: "connection refused", why: unconnected })) : call)
      return {
        run: (id) =>
          unlessAway(Effect.map(server.run(id), (run) => {
            away = run.status === last
            return run
          })),
        log: (...asked) => unlessAway(server.log(...asked)),
        outputs: () => Effect.die("asks for the outputs of a server that is away"),
        state: () => Effect.die("asks for the state of a server that is away")
      }
    })

  it.live.each([
    { given: "while it applies", last: "applying" as const, known: { status: "applying", workspace: "demo" } },
    { given: "before it was ever seen", known: {} }
  ])(
    "is left with words on how to follow it, and printed for a program as it was seen last: $given",
    ({ known, last }) =>
      Effect.gen(function*() {
        const screen = toldScreen()
        const until = yield* Deferred.make<void>()
        const play = { plan: quickstart.plan, apply: { ...quickstart.apply!, until } }
        const { run } = yield* running(screen, request({ autoApprove: true, output: "json" }), play, leaving(last))
        const error = yield* Effect.flip(impatient(run))
        const id = runId(screen)
        expect([error._tag, exitCodeOf(error)]).toEqual(["ServerUnreachable", 4])
        expect(screen.of("step").at(-1)).toBe(`${id} goes on without this command; follow it with: agent-job logs -f ${id}`)
        expect(screen.of("result").map((text) => JSON.parse(text))).toEqual([
          { run: expect.objectContaining({ id, ...known }), outputs: null, stateSerial: null }
        ])
      })
  )

  it.live("is not said to go on where the server does not know it any more", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const nothing = new NothingThere({ message: "There is no such run." })
      const { run } = yield* running(screen, request(), quickstart, asking(() => ({ run: () => Effect.fail(nothing) })))
      expect(yield* Effect.flip(run)).toBe(nothing)
      expect(screen.transcript()).not.toContain("goes on")
      expect(screen.of("result")).toEqual([])
    }))
})

describe("the answer of a server that goes away just then is waited for", () => {
  it.live("at the approval, the outputs and the serial of the state", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      const { run } = yield* running(screen, request(), quickstart, losing)
      yield* run
      expect(screen.of("status").filter((text) => text === "No usable answer from the server (the connection was closed); trying again"))
        .toHaveLength(3)
      expect(screen.transcript()).toContain("Applied: 3 added, 0 changed, 0 destroyed. The state is at serial 7.")
      expect(screen.transcript()).toContain("cards      = ")
    }))

  it.live("at the discard", () =>
    Effect.gen(function*() {
      const { run } = yield* running(toldScreen(answers("no")), request(), quickstart, losing)
      expect((yield* Effect.flip(run))._tag).toBe("Cancelled")
    }))
})

describe("the question", () => {
  it.live("answered with yes applies", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers(" yes "))
      const { run, url } = yield* running(screen, request())
      yield* run
      expect(screen.of("ask")).toEqual([
        expect.stringMatching(/^Apply these changes to demo \(seal [0-9a-f]{12}\)\? Only "yes" applies them\.$/u)
      ])
      expect((yield* person(url).view(runId(screen))).status).toBe("applied")
    }))

  it.live.each(["no", "y", "YES", ""])("answered with %j discards", (typed) =>
    Effect.gen(function*() {
      const screen = toldScreen(answers(typed))
      const { run, url } = yield* running(screen, request())
      const error = yield* Effect.flip(run)
      expect([exitCodeOf(error), error.message.replace(/run-\w+/u, "RUN")]).toEqual([6, "RUN was discarded; nothing was changed."])
      expect((yield* person(url).view(runId(screen))).status).toBe("discarded")
    }))

  it.live("that gets no answer leaves the run planned", () =>
    Effect.gen(function*() {
      const screen = toldScreen(silence)
      const { run, url } = yield* running(screen, request())
      yield* run
      expect((yield* person(url).view(runId(screen))).status).toBe("planned")
    }))

  it.live("is over when the run is approved elsewhere", () =>
    Effect.gen(function*() {
      const screen = toldScreen(Effect.never)
      const { run, url } = yield* running(screen, request())
      const fiber = yield* Effect.forkChild(run)
      yield* screen.until("Apply these changes")
      yield* person(url).act(runId(screen), "apply")
      yield* Fiber.join(fiber)
      expect(screen.transcript()).toContain("Decided elsewhere\n")
      expect(screen.transcript()).toContain("Applied: 3 added")
    }))

  it.live("is over when the run is approved elsewhere, also after the server was away meanwhile", () =>
    Effect.gen(function*() {
      let [away, missed] = [false, 0]
      const missing = (url: string) =>
        Layer.effect(
          ServerClient,
          Effect.map(ServerClient, (server) =>
            ServerClient.of({
              ...server,
              run: (id) =>
                Effect.suspend(() =>
                  away ? Effect.fail(new ServerUnreachable({ url, detail: `asked ${++missed} times`, why: unanswered })) : server.run(id)
                )
            }))
        ).pipe(Layer.provide(client(url)))
      const screen = toldScreen(Effect.never)
      const { run, url } = yield* running(screen, request(), quickstart, missing)
      const fiber = yield* Effect.forkChild(run)
      yield* screen.until("Apply these changes")
      away = true
      yield* until(() => missed > 0)
      away = false
      yield* person(url).act(runId(screen), "apply")
      yield* Fiber.join(fiber).pipe(Effect.timeout("30 seconds"))
      expect(screen.transcript()).toContain("Decided elsewhere\n")
    }))

  /** A client of a person who answers just after somebody else did `what` with the run. */
  const afterSomebody = (what: "apply" | "cancel" | "discard") =>
    asking((server) => {
      const did = (id: string) => what === "apply" ? server.approve(id, undefined) : server.act(id, what)
      return {
        approve: (id, seal) => Effect.andThen(did(id), server.approve(id, seal)),
        act: (id, action) => Effect.andThen(did(id), server.act(id, action))
      }
    })

  it.live.each([
    { typed: "yes", what: "discard" as const, step: "Discarded elsewhere", end: "was discarded; nothing was changed." },
    { typed: "yes", what: "cancel" as const, step: "Decided elsewhere", end: "was cancelled." },
    { typed: "no", what: "cancel" as const, step: "Decided elsewhere", end: "was cancelled." }
  ])("answered with $typed just after a $what elsewhere ends as that one says", ({ end, step, typed, what }) =>
    Effect.gen(function*() {
      const screen = toldScreen(answers(typed))
      const { run } = yield* running(screen, request(), quickstart, afterSomebody(what))
      const error = yield* Effect.flip(run)
      expect([exitCodeOf(error), error.message]).toEqual([6, `${runId(screen)} ${end}`])
      expect(screen.of("step").at(-1)).toBe(step)
    }))

  it.live("answered with no just after it was approved elsewhere follows the apply", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("no"))
      const { run } = yield* running(screen, request(), quickstart, afterSomebody("apply"))
      yield* run
      expect(screen.of("step").slice(-2)).toEqual(["Decided elsewhere", "Applying"])
      expect(screen.transcript()).toContain("Applied: 3 added")
    }))

  it.live("answered with yes shows the apply that this started, also where it fails before the approval is asked for again", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      let times = 0
      const late = asking((server, url) => ({
        approve: (id, seal) =>
          times++ > 0 ? server.approve(id, seal) : Effect.andThen(
            Effect.andThen(server.approve(id, seal), Effect.repeat(server.run(id), { until: ({ final }) => final })),
            Effect.fail(new ServerUnreachable({ url, detail: "the connection was closed", why: unanswered }))
          )
      }))
      const play = { plan: quickstart.plan, apply: { log: ["card.ada: Creating...\n", "Error: no\n"], result: failed() } }
      const { run } = yield* running(screen, request(), play, late)
      const error = yield* Effect.flip(run.pipe(Effect.provideService(Patience, { every: Duration.millis(1), times: 1 })))
      expect([exitCodeOf(error), error.message.replace(/run-\w+/u, "RUN").split("\n")[0]]).toEqual([
        1,
        "The apply of RUN failed: The engine ended with exit code 1."
      ])
      expect(screen.of("step").at(-1)).toBe("Applying")
      expect(screen.transcript()).toContain("Error: no\n")
    }))

  it.live.each([
    { typed: "yes", refused: new ServerRefused({ status: 409, message: "The run has another plan." }) },
    { typed: "no", refused: new ServerRefused({ status: 409, message: "The run has another plan." }) },
    { typed: "yes", refused: new NotAllowed({ message: "The token of CI has role=plan, which does not allow this." }) }
  ])(
    "whose answer $typed is refused, while nobody has decided, ends with the refusal",
    ({ refused, typed }) =>
      Effect.gen(function*() {
        const screen = toldScreen(answers(typed))
        const refusing = asking(() => ({ approve: () => Effect.fail(refused), act: () => Effect.fail(refused) }))
        const { run } = yield* running(screen, request(), quickstart, refusing)
        expect(yield* Effect.flip(run)).toBe(refused)
        const id = runId(screen)
        expect(screen.of("step").at(-1)).toBe(`${id} is left as it is on the server; look with: agent-job get ${id}`)
      })
  )

  it.live("names what is destroyed", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("no"))
      const { run } = yield* running(screen, request({ destroy: true }))
      yield* Effect.flip(run)
      expect(screen.of("ask")).toEqual([
        expect.stringMatching(/^Destroy all of this in demo \(seal [0-9a-f]{12}\)\? Only "yes" destroys it\.$/u)
      ])
    }))
})

describe("an interrupt", () => {
  const { exitCode } = process
  afterEach(() => {
    process.exitCode = exitCode
  })

  const endless = Deferred.makeUnsafe<void>()
  /** Plays whose plan, or apply, goes on until it is cancelled. */
  const planning: Play = { plan: { ...quickstart.plan, until: endless } }
  const applying: Play = { plan: quickstart.plan, apply: { ...quickstart.apply!, until: endless } }

  interface Begun {
    readonly asked?: Partial<RunRequest>
    readonly play?: Play
    readonly clientOf?: typeof client
    readonly screen?: ReturnType<typeof toldScreen>
  }
  /** Runs the example until its screen shows this. */
  const begun = Effect.fnUntraced(function*(shown: string, { asked, clientOf, play, screen = toldScreen() }: Begun) {
    const { run, url } = yield* running(screen, request(asked), play, clientOf)
    const fiber = yield* Effect.forkChild(run)
    yield* screen.until(shown)
    return { fiber, id: runId(screen), screen, url }
  })

  it.live("while it plans cancels the run and waits for its end", () =>
    Effect.gen(function*() {
      const { fiber, id, screen, url } = yield* begun("Initializing…", { play: planning })
      yield* Fiber.interrupt(fiber)
      expect(screen.transcript()).toContain("Interrupted, the state is saved.\n")
      expect(screen.of("step").slice(-2)).toEqual([
        `Cancelling ${id}; it ends once its state is safe. Ctrl-C again leaves it to the server.`,
        `${id} is cancelled.`
      ])
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(process.exitCode).toBe(6)
      expect(screen.of("result")).toEqual([])
    }))

  it.live("while the server is asked for the run waits for the answer, and cancels what was started", () =>
    Effect.gen(function*() {
      const said = yield* Deferred.make<void>()
      const screen = toldScreen()
      const slow = asking((server) => ({ createRun: (wanted) => Effect.tap(server.createRun(wanted), () => Deferred.await(said)) }))
      const { run, url } = yield* running(screen, request({ autoApprove: true }), planning, slow)
      const fiber = yield* Effect.forkChild(run)
      const [started] = yield* Effect.repeat(runsAt(url), { until: (runs) => runs.length > 0 })
      const id = started?.id ?? ""
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* screen.until("Waiting for the server to say whether it started the run")
      yield* Deferred.succeed(said, undefined)
      yield* Fiber.join(stopping)
      expect(screen.of("step").at(-1)).toBe(`${id} is cancelled.`)
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(process.exitCode).toBe(6)
    }))

  it.live.each([
    {
      given: "without an answer says where to look for the run",
      answer: Effect.fail(new ServerUnreachable({ url: "http://server", detail: "no answer in 30s", why: unanswered })),
      signals: 0,
      told: new MaybeStarted({ url: "http://server", detail: "no answer in 30s", workspace: "demo" }).message,
      code: 4
    },
    {
      given: "which does not hear it, says no more than that",
      answer: Effect.fail(new ServerUnreachable({ url: "http://server", detail: "connection refused", why: unconnected })),
      signals: 0,
      told: new ServerUnreachable({ url: "http://server", detail: "connection refused", why: unconnected }).message,
      code: 4
    },
    {
      given: "a second time leaves at once, and says where to look for the run",
      answer: Effect.never,
      signals: 1,
      told: "Left before the server answered; the run may have started, see: agent-job get runs --workspace demo",
      code: 130
    }
  ])("while the server is asked for the run, $given", ({ answer, code, signals, told }) =>
    Effect.gen(function*() {
      const [heard, said] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const screen = toldScreen()
      const silent = asking(() => ({
        createRun: () => Deferred.succeed(heard, undefined).pipe(Effect.andThen(Deferred.await(said)), Effect.andThen(answer))
      }))
      const { run } = yield* running(screen, request(), quickstart, silent)
      const fiber = yield* Effect.forkChild(run)
      yield* Deferred.await(heard)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* screen.until("Waiting for the server to say whether it started the run")
      yield* Deferred.succeed(said, undefined)
      for (let sent = 0; sent < signals; sent++) process.emit("SIGINT")
      yield* Fiber.join(stopping)
      expect(screen.of("step").at(-1)).toBe(told)
      expect(process.exitCode).toBe(code)
    }))

  it.live.each(
    [
      { output: "json", read: (text: string) => JSON.parse(text) },
      { output: "yaml", read: (text: string) => parse(text) }
    ] as const
  )("prints for a program what became of the run, as $output", ({ output, read }) =>
    Effect.gen(function*() {
      const { fiber, id, screen } = yield* begun("Initializing…", { asked: { output }, play: planning })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("result").map((text) => read(text))).toEqual([{
        run: expect.objectContaining({ id, status: "canceled" }),
        outputs: null,
        stateSerial: null
      }])
    }))

  it.live.each([
    { when: "before the run is asked for says that none was started", hung: "upload", told: "No run was started." },
    {
      when: "while the outputs are asked for says what became of the run",
      hung: "outputs",
      told: `${anyRun} is applied, but its outputs were not read; see the run with: agent-job get ${anyRun}`
    }
  ])("$when", ({ hung, told }) =>
    Effect.gen(function*() {
      const heard = yield* Deferred.make<void>()
      const screen = toldScreen()
      const clientOf = asking(() => ({ [hung]: () => Effect.andThen(Deferred.succeed(heard, undefined), Effect.never) }))
      const { run } = yield* running(screen, request({ autoApprove: true }), quickstart, clientOf)
      const fiber = yield* Effect.forkChild(run)
      yield* Deferred.await(heard)
      yield* Fiber.interrupt(fiber)
      expect(settled(screen).split("\n").at(-2)).toBe(told)
    }))

  it.live("while it applies keeps the log going until the state is safe", () =>
    Effect.gen(function*() {
      const { fiber, id, screen, url } = yield* begun("card.ada: Creating...", { asked: { autoApprove: true }, play: applying })
      yield* Fiber.interrupt(fiber)
      expect(screen.transcript().match(/card.ada: Creating/gu)).toHaveLength(1)
      expect(screen.transcript()).toContain("Interrupted, the state is saved.\n")
      expect((yield* person(url).view(id)).status).toBe("canceled")
    }))

  it.live("while it applies, which was not seen yet, shows the apply and waits until its state is safe", () =>
    Effect.gen(function*() {
      const cancelled = yield* Deferred.make<void>()
      let looks = 0
      const behind = asking((server) => ({
        run: (id) => Effect.andThen(looks++ === 0 ? Effect.void : Deferred.await(cancelled), server.run(id)),
        act: (id, action) => Effect.andThen(server.act(id, action), Deferred.succeed(cancelled, undefined))
      }))
      const asked = { autoApprove: true, output: "json" } as const
      const { fiber, id, screen, url } = yield* begun("Started run-", { asked, play: applying, clientOf: behind })
      yield* Effect.repeat(person(url).view(id), { until: ({ status }) => status === "applying" }).pipe(Effect.timeout("30 seconds"))
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").slice(-2)).toEqual(["Applying", `${id} is cancelled.`])
      expect(screen.transcript()).toContain("Interrupted, the state is saved.\n")
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([{ run: { id, status: "canceled" } }])
      expect(process.exitCode).toBe(6)
    }))

  it.live("after yes cancels the apply, though the answer to the approval was lost", () =>
    Effect.gen(function*() {
      const deaf = asking((server, url) => ({
        approve: (id, seal) =>
          Effect.andThen(
            server.approve(id, seal),
            Effect.fail(new ServerUnreachable({ url, detail: "the connection was closed", why: unanswered }))
          )
      }))
      const { fiber, id, screen, url } = yield* begun("trying again", {
        play: applying,
        clientOf: deaf,
        screen: toldScreen(answers("yes"))
      })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(`${id} is cancelled.`)
      expect(screen.transcript()).not.toContain("stays planned")
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(process.exitCode).toBe(6)
    }))

  it.live("asks for the cancel again when the server goes away just then", () =>
    Effect.gen(function*() {
      const { fiber, id, screen, url } = yield* begun("Initializing…", { play: planning, clientOf: losing })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(`${id} is cancelled.`)
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(process.exitCode).toBe(6)
    }))

  it.live.each([
    { given: "by a server that refuses the token", refusal: new TokenRefused({ url: "http://server", given: true }), code: 5 },
    { given: "for a reason of the server", refusal: new ServerRefused({ status: 422, message: "It is not to be cancelled." }), code: 1 },
    { given: "as the run is gone", refusal: new NothingThere({ message: "There is no such run; see agent-job get runs." }), code: 3 }
  ])("whose cancel is refused, $given, says why, with that code", ({ code, refusal }) =>
    Effect.gen(function*() {
      const refusing = asking(() => ({ act: () => Effect.fail(refusal) }))
      const { fiber, id, screen } = yield* begun("Initializing…", { asked: { output: "json" }, play: planning, clientOf: refusing })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").slice(-2)).toEqual([
        refusal.message,
        `Cannot cancel ${id}; try again with: agent-job cancel ${id}`
      ])
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([{ run: { id } }])
      expect(process.exitCode).toBe(code)
    }))

  it.live("that comes later than the end of the apply says so", () =>
    Effect.gen(function*() {
      const until = yield* Deferred.make<void>()
      const late = asking((server) => ({
        act: (id, action) =>
          Deferred.succeed(until, undefined).pipe(
            Effect.andThen(Effect.repeat(server.run(id), { until: ({ final }) => final })),
            Effect.andThen(server.act(id, action))
          ),
        state: () => Effect.never
      }))
      const { fiber, id, screen } = yield* begun("card.ada: Creating...", {
        asked: { autoApprove: true, output: "json" },
        play: { plan: quickstart.plan, apply: { ...quickstart.apply!, until } },
        clientOf: late
      })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(`${id} was faster than the cancel: it is applied.`)
      expect(screen.transcript()).toContain("Apply complete!")
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([
        { run: { status: "applied" }, outputs: null, stateSerial: null } // to ask for them would hold up the end
      ])
      expect(process.exitCode).toBe(130)
    }))

  it.live("a second time leaves at once, and says how to come back", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const url = yield* Effect.flatMap(directory, serve)
      // The test plays an agent that has taken the plan and does not hear of the cancel.
      const fiber = yield* Effect.forkChild(
        runDirectory(request({ output: "json" })).pipe(Effect.provide(client(url)), Effect.provide(screen.layer))
      )
      yield* screen.until("Started run-")
      const taken = yield* agent(url).take
      yield* worker(url, taken).log(0, "busy\n")
      yield* screen.until("busy")
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* screen.until("Cancelling run-")
      process.emit("SIGINT")
      yield* Fiber.join(stopping)
      expect(screen.of("step").at(-1)).toBe(`Left ${runId(screen)} to the server; follow it with: agent-job logs -f ${runId(screen)}`)
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([{ run: { id: runId(screen) } }])
      expect(process.exitCode).toBe(130)
    }))

  /** A client that looks at the run no more while somebody is asked about it, until the question is interrupted, and then as `look` says. */
  const notLooking = (look: (run: Effect.Effect<RunView, ServerFailure>) => Effect.Effect<RunView, ServerFailure>) => {
    const question = { asked: false, interrupted: false }
    const screen = toldScreen(Effect.andThen(Effect.sync(() => question.asked = true), Effect.never))
    const clientOf = asking((server) => ({
      run: (id) => Effect.suspend(() => !question.asked ? server.run(id) : question.interrupted ? look(server.run(id)) : Effect.never)
    }))
    return { question, screen, clientOf }
  }

  it.live.each([
    {
      what: "apply" as const,
      until: "applying",
      says: "RUN is no longer planned but applying; follow it with: agent-job logs -f RUN",
      code: 130
    },
    { what: "discard" as const, until: "discarded", says: "RUN is discarded.", code: 6 },
    { what: "cancel" as const, until: "canceled", says: "RUN is cancelled.", code: 6 }
  ])("at the question, after a $what elsewhere, says what became of the run", ({ code, says, until, what }) =>
    Effect.gen(function*() {
      const { question, ...others } = notLooking((run) => run)
      const { fiber, id, screen, url } = yield* begun("Apply these changes", { asked: { output: "json" }, play: applying, ...others })
      yield* person(url).act(id, what)
      yield* Effect.repeat(person(url).view(id), { until: ({ status }) => status === until }).pipe(Effect.timeout("30 seconds"))
      question.interrupted = true
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(says.replaceAll("RUN", id))
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([{ run: { id, status: until } }])
      expect((yield* person(url).view(id)).status).toBe(until)
      expect(process.exitCode).toBe(code)
    }))

  it.live.each([
    {
      given: "where the server is away",
      look: Effect.fail(new ServerUnreachable({ url: "http://server", detail: "connection refused", why: unconnected }))
    },
    { given: "a second time, before the server answers", look: Effect.never, signals: 1 }
  ])("at the question, $given, does not say that the run is planned", ({ look, signals = 0 }) =>
    Effect.gen(function*() {
      const looking = yield* Deferred.make<void>()
      const { question, ...others } = notLooking(() => Effect.andThen(Deferred.succeed(looking, undefined), look))
      const { fiber, id, screen } = yield* begun("Apply these changes", { asked: { output: "json" }, ...others })
      question.interrupted = true
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Deferred.await(looking).pipe(Effect.timeout("20 seconds"))
      for (let sent = 0; sent < signals; sent++) process.emit("SIGINT")
      yield* Fiber.join(stopping).pipe(Effect.timeout("4 seconds")) // sooner than the command gives the server up by itself
      expect(screen.of("step").at(-1)).toBe(
        `${id} was planned when it was last seen, and the server does not say whether it still is; look with: agent-job get ${id}`
      )
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([{ run: { id, status: "planned" } }])
      expect(process.exitCode).toBe(130)
    }))

  it.live("at the question leaves the run planned", () =>
    Effect.gen(function*() {
      const { fiber, id, screen, url } = yield* begun("Apply these changes", {
        asked: { output: "json" },
        screen: toldScreen(Effect.never)
      })
      yield* Fiber.interrupt(fiber)
      expect((yield* person(url).view(id)).status).toBe("planned")
      expect(screen.of("result").map((text) => JSON.parse(text))).toMatchObject([{ run: { id, status: "planned" } }])
      expect(screen.of("step").at(-1)).toBe(
        `${id} stays planned and keeps its workspace: agent-job approve ${id}, or agent-job discard ${id}`
      )
      expect(process.exitCode).toBe(130)
    }))
})
