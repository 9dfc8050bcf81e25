// Which pool runs a workspace, as people say and see it.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { agent, directory, person, poolToken, serve, userToken } from "../../server/live-server.ts"
import { ran, typed } from "../typed.ts"

const devToken = "dev-token-0123456789"

/** A server with the pools prod and dev, and the command line for it. */
const pools = Effect.gen(function*() {
  const made = yield* directory
  writeFileSync(join(made, "pool.token"), `${poolToken} prod\n${devToken} dev\n`)
  const url = yield* serve(made)
  return { url, type: (...args: ReadonlyArray<string>) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, ...args) }
})

describe("agent-job pool", () => {
  it.live("binds a workspace that there is, or makes it, and lets it go; get pools and get workspaces show it", () =>
    Effect.gen(function*() {
      const { type, url } = yield* pools
      yield* person(url).start("demo")
      yield* agent(url, "agent-dev", "uid", devToken).acquire(0, 1)
      expect(yield* type("pool", "bind", "demo", "prod")).toEqual({
        code: 0,
        out: "The stages of demo go to the pool prod from now on; one that was taken stays where it is.\n",
        error: ""
      })
      expect(yield* type("pool", "bind", "shop", "prod")).toMatchObject({
        out: "Made the workspace shop, whose stages go to the pool prod.\n"
      })
      expect((yield* type("get", "pools")).out.split("\n")).toEqual([
        "POOL    AGENTS   WAITING   WORKSPACES   NOTE",
        "dev     1        0         0            -",
        "prod    0        1         2            -",
        "(any)   -        0         0            bound to no pool",
        ""
      ])
      expect((yield* type("get", "runs")).out).toContain("No agent of the pool prod has asked for work in the last 90 seconds;")
      expect((yield* type("get", "workspaces")).out).toMatch(/^shop +- +\S+ +prod +-$/mu)
      expect(yield* type("pool", "unbind", "shop")).toEqual({
        code: 0,
        out: "The workspace shop is bound to no pool; agent-job get pools shows who takes its stages.\n",
        error: ""
      })
      expect(JSON.parse((yield* type("get", "pools", "-o", "json")).out)).toMatchObject({
        pools: [{ name: "dev", agents: 1 }, { id: "apool-prod", workspaces: 1 }],
        anyPool: { workspaces: 1 }
      })
    }))

  it.live("binds to no pool that there is not, and makes no workspace for it; there is nothing to let go of one that is not there", () =>
    Effect.gen(function*() {
      const { type, url } = yield* pools
      expect(yield* type("pool", "bind", "shop", "stage")).toEqual({
        code: 1,
        out: "",
        error: "error: There is no pool \"stage\": no token has that name. The pools of this server are: prod, dev.\n"
      })
      expect(yield* type("pool", "unbind", "shop")).toEqual({
        code: 3,
        out: "",
        error: `error: There is no workspace shop on ${url} for this token; \`agent-job get workspaces\` lists what there is.\n`
      })
    }))

  it.live("binds to no pool whose token is gone, and leaves a workspace as it is that is bound to it", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const bind = (tokens: string, workspace: string) =>
        Effect.scoped(Effect.gen(function*() {
          writeFileSync(join(made, "pool.token"), tokens)
          return yield* ran({ AGENT_JOB_URL: yield* serve(made), AGENT_JOB_TOKEN: userToken }, "pool", "bind", workspace, "prod")
        }))
      expect(yield* bind(`${poolToken} prod`, "shop")).toMatchObject({ code: 0 })
      expect(yield* bind(`${poolToken} dev`, "news")).toMatchObject({
        code: 1,
        error: expect.stringContaining("There is no pool \"prod\"")
      })
      expect(yield* bind(`${poolToken} dev`, "shop")).toMatchObject({ code: 0 })
    }))

  it.live("has all that a pool takes said where a default is set, also of one that no token has", () =>
    Effect.gen(function*() {
      const url = yield* serve(yield* directory, undefined, "prod")
      yield* person(url).start("demo")
      const { out } = yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "get", "pools")
      expect(out).toMatch(/^prod +0 +1 +1 +the default; no token has this name$/mu)
      expect(out).not.toContain("(any)")
    }))

  it.effect.each([{ args: ["bind"] }, { args: ["bind", "demo"] }, { args: ["unbind"] }])(
    "wants its names: $args",
    ({ args }) =>
      Effect.gen(function*() {
        const answer = yield* typed({}, "pool", ...args)
        expect([answer.code, answer.said]).toEqual([
          2,
          expect.stringMatching(/^error: (?:WORKSPACE|POOL) is missing\nSee: agent-job pool /u)
        ])
      })
  )
})
