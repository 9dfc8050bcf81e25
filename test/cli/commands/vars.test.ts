import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { agent, directory, failed, person, planWith, serve, userToken, worker } from "../../server/live-server.ts"
import { agentJob } from "../program.ts"
import { ran } from "../typed.ts"

const environmentOf = (url: string) => ({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken })

/** Runs the command against a server, as a process with `value` on its standard input. */
const piped = (url: string) =>
  Effect.fnUntraced(function*(value: string, ...args: ReadonlyArray<string>) {
    const program = yield* agentJob(args, environmentOf(url))
    program.child.stdin?.end(value)
    return yield* program.ended
  })

describe("the variables of a workspace", () => {
  it.live("are set from standard input or a file, and what is sensitive stays so", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const typed = piped(url)
      expect(yield* typed("eu\n", "vars", "set", "demo", "region")).toEqual({
        code: 0,
        out: "Set the input variable region of demo; runs that begin from now on get it.\n",
        error: ""
      })
      expect(yield* typed("s3cret-one", "vars", "set", "demo", "TOKEN", "--env", "--sensitive")).toMatchObject({ code: 0 })
      const file = join(made, "key.json")
      writeFileSync(file, "\ufeff{\n}\n\n")
      expect(yield* ran(environmentOf(url), "vars", "set", "demo", "TOKEN", "--env", "--from-file", file)).toMatchObject({
        code: 0,
        out: expect.stringMatching(/^Set the sensitive environment variable TOKEN of demo;/u)
      })
      expect(yield* typed("", "vars", "set", "demo", "empty")).toMatchObject({
        code: 2,
        error:
          "error: The value of empty is empty, so nothing was set; see what is piped into this command, or take the variable away with: agent-job vars delete demo empty\n"
      })
      expect(yield* typed("é".repeat(65_536), "vars", "set", "demo", "LONG", "--env")).toEqual({
        code: 2,
        out: "",
        error:
          "error: The environment variable LONG has 128 KiB or more with its name, so that no program could start with it; make its value smaller.\n"
      })
      expect(yield* typed("", "vars", "set", "demo", "EMPTY", "--env")).toMatchObject({
        code: 2,
        error: expect.stringContaining("take the variable away with: agent-job vars delete demo EMPTY --env\n")
      })
      const { json } = yield* person(url).as("GET", `/api/v2/workspaces/${yield* person(url).workspace("demo")}/vars`)
      expect(json.data.map((_: { readonly attributes: object }) => _.attributes)).toMatchObject([{
        key: "TOKEN",
        category: "env",
        sensitive: true,
        value: null
      }, { key: "region", category: "terraform", sensitive: false, value: "eu" }])
    }))

  it.live("are text: bytes that are none are refused, from standard input as from a file", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const file = join(made, "latin-1")
      writeFileSync(file, Buffer.from("p\u00e4ss", "latin1"))
      const program = yield* agentJob(["vars", "set", "demo", "TOKEN", "--env"], environmentOf(url))
      program.child.stdin?.end(Buffer.from([0x1f, 0x8b, 0x08]))
      const answers = [yield* program.ended, yield* ran(environmentOf(url), "vars", "set", "demo", "TOKEN", "--from-file", file)]
      expect(answers).toEqual(answers.map(() => ({
        code: 2,
        out: "",
        error:
          "error: The value of TOKEN is not UTF-8, so nothing was set; give it as UTF-8, or in base64 where what reads it can take that.\n"
      })))
      expect((yield* person(url).as("GET", "/api/v2/organizations/default/workspaces/demo")).status).toBe(404)
    }))

  it.live("are listed without what is sensitive, and deleted by name and kind", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const vars = (...args: ReadonlyArray<string>) => ran(environmentOf(url), "vars", ...args)
      const id = yield* person(url).workspace("demo")
      const set = (attributes: object) => person(url).as("POST", `/api/v2/workspaces/${id}/vars`, { data: { attributes } })
      yield* set({ key: "TOKEN", value: "s3cret", category: "env", sensitive: true })
      yield* set({ key: "key", value: "a\nb" })
      yield* set({ key: "region", value: "eu" })
      expect((yield* vars("list", "demo")).out.split("\n")).toEqual([
        "NAME     KIND          VALUE",
        "TOKEN    environment   (sensitive)",
        "key      input         \"a\\nb\"",
        "region   input         eu",
        ""
      ])
      expect(yield* vars("delete", "demo", "TOKEN")).toMatchObject({
        code: 3,
        error: expect.stringContaining("There is no input variable TOKEN in workspace demo;")
      })
      expect(yield* vars("delete", "demo", "TOKEN", "--env")).toMatchObject({
        code: 0,
        out: "Deleted the environment variable TOKEN of demo.\n"
      })
      const { out } = yield* vars("list", "demo", "-o", "json")
      expect(JSON.parse(out)).toMatchObject({
        workspace: "demo",
        variables: [{ key: "key", value: "a\nb" }, { key: "region", value: "eu" }]
      })
    }))
})

it.live("the workspaces are listed with the run that holds them", () =>
  Effect.gen(function*() {
    const url = yield* Effect.flatMap(directory, serve)
    yield* person(url).workspace("idle")
    const id = yield* person(url).start("demo")
    const { out } = yield* ran(environmentOf(url), "get", "workspaces", "-o", "json")
    expect(JSON.parse(out)).toMatchObject({ workspaces: [{ name: "demo", run: id }, { name: "idle", run: null }] })
  }))

it.live("a workspace whose state is in doubt is listed with the command that settles it", () =>
  Effect.gen(function*() {
    const url = yield* Effect.flatMap(directory, serve)
    yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const applier = worker(url, yield* agent(url).take)
    yield* applier.lock("a")
    yield* applier.result(failed("Lost"))
    yield* person(url).workspace("idle")
    const { workspaces } = JSON.parse((yield* ran(environmentOf(url), "get", "workspaces", "-o", "json")).out)
    expect(workspaces).toMatchObject([{ name: "demo", inDoubt: true }, { name: "idle" }])
    expect(workspaces[1]).not.toHaveProperty("inDoubt")
    expect((yield* ran(environmentOf(url), "get", "workspaces")).out.split("\n").slice(0, 3)).toEqual([
      expect.stringMatching(/^WORKSPACE +RUN +AGE +POOL +IN DOUBT$/u),
      expect.stringMatching(/^demo .* agent-job state rescue demo$/u),
      expect.stringMatching(/^idle .* -$/u)
    ])
  }))
