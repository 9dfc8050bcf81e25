import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { exitCodeOf } from "../../../src/cli/terminal/failure.ts"
import { auditPath } from "../../../src/schema/api/audit.ts"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { runPath } from "../../../src/schema/api/run.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { makeTaskTokens, tokenOf } from "../../../src/server/access/tokens.ts"
import { ServerWithAddress } from "../../../src/server/lifecycle/server.ts"
import { agent, ask, directory, optionsIn, person, planWith, poolToken, serve, server, sha256, userToken, worker } from "../live-server.ts"

describe("a token", () => {
  it.live("of a stage is over with the stage's result", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const plan = yield* planWith(url)
      for (const path of [taskPath.assignment, taskPath.archive, taskPath.plan, taskPath.state]) {
        expect((yield* worker(url, plan).as("GET", path)).status).toBe(401)
      }
      expect((yield* worker(url, plan).log(0, "late")).status).toBe(401)
      expect((yield* worker(url, plan).lock("late")).status).toBe(401)
    }))

  it.live("of an offer is the same for as long as the server runs, and no other offer's, nor that of another start", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* makeTaskTokens, yield* makeTaskTokens]
      const token = one(["a", "b"])
      expect(token).toMatch(/^ajt_[\w-]{43}$/u)
      expect(one(["a", "b"])).toBe(token)
      for (const another of [one(["a", "c"]), one(["ab"]), other(["a", "b"])]) expect(another).not.toBe(token)
    }))

  it.live("does not tell what exists: unknown ids, paths and organizations give the same 404", () =>
    Effect.gen(function*() {
      const url = yield* server
      const own = yield* Effect.forEach([runPath.run("run-none"), "/api/state/v1/workspaces/none", "/nowhere"], (path) =>
        ask(url + path, userToken))
      const tfe = yield* Effect.forEach([
        "/api/v2/runs/run-none",
        "/api/v2/organizations/other/entitlement-set",
        "/api/v2/no-such-thing",
        "/api/v2/workspaces/ws-none"
      ], (path) =>
        ask(url + path, userToken))
      const unknown = yield* agent(url).post(poolPath.acknowledge("run-none.plan.1"), { taskUid: "uid" })
      expect(new Set([...own, unknown].map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
      expect(new Set(tfe.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
      expect([own[0]?.status, tfe[0]?.status]).toEqual([404, 404])
    }))

  it.each([
    { given: undefined, expected: Option.none() },
    { given: "Bearer", expected: Option.none() },
    { given: "Bearer abc", expected: Option.some("abc") },
    { given: "bearer  abc ", expected: Option.some("abc") },
    { given: `Basic ${Buffer.from("me:a:b").toString("base64")}`, expected: Option.some("a:b") },
    { given: "Digest abc", expected: Option.none() }
  ])("is read from the header: $given", ({ expected, given }) => expect(tokenOf(given)).toEqual(expected))
})

describe("a token file", () => {
  /** Starts a server with these files, which has to fail; returns the error and the directory. */
  const refused = (files: Readonly<Record<string, string>>) =>
    Effect.gen(function*() {
      const made = yield* directory
      rmSync(join(made, "pool.token"))
      for (const [name, content] of Object.entries(files)) writeFileSync(join(made, name), content)
      return { made, error: yield* Effect.flip(Effect.scoped(Layer.build(ServerWithAddress(optionsIn(made))))) }
    })
  it.live("that is missing is told without the system's own words", () =>
    Effect.map(
      refused({}),
      ({ error, made }) =>
        expect([exitCodeOf(error), error.message]).toEqual([
          2,
          `The pool token file ${made}/pool.token cannot be read (it is not there); create it, one token a line.`
        ])
    ))

  it.live("has a token at least", () =>
    Effect.map(
      refused({ "pool.token": "# nobody yet\n" }),
      ({ error, made }) =>
        expect([exitCodeOf(error), error.message]).toEqual([
          2,
          expect.stringContaining(`The pool token file ${made}/pool.token must hold at least one token`)
        ])
    ))

  it.live("has no token that is short enough to be guessed, beside whatever others", () =>
    Effect.map(
      refused({ "pool.token": `${poolToken}\nfifteen-letters\n` }),
      ({ error }) => expect(error.message).toContain("each of 16 characters or more")
    ))

  it.live.each([
    { line: "a-token-of-the-ci-01 CI role=write", whose: "CI" },
    { line: "a-token-of-the-ci-01 role=plan CI", whose: "CI" },
    { line: "a-token-of-the-ci-01 CI role =plan", whose: "CI" },
    { line: "a-token-of-the-ci-01 CI (role=plan)", whose: "CI" },
    { line: "a-token-of-the-ci-01 Role=plan", whose: "06941456" }
  ])("gives no token a role that there is not, nor everything instead: $line", ({ line, whose }) =>
    Effect.map(
      refused({ "pool.token": poolToken, "user.token": `${userToken}\n${line}\n` }),
      ({ error, made }) =>
        expect([exitCodeOf(error), error.message]).toEqual([
          2,
          `The user token file ${made}/user.token gives the token of ${whose} a role that there is not; let that line end with role=read or role=plan, or with a name without the word role, of one who may do everything.`
        ])
    ))

  it.live.each([
    { line: "a-token-of-the-ci-01 CI workspaces=team.a", whose: "CI" },
    { line: "a-token-of-the-ci-01 CI workspaces=-team-*", whose: "CI" },
    { line: "a-token-of-the-ci-01 workspaces=team-a-* CI role=plan", whose: "CI", role: true },
    { line: "a-token-of-the-ci-01 CI workspaces = a", whose: "CI a" },
    { line: "a-token-of-the-ci-01 CI worksapces=team-a-*", whose: "CI" },
    { line: "a-token-of-the-ci-01 CI team-a-*", whose: "CI" },
    { line: "a-token-of-the-ci-01 workspace=a", whose: "06941456" }
  ])("gives no token workspaces that there cannot be, nor all instead: $line", ({ line, role = false, whose }) =>
    Effect.map(
      refused({ "pool.token": poolToken, "user.token": `${userToken}\n${line}\n` }),
      ({ error, made }) =>
        expect([exitCodeOf(error), error.message]).toEqual([
          2,
          role
            ? expect.stringContaining("a role that there is not")
            : `The user token file ${made}/user.token gives the token of ${whose} workspaces that there cannot be, or a name with = or *; let that line end with a word such as workspaces=team-a-*,shared, of at most 100 names and beginnings of names with *, or, for one who may use all, have a name without =, * and the word workspaces.`
        ])
    ))

  it.live.each([
    { first: "CI", second: "CI role=plan" },
    { first: "CI", second: "CI workspaces=a" },
    { first: "CI workspaces=all", second: "CI" },
    { first: "CI workspaces=a", second: "CI workspaces=a,b" },
    { first: "CI", second: "CI role=plan", again: `sha256:${sha256(userToken)}` }
  ])("gives no token twice the rights, of which one would be more: $first, $second", ({ again = userToken, first, second }) =>
    Effect.map(
      refused({ "pool.token": poolToken, "user.token": `${userToken} ${first}\n${again} ${second}\n` }),
      ({ error, made }) =>
        expect([exitCodeOf(error), error.message]).toEqual([
          2,
          `The user token file ${made}/user.token has the token of CI twice, with another role or other workspaces; leave one of these lines.`
        ])
    ))

  it.live.each(["role=plan", "workspaces=a", "workspaces=a.b", "zone=b", "team-a-*"])(
    "gives no controller a right of people: %s",
    (written) =>
      Effect.map(
        refused({ "pool.token": `${poolToken} prod ${written}\n` }),
        ({ error, made }) =>
          expect([exitCodeOf(error), error.message]).toEqual([
            2,
            `The pool token file ${made}/pool.token has the word role or workspaces, or a word with = or *, beside the token of prod, and only user tokens have such; take it from that line.`
          ])
      )
  )

  it.live.each(["workspaces=team-a-*,shared a-token-of-the-ci-01 CI", "Roles:everything-of-all a-token-of-the-ci-01"])(
    "takes nothing for a token that people may guess, as what it is to be for: %s",
    (line) =>
      Effect.map(
        refused({ "pool.token": poolToken, "user.token": `${userToken}\n${line}\n` }),
        ({ error, made }) =>
          expect([exitCodeOf(error), error.message]).toEqual([
            2,
            `The user token file ${made}/user.token has a line that begins with a role or workspaces; let it begin with the token.`
          ])
      )
  )

  it.live.each([userToken, `sha256:${sha256(userToken)}`])(
    "has no token of the other one, which would open what is kept apart: %s",
    (again) =>
      Effect.map(
        refused({
          "pool.token": `${poolToken}\n${again} the same again\n`,
          "user.token": `another-token-of-a-person\n${userToken}\n`
        }),
        ({ error, made }) =>
          expect([exitCodeOf(error), error.message]).toEqual([
            2,
            `A token is in ${made}/user.token and in ${made}/pool.token, so who has it would be a person and a controller at once; give each file tokens of its own.`
          ])
      )
  )

  describe("with a hash", () => {
    const hash = `sha256:${sha256(userToken)}`

    it.live("lets in the holder of its token, with the rights and the name of its line, and nobody who sends the hash", () =>
      Effect.gen(function*() {
        const made = yield* directory
        writeFileSync(join(made, "user.token"), `${hash} CI role=plan workspaces=demo\n`)
        writeFileSync(join(made, "pool.token"), `sha256:${sha256(poolToken).toUpperCase()} prod\n`)
        const url = yield* serve(made)
        const { as } = person(url)
        expect((yield* as("GET", auditPath.all)).text).toContain("The token of CI is for the workspaces demo alone")
        expect((yield* as("POST", tfePath.workspaces("default"), {})).text).toContain("The token of CI has role=plan")
        expect(yield* agent(url).acquire()).toEqual([])
        for (const sent of [hash, sha256(userToken), hash.toUpperCase(), `SHA256:${sha256(poolToken)}`]) {
          expect((yield* ask(url + runPath.list, sent)).status).toBe(401)
          expect((yield* agent(url, "agent-1", "uid", sent).post(poolPath.acquire, { agent: "agent-1", waitSeconds: 0, max: 1 })).status)
            .toBe(401)
        }
      }))

    it.live.each(["", "fifteen-letters"])(
      "lets nobody in whose token is short enough to be guessed: %j",
      (short) =>
        Effect.gen(function*() {
          const made = yield* directory
          writeFileSync(join(made, "user.token"), `${userToken}\nsha256:${sha256(short)} Nobody\n`)
          const url = yield* serve(made)
          const answers = yield* Effect.forEach([userToken, short], (password) =>
            ask(url + runPath.list, undefined, "GET", undefined, {
              authorization: `Basic ${Buffer.from(`ada:${password}`).toString("base64")}`
            }))
          expect(answers.map(({ status }) => status)).toEqual([200, 401])
        })
    )

    it.live.each([`${hash.slice(0, -1)} Ada`, `${hash}f Ada`, "sha256: Ada", `sha256=${sha256(userToken)}`, `sha512:${sha256(userToken)}`])(
      "that is malformed is told by its line, without what is in it: %s",
      (line) =>
        Effect.map(
          refused({ "pool.token": poolToken, "user.token": `# people\n\n${hash} Grace\n${line}\n` }),
          ({ error, made }) =>
            expect([exitCodeOf(error), error.message]).toEqual([
              2,
              `The user token file ${made}/user.token has a malformed hash in line 4; let that line begin with sha256: and the 64 hex digits of the SHA-256 of its token.`
            ])
        )
    )
  })
})

describe("the key of links and seals", () => {
  /** A directory whose data folder has these files, as an earlier start left them. */
  const left = (files: Readonly<Record<string, string>>) =>
    Effect.map(directory, (made) => {
      mkdirSync(join(made, "data"))
      for (const [name, content] of Object.entries(files)) writeFileSync(join(made, "data", name), content)
      return made
    })

  it.live.each([0, 31])("is refused with %s bytes, with what to do", (length) =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* Effect.scoped(serve(made))
      writeFileSync(join(made, "data", "path.key"), "x".repeat(length))
      const { message } = yield* Effect.flip(Effect.scoped(Layer.build(ServerWithAddress(optionsIn(made)))))
      expect(message).toMatch(
        new RegExp(
          `^The key \\S+/path\\.key has ${length} bytes and not 32, .+ restore it from a backup, or remove it .+ are void\\.$`,
          "u"
        )
      )
    }))

  it.live("is made whole, and once, though the first start was cut short while it made it", () =>
    Effect.gen(function*() {
      const made = yield* left({ "path.key.new": "half" })
      const key = Effect.scoped(Effect.map(serve(made), () => readFileSync(join(made, "data", "path.key"))))
      const first = yield* key
      expect([first.byteLength, existsSync(join(made, "data", "path.key.new"))]).toEqual([32, false])
      expect(yield* key).toEqual(first)
    }))

  it.live("is made anew only where there is none, and not where it cannot be read", () =>
    Effect.gen(function*() {
      const made = yield* left({})
      const key = join(made, "data", "path.key")
      symlinkSync(key, key) // a link to itself, which nobody can read
      const { message } = yield* Effect.flip(Effect.scoped(Layer.build(ServerWithAddress(optionsIn(made)))))
      expect(message).toContain(`The key ${key} can neither be read nor made (`)
      expect(readlinkSync(key)).toBe(key)
    }))

  it.live("is open to the server's own user alone", () =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* serve(made)
      expect(statSync(join(made, "data", "path.key")).mode & 0o777).toBe(0o600)
    }))
})
