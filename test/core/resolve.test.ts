import { describe, expect, it } from "@effect/vitest"
import type { ContainerConfig } from "../../src/core/resolve.ts"
import { configOf } from "./configs.ts"

const parts = (values: object): Readonly<Record<"controller" | "worker" | "runner", ContainerConfig>> => {
  const { controller, task } = configOf(values)
  return { controller: controller.container, worker: task.worker, runner: task.runner }
}

describe("the name", () => {
  it.each([
    { given: "only a release", values: {}, release: "blue", expected: "blue" },
    { given: "nameOverride", values: { nameOverride: "pool" }, release: "blue", expected: "blue-pool" },
    { given: "nameOverride that the release has already", values: { nameOverride: "pool" }, release: "pool-1", expected: "pool-1" },
    { given: "fullnameOverride", values: { fullnameOverride: "runs.example", nameOverride: "pool" }, release: "blue", expected: "runs.example" },
    { given: "a long release", values: {}, release: "q".repeat(60), expected: "q".repeat(40) },
    { given: "a cut that would end in a dash", values: {}, release: `${"q".repeat(39)}-x`, expected: "q".repeat(39) }
  ])("is made from $given", ({ expected, release, values }) => expect(configOf(values, { name: release }).name).toBe(expected))

  it("has no dot in the names of Jobs", () => expect(configOf({ fullnameOverride: "runs.example" }).policy.basename).toBe("runs-example"))
})

describe("images", () => {
  it.each([
    { given: "nothing", values: {}, controller: "scalr/agent:1.2.3", worker: "scalr/agent:1.2.3", runner: "scalr/agent-runner:1.2.3" },
    {
      given: "a registry",
      values: { global: { imageRegistry: "example.com:5000/hub/" } },
      controller: "example.com:5000/hub/scalr/agent:1.2.3",
      worker: "example.com:5000/hub/scalr/agent:1.2.3",
      runner: "example.com:5000/hub/scalr/agent-runner:1.2.3"
    },
    { given: "agent.image", values: { agent: { image: { repository: "a", tag: "2" } } }, controller: "a:2", worker: "a:2", runner: "scalr/agent-runner:1.2.3" },
    {
      given: "a tag of the worker, a repository of the controller",
      values: { agent: { image: { repository: "a", tag: "2" } }, controller: { image: { repository: "c" } }, task: { worker: { image: { tag: "3" } } } },
      controller: "c:2",
      worker: "a:3",
      runner: "scalr/agent-runner:1.2.3"
    },
    { given: "a digest", values: { task: { runner: { image: { tag: `1@sha256:${"a".repeat(64)}` } } } }, controller: "scalr/agent:1.2.3", worker: "scalr/agent:1.2.3", runner: `scalr/agent-runner:1@sha256:${"a".repeat(64)}` }
  ])("come from $given", ({ controller, runner, values, worker }) => {
    const got = parts(values)
    expect([got.controller.image, got.worker.image, got.runner.image]).toEqual([controller, worker, runner])
  })

  it("are pulled as agent.image says, but for a container that says otherwise", () => {
    const got = parts({ agent: { image: { pullPolicy: "Always" } }, controller: { image: { pullPolicy: "Never" } } })
    expect([got.controller.imagePullPolicy, got.worker.imagePullPolicy, got.runner.imagePullPolicy]).toEqual(["Never", "Always", "IfNotPresent"])
  })
})

describe("the environment", () => {
  const env = (layer: string) => ({ extraEnv: { [layer]: "1", SHARED: layer } })
  const values = { global: env("GLOBAL"), agent: env("AGENT"), controller: env("CONTROLLER"), task: { worker: env("WORKER"), runner: env("RUNNER") } }

  it("reaches global → agent → controller or worker, and global → runner; the later one wins", () => {
    const { controller, runner, worker } = parts(values)
    expect(controller.env).toEqual({ GLOBAL: "1", AGENT: "1", CONTROLLER: "1", SHARED: "CONTROLLER" })
    expect(worker.env).toEqual({ GLOBAL: "1", AGENT: "1", WORKER: "1", SHARED: "WORKER" })
    expect(runner.env).toEqual({ GLOBAL: "1", RUNNER: "1", SHARED: "RUNNER" })
  })

  it("of the agent wins over the global one, and never reaches the runner", () => {
    const { controller, runner, worker } = parts({ global: env("GLOBAL"), agent: env("AGENT") })
    expect([controller.env["SHARED"], worker.env["SHARED"], runner.env["SHARED"]]).toEqual(["AGENT", "AGENT", "GLOBAL"])
  })

  it.each([[1, "1"], [1.5, "1.5"], [1_000_000, "1000000"], [86_400_000_000_000, "86400000000000"], [1e21, "1000000000000000000000"], [true, "true"], ["", ""], ["0.10", "0.10"]])(
    "has %j as %j",
    (given, expected) => expect(parts({ global: { extraEnv: { A: given } } }).runner.env).toEqual({ A: expected })
  )
})

describe("security contexts", () => {
  it("of controller and worker are the agent's where they have none of their own, and stand alone where they have", () => {
    const { controller, runner, worker } = parts({ agent: { securityContext: { runAsUser: 2000 } }, task: { worker: { securityContext: { runAsUser: 3000 } } } })
    expect(controller.securityContext).toMatchObject({ runAsUser: 2000, runAsNonRoot: true, readOnlyRootFilesystem: true })
    expect(worker.securityContext).toEqual({ runAsUser: 3000 })
    expect(runner.securityContext).toMatchObject({ runAsUser: 1001, readOnlyRootFilesystem: false })
  })
})

describe("annotations", () => {
  it("are global, and the Pod's own over them", () => {
    const { controller, task } = configOf({ global: { podAnnotations: { a: "global", b: "global" } }, controller: { podAnnotations: { a: "controller" } }, task: { podAnnotations: { b: "task" } } })
    expect([controller.pod.annotations, task.pod.annotations]).toEqual([{ a: "controller", b: "global" }, { a: "global", b: "task" }])
  })
})

describe("the token", () => {
  it.each([
    { given: "none", agent: {}, token: undefined, pool: undefined },
    { given: "a token", agent: { token: "t" }, token: { secret: { name: "agent-job-token", key: "token" }, value: "t" }, pool: undefined },
    {
      given: "another spelling of it, and a server",
      agent: { auth: { token: "t" }, url: "https://example.com" },
      token: { secret: { name: "agent-job-token", key: "token" }, value: "t" },
      pool: { url: "https://example.com", tokenSecret: { name: "agent-job-token", key: "token" } }
    },
    {
      given: "a Secret, and a server",
      agent: { tokenExistingSecret: { name: "s", key: "k" }, url: "https://example.com" },
      token: { secret: { name: "s", key: "k" } },
      pool: { url: "https://example.com", tokenSecret: { name: "s", key: "k" } }
    }
  ])("is resolved from $given", ({ agent, pool, token }) => {
    const config = configOf({ agent })
    expect([config.token, config.pool]).toEqual([token, pool])
  })

  it("is not in what the controller is given to read, which resolves to the same", () => {
    const config = configOf({ agent: { token: "very-secret", url: "https://example.com" }, nameOverride: "pool", task: { job: { backoffLimit: 2 } } })
    expect(JSON.stringify(config.controllerValues)).not.toContain("very-secret")
    const again = configOf(config.controllerValues, { name: config.name })
    expect(again).toEqual({ ...config, token: { secret: { name: "agent-job-pool-token", key: "token" } } })
  })
})

describe("the service account", () => {
  it.each([
    [{}, "agent-job"],
    [{ name: "mine" }, "mine"],
    [{ create: false }, "default"],
    [{ create: false, name: "theirs" }, "theirs"]
  ])("of %j is %s", (serviceAccount, name) => expect(configOf({ serviceAccount }).account.name).toBe(name))
})

describe("the cache", () => {
  it.each([
    [{ enabled: false }, undefined],
    [{ enabled: true }, { claimName: "agent-job-cache", subPath: "", claim: { accessMode: "ReadWriteMany", storage: "20Gi" } }],
    [{ enabled: true, persistentVolumeClaim: { claimName: "nfs", subPath: "/team/a/" } }, { claimName: "nfs", subPath: "team/a" }],
    [
      { enabled: true, persistentVolumeClaim: { storageClassName: "-", storage: "5G", accessMode: "ReadWriteOnce" } },
      { claimName: "agent-job-cache", subPath: "", claim: { accessMode: "ReadWriteOnce", storage: "5G", storageClassName: "" } }
    ]
  ])("of %j is %j", (persistence, cache) => expect(configOf({ persistence }).cache).toEqual(cache))
})

describe("the policy", () => {
  it("has the limits, and one launch more than the retries", () => {
    expect(configOf({ task: { job: { backoffLimit: 2 }, limits: { total: 7 }, startupTimeoutSeconds: 60 } }).policy).toMatchObject({
      limits: { total: 7, perWorkspace: 10 }, maxLaunches: 3, startupTimeoutSeconds: 60, historyPerWorkspace: 20
    })
  })

  it("has the same hash however the values are written, and another one when Jobs change", () => {
    const hash = (values: object) => configOf(values).policy.configHash
    const [first, second] = [{ A: "1", B: "2" }, { B: "2", A: "1" }]
    expect(hash({ task: { runner: { extraEnv: first } } })).toBe(hash({ task: { runner: { extraEnv: second } } }))
    expect(hash({ task: { runner: { extraEnv: first } } })).not.toBe(hash({}))
    expect(hash({ controller: { extraEnv: first } })).toBe(hash({}))
  })
})

describe("the namespace of tasks", () => {
  it("is the controller's, or their own", () => {
    expect(configOf().taskNamespace).toBe("agent-job")
    expect(configOf({ task: { namespace: "tasks" } }).taskNamespace).toBe("tasks")
  })
})
