import { describe, expect, it, vi } from "@effect/vitest"
import { Effect } from "effect"
import fs, { existsSync, readFileSync, writeFileSync, writeSync } from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { hostname } from "node:os"
import { join } from "node:path"
import { parse } from "yaml"
import type { JournalEntry } from "../../../src/schema/api/effects.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { canBeNameless, nameless } from "../../nameless.ts"
import { agent, directory, failed, person, planWith, serve, server, userToken, worker } from "../../server/live-server.ts"
import { lost } from "../../server/run/applying.ts"
import { agentJob } from "../program.ts"
import { ran } from "../typed.ts"

it.live("a state in doubt is shown, looked into and settled, for a person and for a program", () =>
  Effect.gen(function*() {
    const url = yield* Effect.flatMap(directory, serve)
    const agentJob = (...args: ReadonlyArray<string>) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "state", ...args)
    expect(yield* agentJob("show", "demo")).toMatchObject({
      code: 3,
      error: `error: There is no workspace demo on ${url} for this token; \`agent-job get workspaces\` lists what there is.\n`
    })

    yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const apply = yield* agent(url).take
    const applier = worker(url, apply)
    yield* applier.lock("a")
    const refused = "{\"version\":4,\"serial\":3,\"lineage\":\"l\"}"
    yield* applier.as("POST", taskPath.state, refused, { [taskHeader.lockId]: "b", [taskHeader.lockEpoch]: "1" })
    expect((yield* agentJob("rescue", "demo", "--keep")).error).toBe(
      "error: Nothing of demo waits to be settled; see: agent-job state show demo\n"
    )
    expect(yield* agentJob("unlock", "demo", "--force", "--lock", "b")).toMatchObject({
      code: 1,
      error: expect.stringContaining("The state of demo has another lock by now, a of")
    })
    expect(yield* agentJob("unlock", "demo", "--force")).toMatchObject({
      code: 0,
      out: expect.stringContaining(`Lock: free\nUnlocked by force: a of ${apply.id} (`)
    })
    expect(yield* agentJob("unlock", "demo", "--force")).toEqual({
      code: 0,
      out: expect.stringContaining("Lock: free\n"),
      error: "Nothing was opened: the state of demo is not locked.\n"
    })
    expect(yield* agentJob("unlock", "demo", "--force", "--lock", "a")).toMatchObject({
      code: 0,
      error: "Nothing was opened: the state of demo is not locked any more, since the lock a was opened by force before.\n"
    })
    expect(yield* agentJob("unlock", "demo", "--force", "--lock", "b", "-o", "json")).toEqual({
      code: 3,
      out: "",
      error: "error: There is no lock b: the state of demo is not locked; see: agent-job state show demo\n"
    })
    yield* agent(url).report(apply.id, { ...failed(), reason: "NodeLost" })

    const shown = yield* agentJob("rescue", "demo")
    expect(shown.code).toBe(0)
    const [id] = /ev-\w+/u.exec(shown.out) ?? []
    expect(shown.out).toContain(`agent-job state rescue demo --use ${id}`)
    expect((yield* agentJob("show", "demo", "--evidence", String(id))).out).toBe(refused)
    expect(yield* agentJob("show", "demo", "--evidence", "ev-none")).toMatchObject({
      code: 3,
      error: `error: There is no evidence ev-none of workspace demo on ${url}; \`agent-job state show demo\` lists what there is.\n`
    })
    const brought = join(yield* directory, "brought.tfstate")
    writeFileSync(brought, "{\"version\":4,\"serial\":2,\"lineage\":\"other\"}")
    expect(yield* agentJob("rescue", "demo", "--file", brought)).toMatchObject({ code: 0, out: expect.stringMatching(/ev-\w+ +2 +/u) })
    expect(yield* agentJob("rescue", "demo", "--file", "/nope", "-o", "json")).toMatchObject({
      code: 2,
      out: "",
      error: expect.stringContaining("/nope cannot be read (no such file or directory); ")
    })
    const [, seen = ""] = /--keep --seen (\S+)/u.exec(shown.out) ?? []
    expect(yield* agentJob("rescue", "demo", "--keep", "--seen", seen)).toMatchObject({
      code: 1,
      error: expect.stringMatching(/^error: Since you looked at demo, the state ev-\w+ of \S+ is new, so nothing was settled now/u)
    })
    expect(yield* agentJob("rescue", "demo", "--seen", seen)).toMatchObject({
      code: 2,
      error: expect.stringContaining("--seen needs --use or --keep")
    })
    const used = yield* agentJob("rescue", "demo", "--use", String(id), "-o", "json")
    expect(JSON.parse(used.out)).toMatchObject({
      workspace: "demo",
      version: { serial: 3, lineage: "l" },
      pending: [],
      settled: [{ reason: "NodeLost", settledBy: expect.stringContaining("@") }]
    })
  }))

describe.skipIf(!canBeNameless)("who decides", () => {
  it.live.each([
    { given: { USER: "ada", LOGNAME: "lovelace" }, name: "ada" },
    { given: { LOGNAME: "lovelace" }, name: "lovelace" },
    { given: { USER: "" }, name: "uid 54321" }
  ])("is named where the machine does not know the user's name: $name", ({ given, name }) =>
    Effect.gen(function*() {
      const { server, url } = yield* ScriptedServer.make
      const before = { workspace: "demo", epoch: 1, pending: [], settled: [], evidence: [], forcedUnlocks: [] }
      const forcedUnlocks = [{ lockId: "a", holder: "run-a1.apply.1", epoch: 1, forcedBy: "user", forcedAt: "2026-01-31T12:00:00.000Z" }]
      server.script.push({ body: { ...before, lock: { id: "a" } } }, { body: { ...before, forcedUnlocks } })
      yield* nameless
      expect(yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken, ...given }, "state", "unlock", "demo", "--force", "--lock", "a"))
        .toMatchObject({ code: 0, error: "" })
      expect(server.asked.map(({ body }) => body).filter((body) => body !== "").map((body) => JSON.parse(body))).toEqual([
        { by: `${name}@${hostname()}`, lock: "a" }
      ])
    }))
})

const oneMade = { number: 1, kind: "done", action: "create", address: "time_sleep.a", idKey: "id", id: "1" } as const

/** A server with an apply of demo that told these entries and was lost; `blocks` asks the program for its import blocks. */
const lostApply = Effect.fnUntraced(function*(entries: ReadonlyArray<JournalEntry>) {
  const url = yield* Effect.flatMap(directory, serve)
  yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  yield* worker(url, apply).lock("a")
  if (entries.length > 0) yield* worker(url, apply).as("POST", taskPath.effects, { entries })
  yield* agent(url).report(apply.id, lost)
  const file = join(yield* directory, "import.tf")
  const blocks = ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "state", "rescue", "demo", "-o", "json", "--import-blocks", file)
  return { url, file, blocks }
})

it.live("the command that stderr has with import blocks says what was seen, so that it settles nothing that came since", () =>
  Effect.gen(function*() {
    const { blocks, url } = yield* lostApply([oneMade])
    const { error, out } = yield* blocks
    const { pending: [{ id }] } = yield* person(url).state("demo")
    expect([out, error]).toEqual(["", expect.stringContaining(`settle with: agent-job state rescue demo --keep --seen ${id}:1, and run`)])
  }))

it.live("import blocks are written to a new file alone, and replace nothing", () =>
  Effect.gen(function*() {
    const { blocks, file } = yield* lostApply([oneMade])
    writeFileSync(file, "# mine")
    expect(yield* blocks).toMatchObject({
      code: 2,
      out: "",
      error: `error: ${file} cannot be written (file already exists); choose a new file in a directory that you may write to.\n`
    })
    expect(readFileSync(file, "utf8")).toBe("# mine")
  }))

it.live("import blocks that a full disk cuts off leave no file, since half of them would look like all", () =>
  Effect.gen(function*() {
    const { blocks, file } = yield* lostApply([oneMade])
    const { writeFileSync: write } = fs
    const spy = vi.spyOn(fs, "writeFileSync").mockImplementation((to, text, options) => {
      if (typeof to !== "number") return write(to, text, options)
      writeSync(to, "import {")
      throw new Error("ENOSPC: no space left on device, write")
    })
    syncBuiltinESMExports()
    const { code, error } = yield* Effect.ensuring(
      blocks,
      Effect.sync(() => {
        spy.mockRestore()
        syncBuiltinESMExports()
      })
    )
    expect([code, error]).toEqual([
      2,
      `error: ${file} cannot be written (no space left on device); choose a new file in a directory that you may write to.\n`
    ])
    expect(existsSync(file)).toBe(false)
  }))

it.live("import blocks of a full journal are written though nothing of it is missing, and say that there may be more", () =>
  Effect.gen(function*() {
    const { blocks, file } = yield* lostApply([{ number: 1, kind: "full", action: "create", address: "" }])
    expect(yield* blocks).toMatchObject({ code: 0, out: "" })
    expect(readFileSync(file, "utf8")).toMatch(/^# There may be more, since the journal was full: .*\n$/u)
  }))

it.live("import blocks are not written where nothing is known to be missing, which is not said to be all that was made", () =>
  Effect.gen(function*() {
    const { blocks, file } = yield* lostApply([])
    expect(yield* blocks).toMatchObject({
      code: 3,
      out: "",
      error:
        "error: Nothing is known to be missing in the state of demo, so there are no blocks to write; look at what is in doubt with: agent-job state rescue demo\n"
    })
    expect(existsSync(file)).toBe(false)
  }))

it.live("what a stage chose in its lock or its state speaks to no terminal, in whatever form it is asked for", () =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    const chosen = "\u001b]52;c;eA==\u0007\u009b2J\n"
    const body = {
      workspace: "demo",
      epoch: 2,
      lock: { id: chosen, who: chosen },
      pending: [],
      settled: [],
      evidence: [],
      forcedUnlocks: []
    }
    const show = (output: string) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "state", "show", "demo", "-o", output)
    for (const output of ["table", "json", "yaml"]) {
      server.script.push({ body })
      expect((yield* show(output)).out).toMatch(/^[ -~\n]+$/u)
    }
    server.script.push({ body })
    expect(JSON.parse((yield* show("json")).out)).toEqual(body)
    server.script.push({ body })
    expect(parse((yield* show("yaml")).out)).toEqual(body)
  }))

it.live("a state is brought through a pipe", () =>
  Effect.gen(function*() {
    const url = yield* server
    const { child, ended } = yield* agentJob(["state", "push", "prod", "-"], { AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken })
    child.stdin?.end(JSON.stringify({ version: 4, serial: 3, lineage: "piped" }))
    expect(yield* ended).toMatchObject({ code: 0, error: "", out: expect.stringContaining("lineage piped") })
  }).pipe(Effect.scoped))

it.live("a state is brought, and takes the place of one of another lineage by the id that was shown", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const url = yield* serve(made)
    const agentJob = (...args: ReadonlyArray<string>) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "state", ...args)
    const [wrong, right] = ["wrong", "right"].map((lineage) => {
      const file = join(made, `${lineage}.tfstate`)
      writeFileSync(file, JSON.stringify({ version: 4, serial: 3, lineage }))
      return file
    })
    expect(yield* agentJob("push", "prod", String(wrong))).toMatchObject({ code: 0, out: expect.stringContaining("lineage wrong") })
    const [version = ""] = /sv-\w+/u.exec((yield* agentJob("show", "prod")).out) ?? []
    expect(yield* agentJob("push", "prod", String(right))).toMatchObject({
      code: 1,
      error: expect.stringContaining(`agent-job state push prod FILE --replace ${version}`)
    })
    expect(yield* agentJob("push", "prod", String(right), "--replace", version)).toMatchObject({
      code: 0,
      out: expect.stringContaining("lineage right")
    })
    expect(yield* agentJob("push", "prod", "/nope")).toMatchObject({
      code: 2,
      error: expect.stringContaining("/nope cannot be read (no such file or directory); ")
    })
  }))
