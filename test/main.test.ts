import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Schedule } from "effect"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createTcpServer } from "node:net"
import { join } from "node:path"
import { parse } from "yaml"
import manifest from "../package.json" with { type: "json" }
import { playing, quickstart } from "./cli/fake-agent.ts"
import { agentJob, main, run, start } from "./cli/program.ts"
import { freePort } from "./free-port.ts"
import { authority } from "./http/certificates.ts"
import { agent, directory, failed, person, planToken, poolToken, readToken, serve, succeeded, userToken } from "./server/live-server.ts"
import { temporaryFolder } from "./temporary-folder.ts"

const environmentOf = (url: string, token = userToken) => ({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: token })

/** Starts the program with a run whose plan is under way and does not end by itself. */
const planningRun = Effect.gen(function*() {
  const url = yield* Effect.flatMap(directory, serve)
  const until = yield* Deferred.make<void>()
  yield* playing(url, { plan: { ...quickstart.plan, until } })
  const program = yield* agentJob(["run", "examples/quickstart"], environmentOf(url))
  yield* program.until("Initializing…")
  return { program, url }
})

/** Starts a server that answers every request in the same way. */
const answering = (status: number, body: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer((_, response) => response.writeHead(status, { "content-type": "text/html" }).end(body)).listen(
            0,
            "127.0.0.1",
            () => resolve(server)
          )
        })
      ),
      (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
    ),
    (server) => {
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
    }
  )

describe("the program's end", () => {
  it.live("is one sentence where a Pod cannot be set up, because the kubelet takes that for the termination message", () =>
    Effect.gen(function*() {
      expect(yield* run(["install", "/dev/null"], {})).toMatchObject({
        code: 1,
        out: "",
        error: "error: The worker cannot use /dev/null/exec (ENOTDIR); check the volumes of the Pod and who owns them.\n"
      })
    }))

  it.live("is 0 after a run that is applied, with everything on stdout", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      yield* playing(url, quickstart)
      const { code, error, out } = yield* run(["run", "examples/quickstart", "--workspace", "demo", "--auto-approve"], environmentOf(url))
      expect([code, error]).toEqual([0, ""])
      expect(out).toMatch(/^ {2}\d\.\ds {2}Archived examples\/quickstart: \d files/u)
      expect(out).toContain("\nApplied: 3 added, 0 changed, 0 destroyed. The state is at serial 7.\n")
      expect(out).not.toContain("\u001b")
      expect(out).not.toContain("swordfish")
    }))

  it.live("keeps colours where FORCE_COLOR asks for them, unless told not to", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      yield* playing(url, quickstart)
      const planOnly = ["run", "examples/quickstart", "--plan-only"]
      expect((yield* run(planOnly, { ...environmentOf(url), FORCE_COLOR: "1" })).out).toContain("\u001b[32m+\u001b[0m card.ada")
      expect((yield* run([...planOnly, "--no-color"], { ...environmentOf(url), FORCE_COLOR: "1" })).out).toContain("\n+ card.ada")
      expect((yield* run(planOnly, { ...environmentOf(url), FORCE_COLOR: "1", NO_COLOR: "1" })).out).toContain("\n+ card.ada")
    }))

  it.live("is 1 after a run that fails", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      yield* playing(url, { plan: { log: ["Error: Unsupported argument\n"], result: failed("tofu ended with exit code 1.") } })
      const { code, error, out } = yield* run(["run", "examples/quickstart"], environmentOf(url))
      expect([code, out.includes("Error: Unsupported argument\n")]).toEqual([1, true])
      expect(error.replace(/run-\w+/u, "RUN")).toBe(
        "error: The plan of RUN failed: tofu ended with exit code 1.\nExitCode: The engine ended with an error; its log says which.\n"
      )
    }))

  it.live("is 2 for what is typed wrong", () =>
    Effect.map(
      run(["rnu"]),
      ({ code, error, out }) =>
        expect([code, error, out]).toEqual([2, "error: There is no command \"rnu\"; did you mean \"run\"?\nSee: agent-job --help\n", ""])
    ))

  it.live("is 2 in a directory that was removed, where a path has to be looked up from it", () =>
    Effect.gen(function*() {
      const { ended } = yield* start("bash", [
        "-c",
        `cd "$(mktemp -d)" && rmdir "$PWD" && exec "${process.execPath}" --disable-warning=ExperimentalWarning "${main}" render -f values.yaml`
      ])
      expect(yield* ended).toEqual({ code: 2, out: "", error: "error: The current directory is gone; change to one that is there.\n" })
    }))

  it.live("is 3 for what is not there", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      for (const args of [["get", "run-nope"], ["cancel", "run-nope"]]) {
        const { code, error } = yield* run(args, environmentOf(url))
        expect([args[0], code, error]).toEqual([
          args[0],
          3,
          `error: There is no run run-nope on ${url} for this token; \`agent-job get runs\` lists what there is.\n`
        ])
      }
      expect(yield* run(["logs"], environmentOf(url))).toMatchObject({
        code: 3,
        error: "error: There is no run yet; start one with: agent-job run DIR\n"
      })
    }))

  it.live("is 4 for something else that answers", () =>
    Effect.gen(function*() {
      const other = yield* answering(200, "<html>Welcome to nginx!</html>")
      const broken = yield* answering(500, "<html>Internal error</html>")
      expect(yield* run(["get"], environmentOf(other))).toMatchObject({
        code: 4,
        error: expect.stringMatching(
          /^error: No usable answer from the agent-job server at http:\S+ \(what answers there is no agent-job server of this version\); check/u
        )
      })
      expect(yield* run(["get"], environmentOf(broken))).toMatchObject({ code: 4, error: expect.stringContaining("(it answers 500);") })
    }))

  it.live("is 5 for a token that is refused or missing, and never prints one", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const refused = yield* run(["run", "examples/quickstart"], environmentOf(url, "a-wrong-token-0123"))
      expect([refused.code, refused.error]).toEqual([
        5,
        `error: The agent-job server at ${url} refuses the token; set AGENT_JOB_TOKEN or --token-file to a user token of that server.\n`
      ])
      expect(refused.out + refused.error).not.toContain("a-wrong-token-0123")
      const missing = yield* run(["get"], { AGENT_JOB_URL: url })
      expect([missing.code, missing.error]).toEqual([
        5,
        `error: The agent-job server at ${url} wants a token and none was given; set AGENT_JOB_TOKEN or --token-file.\n`
      ])
    }))

  it.live("is 6 for a run that is cancelled by Ctrl-C, once its state is safe", () =>
    Effect.gen(function*() {
      const { program } = yield* planningRun
      program.child.kill("SIGINT")
      const { code, out } = yield* program.ended
      expect(code).toBe(6)
      expect(out).toContain("Interrupted, the state is saved.\n")
      expect(out).toMatch(/run-\w+ was cancelled\.\n$/u)
    }))

  it.live("is 6 also when Ctrl-C takes away the reader of what it says, such as tee", () =>
    Effect.gen(function*() {
      const { program, url } = yield* planningRun
      program.child.stdout?.destroy()
      program.child.kill("SIGINT")
      const { code, out } = yield* program.ended
      const id = /run-\w+/u.exec(out)?.[0] ?? ""
      expect([code, (yield* person(url).view(id)).status]).toEqual([6, "canceled"])
    }))

  it.live("is 130 for a second Ctrl-C, at once", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const program = yield* agentJob(["run", "examples/quickstart"], environmentOf(url))
      // Once an agent has taken the plan, a cancel alone does not end the run.
      yield* program.until("Started run-")
      const id = /run-\w+/u.exec(program.out())?.[0] ?? ""
      yield* agent(url).take
      program.child.kill("SIGINT")
      yield* program.until("Ctrl-C again")
      program.child.kill("SIGINT")
      const { code, out } = yield* program.ended
      expect([code, out.trimEnd().split("\n").at(-1)?.replace(/^ *[\d.]+s */u, "")]).toEqual([
        130,
        `Left ${id} to the server; follow it with: agent-job logs -f ${id}`
      ])
      expect((yield* person(url).view(id)).cancelAsked).toBe(true)
    }))

  it.live("is quiet when its reader leaves, and 141, since nobody heard how it ended", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const log = Array.from({ length: 6 }, () => "a line of the log\n".repeat(3600)) // more than a pipe holds, in pieces like a worker's
      yield* playing(url, { plan: { log, result: succeeded({ hasChanges: false }) } })
      yield* run(["run", "examples/quickstart"], environmentOf(url))
      const { ended } = yield* start(
        "bash",
        ["-c", `set -o pipefail; "${process.execPath}" "${main}" logs | head -n 1`],
        environmentOf(url)
      )
      expect(yield* ended).toEqual({ code: 141, out: "a line of the log\n", error: "" })
    }))
})

describe("on a terminal", () => {
  /** Runs the program on a pseudo terminal and types `answer` at its question. */
  const atTheQuestion = Effect.fnUntraced(function*(answer: string) {
    const url = yield* Effect.flatMap(directory, serve)
    yield* playing(url, quickstart)
    const program = yield* start("script", [
      "--quiet",
      "--return",
      "--command",
      `"${process.execPath}" "${main}" run examples/quickstart --workspace demo`,
      "/dev/null"
    ], { ...environmentOf(url), TERM: "xterm" })
    yield* program.until(/Only "yes" applies them\.[^]*> /u)
    program.child.stdin?.write(answer)
    return { url, ...(yield* program.ended) }
  })

  it.live("it is coloured, asks, and applies after yes", () =>
    Effect.gen(function*() {
      const { code, out } = yield* atTheQuestion("yes\n")
      expect(code).toBe(0)
      expect(out).toContain("\u001b[1mPlan: 3 to add, 0 to change, 0 to destroy.\u001b[0m")
      expect(out).toContain("\u001b[32m+\u001b[0m card.ada")
      expect(out).toMatch(/\r\u001b\[2K.*[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/u)
      expect(out).toContain("Applied: 3 added")
    }))

  it.live("it leaves the run planned after Ctrl-C at the question", () =>
    Effect.gen(function*() {
      const { code, out, url } = yield* atTheQuestion("\u0003")
      const id = /Started.* (run-\w+)/u.exec(out)?.[1] ?? ""
      expect([code, (yield* person(url).view(id)).status]).toEqual([130, "planned"])
    }))
})

describe("the server as a command", () => {
  const tokens = Effect.tap(temporaryFolder("main"), (made) =>
    Effect.sync(() => {
      writeFileSync(join(made, "user"), userToken)
      writeFileSync(join(made, "pool"), poolToken)
    }))
  const flags = (
    made: string,
    port: number
  ) => [
    "server",
    "--data-dir",
    join(made, "data"),
    "--user-token-file",
    join(made, "user"),
    "--pool-token-file",
    join(made, "pool"),
    "--port",
    String(port)
  ]

  const taken = Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<ReturnType<typeof createTcpServer>>((resolve) => {
        const server = createTcpServer().listen(0, "0.0.0.0", () => resolve(server))
      })
    ),
    (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
  )
  const portOf = (server: ReturnType<typeof createTcpServer>) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }

  it.live("serves, and ends well on SIGTERM", () =>
    Effect.gen(function*() {
      const made = yield* tokens
      const port = yield* freePort
      const program = yield* agentJob(flags(made, port))
      const url = `http://127.0.0.1:${port}`
      yield* Effect.tryPromise(() => fetch(url)).pipe(
        Effect.retry({ schedule: Schedule.spaced("20 millis") }),
        Effect.timeoutOrElse({ duration: "5 minutes", orElse: () => Effect.die(new Error(`nobody listens: ${program.out()}`)) })
      )
      expect(yield* run(["get"], environmentOf(url))).toMatchObject({ code: 0, out: "No runs yet; start one with: agent-job run DIR\n" })
      program.child.kill("SIGTERM")
      const { code, error } = yield* program.ended
      expect([code, error]).toEqual([0, ""])
    }))

  it.live("lets a pipeline plan whose token has role=plan, a person approve, and a board look on; what is not allowed is told in a sentence, with exit code 5", () =>
    Effect.gen(function*() {
      const made = yield* tokens
      writeFileSync(join(made, "user"), `${userToken} Ada\n${planToken} CI role=plan\n${readToken} Board role=read\n`)
      const port = yield* freePort
      const program = yield* agentJob(flags(made, port))
      yield* program.until("\"address\":\"http://")
      const url = `http://127.0.0.1:${port}`
      yield* playing(url, quickstart)
      const [ci, ada] = [environmentOf(url, planToken), environmentOf(url)]
      const planning = ["run", "examples/quickstart", "--workspace", "demo"]
      const withoutRole = "use a token without a role."
      expect(yield* run(planning, ci)).toMatchObject({
        code: 5,
        error:
          `error: There is no workspace demo on ${url} for this token, and none is made: The token of CI has role=plan, which does not allow POST /api/v2/organizations/:organization/workspaces; ${withoutRole}\n`
      })
      yield* person(url).workspace("demo")
      expect(yield* run([...planning, "--auto-approve"], ci)).toMatchObject({
        code: 5,
        error: `error: The token of CI has role=plan, which does not allow a run that applies by itself (auto-apply); ${withoutRole}\n`
      })
      const planned = yield* run(planning, ci)
      expect(planned).toMatchObject({ code: 0, error: "" })
      const [id = ""] = /run-\w+/u.exec(planned.out) ?? []
      expect(yield* run(["approve", id], ci)).toMatchObject({
        code: 5,
        error: `error: The token of CI has role=plan, which does not allow POST /api/v2/runs/:id/actions/apply; ${withoutRole}\n`
      })
      expect(yield* run(["approve", id], ada)).toMatchObject({ code: 0, error: "" })
      expect(yield* run(["logs", "-f", id], environmentOf(url, readToken))).toMatchObject({ code: 0 })
      expect(yield* person(url).view(id)).toMatchObject({ startedBy: "CI", approval: { by: "Ada" } })
    }))

  it.live("speaks HTTPS with the certificate that its environment names, to clients that trust its authority", () =>
    Effect.gen(function*() {
      const { file, sign } = authority(yield* temporaryFolder("authority"))
      const { directory } = sign("server")
      const port = yield* freePort
      const program = yield* agentJob(flags(yield* tokens, port), {
        AGENT_JOB_TLS_CERT_FILE: join(directory, "tls.crt"),
        AGENT_JOB_TLS_PRIVATE_KEY_FILE: join(directory, "tls.key")
      })
      yield* program.until("\"address\":\"https://")
      const environment = environmentOf(`https://localhost:${port}`)
      expect(yield* run(["get"], { ...environment, NODE_EXTRA_CA_CERTS: file })).toMatchObject({ code: 0 })
      expect(yield* run(["get"], environment)).toMatchObject({ code: 4 })
    }))

  it.live("ends well on a SIGTERM that comes while it is loaded, which would be lost to the first process of a container", () =>
    Effect.gen(function*() {
      const hook = `data:text/javascript,${
        encodeURIComponent(`
        import { registerHooks } from "node:module"
        const signalled = (loaded) => ({ ...loaded, source: 'process.kill(process.pid, "SIGTERM");' + loaded.source })
        const load = (url, context, next) => url.endsWith("/src/cli/agent-job.ts") ? signalled(next(url, context)) : next(url, context)
        registerHooks({ load })`)
      }`
      const { ended } = yield* start(process.execPath, ["--import", hook, "src/main.ts", ...flags(yield* tokens, yield* freePort)])
      const { code, error } = yield* ended
      expect([code, error]).toEqual([0, ""])
    }))

  it.live("says in one JSON line that its port is in use", () =>
    Effect.gen(function*() {
      const made = yield* tokens
      const port = portOf(yield* taken)
      const { code, error, out } = yield* run(flags(made, port))
      expect([code, error]).toEqual([1, ""])
      expect(JSON.parse(out)).toMatchObject({
        level: "FATAL",
        message: `Port ${port} is in use; stop what listens there or choose another one with --port.`
      })
    }))

  it.live("says in one JSON line that a token file is missing", () =>
    Effect.gen(function*() {
      const made = yield* tokens
      const { code, out } = yield* run([...flags(made, 0).slice(0, -4), "--pool-token-file", "/nope"])
      expect([code, JSON.parse(out).level, JSON.parse(out).message]).toEqual([
        2,
        "FATAL",
        expect.stringContaining("The pool token file /nope cannot be read")
      ])
    }))
})

describe("the version", () => {
  const platform = `${process.platform}/${process.arch}`
  const document = { version: manifest.version, node: process.versions.node, platform }

  it.live.each<{ readonly output: string; readonly printed: (out: string) => unknown; readonly wanted: unknown }>([
    { output: "table", printed: (out) => out, wanted: `agent-job ${manifest.version} (Node ${process.versions.node}, ${platform})\n` },
    { output: "json", printed: JSON.parse, wanted: document },
    { output: "yaml", printed: parse, wanted: document }
  ])("is that of package.json with the Node it runs on, as $output", ({ output, printed, wanted }) =>
    Effect.gen(function*() {
      const { code, out } = yield* run(["version", "-o", output], {})
      expect([code, printed(out)]).toEqual([0, wanted])
    }))
})

describe("what a command loads", () => {
  const hook = `data:text/javascript,${
    encodeURIComponent(`
    import { registerHooks } from "node:module"
    const seen = []
    registerHooks({ load: (url, context, next) => { seen.push(url); return next(url, context) } })
    process.on("exit", () => process.stderr.write(seen.join("\\n")))`)
  }`

  it.live("is neither a server, a controller, a worker nor an HTTP client, unless it is one", () =>
    Effect.gen(function*() {
      const { ended } = yield* start(process.execPath, ["--import", hook, "src/main.ts", "version"])
      const { code, error } = yield* ended
      const loaded = error.split("\n")
      expect(code).toBe(0)
      expect(loaded.length).toBeGreaterThan(20)
      expect(loaded.filter((url) =>
        /\/src\/(?:server|controller|worker|kubernetes|core)\/(?!task\/places|text\/(?:in-line|token-lines|unicode-escape)\.)|node_modules\/(?:undici|yaml|@kubernetes)\//u
          .test(url)
      )).toEqual([])
    }))
})
