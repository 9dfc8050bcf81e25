// What a stage tells of its plan before it goes on, and of what no plan shows; that it hears a stop while it waits; in what environment its
// engine works; and that nothing it tells at its end has a secret in it.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { leftInDoubt } from "../../../src/core/state/end-in-doubt.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTaskSpec } from "../../../src/schema/task/agent-task.ts"
import { ownBacking } from "../../../src/worker/backing/own-backing.ts"
import { makeJournal } from "../../../src/worker/engine/journal.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { orItsFailure, runStage, tellPlanned } from "../../../src/worker/stage/stage.ts"
import { StageStopped } from "../../../src/worker/task/stage-stopped.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { type Fault, tarGz, taskApi } from "../fake-task-api.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"
import { noTaskStatus } from "../pool-parts.ts"
import { inline, poolTask, ran, text, token } from "../whole-stage.ts"

describe("a plan that is too large to be read", () => {
  it.effect("says so in its log, and to the server that its apply makes more than it knows", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const told: Array<string> = []
      const journal = yield* makeJournal(
        { redact: (text) => text, redactKey: (key) => key },
        Option.some((entries) =>
          Effect.sync(() => {
            heard.push(...entries.map(({ kind }) => kind))
            return { _tag: "StoredUpTo", end: entries.at(-1)?.number ?? 0 } as const
          })
        )
      )
      const telling = yield* Effect.forkChild(
        tellPlanned(Option.none(), journal).pipe(Effect.provide(Layer.mergeAll(
          podSettings("/none", "/none"),
          Log.layer({
            secrets: [],
            parts: [],
            ship: Option.none(),
            print: (bytes) => Effect.sync(() => void told.push(Buffer.from(bytes).toString("utf8")))
          })
        )))
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(telling)
      expect(heard).toEqual(["full"])
      expect(told.join("")).toContain("larger than the worker reads")
    }))
})

describe("a plan that is kept", () =>
  it.live("names what no plan shows: commands of the configuration before any runs, and what planning did to it and its modules", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      const external = `terraform {\n  encryption {\n    key_provider "external" "k" {\n    }\n  }\n}\n`
      api.archive = tarGz({ "main.tf": external })
      const engine = `#!/bin/sh
[ "$1" = version ] && echo '{"terraform_version": "1.12.6"}' && exit
case $1 in
init) mkdir -p "$TF_DATA_DIR/modules/m" && echo '{"backend":{"type":"http","config":{}}}' >"$TF_DATA_DIR/terraform.tfstate"
  for name in a b; do echo brought >"$TF_DATA_DIR/modules/m/$name.sh"; done ;;
plan) echo planned >"$TF_DATA_DIR/modules/m/b.sh" && cp main.tf made.tf && echo plan >"$TF_DATA_DIR/plan.tfplan" && echo >.terraform.lock.hcl ;;
esac
`
      const { log, status } = yield* ran(poolTask(api, "plan"), { tofu: engine }, (here) => token(here, api))
      expect(status.reason, log()).toBe("Completed")
      const lines = text(api.log).split("\n").filter((line) => /^(?:Planning|Kept|Whenever|\$)|\$ tofu/u.test(line))
      expect(lines).toEqual([
        expect.stringMatching(/^Whenever the engine runs, it may run commands .*: key_provider external in main\.tf$/u),
        expect.stringContaining("tofu init"),
        expect.stringContaining("tofu plan"),
        expect.stringMatching(/^Planning changed .*: \.terraform\/modules\/m\/b\.sh$/u),
        expect.stringMatching(/^Kept with the plan .*: made\.tf$/u),
        expect.stringMatching(/^Whenever the engine runs, it may run commands .*: key_provider external in made\.tf$/u)
      ])
    })))

describe("a stage with a key that only a newer version knows", () =>
  it.live.each([
    { given: "its task has it in the options", task: { options: { excludes: ["a.b"] } }, server: {}, key: "options.excludes" },
    { given: "its task has it in the engine", task: { engine: { name: "tofu", mirror: "a" } }, server: {}, key: "engine.mirror" },
    {
      given: "only the server has it, since an earlier controller left it out",
      task: {},
      server: { excludes: ["a.b"] },
      key: "options.excludes"
    }
  ])("is refused before anything runs, when $given", ({ key, server, task }) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": "" })
      api.options = server
      const { log, status } = yield* ran(poolTask(api, "plan", task), { tofu: "#!/bin/sh\necho it ran\n" }, (here) => token(here, api))
      expect([status.reason, status.message], log()).toEqual(["InvalidConfiguration", expect.stringContaining(key)])
      expect(log()).not.toContain("it ran")
    })))

describe("a stage whose arguments are to keep its engine from telling what it makes", () =>
  it.live.each([
    { engine: "tofu", version: "1.11.2", value: "-concise", runs: false },
    { engine: "tofu", version: "1.12.6", value: "-concise", runs: true },
    { engine: "tofu", version: "1.12.6", value: "-concise -json=false", runs: false },
    { engine: "terraform", version: "1.5.7", value: "-concise", runs: true }
  ])("begins with $engine $version and $value: $runs", ({ engine, runs, value, version }) =>
    Effect.gen(function*() {
      const program = `#!/bin/sh\n[ "$1" = version ] && echo '{"terraform_version": "${version}"}' && exit\necho engine\n`
      const variables = [{ name: "TF_CLI_ARGS_apply", value, category: "env" }]
      const { log, status } = yield* ran(inline("plan", { "main.tf": "" }, { variables }), { [engine]: program })
      expect(/^engine$/mu.test(log()), log()).toBe(runs)
      if (!runs) {
        expect([status.reason, status.message]).toEqual(["InvalidConfiguration", expect.stringContaining("has -concise, with which")])
      }
    })))

describe("a stage whose directory has no configuration", () => {
  const engine = (name: string) => ({
    [name]: `#!/bin/sh\n[ "$1" = version ] && echo '{"terraform_version": "1.12.6"}' && exit\necho engine\n`
  })
  const backend = { type: "local" }

  it.live.each([
    { given: "a plan", spec: inline("plan", { "readme.md": "" }, { backend }) },
    { given: "an apply", spec: inline("apply", { "live/main.tf": "" }, { backend }) },
    {
      given: "a plan of a directory below",
      spec: inline("plan", { "main.tf": "", "live/x.tfvars": "" }, { backend, workingDirectory: "live" })
    },
    {
      given: "a plan by an engine that does not read what there is",
      spec: inline("plan", { "main.tofu": "" }, { backend }),
      name: "terraform"
    }
  ])(
    "would destroy all that the state has, and is refused before anything runs: $given",
    ({ name = "tofu", spec }) =>
      Effect.gen(function*() {
        const { log, status } = yield* ran(spec, engine(name))
        expect([status.reason, status.message], log()).toEqual([
          "InvalidConfiguration",
          expect.stringMatching(/^There is no configuration in .*, and to plan nothing is to destroy all that the state has; /u)
        ])
        expect(log()).not.toMatch(/^engine$/mu)
      })
  )

  it.live.each([
    { given: "a destroy", spec: inline("destroy", { "readme.md": "" }, { backend }) },
    { given: "the plan of a destroy", spec: inline("plan", { "readme.md": "" }, { backend, options: { destroy: true } }) },
    { given: "a plan whose configuration a wrapper makes", spec: inline("plan", { "main.jsonnet": "", "empty.tf": "" }, { backend }) },
    { given: "a plan without a backend of ours, beside which the engine refuses it", spec: inline("plan", { "readme.md": "" }) }
  ])("runs all the same: $given", ({ spec }) => Effect.map(ran(spec, engine("tofu")), ({ log }) => expect(log()).toMatch(/^engine$/mu)))
})

describe("a stage that fails for what somebody named", () =>
  it.live("says the name without what a terminal obeys", () =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "../name\u009b2J\u202edne": "" })
      const { log, status } = yield* ran(poolTask(api, "plan"), { tofu: "#!/bin/sh\n" }, (here) => token(here, api))
      expect([status.reason, status.message], log()).toEqual(["InvalidArchive", expect.stringMatching(/name2Jdne[^\p{C}]+$/u)])
      expect(status.message).toBe(status.result?.message)
    })))

describe("a stage whose runner does not answer", () =>
  it.effect.each(["Cancelled", "Evicted"] as const)("goes no further, as %s, once it has to stop", (cause) =>
    Effect.gen(function*() {
      const place = yield* temporaryFolder("stage")
      mkdirSync(join(place, "exec"))
      const spec: AgentTaskSpec = { workspace: WorkspaceName.make("demo"), stage: "plan", source: { inline: { "main.tf": "" } } }
      const asked = yield* Deferred.make<typeof cause>()
      const running = yield* runStage(spec, ownBacking({ spec, status: {} })).pipe(
        Effect.provide([noTaskStatus, podSettings(place, place), neverStops({ asked: Deferred.await(asked) })]),
        Effect.forkChild
      )
      yield* TestClock.adjust("30 seconds")
      yield* Deferred.succeed(asked, cause)
      yield* TestClock.adjust("30 seconds") // after which it would be the runner's fault
      expect((yield* Fiber.join(running)).outcome.reason).toBe(cause)
    })))

it.live("a stage names in its log, as the server has it, the states that others left and it could not deliver", () =>
  Effect.gen(function*() {
    const api = yield* taskApi
    api.archive = tarGz({ "main.tf": "" })
    api.fault("POST /kept-state", { status: 409, error: "not-of-this-server" })
    yield* ran(poolTask(api, "plan"), { tofu: "#!/bin/sh\nexit 1\n" }, (here) => {
      const shared = join(here.privateDirectory, "shared")
      mkdirSync(join(shared, "kept-states"), { recursive: true })
      writeFileSync(join(shared, "kept-states", "run-x.apply.1.0a1b2c.state"), "sealed")
      return { ...token(here, api), AGENT_JOB_CACHE_DIR: shared }
    })
    expect(text(api.log)).toMatch(
      /^The server does not have the kept state run-x\.apply\.1\.0a1b2c\.state, which stays on the volume: .+\n/u
    )
  }))

it.live("the engine of a stage asks no person and looks for no newer version of itself, whatever the variables of its task say", () =>
  Effect.gen(function*() {
    const names = ["TF_INPUT", "TF_IN_AUTOMATION", "CHECKPOINT_DISABLE"]
    const engine = `#!/bin/sh\n[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit\nenv | grep -E '^(${
      names.join("|")
    })='\nexit 1\n`
    const variables = names.map((name) => ({ name, value: "", category: "env" }))
    const { log } = yield* ran(inline("plan", { "main.tf": "" }, { variables }), { tofu: engine })
    expect(log().split("\n")).toEqual(expect.arrayContaining(["TF_INPUT=0", "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1"]))
  }))

describe("an apply without a pool that was killed", () => {
  const engine = (killed: string, how: string) =>
    `#!/bin/sh\n[ "$1" = ${killed} ] && ${how}\n[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit
[ "$1" = init ] && mkdir -p "$TF_DATA_DIR" && echo '{"backend":{"type":"pg","config":{}}}' >"$TF_DATA_DIR/terraform.tfstate"
exit 0
`
  it.live.each([
    { during: "version", how: "kill -9 $$", doubt: false },
    { during: "init", how: "kill -9 $$", doubt: false },
    { during: "init", how: "exit 11", doubt: false },
    { during: "apply", how: "kill -9 $$", doubt: true },
    { during: "apply", how: "exit 11", doubt: true }
  ])("may have made what its state lacks only if that was its $during: $how", ({ doubt, during, how }) =>
    Effect.gen(function*() {
      const task = inline("apply", { "main.tf": "" }, { backend: { type: "pg", config: {} } })
      const { log, status } = yield* ran(task, { tofu: engine(during, how) })
      expect([status.phase, leftInDoubt({ metadata: {}, status })], `${log()} ${JSON.stringify(status)}`).toEqual(["Failed", doubt])
    }))
})

describe("an apply without a pool, whose state its backend did not take,", () => {
  /** An engine whose backend takes a state, or no state; it leaves that in a file then. */
  const engine = (ends: string) =>
    `#!/bin/sh\n[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit
case $1 in
init) mkdir -p "$TF_DATA_DIR" && echo '{"backend":{"type":"http","config":{}}}' >"$TF_DATA_DIR/terraform.tfstate" ;;
apply) ${ends} ;;
esac
`
  const applied = (ends: string, files = {}) =>
    ran(
      inline("apply", { "main.tf": "", ...files }, { backend: { type: "http", config: { address: "http://127.0.0.1:1" } } }),
      { tofu: engine(ends) },
      () => ({ AGENT_JOB_STATE_PATIENCE: "2 seconds" })
    )

  it.live("keeps its Pod until a person can have saved it, and says by which command, and what to do with it", () =>
    Effect.gen(function*() {
      const { log, status } = yield* applied("echo '{}' >errored.tfstate; echo 'Error: Failed to persist state to backend'; exit 1")
      expect(status.result, log()).toMatchObject({ outcome: "failed", reason: "StateNotSaved", exitCode: 1, statePushed: false })
      expect(log()).toMatch(
        /The last state is in \S+\/errored\.tfstate, and its backend did not take it\. .* The Pod stays for 2s, .* kubectl -n tasks exec demo-abcde -c runner -- cat \S+\/errored\.tfstate >errored\.tfstate\n/u
      )
      expect(status.message).toMatch(/^The last state was in .* Its backend did not take this state: .*`state push`\.$/u)
    }))

  it.live("is not taken for one if the state came with its configuration", () =>
    Effect.gen(function*() {
      const { log, status } = yield* applied("exit 0", { "errored.tfstate": "{}" })
      expect([status.reason, log().includes("errored.tfstate")], log()).toEqual(["Completed", false])
    }))
})

describe("a stage that fails", () => {
  const secret = "hunter2-in-the-first-line\nhunter2-in-the-second"
  const base64 = Buffer.from(secret).toString("base64")
  /** An engine that prints this when it begins, and fails. */
  const engine = (says: string) =>
    `#!/bin/sh\n[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit\ncat <<'END'\n${says}\nEND\nexit 1\n`

  it.live.each([
    { given: "the engine's error", says: `Error: ${secret}` },
    { given: "the engine's error, in base64", says: `Error: ${base64}` },
    { given: "the lines of the engine's error", says: secret.split("\n").map((line) => `│ Error: ${line}`).join("\n") },
    { given: "the engine's error, around a sign that the message leaves out", says: `Error: ${secret.replaceAll("ter2", "\u0007ter2")}` },
    { given: "what the worker itself complains of", says: "nothing", task: { workingDirectory: "live/hunter2-in-the-second" } },
    {
      given: "what the worker itself complains of, around a sign that the message leaves out",
      says: "nothing",
      task: { workingDirectory: "live/hunter2\u200b-in-the-second" }
    },
    {
      given: "what the worker itself complains of, and that has a sign that the message leaves out",
      says: "nothing",
      task: { workingDirectory: "live/joined\u200dhunter2" }
    }
  ])("tells nobody a secret that is in $given", ({ says, task = {} }) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": "" })
      api.variables = [{ name: "password", value: secret, sensitive: true }, {
        name: "joined",
        value: "joined\u200dhunter2",
        sensitive: true
      }]
      const { lastWords, log, status } = yield* ran(poolTask(api, "plan", task), { tofu: engine(says) }, (here) => token(here, api))
      expect([status.phase, status.message], log()).toEqual(["Failed", expect.stringContaining("***")])
      const told = { status, lastWords: lastWords(), results: api.results, serverLog: text(api.log), log: log() }
      expect([told.lastWords, told.results]).toEqual([status.result, [status.result]])
      expect(JSON.stringify(told)).not.toMatch(new RegExp(`hunter2|${base64.slice(0, 12)}`, "u"))
    }))

  const ofOthers = "pass-of-the-first"
  it.live.each([
    { given: "the token of the stage", says: "task-token-0123456789", secret: /task-token/u },
    { given: "the key of its kept states", says: "7".repeat(64), secret: /7{64}/u },
    { given: "the address of its state", says: "$TF_HTTP_ADDRESS", secret: /127\.0\.0\.1:\d+\/[^*]/u },
    { given: "a text inside of a secret", says: ofOthers, secret: new RegExp(ofOthers, "u") }
  ])("hides in its log $given, if the engine prints it", ({ says, secret }) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": "" })
      api.variables = [{ name: "passwords", value: `["${ofOthers}", "pass-of-the-second"]`, hcl: true, sensitive: true }]
      const engine = `#!/bin/sh\n[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit\necho "Said: ${says}"\nexit 1\n`
      const { log } = yield* ran(poolTask(api, "plan"), { tofu: engine }, (here) => token(here, api))
      expect(log()).toMatch(/^Said: .*\*{3}$/mu)
      expect(`${log()}${text(api.log)}`).not.toMatch(secret)
    }))
})

describe("a stage whose engine is not given its state", () => {
  /** Tells of its state what the engines do: 4xx by the number, and 5xx not at all. */
  const engine = (command: string, also: string) =>
    `#!/bin/sh
[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit
[ "$1" = init ] && mkdir -p "$TF_DATA_DIR" && echo '{"backend":{"type":"http","config":{}}}' >"$TF_DATA_DIR/terraform.tfstate"
[ "$1" = ${command} ] || exit 0
asked() { curl -s -o /dev/null -w '%{http_code}' "$TF_HTTP_ADDRESS"; }
case $(asked) in
200 | 404) echo 'Error: Unsupported argument' ;;
5*) echo 'Error: Error refreshing state: Failed to get state: GET http://127.0.0.1 giving up after 1 attempt(s)' '${also}' ;;
*) echo 'Error: Error refreshing state: Unexpected HTTP response code' ;;
esac
exit 1
`
  const always = (fault: Fault) => Array.from({ length: 100 }, () => fault)
  it.live.each<{ given: string; faults: ReadonlyArray<Fault>; command?: string; full?: true; reason: string; says: string }>([
    {
      given: "one that is damaged at the server",
      faults: always({ status: 503, error: "damaged" }),
      reason: "PoolUnreachable",
      says: "Refused as damaged."
    },
    {
      given: "one that is damaged once it plans",
      faults: always({ status: 503, error: "damaged" }),
      command: "plan",
      reason: "PoolUnreachable",
      says: "Refused as damaged."
    },
    {
      given: "one of a server that is away",
      faults: always("break"),
      reason: "PoolUnreachable",
      says: "gave no usable answer (the connection was closed); check that it answers there"
    },
    {
      given: "one in doubt",
      faults: always({ status: 409, error: "rescue-pending" }),
      reason: "StateRescuePending",
      says: "Refused as rescue-pending."
    },
    {
      given: "one of a server that is away, on a disk that is full",
      faults: always("break"),
      full: true,
      reason: "DiskFull",
      says: "tofu init ran out of disk space"
    },
    {
      given: "one that came at last, and failed for something else",
      faults: ["break"],
      reason: "InvalidConfiguration",
      says: "tofu init failed: Unsupported argument; correct the configuration"
    }
  ])("ends with what the server says of it: $given", ({ command = "init", faults, full, reason, says }) =>
    Effect.gen(function*() {
      const api = yield* taskApi
      api.archive = tarGz({ "main.tf": "" })
      api.fault("GET /state", ...faults)
      const { log, status } = yield* ran(poolTask(api, "plan"), {
        tofu: engine(command, full === true ? "no space left on device" : "")
      }, (here) => token(here, api, "1 second"))
      expect([status.phase, status.reason, status.message], log()).toEqual(["Failed", reason, expect.stringContaining(says)])
      expect(text(api.log)).toContain(status.message)
      expect(log()).not.toContain("is tried again")
    }))
})

describe("a stage whose apply was interrupted", () => {
  const during = Option.some({ name: "tofu apply", mutates: true, killed: false })
  it.effect.each([
    { end: { exitCode: 1 }, says: "what it had made is in the state." },
    { end: { exitCode: 130 }, says: "did not end in order (exit code 130). Look at the state before the next run." },
    { end: {}, says: "did not end in order. Look at the state before the next run." }
  ])("says of its end $end: $says", ({ end, says }) =>
    Effect.map(
      orItsFailure(Effect.fail(new StageStopped({ cause: "Cancelled", during, ...end }))),
      (outcome) => expect(outcome).toMatchObject({ outcome: "cancelled", message: expect.stringContaining(says), ...end })
    ))
})
