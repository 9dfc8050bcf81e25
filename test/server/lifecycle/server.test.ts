import { describe, expect, it, vi } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { programVersion } from "../../../src/schema/program-version.ts"
import { Server } from "../../../src/server/lifecycle/server.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Commits } from "../../../src/server/store/commits.ts"
import {
  agent,
  archiveOf,
  ask,
  directory,
  failed,
  optionsIn,
  person,
  planWith,
  poolToken,
  serve,
  serveOpenly,
  server,
  sha256,
  state,
  succeeded,
  taskUid,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"
import { ended, started } from "../process.ts"
import { diskWith } from "../room.ts"

const starting = (options: Parameters<typeof Server>[0]) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(Server(options)))), ({ message }) => message)

describe("a restart on the same files", () => {
  it.live("keeps runs, logs, saved plans, states, locks, tokens and what an agent has acknowledged", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const scope = yield* Scope.make()
      const before = yield* serve(made).pipe(Scope.provide(scope))
      const me = person(before)
      const id = yield* me.start("demo", { "auto-apply": true })
      const waiting = yield* me.start("demo")
      yield* planWith(before)
      const apply = yield* agent(before).take
      const applier = worker(before, apply)
      yield* applier.log(0, "Applying…\n")
      const { epoch } = (yield* applier.lock("a")).json
      yield* applier.pushState({ version: 4, serial: 1, lineage: "l" }, "a", epoch)
      const logUrl = (yield* me.view(id)).stages[1]!.logUrl
      const view = yield* me.view(id)
      yield* Scope.close(scope, Exit.void)

      const after = yield* serve(made)
      const moved = (url: string) => url.replace(before, after)
      const later = worker(after, apply)
      expect(yield* person(after).view(id)).toEqual({
        ...view,
        stages: view.stages.map((stage) => ({ ...stage, logUrl: moved(stage.logUrl) }))
      })
      expect((yield* ask(moved(logUrl), undefined)).text).toContain("Applying…\n")
      expect((yield* later.as("GET", "/api/task/v1/plan")).text).toBe("the plan")
      expect(yield* agent(after).acquire()).toEqual([])
      expect((yield* later.pushState({ version: 4, serial: 2, lineage: "l" }, "a", epoch)).status).toBe(204)
      expect((yield* later.log(12, "done\n")).status).toBe(200)
      expect((yield* later.result(succeeded({ ...withChanges, statePushed: true }))).status).toBe(204)
      expect((yield* person(after).view(id)).status).toBe("applied")
      expect((yield* agent(after).take).runId).toBe(waiting)
    }))

  it.live("offers again what was offered and not acknowledged", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const scope = yield* Scope.make()
      const before = yield* serve(made).pipe(Scope.provide(scope))
      yield* person(before).start("demo")
      const [offered] = yield* agent(before).acquire()
      yield* Scope.close(scope, Exit.void)
      const after = yield* serve(made)
      expect((yield* agent(after).acquire(10)).map(({ id }) => id)).toEqual([offered?.id])
    }))
})

describe("the data directory", () => {
  it.live("holds no token in any file", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const scope = yield* Scope.make()
      const url = yield* serve(made).pipe(Scope.provide(scope))
      yield* person(url).start("demo", { "auto-apply": true })
      const plan = yield* planWith(url)
      const apply = yield* agent(url).take
      const { uploadUrl } = yield* person(url).upload(yield* person(url).workspace("demo"), archiveOf({}))
      yield* Scope.close(scope, Exit.void)
      const data = join(made, "data")
      const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) =>
        join(entry.parentPath, entry.name)
      )
      expect(files.some((file) => file.endsWith("agent-job.sqlite"))).toBe(true)
      for (const secret of [userToken, poolToken, plan.taskToken, apply.taskToken, uploadUrl.split("/").at(-1)!]) {
        expect(files.filter((file) => readFileSync(file).includes(secret))).toEqual([])
      }
    }))
})

describe("a start that cannot be", () => {
  it.live("names the port that is in use", () =>
    Effect.gen(function*() {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer()
          server.listen(0, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
      )
      const address = taken.address()
      const port = typeof address === "object" ? address?.port ?? 0 : 0
      expect(yield* starting({ ...optionsIn(yield* directory), port })).toBe(
        `Port ${port} is in use; stop what listens there or choose another one with --port.`
      )
    }))

  it.live("names the address that is none of this machine", () =>
    Effect.gen(function*() {
      expect(yield* starting({ ...optionsIn(yield* directory), address: "192.0.2.1" }))
        .toMatch(/^The server cannot listen at 192\.0\.2\.1 on port 0 \(.*EADDRNOTAVAIL.*\)\.$/u)
    }))

  it.live("names the token file that is missing, empty or too weak", () =>
    Effect.gen(function*() {
      const made = yield* directory
      expect(yield* starting({ ...optionsIn(made), userTokenFile: join(made, "none") })).toContain(
        `The user token file ${join(made, "none")} cannot be read`
      )
      writeFileSync(join(made, "pool.token"), "\n# nothing\n")
      expect(yield* starting(optionsIn(made))).toContain("must hold at least one token")
      writeFileSync(join(made, "pool.token"), "short")
      expect(yield* starting(optionsIn(made))).toContain("16 characters or more")
    }))

  it.live.each([
    { where: "in this process", first: serve },
    { where: "in another process", first: (made: string) => Effect.map(started(made), ({ url }) => url) }
  ])(
    "refuses a database that another server has open $where, and does not disturb that one",
    ({ first }) =>
      Effect.gen(function*() {
        const made = yield* directory
        const url = yield* first(made)
        const id = yield* person(url).start("demo")
        const said = yield* starting(optionsIn(made))
        expect(said).toMatch(
          /^The database \S+ is locked; stop the other process that has it open, or give this server a data directory of its own, on block storage and not on NFS or SMB\.$/u
        )
        expect((yield* ask(`${url}/readyz`, undefined)).status).toBe(200)
        expect((yield* agent(url).take).runId).toBe(id)
      })
  )

  it.live("refuses a file that is no database, and a data directory that is a file or where none can be made", () =>
    Effect.gen(function*() {
      const made = yield* directory
      mkdirSync(join(made, "data"))
      writeFileSync(join(made, "data", "agent-job.sqlite"), "not a database ".repeat(100))
      expect(yield* starting(optionsIn(made))).toContain("cannot be opened")
      writeFileSync(join(made, "file"), "")
      expect(yield* starting({ ...optionsIn(made), dataDir: join(made, "file") })).toContain("cannot be made")
      expect(yield* starting({ ...optionsIn(made), dataDir: "/proc/agent-job" })).toContain("cannot be made")
    }))
})

describe("SIGTERM", () =>
  it.live("answers the waiting long polls with nothing, long before their time, and ends the process with 0", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { child, url } = yield* started(made)
      const polls = Promise.all([Effect.runPromise(agent(url).acquire(60)), Effect.runPromise(agent(url).cancellations(0, 60))])
      yield* Effect.promise(async () => {
        for (let waiting = ""; !waiting.includes("agent_job_server_agents 1");) waiting = await (await fetch(`${url}/metrics`)).text()
      })
      expect(yield* Effect.promise(() => ended(child, "SIGTERM"))).toBe(0)
      expect(yield* Effect.promise(() => polls)).toEqual([[], { ids: [], next: 0 }])
    }), 45_000))

/** The lines of a server's log that are about what is stored, and what makes a server write to them. */
const listening = () => {
  const lines: Array<unknown> = []
  const logger = Logger.make(({ message }) => {
    if (Array.isArray(message) && String(message[0]).startsWith("what is stored")) lines.push(message)
  })
  return { lines, logged: Effect.provide(Logger.layer([logger])) }
}

describe("a request that cannot be stored", () => {
  it.live("is told to the log once, with the code, the path and the request, and nothing of these to the client", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { lines, logged } = listening()
      const url = yield* logged(serve(made))
      const me = person(url)
      const workspaceId = yield* me.workspace("demo")
      const blobs = join(made, "data", "blobs")
      rmSync(blobs, { recursive: true })
      const { answer } = yield* me.upload(workspaceId, archiveOf({ "main.tf": "" }))
      const { detail } = answer.json.errors[0]
      expect([answer.status, detail]).toEqual([
        503,
        "The server cannot use its data directory (ENOENT), so nothing was stored; look at its log and repeat."
      ])
      const requestId = answer.headers.get("x-request-id")
      expect(lines).toEqual([[
        "what is stored cannot be used",
        { requestId, code: "ENOENT", path: expect.stringContaining(blobs) },
        expect.any(Error)
      ]])
    }))
})

describe("an answer that cannot be read to its end", () => {
  it.live("is told to the log, with its file", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { lines, logged } = listening()
      const { context, url } = yield* logged(serveOpenly(made))
      yield* person(url).start("demo")
      const { archiveSha256, taskToken } = yield* agent(url).take
      const blobs = join(made, "data", "blobs")
      const service: Blobs["Service"] = Context.getUnsafe(context, Blobs)
      const { stream } = service
      vi.spyOn(service, "stream").mockImplementation((sha256) => { // the answer has begun
        rmSync(join(blobs, sha256))
        mkdirSync(join(blobs, sha256))
        return stream(sha256)
      })
      const headers = { authorization: `Bearer ${taskToken}`, [taskHeader.taskUid]: taskUid }
      yield* Effect.promise(() => fetch(url + taskPath.archive, { headers }).then((answer) => answer.text()).catch(() => "")) // broken off
      expect(lines).toEqual([["what is stored cannot be used", { sha256: archiveSha256, code: "EISDIR", path: blobs }, expect.any(Error)]])
    }))
})

describe("a stored file that is missing, as after a restore of the database alone", () => {
  it.live("is named to who asks for it, with what to do, for a state also to push it again, and told to the log", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { lines, logged } = listening()
      const url = yield* logged(serve(made))
      const me = person(url)
      yield* me.start("demo", { "auto-apply": true })
      yield* planWith(url)
      const { planSha256, taskToken } = yield* agent(url).take
      const body = JSON.stringify(state(1))
      const push = me.as("POST", statePath.push("other"), body)
      expect((yield* push).status).toBe(200)
      const current = me.as("GET", "/api/state/v1/workspaces/other")
      const file = (digest: string) => join(made, "data", "blobs", digest)
      for (const digest of [sha256(body), planSha256!]) rmSync(file(digest))
      const missing = (digest: string) => ({
        status: 503,
        json: {
          error: "storage",
          message:
            `The stored file ${digest} is missing in the server's data directory, so it cannot be given out; copy it there from blobs/ of a backup. If it is a state, it can be pushed again instead; if it is of a run, start another.`
        }
      })
      expect(yield* current).toMatchObject(missing(sha256(body)))
      expect(yield* worker(url, { taskToken }).as("GET", taskPath.plan)).toMatchObject(missing(planSha256!))
      expect(lines).toMatchObject([sha256(body), planSha256!].map((digest) => [
        "what is stored cannot be used",
        { code: "ENOENT", path: file(digest) },
        expect.any(Error)
      ]))
      expect((yield* push).status).toBe(200)
      expect((yield* current).text).toBe(body)
    }))
})

describe("a stored file that is damaged, as by a disk or a copy that broke off", () => {
  const cut = (bytes: Buffer) => bytes.subarray(0, 5)
  const cutToNothing = (bytes: Buffer) => bytes.subarray(0, 0)
  const changed = (bytes: Buffer) => bytes.with(-1, bytes.at(-1)! ^ 1)
  it.live.each(
    [
      { what: "archive", how: "cut", damage: cut },
      { what: "archive", how: "cut to nothing", damage: cutToNothing },
      { what: "plan", how: "cut", damage: cut },
      { what: "plan", how: "cut to nothing", damage: cutToNothing },
      { what: "state", how: "cut", damage: cut },
      { what: "state", how: "changed", damage: changed }
    ] as const
  )("is not given out as whole, and told to who asks for it and to the log: $what, $how", ({ damage, what }) =>
    Effect.gen(function*() {
      const made = yield* directory
      const { lines, logged } = listening()
      const url = yield* logged(serve(made))
      const me = person(url)
      const body = JSON.stringify(state(1))
      yield* me.as("POST", statePath.push("demo"), body)
      yield* me.start("demo", { "auto-apply": true })
      yield* planWith(url)
      const { archiveSha256, planSha256, taskToken } = yield* agent(url).take
      const ask = worker(url, { taskToken }).as("GET", taskPath[what])
      expect((yield* ask).status).toBe(200)
      const digest = { archive: archiveSha256, plan: planSha256!, state: sha256(body) }[what]
      const file = join(made, "data", "blobs", digest)
      writeFileSync(file, damage(readFileSync(file)))
      expect(yield* ask).toMatchObject({
        status: 503,
        json: {
          error: "damaged",
          message:
            `The stored file ${digest} is damaged, so it is not given out; put that of a backup's blobs/ in its place. If it is a state, it can be pushed again instead; if it is of a run, start another.`
        }
      })
      expect(lines).toEqual([[
        "what is stored cannot be used",
        expect.objectContaining({ path: file }),
        expect.stringMatching(/^its (size is \d+ and not \d+ bytes|SHA-256 is [0-9a-f]{64})$/u)
      ]])
    }))
})

describe("health", () => {
  it.effect("asks the disk whether it takes anything, at most every five seconds", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const ready = Effect.map(ask(`${yield* serve(made)}/readyz`, undefined), ({ status }) => status)
      expect(yield* ready).toBe(200)
      rmSync(join(made, "data", "blobs"), { recursive: true })
      expect(yield* ready).toBe(200)
      yield* TestClock.adjust("5 seconds")
      expect(yield* ready).toBe(503)
    }))

  it.effect("does not keep what the disk said because the clock was set back", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const ready = Effect.map(ask(`${yield* serve(made)}/readyz`, undefined), ({ status }) => status)
      yield* TestClock.setTime(3_600_000)
      expect(yield* ready).toBe(200)
      rmSync(join(made, "data", "blobs"), { recursive: true })
      yield* TestClock.setTime(0)
      yield* TestClock.adjust("5 seconds")
      expect(yield* ready).toBe(503)
    }))

  it.effect("asks the disk once for all, also for those who ask and do not wait for the answer", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const written = new Set<string | null>() // the files that the disk was asked with; each has a name of its own
      yield* Effect.acquireRelease(
        Effect.sync(() => watch(join(made, "data", "blobs"), (_, name) => written.add(name))),
        (watcher) => Effect.sync(() => watcher.close())
      )
      yield* Effect.promise(async () => {
        for (let n = 0; n < 200; n++) {
          const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write("GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n"))
          for (let turn = 0; turn < 6; turn++) await new Promise((done) => setImmediate(done))
          socket.destroy()
        }
      })
      expect((yield* ask(`${url}/readyz`, undefined)).status).toBe(200)
      expect([...written]).toEqual([expect.stringMatching(/^new-/u)])
    }))

  it.effect("tells the log that nothing can be stored when that begins and when it ends, and not at each question", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { lines, logged } = listening()
      const url = yield* logged(serve(made))
      const blobs = join(made, "data", "blobs")
      const ready = Effect.map(ask(`${url}/readyz`, undefined), ({ status }) => status)
      const failure = [
        "what is stored cannot be used",
        expect.objectContaining({ code: "ENOENT", path: expect.stringContaining(blobs) }),
        expect.any(Error)
      ]
      rmSync(blobs, { recursive: true })
      expect([yield* ready, yield* ready, lines]).toEqual([503, 503, [failure]])
      yield* TestClock.adjust("5 seconds")
      expect([yield* ready, lines]).toEqual([503, [failure]])
      mkdirSync(blobs)
      yield* TestClock.adjust("5 seconds")
      expect([yield* ready, yield* ready, lines]).toEqual([200, 200, [failure, ["what is stored can be used again"]]])
    }))

  it.live("is not ready any more once it is about to stop, though it still answers", () =>
    Effect.gen(function*() {
      const { context, url } = yield* Effect.flatMap(directory, (made) => serveOpenly(made))
      const ready = ask(`${url}/readyz`, undefined)
      expect((yield* ready).status).toBe(200)
      yield* Context.getUnsafe(context, Commits).stop
      expect(yield* ready).toMatchObject({ status: 503, json: { error: "stopping" } })
    }))

  it.live("needs no token and says how many runs there are", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      expect((yield* ask(`${url}/healthz`, undefined)).text).toBe("ok\n")
      expect((yield* ask(`${url}/readyz`, undefined)).text).toBe("ok\n")
      expect((yield* ask(`${url}/metrics`, undefined)).text).toContain("agent_job_server_runs{status=\"pending\"} 1\n")
    }))

  it.live("says in its metrics of which version it is", () =>
    Effect.gen(function*() {
      const url = yield* server
      expect((yield* ask(`${url}/metrics`, undefined)).text).toContain(`agent_job_build_info{version="${programVersion}"} 1\n`)
    }))

  it.effect("counts for its metrics at most every five seconds, however often they are asked for", () =>
    Effect.gen(function*() {
      const url = yield* server
      const pending = Effect.map(ask(`${url}/metrics`, undefined), ({ text }) => /\{status="pending"\} (\d+)$/mu.exec(text)?.[1])
      expect(yield* pending).toBe("0")
      yield* person(url).start("demo")
      expect(yield* pending).toBe("0")
      yield* TestClock.adjust("5 seconds")
      expect(yield* pending).toBe("1")
    }))

  const figureOf = (url: string) => (name: string) =>
    Effect.map(
      ask(`${url}/metrics`, undefined),
      ({ text }) => text.split("\n").find((line) => line.startsWith(`agent_job_server_${name} `))?.split(" ")[1]
    )

  it.effect("says how much room is left, how many states are in doubt, and for how long the oldest stage has been at work", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const figure = figureOf(url)
      const disk = yield* diskWith(3e9, 7777)
      expect([yield* figure("disk_free_bytes"), yield* figure("disk_free_files")]).toEqual(["3000000000", "7777"])
      disk.files = 0 // no limit
      yield* person(url).start("demo", { "auto-apply": true })
      yield* TestClock.adjust("5 seconds")
      expect(yield* figure("disk_free_files")).toBeUndefined()
      expect(yield* figure("oldest_run_at_work_seconds")).toBe("0")
      yield* planWith(url)
      const apply = yield* agent(url).take
      yield* TestClock.adjust("1 hour") // it waits in the cluster
      expect(yield* figure("oldest_run_at_work_seconds")).toBe("0")
      yield* worker(url, apply).lock("a")
      yield* TestClock.adjust("90 seconds")
      expect([yield* figure("oldest_run_at_work_seconds"), yield* figure("states_in_doubt")]).toEqual(["90", "0"])
      yield* worker(url, apply).result(failed())
      yield* TestClock.adjust("5 seconds")
      expect([yield* figure("oldest_run_at_work_seconds"), yield* figure("states_in_doubt")]).toEqual(["0", "1"])
      yield* person(url).settle("demo")
      yield* TestClock.adjust("5 seconds")
      expect(yield* figure("states_in_doubt")).toBe("0")
    }))

  it.effect("says whether the disk takes a state, however much room it shows", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const figure = figureOf(yield* serve(made))
      expect(yield* figure("takes_files")).toBe("1")
      rmSync(join(made, "data", "blobs"), { recursive: true })
      yield* TestClock.adjust("5 seconds")
      expect([yield* figure("takes_files"), Number(yield* figure("disk_free_bytes")) > 1024 * 1024]).toEqual(["0", true])
    }))

  it.effect("says how far the stages came that are not over, and how many wait for a cluster that is drained", () =>
    Effect.gen(function*() {
      const url = yield* server
      const figures = Effect.andThen(
        TestClock.adjust("5 seconds"),
        Effect.forEach(
          ["stages{progress=\"waiting\"}", "stages{progress=\"taken\"}", "stages{progress=\"started\"}", "stages_drained"],
          figureOf(url)
        )
      )
      expect(yield* figures).toEqual(["0", "0", "0", "0"])
      yield* person(url).start("demo")
      expect(yield* figures).toEqual(["1", "0", "0", "0"])
      const plan = yield* agent(url).take
      expect(yield* figures).toEqual(["0", "1", "0", "0"])
      yield* agent(url).wait(plan.id, "Draining", "Nothing new starts.")
      expect(yield* figures).toEqual(["0", "1", "0", "1"])
      yield* agent(url).cancellations(0, 0, "drained")
      yield* person(url).start("other")
      expect(yield* figures).toEqual(["1", "1", "0", "2"])
      yield* worker(url, plan).as("GET", taskPath.assignment)
      expect(yield* figures).toEqual(["1", "0", "1", "1"])
      yield* worker(url, plan).result(failed())
      expect(yield* figures).toEqual(["1", "0", "0", "1"])
    }))
})
