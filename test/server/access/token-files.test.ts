// The tokens of a running server whose Secrets are changed, as the kubelet brings them and as a person writes files.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { poolsPath } from "../../../src/schema/api/pools.ts"
import { runPath } from "../../../src/schema/api/run.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { loggerTo } from "../../logger.ts"
import { agent, ask, directory, optionsIn, person, planToken, poolToken, serveWith, userToken } from "../live-server.ts"
import { mountedSecret } from "../mounted-secret.ts"

const isText = (said: unknown): said is string => typeof said === "string"

/** A running server with both files in mounted Secrets, and a minute of its time, which gives what is logged of them. */
const running = Effect.gen(function*() {
  const lines: Array<string> = []
  const logger = loggerTo(({ message }) => void lines.push(...[message].flat().filter(isText)))
  const users = yield* mountedSecret({ token: `${userToken} Ada\n${planToken} CI role=plan\n` })
  const pools = yield* mountedSecret({ token: `${poolToken} dev\n` })
  const files = { userTokenFile: join(users.folder, "token"), poolTokenFile: join(pools.folder, "token") }
  const { url } = yield* Effect.provide(serveWith({ ...optionsIn(yield* directory), ...files }), Logger.layer([logger]))
  const minute = Effect.map(TestClock.adjust("1 minute"), () => lines.splice(0).filter((line) => / its (?:former )?tokens/u.test(line)))
  const reads = (token: string) => Effect.map(ask(url + runPath.list, token), ({ status }) => status)
  return { files, minute, pools, reads, url, users }
})

const [newToken, otherPool] = ["another-token-0123456789", "other-pool-token-0123456789"]
const anew = "the server has read its tokens anew"

describe("a Secret with tokens that is changed while the server runs", () => {
  it.effect("lets in whom it has now, with the rights of now, and nobody whom it had", () =>
    Effect.gen(function*() {
      const { minute, reads, url, users } = yield* running
      const makes = Effect.map(person(url, planToken).as("POST", tfePath.workspaces("default"), {}), ({ status }) => status)
      expect([yield* reads(userToken), yield* reads(newToken), yield* makes]).toEqual([200, 401, 403])
      users.put({ token: `${newToken} Grace\n${planToken} CI\n` })
      expect(yield* minute).toEqual([anew])
      expect([yield* reads(userToken), yield* reads(newToken), yield* makes]).toEqual([401, 200, 422])
      expect(yield* minute).toEqual([])
    }))

  it.effect("makes a pool, and takes away another with what was offered to it", () =>
    Effect.gen(function*() {
      const { minute, pools, url } = yield* running
      yield* person(url).start("demo")
      const [offered] = yield* agent(url).acquire()
      pools.put({ token: `${otherPool} prod\n` })
      expect(yield* minute).toEqual([anew])
      expect((yield* ask(url + poolsPath, userToken)).json.pools).toMatchObject([{ name: "prod" }])
      expect((yield* agent(url).post(poolPath.acquire, { agent: "agent-1", waitSeconds: 0, max: 1 })).status).toBe(401)
      expect((yield* ask(`${url}/api/task/v1/assignment`, offered?.taskToken)).status).toBe(401)
      expect((yield* agent(url, "agent-2", "uid", otherPool).acquire()).map(({ id }) => id)).toEqual([offered?.id])
    }))

  it.effect.each([
    { given: "nothing", content: "# nobody\n", says: "must hold at least one token" },
    { given: "a malformed hash", content: `${newToken} Grace\nsha256:0 Ada\n`, says: "a malformed hash in line 2" },
    { given: "a role that there is not", content: `${newToken} CI role=pla`, says: "gives the token of CI a role that there is not" },
    { given: "a token of the other file", content: `${newToken}\n${poolToken}\n`, says: "a person and a controller at once" }
  ])("changes nothing with $given in it, says so once, and is read again when it is right", ({ content, says }) =>
    Effect.gen(function*() {
      const { minute, reads, users } = yield* running
      users.put({ token: content })
      expect(yield* minute).toEqual([expect.stringMatching(`^the server goes on with its former tokens: .*${says}`)])
      expect([yield* reads(userToken), yield* reads(newToken)]).toEqual([200, 401])
      users.put({ token: `${newToken}\n` })
      expect(yield* minute).toEqual([anew])
      expect([yield* reads(userToken), yield* reads(newToken)]).toEqual([401, 200])
    }))

  it.effect("changes nothing while its key is gone, and says so each time that it goes", () =>
    Effect.gen(function*() {
      const { files: { userTokenFile }, minute, reads, users } = yield* running
      const said = expect.stringMatching(/^the server goes on with its former tokens: .* cannot be read \(it is not there\)/u)
      for (const heard of [[], [anew]]) {
        rmSync(userTokenFile)
        expect([yield* minute, yield* minute]).toEqual([[said], []])
        expect(yield* reads(userToken)).toBe(200)
        if (heard.length > 0) users.put({ token: `${newToken} Grace\n` })
        symlinkSync("..data/token", userTokenFile)
        expect(yield* minute).toEqual(heard)
      }
      expect([yield* reads(userToken), yield* reads(newToken)]).toEqual([401, 200])
    }))
})

it.effect("a file that is written where it is counts from the next start on, since it may be half there, though the other moves", () =>
  Effect.gen(function*() {
    const { files, minute, pools, reads, url } = yield* running
    writeFileSync(files.userTokenFile, `${newToken} Grace\n${planToken} CI`)
    expect(yield* minute).toEqual([])
    expect([yield* reads(userToken), yield* reads(newToken)]).toEqual([200, 401])
    expect((yield* person(url, planToken).as("POST", tfePath.workspaces("default"), {})).status).toBe(403)
    pools.put({ token: `${poolToken} dev\n${otherPool} prod\n` })
    expect(yield* minute).toEqual([anew])
    expect(yield* agent(url, "agent-2", "uid", otherPool).acquire()).toEqual([])
    expect([yield* reads(userToken), yield* reads(newToken)]).toEqual([200, 401])
  }))
