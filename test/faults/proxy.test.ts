// The fault proxy itself: each fault is what it says, and everything else goes through as it is.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { ScriptedServer } from "../kubernetes/scripted-server.ts"
import { until } from "../until.ts"
import { faultProxy } from "./proxy.ts"
import { askedOf, type Fault, type Rule, script } from "./rule.ts"

const path = "/apis/batch/v1/namespaces/team/jobs/demo"

const behind = Effect.gen(function*() {
  const { server, url } = yield* ScriptedServer.make
  const proxy = yield* faultProxy({ upstream: { url, headers: { authorization: "Bearer upstream" } } })
  return { proxy, server }
})

/** Sends one request with a plain client, and returns what the client sees within this time, of which only silence takes all. */
const ask = (url: string, millis = 30_000) =>
  Effect.promise(async () => {
    const pieces: Array<string> = []
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(millis) })
      pieces.push(String(response.status))
      for await (const piece of response.body ?? []) pieces.push(Buffer.from(piece).toString("utf8"))
    } catch (error) {
      pieces.push(error instanceof Error && error.name === "TimeoutError" ? "silence" : "broken")
    }
    return pieces.join(" ")
  })

const only = (fault: Fault): Rule => ({ match: { resource: "jobs" }, fault })

describe("a request", () => {
  it.each([
    ["GET", path, { verb: "get", resource: "jobs", namespace: "team", name: "demo", subresource: "" }],
    ["GET", "/api/v1/namespaces/team/pods?watch=true&x=1", { verb: "watch", resource: "pods", namespace: "team", name: "" }],
    ["GET", "/api/v1/namespaces/team/pods?watch=false", { verb: "list" }],
    ["PUT", "/apis/scalr.io/v1/namespaces/team/atasks/demo/status", {
      verb: "update",
      resource: "atasks",
      name: "demo",
      subresource: "status"
    }],
    ["DELETE", "/api/v1/namespaces/team", { verb: "delete", resource: "namespaces", namespace: "", name: "team" }],
    ["POST", "/api/pool/v1/acquire", { verb: "other", resource: "/api/pool/v1/acquire", method: "POST" }]
  ])("%s %s is understood", (method, path, expected) => expect(askedOf(method, path)).toMatchObject(expected))
})

describe("a rule", () => {
  const asked = askedOf("GET", path)
  const faults = (count: number, ...rules: ReadonlyArray<Rule>) => {
    const { faultOf, replace } = script(7)
    replace(rules)
    return Array.from({ length: count }, () => faultOf(asked).does)
  }
  it("lets some pass, holds for some, and then leaves it to the next", () =>
    expect(
      faults(5, { match: { verb: "get" }, after: 1, times: 2, fault: { does: "dropAfter" } }, {
        match: {},
        after: 1,
        fault: { does: "dropBefore" }
      })
    ).toEqual(["pass", "dropAfter", "dropAfter", "dropBefore", "pass"]))
  it("meets a share by its seed, the same each time", () => {
    const [first, second] = [1, 2].map(() => faults(1000, { match: {}, times: Infinity, share: 0.05, fault: { does: "dropBefore" } }))
    expect(first).toEqual(second)
    expect(first?.filter((_) => _ === "dropBefore").length).toBeGreaterThan(25)
    expect(first?.filter((_) => _ === "dropBefore").length).toBeLessThan(80)
  })
})

describe("the proxy", () => {
  it.live.each<{ fault: Fault; seen: string; arrives: number }>([
    { fault: { does: "pass" }, seen: "200 \"whole\"", arrives: 1 },
    { fault: { does: "status", code: 503, reason: "ServiceUnavailable" }, seen: "503 {", arrives: 0 },
    { fault: { does: "gone", as: "answer" }, seen: "410 {", arrives: 0 },
    { fault: { does: "gone", as: "event" }, seen: "200 {\"type\":\"ERROR\"", arrives: 0 },
    { fault: { does: "delay", millis: 50 }, seen: "200 \"whole\"", arrives: 1 },
    { fault: { does: "dropBefore" }, seen: "broken", arrives: 0 },
    { fault: { does: "dropAfter" }, seen: "broken", arrives: 1 },
    { fault: { does: "truncate", bytes: 3 }, seen: "200 \"wh broken", arrives: 1 },
    { fault: { does: "stall", bytes: 3 }, seen: "200 \"wh silence", arrives: 1 },
    { fault: { does: "meddle" }, seen: "200 \"whole\"", arrives: 2 },
    { fault: { does: "stale", resourceVersion: "7" }, seen: "200 \"whole\"", arrives: 1 }
  ])("with $fault shows $seen", ({ arrives, fault, seen }) =>
    Effect.gen(function*() {
      const { proxy, server } = yield* behind
      server.otherwise = { body: "whole" }
      yield* proxy.rules(only(fault))
      expect((yield* ask(proxy.url + path, fault.does === "stall" ? 3000 : undefined)).slice(0, seen.length)).toBe(seen)
      expect(server.asked).toHaveLength(arrives)
      expect(proxy.seen.map(({ fault }) => fault)).toEqual([fault.does])
      expect(yield* ask(proxy.url + path)).toBe("200 \"whole\"")
      expect(server.asked.at(-1)?.headers.authorization).toBe("Bearer upstream")
    }))

  it.live("with a drip shows the whole in pieces", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* behind
      server.otherwise = { body: "whole" }
      yield* proxy.rules(only({ does: "drip", bytes: 3, everyMillis: 300 }))
      const pieces = (yield* ask(proxy.url + path)).split(" ")
      expect(pieces.length).toBeGreaterThan(2) // a busy machine may read two pieces as one, but not all of them
      expect(pieces.join("")).toBe("200\"whole\"")
    }))

  it.live("shows events late and more than once, but a bookmark only once", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* behind
      server.otherwise = (response) => void response.end("{\"type\":\"ADDED\"}\n{\"type\":\"BOOKMARK\"}\n")
      yield* proxy.rules(only({ does: "replay", times: 2, lateMillis: 20 }))
      const seen = yield* ask(`${proxy.url}${path}?watch=true`)
      expect(seen.replaceAll("\n ", "\n")).toBe("200 {\"type\":\"ADDED\"}\n{\"type\":\"ADDED\"}\n{\"type\":\"BOOKMARK\"}\n") // in however many pieces
    }))

  it.live("breaks every connection when it goes down, and listens at the same place when it comes up", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* behind
      server.otherwise = "silence"
      const asked = yield* Effect.forkChild(ask(proxy.url + path))
      yield* until(() => server.asked.length > 0)
      yield* proxy.down
      expect(yield* Fiber.join(asked)).toBe("broken")
      expect(yield* ask(proxy.url + path)).toBe("broken")
      yield* proxy.up
      server.otherwise = { body: "again" }
      expect(yield* ask(proxy.url + path)).toBe("200 \"again\"")
    }))
})
