// A worker that cannot claim says why, and a claimed one whose pool cannot be asked at all ends with a result; whole stages are in worker.cluster.test.ts.
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Runtime } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { worker } from "../../../src/worker/stage/worker.ts"
import { serveReadiness } from "../../../src/worker/task/readiness.ts"
import { freePort } from "../../free-port.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { fakeKubernetes } from "../fake-kubernetes.ts"
import { podEnvironment } from "../pod-settings.ts"

const spec = {
  workspace: "demo",
  stage: "plan",
  source: { pool: { archiveSha256: "0".repeat(64) } },
  pool: { url: "https://server.example.test", runId: "run-a", tokenSecret: { name: "token" } }
}

/** Runs the stage with these variables of the Pod, of which the one named `broken` cannot be read; returns the status. */
const ran = Effect.fnUntraced(function*(variables: Readonly<Record<string, string>>, broken = "") {
  const place = yield* temporaryFolder("worker")
  const terminationLog = join(place, "termination-log")
  const environment = ConfigProvider.fromUnknown(
    podEnvironment(place, place, {
      AGENT_JOB_TERMINATION_LOG: terminationLog,
      AGENT_JOB_READY_PORT: "0",
      AGENT_JOB_TOKEN_FILE: join(place, "token"),
      ...variables
    })
  )
  const readable = ConfigProvider.make((path) =>
    path[0] === broken ? Effect.fail(new ConfigProvider.SourceError({ message: "broken" })) : environment.load(path)
  )
  const kubernetes = fakeKubernetes(spec)
  const failure = yield* worker.pipe(Effect.provide(kubernetes.layer), Effect.provide(ConfigProvider.layer(readable)), Effect.flip)
  const { status } = kubernetes.task()
  expect([Runtime.getErrorExitCode(failure), JSON.parse(readFileSync(terminationLog, "utf8"))]).toEqual([1, status.result])
  return status
})

/** A worker that has not begun: how it fails, its API server, and its termination message. */
const unclaimed = Effect.fnUntraced(function*(task: Record<string, unknown>, readyPort = 0) {
  const place = yield* temporaryFolder("worker")
  const terminationLog = join(place, "termination-log")
  const environment = podEnvironment(place, place, { AGENT_JOB_TERMINATION_LOG: terminationLog, AGENT_JOB_READY_PORT: String(readyPort) })
  const kubernetes = fakeKubernetes(task)
  const failure = worker.pipe(
    Effect.provide(kubernetes.layer),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment))),
    Effect.flip
  )
  return { failure, kubernetes, lastWords: () => readFileSync(terminationLog, "utf8") }
})

describe("a worker that cannot have the task", () => {
  it.live("leaves the reason in its termination message, which the kubelet keeps", () =>
    Effect.gen(function*() {
      const { failure, lastWords } = yield* unclaimed({ ...spec, cancel: true })
      expect([Runtime.getErrorExitCode(yield* failure), lastWords()]).toEqual([75, "AgentTask demo is cancelled; this Pod runs nothing."])
    }))

  it.live("leaves it also when something else in the Pod has its port", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      yield* serveReadiness(port)
      const { failure, lastWords } = yield* unclaimed(spec, port)
      expect([Runtime.getErrorExitCode(yield* failure), lastWords()]).toEqual([
        1,
        expect.stringContaining(`Port ${port} of the Pod is in use`)
      ])
    }))

  it.live("hears a SIGTERM from its very beginning, before anything else has a turn", () =>
    Effect.gen(function*() {
      const { failure, kubernetes, lastWords } = yield* unclaimed(spec)
      const running = yield* Effect.forkChild(failure, { startImmediately: true })
      process.emit("SIGTERM", "SIGTERM")
      expect([Runtime.getErrorExitCode(yield* Fiber.join(running)), lastWords()]).toEqual([
        75,
        expect.stringContaining("this one is leaving its node")
      ])
      expect(kubernetes.writes()).toBe(0)
    }))
})

describe("a claimed worker", () => {
  it.live.each(
    [
      ["HTTPS_PROXY", "10.0.0.1:3128"],
      ["HTTP_PROXY", "user:s3cret@proxy.example.test:3128"],
      ["https_proxy", "http://user:s3cret%@proxy.example.test:3128"]
    ] as const
  )("says that %s names no proxy, and not what it has", ([name, value]) =>
    Effect.gen(function*() {
      const { message, phase, reason } = yield* ran({ [name]: value })
      expect([phase, reason, message]).toEqual([
        "Failed",
        "InvalidConfiguration",
        expect.stringContaining(`The proxy in ${name.toUpperCase()} `)
      ])
      expect(message).not.toMatch(/s3cret|example\.test|10\.0/u)
    }))

  it.live("has a result also when it meets what nobody thought of before it asks its pool", () =>
    Effect.gen(function*() {
      expect(yield* ran({}, "AGENT_JOB_CLIENT_CERTIFICATE_DIR")).toMatchObject({
        phase: "Failed",
        reason: "Lost",
        message: expect.stringContaining("read its log")
      })
    }))
})
