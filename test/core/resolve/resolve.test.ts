import { describe, expect, it } from "@effect/vitest"
import type { ContainerConfig } from "../../../src/core/resolve/containers.ts"
import { appVersion } from "../../../src/schema/values/values.ts"
import { configOf } from "../configs.ts"

const parts = (values: object): Readonly<Record<"controller" | "worker" | "runner", ContainerConfig>> => {
  const { controller, task } = configOf(values)
  return { controller: controller.container, worker: task.worker, runner: task.runner }
}

describe("the name", () => {
  it.each([
    { given: "only a release", values: {}, release: "blue", expected: "blue" },
    { given: "nameOverride", values: { nameOverride: "pool" }, release: "blue", expected: "blue-pool" },
    { given: "nameOverride that the release has already", values: { nameOverride: "pool" }, release: "pool-1", expected: "pool-1" },
    {
      given: "fullnameOverride",
      values: { fullnameOverride: "runs.example", nameOverride: "pool" },
      release: "blue",
      expected: "runs.example"
    },
    { given: "a long release", values: {}, release: "q".repeat(60), expected: "q".repeat(40) },
    { given: "a cut that would end in a dash", values: {}, release: `${"q".repeat(39)}-x`, expected: "q".repeat(39) }
  ])("is made from $given", ({ expected, release, values }) => expect(configOf(values, { name: release }).name).toBe(expected))

  it("has no dot in the names of Jobs", () => expect(configOf({ fullnameOverride: "runs.example" }).policy.basename).toBe("runs-example"))
})

describe("the account of tasks", () => {
  const controllers = { name: "agent-job-task" }
  it.each([
    { beside: "the controller's", values: {}, expected: "agent-job-task" },
    { beside: "a controller's that is made with that name", values: { serviceAccount: controllers }, expected: "agent-job-tasks" },
    {
      beside: "a controller's that others make",
      values: { serviceAccount: { ...controllers, create: false } },
      expected: "agent-job-tasks"
    },
    {
      beside: "a controller's of that name elsewhere",
      values: { serviceAccount: controllers, task: { namespace: "tasks" } },
      expected: "agent-job-task"
    }
  ])("is $expected beside $beside", ({ expected, values }) => expect(configOf(values).taskAccountName).toBe(expected))
})

describe("images", () => {
  it.each([
    {
      given: "nothing",
      values: {},
      controller: `scalr/agent:${appVersion}`,
      worker: `scalr/agent:${appVersion}`,
      runner: `scalr/agent-runner:${appVersion}`
    },
    {
      given: "a registry",
      values: { global: { imageRegistry: "example.com:5000/hub/" } },
      controller: `example.com:5000/hub/scalr/agent:${appVersion}`,
      worker: `example.com:5000/hub/scalr/agent:${appVersion}`,
      runner: `example.com:5000/hub/scalr/agent-runner:${appVersion}`
    },
    {
      given: "agent.image",
      values: { agent: { image: { repository: "a", tag: "2" } } },
      controller: "a:2",
      worker: "a:2",
      runner: `scalr/agent-runner:${appVersion}`
    },
    {
      given: "a tag of the worker, a repository of the controller",
      values: {
        agent: { image: { repository: "a", tag: "2" } },
        controller: { image: { repository: "c" } },
        task: { worker: { image: { tag: "3" } } }
      },
      controller: "c:2",
      worker: "a:3",
      runner: `scalr/agent-runner:${appVersion}`
    },
    {
      given: "a digest",
      values: { task: { runner: { image: { tag: `1@sha256:${"a".repeat(64)}` } } } },
      controller: `scalr/agent:${appVersion}`,
      worker: `scalr/agent:${appVersion}`,
      runner: `scalr/agent-runner:1@sha256:${"a".repeat(64)}`
    }
  ])("come from $given", ({ controller, runner, values, worker }) => {
    const got = parts(values)
    expect([got.controller.image, got.worker.image, got.runner.image]).toEqual([controller, worker, runner])
  })

  it("are pulled as agent.image says, but for a container that says otherwise", () => {
    const got = parts({ agent: { image: { pullPolicy: "Always" } }, controller: { image: { pullPolicy: "Never" } } })
    expect([got.controller.imagePullPolicy, got.worker.imagePullPolicy, got.runner.imagePullPolicy]).toEqual([
      "Never",
      "Always",
      "IfNotPresent"
    ])
  })
})

describe("the environment", () => {
  const env = (layer: string) => ({ extraEnv: { [layer]: "1", SHARED: layer } })
  const values = {
    global: env("GLOBAL"),
    agent: env("AGENT"),
    controller: env("CONTROLLER"),
    task: { worker: env("WORKER"), runner: env("RUNNER") }
  }

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

  it.each([
    [1, "1"],
    [1.5, "1.5"],
    [1_000_000, "1000000"],
    [86_400_000_000_000, "86400000000000"],
    [1e21, "1000000000000000000000"],
    [true, "true"],
    ["", ""],
    ["0.10", "0.10"]
  ])(
    "has %j as %j",
    (given, expected) => expect(parts({ global: { extraEnv: { A: given } } }).runner.env).toEqual({ A: expected })
  )
})

describe("variables from objects", () => {
  const from = (name: string) => ({ extraEnvFrom: [{ configMapRef: { name } }] })

  it("reach the same containers as those by name, the nearer one last, so that it wins", () => {
    const { controller, runner, worker } = parts({
      global: from("global"),
      agent: from("agent"),
      controller: from("controller"),
      task: { worker: from("worker"), runner: from("runner") }
    })
    const names = ({ envFrom }: ContainerConfig) => envFrom.map(({ configMapRef }) => configMapRef?.name)
    expect([names(controller), names(worker), names(runner)]).toEqual([
      ["global", "agent", "controller"],
      ["global", "agent", "worker"],
      ["global", "runner"]
    ])
  })
})

describe("the proxy", () => {
  const proxy = {
    httpProxy: "http://proxy.example.com:3128",
    httpsProxy: "http://proxy.example.com:3129",
    noProxy: "example.com, 10.0.0.0/8"
  }
  const direct = "example.com,10.0.0.0/8,localhost,127.0.0.1,::1,kubernetes.default.svc,.svc,.cluster.local,$(KUBERNETES_SERVICE_HOST)"

  it("is in every container, in both spellings, and never between it and the cluster", () => {
    const variables = {
      HTTP_PROXY: proxy.httpProxy,
      http_proxy: proxy.httpProxy,
      HTTPS_PROXY: proxy.httpsProxy,
      https_proxy: proxy.httpsProxy,
      NO_PROXY: direct,
      no_proxy: direct
    }
    const { controller, runner, worker } = parts({ global: { proxy } })
    expect([controller.env, worker.env, runner.env]).toEqual([variables, variables, variables])
  })

  it.each([
    { given: "nothing of it", proxy: {} },
    { given: "enabled: false", proxy: { ...proxy, enabled: false } }
  ])("is not there with $given", ({ proxy }) => expect(parts({ global: { proxy } }).runner.env).toEqual({}))

  it("leaves the cluster alone also where it is named elsewhere, as in a Secret, and only what is asked directly in the values", () => {
    const { NO_PROXY } = parts({ global: { proxy: { noProxy: proxy.noProxy } } }).worker.env
    expect(NO_PROXY).toBe(direct)
  })

  it("gives way to a variable of the values, whichever its spelling", () => {
    const { env } =
      parts({ global: { proxy, extraEnv: { https_proxy: "http://other.example.com" } }, task: { runner: { extraEnv: { NO_PROXY: "*" } } } })
        .runner
    expect(env).toEqual({
      HTTP_PROXY: proxy.httpProxy,
      http_proxy: proxy.httpProxy,
      https_proxy: "http://other.example.com",
      NO_PROXY: "*"
    })
  })

  it.each([
    ["http://server:8080", "server"],
    ["https://server", "server"],
    ["http://server.agent-job:8080", "server.agent-job"],
    ["http://server.agent-job", "server.agent-job"],
    ["https://example.com", undefined],
    ["http://agent-job.example.com", undefined],
    ["https://agent-job.example.com", undefined],
    ["http://10.0.0.1:8080", undefined],
    ["http://[::1]:8080", undefined]
  ])("is not asked for a server of the cluster: %s", (url, name) => {
    const { NO_PROXY = "" } = parts({ agent: { url, token: "t" }, global: { proxy: { httpProxy: proxy.httpProxy } } }).worker.env
    expect(NO_PROXY.split(",").slice(7)).toEqual(name === undefined ? [] : [name])
  })
})

describe("certificates to trust", () => {
  const bundle = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

  it.each([
    { given: "nothing", tls: {}, trust: undefined },
    {
      given: "the values",
      tls: { caBundle: bundle },
      trust: { from: { kind: "ConfigMap", name: "agent-job-ca-bundle", key: "ca-bundle.crt" }, bundle }
    },
    {
      given: "a ConfigMap",
      tls: { caBundleConfigMap: { name: "roots", key: "ca.pem" } },
      trust: { from: { kind: "ConfigMap", name: "roots", key: "ca.pem" } }
    },
    {
      given: "a Secret",
      tls: { caBundleSecret: { name: "roots" } },
      trust: { from: { kind: "Secret", name: "roots", key: "ca-bundle.crt" } }
    }
  ])("come from $given", ({ tls, trust }) => expect(configOf({ global: { tls } }).trust).toEqual(trust))

  it("are added to the roots: for Node by its variable, for Go by a directory beside those that it reads anyway", () => {
    const { controller, runner, worker } = parts({ global: { tls: { caBundle: bundle } } })
    expect([controller.env, worker.env]).toEqual(Array(2).fill({ NODE_EXTRA_CA_CERTS: "/var/run/agent-job/ca-bundle/ca.crt" }))
    expect(runner.env).toEqual({ SSL_CERT_DIR: "/etc/ssl/certs:/etc/pki/tls/certs:/var/run/agent-job/ca-bundle" })
  })

  it("change what Jobs are built from", () => {
    const hash = (tls: object) => configOf({ global: { tls } }).policy.configHash
    expect(
      new Set([hash({}), hash({ caBundle: bundle }), hash({ caBundle: bundle + bundle }), hash({ clientCertSecret: { name: "a" } })]).size
    ).toBe(4)
  })
})

describe("security contexts", () => {
  it("of controller and worker are the agent's where they have none of their own, and stand alone where they have", () => {
    const { controller, runner, worker } = parts({
      agent: { securityContext: { runAsUser: 2000 } },
      task: { worker: { securityContext: { runAsUser: 3000 } } }
    })
    expect(controller.securityContext).toMatchObject({ runAsUser: 2000, runAsNonRoot: true, readOnlyRootFilesystem: true })
    expect(worker.securityContext).toEqual({ runAsUser: 3000 })
    expect(runner.securityContext).toMatchObject({ runAsUser: 1001, readOnlyRootFilesystem: false })
  })

  it("take what Kubernetes has beside the chart's keys, and have none of it by default", () => {
    const [own, ofPod] = [
      { appArmorProfile: { type: "Localhost", localhostProfile: "agent" }, procMount: "Default" },
      { appArmorProfile: { type: "RuntimeDefault" }, seLinuxChangePolicy: "Recursive", supplementalGroupsPolicy: "Strict" }
    ]
    const given = {
      agent: { securityContext: own },
      controller: { podSecurityContext: ofPod },
      task: { podSecurityContext: ofPod, runner: { securityContext: own } }
    }
    const { controller, runner, worker } = parts(given)
    for (const { securityContext } of [controller, runner, worker]) {
      expect(securityContext).toMatchObject({ ...own, allowPrivilegeEscalation: false })
    }
    const config = configOf(given)
    for (const { pod } of [config.controller, config.task]) expect(pod.securityContext).toMatchObject({ ...ofPod, runAsNonRoot: true })
    expect(JSON.stringify(configOf())).not.toMatch(/appArmor|procMount|seLinuxChange|supplementalGroups/u)
  })
})

describe("labels of Pods", () => {
  it("are global, and the Pod's own over them", () => {
    const { controller, task } = configOf({
      global: { podLabels: { a: "global", b: "global" } },
      controller: { podLabels: { a: "controller" } },
      task: { podLabels: { b: "task" } }
    })
    expect([controller.pod.labels, task.pod.labels]).toEqual([{ a: "controller", b: "global" }, { a: "global", b: "task" }])
  })
})

describe("annotations", () => {
  it("are global, and the Pod's own over them", () => {
    const { controller, task } = configOf({
      global: { podAnnotations: { a: "global", b: "global" } },
      controller: { podAnnotations: { a: "controller" } },
      task: { podAnnotations: { b: "task" } }
    })
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
    const config = configOf({
      agent: { token: "very-secret", url: "https://example.com" },
      nameOverride: "pool",
      task: { job: { backoffLimit: 2 } }
    })
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
  const made = { volume: { persistentVolumeClaim: { claimName: "agent-job-cache" } }, subPath: "" }
  it.each([
    [{ enabled: false }, undefined],
    [{ enabled: true }, { ...made, claim: { name: "agent-job-cache", accessMode: "ReadWriteMany", storage: "20Gi" } }],
    [
      { enabled: true, persistentVolumeClaim: { claimName: "nfs", subPath: "/team/a/" } },
      { volume: { persistentVolumeClaim: { claimName: "nfs" } }, subPath: "team/a" }
    ],
    [
      { enabled: true, persistentVolumeClaim: { storageClassName: "-", storage: "5G", accessMode: "ReadWriteOnce" } },
      { ...made, claim: { name: "agent-job-cache", accessMode: "ReadWriteOnce", storage: "5G", storageClassName: "" } }
    ],
    [{ hostPath: { path: "/var/cache/tofu" } }, { volume: { hostPath: { path: "/var/cache/tofu", type: "Directory" } }, subPath: "" }],
    [{ enabled: true, hostPath: { path: "/c", type: "" } }, { volume: { hostPath: { path: "/c" } }, subPath: "" }]
  ])("of %j is %j", (persistence, cache) => expect(configOf({ persistence }).cache).toEqual(cache))
})

describe("the policy", () => {
  it("has the limits, and one launch more than the retries", () => {
    expect(configOf({ task: { job: { backoffLimit: 2 }, limits: { total: 7 }, startupTimeoutSeconds: 60 } }).policy).toMatchObject({
      limits: { total: 7, perWorkspace: 10 },
      maxLaunches: 3,
      startupTimeoutSeconds: 60,
      historyPerWorkspace: 20
    })
  })

  it("names every account that tasks may have", () => {
    expect(configOf().policy.accounts).toEqual(["agent-job-task"])
    expect(configOf({ task: { identities: [{ name: "network", workspaces: ["network-*"] }] } }).policy.accounts).toEqual([
      "agent-job-task",
      "network"
    ])
  })

  it.each([
    { given: "the defaults", task: {}, seconds: 900 },
    { given: "a start that may take longer", task: { startupTimeoutSeconds: 1800 }, seconds: 1800 },
    { given: "a limit on the life of Jobs", task: { job: { activeDeadlineSeconds: 3600 } }, seconds: 180 }
  ])(
    "lets a Pod wait $seconds s for a node by $given",
    ({ seconds, task }) => expect(configOf({ task }).policy.nodeWaitSeconds).toBe(seconds)
  )

  it("has the same hash however the values are written, and another one when Jobs change", () => {
    const hash = (values: object) => configOf(values).policy.configHash
    const [first, second] = [{ A: "1", B: "2" }, { B: "2", A: "1" }]
    expect(hash({ task: { runner: { extraEnv: first } } })).toBe(hash({ task: { runner: { extraEnv: second } } }))
    expect(hash({ task: { runner: { extraEnv: first } } })).not.toBe(hash({}))
    expect(hash({ controller: { extraEnv: first, replicas: 2, priorityClassName: "a" } })).toBe(hash({}))
  })
})

describe("the namespace of tasks", () => {
  it("is the controller's, or their own", () => {
    expect(configOf().taskNamespace).toBe("agent-job")
    expect(configOf({ task: { namespace: "tasks" } }).taskNamespace).toBe("tasks")
  })
})
