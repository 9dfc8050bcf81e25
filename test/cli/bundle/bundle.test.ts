// What is in the archive of a bundle, and what it says of what is not.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { bundle, type BundleRequest } from "../../../src/cli/bundle/bundle.ts"
import { ServerClient } from "../../../src/cli/server/server-client.ts"
import { programVersion } from "../../../src/schema/program-version.ts"
import type { Answer } from "../../kubernetes/scripted-server.ts"
import { isSelected } from "../../label-selector.ts"
import { directory, person, serve, userToken } from "../../server/live-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { playing, quickstart } from "../fake-agent.ts"
import { against, list } from "../scripted-cluster.ts"
import { toldScreen } from "../told-screen.ts"
import { typed } from "../typed.ts"

const metadata = (name: string) => ({
  name,
  uid: "6d1f0c3a-0000-4000-8000-000000000000",
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z"
})
const pod = (name: string, containerStatuses: ReadonlyArray<object>, ...env: ReadonlyArray<object>) => ({
  metadata: metadata(name),
  spec: { containers: [{ name: "c", env }] },
  status: { containerStatuses }
})
const running = { state: { running: {} } }
const log = (text: string): Answer => (response) => void response.writeHead(200, { "content-type": "text/plain" }).end(text)
const status = (code: number, reason: string, message: string): Answer => ({
  status: code,
  body: { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message }
})
const forbidden = status(403, "Forbidden", "not for you")

const own = "/api/v1/namespaces/agent-job"
const theirs = "/api/v1/namespaces/team"
const values: Answer = { body: { metadata: metadata("agent-job-config"), data: { "values.yaml": "task: { namespace: team }" } } }
const restarted = { name: "controller", ...running, lastState: { terminated: { exitCode: 1 } } }

const labelled = (component: string, instance: string, made: ReturnType<typeof pod>) => ({
  ...made,
  metadata: {
    ...made.metadata,
    labels: {
      "app.kubernetes.io/name": "agent-job",
      "app.kubernetes.io/instance": instance,
      "app.kubernetes.io/component": component
    }
  }
})
/** Lists those that the request selects by labels. */
const listSelected = (...all: ReadonlyArray<ReturnType<typeof labelled>>): Answer => (response) => {
  const selector = new URL(response.req.url ?? "", "http://api").searchParams.get("labelSelector") ?? ""
  const items = all.filter(({ metadata: { labels } }) => isSelected(selector, labels))
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ metadata: { resourceVersion: "1" }, items }))
}

/** An installation whose controller was restarted once, with one task at work and one that waits. */
const installation: Readonly<Record<string, Answer>> = {
  [`${own}/configmaps/agent-job-config`]: values,
  [`${own}/pods`]: listSelected(
    labelled("controller", "agent-job", pod("agent-job-controller-x", [restarted], { name: "PASSWORD", value: "hunter2" }))
  ),
  [`${own}/pods/agent-job-controller-x/log`]: (response) =>
    void response.writeHead(200).end(response.req.url?.includes("previous=true") === true ? "before\n" : "now\n"),
  "/apis/events.k8s.io/v1/namespaces/agent-job/events": list(),
  "/apis/scalr.io/v1/namespaces/team/atasks": list({
    metadata: metadata("one"),
    spec: { variables: [{ name: "password", value: "hunter2", sensitive: true }] }
  }),
  "/apis/batch/v1/namespaces/team/jobs": list({ metadata: metadata("agent-job-one"), spec: {} }),
  [`${theirs}/pods`]: list(
    pod("one-x", [{ name: "worker", ...running }, { name: "runner", ...running }]),
    pod("two-x", [{ name: "worker", state: { waiting: { reason: "ImagePullBackOff" } } }])
  ),
  [`${theirs}/pods/one-x/log`]: log("\u001b[32m+\u001b[0m card.ada\u001b]0;title\u0007\n"),
  "/apis/events.k8s.io/v1/namespaces/team/events": list({ metadata: metadata("one-x.1"), note: "Pulled" })
}

const bundled = Effect.fnUntraced(function*(
  answers: Readonly<Record<string, Answer>>,
  given: Partial<BundleRequest> = {},
  server: Option.Option<ServerClient["Service"]> = Option.none()
) {
  const file = join(yield* temporaryFolder("bundle"), "made.tar.gz")
  const screen = toldScreen()
  const request = { file, force: false, name: "agent-job", controllerNamespace: "agent-job", namespace: Option.none(), ...given }
  const failed = yield* against(bundle(request, server).pipe(Effect.provide(screen.layer), Effect.flip, Effect.option), answers)
  const tar = (...args: ReadonlyArray<string>) => execFileSync("tar", [...args]).toString()
  return {
    file,
    failed: Option.getOrUndefined(failed)?.message,
    said: screen.of("line"),
    names: () => tar("-tzf", file).trim().split("\n").map((path) => path.replace("agent-job-bundle/", "")),
    text: (path: string) => tar("-xzOf", file, `agent-job-bundle/${path}`),
    all: () => tar("-xzOf", file)
  }
})

describe("a bundle", () => {
  it.live("has the logs of all Pods, also of the container before a restart, and the objects beside them", () =>
    Effect.gen(function*() {
      const { all, file, names, said, text } = yield* bundled(installation)
      expect(names()).toEqual([
        "installation/pods.yaml",
        "installation/logs/agent-job-controller-x/controller.previous.log",
        "installation/logs/agent-job-controller-x/controller.log",
        "installation/events.yaml",
        "tasks/tasks.yaml",
        "tasks/jobs.yaml",
        "tasks/pods.yaml",
        "tasks/logs/one-x/worker.log",
        "tasks/logs/one-x/runner.log",
        "tasks/events.yaml",
        "MANIFEST.txt"
      ])
      expect(text("installation/logs/agent-job-controller-x/controller.previous.log")).toBe("before\n")
      expect(text("installation/logs/agent-job-controller-x/controller.log")).toBe("now\n")
      expect(text("tasks/logs/one-x/worker.log")).toBe("+ card.ada\n")
      expect(all()).not.toContain("hunter2")
      expect(text("tasks/tasks.yaml")).toContain("value: (masked)")
      expect(text("MANIFEST.txt")).toMatch(new RegExp(`^Made by agent-job ${programVersion} at `, "u"))
      expect(text("MANIFEST.txt")).toContain("Nothing is missing.")
      expect(said).toEqual([expect.stringMatching(new RegExp(`^${file} has 10 files, .* compressed\\), and MANIFEST\\.txt\\.$`, "u"))])
    }))

  it.live("has the logs of the server, which keeps its name where the installation has another one, and none of another controller", () =>
    Effect.gen(function*() {
      const { names } = yield* bundled({
        [`${own}/pods`]: listSelected(
          labelled("controller", "agent-job", pod("agent-job-controller-x", [{ name: "controller", ...running }])),
          labelled("controller", "blue", pod("blue-controller-x", [{ name: "controller", ...running }])),
          labelled("server", "agent-job", pod("agent-job-server-0", [{ name: "server", ...running }])),
          labelled("task", "blue", pod("two-x", [{ name: "worker", ...running }]))
        ),
        [`${own}/pods/blue-controller-x/log`]: log("led\n"),
        [`${own}/pods/agent-job-server-0/log`]: log("served\n")
      }, { name: "blue", namespace: Option.some("team") })
      expect(names().filter((name) => name.startsWith("installation/logs/"))).toEqual([
        "installation/logs/blue-controller-x/controller.log",
        "installation/logs/agent-job-server-0/server.log"
      ])
    }))

  it.live("goes on without what may not be read or is not there, and says so", () =>
    Effect.gen(function*() {
      const { names, said, text } = yield* bundled({
        ...installation,
        "/apis/batch/v1/namespaces/team/jobs": forbidden,
        [`${own}/pods/agent-job-controller-x/log`]: status(404, "NotFound", "gone")
      })
      expect(names()).toHaveLength(8)
      const sentences = [
        "  installation/logs/agent-job-controller-x/controller.previous.log: Cannot read the logs of Pod agent-job/agent-job-controller-x: it is not there (gone); check its name and namespace.",
        "  installation/logs/agent-job-controller-x/controller.log: Cannot read the logs of Pod agent-job/agent-job-controller-x: it is not there (gone); check its name and namespace.",
        "  tasks/jobs.yaml: Cannot list Job objects in team: not for you; grant it to this identity (Role and RoleBinding), or ask who set the policy."
      ]
      expect(said.slice(1)).toEqual(["Missing, as MANIFEST.txt says too:", ...sentences])
      expect(text("MANIFEST.txt")).toContain(`Missing:\n${sentences.join("\n")}\n`)
    }))

  it.live("looks for tasks in the usual namespace where the values may not be read, and says so", () =>
    Effect.gen(function*() {
      const { said, text } = yield* bundled({ ...installation, [`${own}/configmaps/agent-job-config`]: forbidden })
      expect(text("MANIFEST.txt")).toContain("its AgentTasks are in namespace agent-job-tasks.")
      expect(said[2]).toMatch(/^ {2}AgentTasks outside of agent-job-tasks: You may not get ConfigMap /u)
    }))

  it.live("takes the namespace of the tasks that was typed, and lists the Events of a shared one once", () =>
    Effect.gen(function*() {
      const { names } = yield* bundled(
        { ...installation, [`${own}/configmaps/agent-job-config`]: forbidden },
        { namespace: Option.some("agent-job") }
      )
      expect(names().filter((name) => name.endsWith("events.yaml"))).toEqual(["installation/events.yaml"])
    }))

  it.live("is not written of an installation that is not there, or of which nothing can be read", () =>
    Effect.gen(function*() {
      const nowhere = yield* bundled({})
      expect(nowhere.failed).toContain("There is no ConfigMap agent-job/agent-job-config; give --name")
      const closed = yield* bundled({}, { namespace: Option.some("team") })
      expect(closed.failed).toMatch(/^Cannot list Pod objects in agent-job: /u)
      for (const { file } of [nowhere, closed]) expect(existsSync(file)).toBe(false)
    }))

  it.live("has the logs that the server stored of runs whose Pods are gone", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      yield* playing(url, quickstart)
      const id = yield* person(url).start("demo", { "auto-apply": true })
      yield* Effect.repeat(person(url).view(id), { until: (run) => run.status === "applied" })
      const withToken = (token: string) =>
        Effect.flatMap(ServerClient, (server) => bundled(installation, {}, Option.some(server))).pipe(
          Effect.provide(ServerClient.layer({ url, token: Option.some(Redacted.make(token)) }))
        )
      const { names, text } = yield* withToken(userToken)
      expect(names()).toEqual(expect.arrayContaining([`runs/${id}/plan.log`, `runs/${id}/apply.log`]))
      expect(text(`runs/${id}/apply.log`)).toMatch(/\ncard\.ada: Creating\.\.\.\nApply complete!\n$/u)
      expect(text("MANIFEST.txt")).toContain(`The stored logs are of the newest 100 runs of ${url}, whatever their pool.`)
      const refused = yield* withToken("another-token-0123456789")
      expect(refused.said[2]).toBe(
        `  runs: The agent-job server at ${url} refuses the token; set AGENT_JOB_TOKEN or --token-file to a user token of that server.`
      )
    }))

  it.live("is not begun with an address that is none, or without a cluster", () =>
    Effect.gen(function*() {
      const { said } = yield* typed({ KUBECONFIG: "/nope", AGENT_JOB_URL: "nope" }, "bundle", "/nope/made.tar.gz")
      expect(said).toBe("error: \"nope\" is not the address of a server; write it like http://127.0.0.1:8080.")
      expect((yield* typed({ KUBECONFIG: "/nope" }, "bundle", "/nope/made.tar.gz")).said).toContain("/nope")
    }))
})
