// What the commands for AgentTasks say when the API server has no such tasks or namespace, or does not know AgentTasks at all.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { showTaskLog } from "../../../src/cli/cluster/tasks.ts"
import { exitCodeOf } from "../../../src/cli/terminal/failure.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { NotFound } from "../../../src/kubernetes/errors.ts"
import { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { plainSeed, worldOf } from "../../core/worlds.ts"
import { type Answer, ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { toldScreen } from "../told-screen.ts"
import { printed, ran, typed } from "../typed.ts"

/** Starts a cluster that answers by path, and returns the environment that names it. Its kubeconfig has no credentials, as with kubectl proxy. */
const clusterNamed = Effect.fnUntraced(function*(answers: Readonly<Record<string, Answer>>, otherwise: Answer) {
  const { server, url } = yield* ScriptedServer.make
  server.route = (path) => answers[path] ?? otherwise
  const directory = yield* temporaryFolder("kubeconfig")
  writeFileSync(
    join(directory, "config"),
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "here",
      clusters: [{ name: "c", cluster: { server: url } }],
      users: [{ name: "u", user: {} }],
      contexts: [{ name: "here", context: { cluster: "c", user: "u" } }]
    })
  )
  return { KUBECONFIG: join(directory, "config") }
})

/** Starts such a cluster, and returns the command line for it. */
const cluster = (...of: Parameters<typeof clusterNamed>) =>
  Effect.map(clusterNamed(...of), (environment) => (...args: ReadonlyArray<string>) => typed(environment, ...args))

const list = (...items: ReadonlyArray<object>): Answer => ({ body: { metadata: { resourceVersion: "1" }, items } })
const namespaced = (name: string): Answer => ({
  body: {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, uid: "u", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" }
  }
})
const values = (text: string): Answer => ({
  body: {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "agent-job-config", namespace: "agent-job", uid: "u", resourceVersion: "1" },
    data: { "values.yaml": text }
  }
})
const none = "/apis/scalr.io/v1/namespaces/agent-job-tasks/atasks"
const usual = "/api/v1/namespaces/agent-job-tasks"
const installed = "/api/v1/namespaces/agent-job/configmaps/agent-job-config"

/** The answer of an API server to a request for a kind that it does not have. */
const unknown: Answer = (response) => void response.writeHead(404, { "content-type": "text/plain" }).end("404 page not found\n")
const status = (code: number, reason: string, message: string): Answer => ({
  status: code,
  body: { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message }
})
const forbidden = status(403, "Forbidden", "not for you")
const notThere = status(404, "NotFound", "not found")

describe("an empty list of AgentTasks", () => {
  const asked = (answers: Readonly<Record<string, Answer>>) =>
    Effect.flatMap(cluster({ [none]: list(), ...answers }, notThere), (agentJob) => agentJob("get", "tasks"))
  const elsewhere = "the installation in namespace agent-job has its tasks in another one: agent-job get tasks --namespace"

  it.live.each([
    {
      given: "no such namespace",
      answers: { [installed]: forbidden },
      said: "error: There is no namespace agent-job-tasks; list those of another one with --namespace."
    },
    {
      given: "no such namespace, and an installation that has its tasks beside the controller",
      answers: { [installed]: values("{}") },
      said: `error: There is no namespace agent-job-tasks; ${elsewhere} agent-job`
    }
  ])("is exit code 3 of $given", ({ answers, said }) =>
    Effect.gen(function*() {
      expect(yield* asked(answers)).toEqual({ code: 3, out: "", said })
    }))

  it.live.each([
    {
      given: "a namespace that may be seen",
      answers: { [usual]: namespaced("agent-job-tasks"), [installed]: forbidden },
      said: "; list those of another one with --namespace."
    },
    {
      given: "one that may not be",
      answers: { [usual]: forbidden, [installed]: forbidden },
      said: "; list those of another one with --namespace."
    },
    {
      given: "that of the installation",
      answers: { [usual]: forbidden, [installed]: values("task: { namespace: agent-job-tasks }") },
      said: "."
    },
    {
      given: "another than that of the installation",
      answers: { [usual]: forbidden, [installed]: values("task: { namespace: team }") },
      said: `; ${elsewhere} team`
    }
  ])("says so of $given", ({ answers, said }) =>
    Effect.gen(function*() {
      const agentJob = yield* cluster({ [none]: list(), ...answers }, notThere)
      expect(yield* printed(agentJob("get", "tasks"))).toBe(`No AgentTasks in namespace agent-job-tasks${said}\n`)
    }))
})

describe("AgentTasks", () => {
  it.live("of a newer version, which this one cannot read, are named beside the table of the others", () =>
    Effect.gen(function*() {
      const { task } = worldOf(plainSeed)
      const named = (name: string, more: object = {}) => ({ ...task, metadata: { ...task.metadata, name }, ...more })
      const newer = { spec: { ...task.spec, stage: "refresh" } }
      const environment = yield* clusterNamed({ [none]: list(named("one"), named("two", newer), named("three", newer)) }, notThere)
      const { code, error, out } = yield* ran(environment, "get", "tasks")
      expect([code, ...out.split("\n").map((line) => line.split(" ")[0])]).toEqual([0, "NAME", "one", ""])
      expect(error).toBe(
        "Not in the table, since this version of agent-job cannot read them: two, three; see kubectl -n agent-job-tasks get atasks\n"
      )
      const document = yield* ran(environment, "get", "tasks", "-o", "json")
      expect([JSON.parse(document.out).items.length, document.error]).toEqual([3, ""])
    }))

  it.live("that this version cannot read, as where an older CRD hides their source, are cancelled all the same", () =>
    Effect.gen(function*() {
      const { task } = worldOf(plainSeed)
      const metadata = { ...task.metadata, name: "cut", namespace: "agent-job-tasks" }
      const cut = { ...task, apiVersion: "scalr.io/v1", kind: "AgentTask", metadata, spec: { ...task.spec, source: {} } }
      const agentJob = yield* cluster({ [`${none}/cut`]: { body: cut } }, notThere)
      expect(yield* printed(agentJob("cancel", "cut"))).toBe(
        "AgentTask cut is asked to stop; see how it ends with: kubectl -n agent-job-tasks get atask cut\n"
      )
    }))

  it.live("that the cluster does not know are told so, with exit code 3", () =>
    Effect.gen(function*() {
      const agentJob = yield* cluster({}, unknown)
      for (const args of [["get", "tasks"], ["get", "one"], ["logs", "one"], ["cancel", "one"]]) {
        expect(yield* agentJob(...args)).toEqual({
          code: 3,
          out: "",
          said:
            "error: AgentTasks are not known in the cluster of the current context: agent-job is not installed there; install it, or name another cluster with --context."
        })
      }
      expect((yield* agentJob("get", "tasks", "--context", "here")).said).toContain("in the cluster of context here: ")
    }))

  it.live("that are not there name the list of those that are", () =>
    Effect.gen(function*() {
      const agentJob = yield* cluster({}, status(404, "NotFound", "atasks.scalr.io \"one\" not found"))
      for (const command of ["get", "logs", "cancel"]) {
        expect(yield* agentJob(command, "one", "-n", "team")).toEqual({
          code: 3,
          out: "",
          said: "error: There is no AgentTask one in namespace team; `agent-job get tasks -n team` lists them."
        })
      }
    }))

  it.live.each([
    { what: "a task", asked: ["get", "one", "-n", "team"], hint: "`agent-job get tasks --context here -n team` lists them." },
    { what: "the tasks of an installation", asked: ["get", "tasks"], hint: "agent-job get tasks --context here --namespace agent-job" }
  ])("that are not there are looked for in the cluster that was asked for $what", ({ asked, hint }) =>
    Effect.gen(function*() {
      const agentJob = yield* cluster({ [none]: list(), [installed]: values("{}") }, notThere)
      expect((yield* agentJob(...asked, "--context", "here")).said).toContain(hint)
    }))
})

const { metadata, ...rest } = Schema.encodeSync(AgentTask)(worldOf({ ...plainSeed, life: "claimed" }).task)
const task = { apiVersion: "scalr.io/v1", kind: "AgentTask", metadata: { ...metadata, name: "one", namespace: "team" }, ...rest }

it.live("an AgentTask is shown as the API server has it by one read, and what this version does not know of it too", () =>
  Effect.gen(function*() {
    let reads = 0
    const agentJob = yield* cluster({
      "/apis/scalr.io/v1/namespaces/team/atasks/one": (response) => {
        reads++
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ...task, newer: true }))
      }
    }, notThere)
    expect(JSON.parse(yield* printed(agentJob("get", "one", "-n", "team", "-o", "json")))).toEqual({ ...task, newer: true })
    expect(reads).toBe(1)
  }))

describe("the log of an AgentTask", () => {
  const logged = Effect.fnUntraced(function*(pieces: ReadonlyArray<string>, end: object = {}) {
    const log: Answer = (response) => {
      response.writeHead(200, { "content-type": "text/plain" })
      for (const piece of pieces) response.write(piece)
      response.end()
    }
    const environment = yield* clusterNamed({
      "/apis/scalr.io/v1/namespaces/team/atasks/one": { body: { ...task, status: { ...task.status, ...end } } },
      [`/api/v1/namespaces/team/pods/${task.status?.pod?.name}/log`]: log
    }, notThere)
    return yield* ran(environment, "logs", "one", "-n", "team")
  })
  const beginning = "Worker: Pod one-x on node node-1"
  it.live.each([
    { given: "with the worker's first line", pieces: ["Worker: ", "Pod one-x on node node-1\n"] },
    { given: "with why no engine ran", pieces: ["\n", "\u001b[1mThe archive is damaged.\u001b[0m\n"] },
    { given: "with a message of the worker", pieces: ["{\"message\":\"The server does not answer\",\"level\":\"WARN\"}\n"] },
    { given: "with less than tells how it begins", pieces: ["\n"] }
  ])("is taken as whole that begins $given", ({ pieces }) => Effect.map(logged(pieces), ({ error }) => expect(error).toBe("")))

  it.live("says that its beginning is missing where the node has begun another file since", () =>
    Effect.map(
      logged(["\n", "\u001b[1m$ tofu apply\u001b[0m\n"]),
      ({ error, out }) => {
        expect(out).toContain("$ tofu apply")
        expect(error).toBe(
          "The beginning of this log is not shown: node node has begun another file since (containerLogMaxSize of its kubelet), and Kubernetes gives only the last.\n"
        )
      }
    ))

  it.live("is followed, on stderr, by how its task failed", () =>
    Effect.map(
      logged([`${beginning}\n`], { phase: "Failed", message: "tofu apply failed with exit code 1." }),
      (ended) =>
        expect(ended).toEqual({
          code: 0,
          out: `${beginning}\n`,
          error: "AgentTask one ended as Failed: tofu apply failed with exit code 1.\n"
        })
    ))

  const gone = new NotFound({ verb: "get", object: "AgentTask team/one", code: 404, reason: "NotFound", detail: "", isKindServed: true })
  const { status = {} } = task
  /** Follows a log that ends at once. `looks` is what each look at the task finds, where the last one stays. */
  const followed = Effect.fnUntraced(function*(looks: ReadonlyArray<object | NotFound>, shown = `${beginning}\n`) {
    const left = [...looks]
    const kubernetes = Layer.mock(Kubernetes, {
      namespace: "team",
      get: ({ decode }) =>
        Effect.suspend(() => {
          const [found] = left.length > 1 ? left.splice(0, 1) : left
          if (found instanceof NotFound) return Effect.fail(found)
          const object = { ...task, metadata: { ...task.metadata, ownerReferences: [] }, status: found }
          return Effect.orDie(Effect.fromResult(decode(object)))
        }),
      logs: () => Stream.make(Buffer.from(`${beginning}\n`))
    })
    const screen = toldScreen()
    const following = yield* Effect.forkChild(
      Effect.exit(showTaskLog({ context: Option.some("eu prod"), namespace: "team" }, "one", true)).pipe(
        Effect.provide([kubernetes, screen.layer])
      )
    )
    yield* TestClock.adjust("1 minute")
    const exit = yield* Fiber.join(following)
    expect(screen.transcript()).toBe(shown)
    return Exit.findErrorOption(exit)
  })
  it.effect.each([
    { what: "its task is over some moments after", looks: [status, status, { ...status, phase: "Succeeded" }] },
    { what: "its task is gone", looks: [status, gone] }
  ])("is followed to its end where $what", ({ looks }) => Effect.map(followed(looks), (error) => expect(error).toEqual(Option.none())))

  it.effect.each([
    { phase: "Failed", message: "tofu apply failed with exit code 1.", code: 1 },
    { phase: "Cancelled", message: "The stage was cancelled; nothing was changed.", code: 6 }
  ])(
    "that is followed to the end of a task that is $phase fails with that, with exit code $code",
    ({ code, ...end }) =>
      Effect.map(followed([status, { ...status, ...end }]), (error) => {
        expect(Option.map(error, ({ message }) => message)).toEqual(Option.some(`AgentTask one ended as ${end.phase}: ${end.message}`))
        expect(Option.map(error, exitCodeOf)).toEqual(Option.some(code))
      })
  )

  it.effect("of a task that was cancelled before it ran is none, and who follows it hears so with exit code 6", () =>
    Effect.map(followed([{ phase: "Cancelled", message: "Nothing was run." }], ""), (error) => {
      expect(Option.map(error, ({ message }) => message)).toEqual(Option.some(
        "AgentTask one has no log, since nothing ran for it (Cancelled: Nothing was run.); see kubectl -n team describe atask one."
      ))
      expect(Option.map(error, exitCodeOf)).toEqual(Option.some(6))
    }))

  it.effect("that ends before its task is told as broken off, with exit code 4", () =>
    Effect.map(followed([status]), (error) => {
      expect(Option.map(error, ({ message }) => message)).toEqual(Option.some(
        "The log of AgentTask one broke off, and the task is still Running; follow it anew with: agent-job logs -f one --context 'eu prod' --namespace team"
      ))
      expect(Option.map(error, exitCodeOf)).toEqual(Option.some(4))
    }))

  it.live.each<{ readonly of: string; readonly changes: object; readonly help: string }>([
    {
      of: "any task",
      changes: {},
      help:
        "what became of the task says agent-job get one --namespace team, and a higher task.job.ttlSecondsAfterFinished keeps later logs for longer"
    },
    {
      of: "a plan that was kept to be approved",
      changes: {
        status: {
          ...rest.status,
          result: {
            outcome: "succeeded",
            reason: "Completed",
            message: "Planned.",
            finishedAt: "2026-01-01T00:00:00Z",
            planDigest: "a".repeat(64)
          }
        }
      },
      help:
        "do not approve that plan unread: plan again under another name, where a higher task.job.ttlSecondsAfterFinished keeps the log for longer, and approve that one"
    },
    {
      of: "a run's stage",
      changes: {
        spec: {
          ...rest.spec,
          source: { pool: { archiveSha256: "a".repeat(64) } },
          pool: { url: "http://server", runId: "run-1111111111111111", tokenSecret: { name: "token" } }
        }
      },
      help: "the server still has it: agent-job logs run-1111111111111111"
    }
  ])("of $of that is gone with its Pod is told so, with what helps", ({ changes, help }) =>
    Effect.gen(function*() {
      const agentJob = yield* cluster({ "/apis/scalr.io/v1/namespaces/team/atasks/one": { body: { ...task, ...changes } } }, notThere)
      expect(yield* agentJob("logs", "one", "-n", "team")).toEqual({
        code: 1,
        out: "",
        said: `error: The Pod ${task.status?.pod?.name} of AgentTask one is gone, and its log with it; ${help}.`
      })
    }))
})
