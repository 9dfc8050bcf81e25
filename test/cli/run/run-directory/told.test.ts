// What a run tells a person or a program, from the archive to its end.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { archiveOf } from "../../../../src/cli/run/archive.ts"
import { runDirectory } from "../../../../src/cli/run/run-directory.ts"
import { exitCodeOf } from "../../../../src/cli/terminal/failure.ts"
import { ServerWithAddress } from "../../../../src/server/lifecycle/server.ts"
import { freePort } from "../../../free-port.ts"
import { cancelled, directory, failed, optionsIn, person, sha256, succeeded } from "../../../server/live-server.ts"
import { temporaryFolder } from "../../../temporary-folder.ts"
import { green, type Play, playing, quickstart } from "../../fake-agent.ts"
import { answers, toldScreen } from "../../told-screen.ts"
import { answerLost, anyRun, asking, client, example, failing, languages, request, runId, running, runsAt, settled } from "./running.ts"

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

  it.live.each(["text", "json"] as const)(
    "without a terminal stays planned, and says how to go on (%s)",
    (output) =>
      Effect.gen(function*() {
        const screen = toldScreen()
        const { run, url } = yield* running(screen, request({ output }))
        yield* run
        const id = runId(screen)
        const { planSha256, status } = yield* person(url).view(id)
        expect(status).toBe("planned")
        expect(screen.of("line").slice(-3)).toEqual([
          `${id} waits for your decision and keeps its workspace until then:`,
          `  agent-job approve ${id} --seal ${planSha256?.slice(0, 12)}   apply this very plan`,
          `  agent-job discard ${id}                       change nothing`
        ])
      })
  )

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
      expect((yield* Effect.flip(run)).message.split("\n")[0]).toBe(`The apply of ${runId(screen)} failed: tofu ended with exit code 1.`)
    }))

  it.live.each([
    { ended: "failed", result: failed("tofu was killed."), says: "The apply of RUN failed: tofu was killed." },
    { ended: "was cancelled", result: cancelled, says: "RUN was cancelled." }
  ])("whose apply $ended and left the state in doubt says what to do", ({ result, says }) =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run } = yield* running(screen, request({ autoApprove: true }), {
        plan: quickstart.plan,
        apply: { log: [], result: { ...result, statePushed: false } }
      })
      const { message } = yield* Effect.flip(run)
      expect(message.replace(/run-\w+/u, "RUN").split("\n")).toEqual([
        says,
        ...(result === cancelled ? [] : [expect.stringMatching(/^ExitCode: /u)]),
        "The state is in doubt; look at it and settle it with: agent-job state rescue demo"
      ])
    }))

  it.live("that is applied and left the state in doubt says what to do", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { run } = yield* running(screen, request({ autoApprove: true }), {
        plan: quickstart.plan,
        apply: { log: [], result: { ...succeeded(), statePushed: false } }
      })
      yield* run
      expect(screen.of("line")).toContain("The state is in doubt; look at it and settle it with: agent-job state rescue demo")
    }))

  it.live("whose apply has failed before it was looked at shows that apply", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const late = asking((server) => ({ run: (id) => Effect.repeat(server.run(id), { until: ({ final }) => final }) }))
      const { run } = yield* running(screen, request({ autoApprove: true }), failing, late)
      expect((yield* Effect.flip(run)).message).toContain("The apply of run-")
      expect(screen.transcript()).toContain("Applying\ncard.ada: Creating...\nError: no\n")
    }))

  it.live.each(languages)(
    "for a program is one document of $output, sensitive values left out",
    ({ output, read }) =>
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
      })
  )

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
