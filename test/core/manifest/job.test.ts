import { describe, expect, it } from "@effect/vitest"
import type { V1Container, V1Job, V1PodSpec } from "@kubernetes/client-node"
import { Result } from "effect"
import { stringify } from "yaml"
import { job } from "../../../src/core/manifest/job.ts"
import type { ResolvedConfig } from "../../../src/core/resolve/resolve.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { volumesForAll, workerVolumes } from "../../../src/schema/values/task-pod.ts"
import { parseValues } from "../../../src/schema/values/values.ts"
import { configOf, fullTask, taskOf } from "../configs.ts"
import { caseOf, choices } from "./arbitrary-task.ts"
import { violations } from "./restricted.ts"

const podOf = (made: V1Job): V1PodSpec => made.spec?.template.spec ?? { containers: [] }
const containersOf = (pod: V1PodSpec): ReadonlyArray<V1Container> => [...pod.initContainers ?? [], ...pod.containers]
const container = (made: V1Job, name: string): V1Container => containersOf(podOf(made)).find((_) => _.name === name) ?? { name: "none" }
const build = (task: AgentTask, config: ResolvedConfig = configOf({ task: { namespace: "agent-job-tasks" } })) => job(task, config, 0)
const places = ({ volumeMounts = [] }: V1Container) => Object.fromEntries(volumeMounts.map(({ mountPath, name }) => [mountPath, name]))
/** Renders the Job with a fixed configuration hash, because the real one changes with every default and says nothing about a Job's form. */
const golden = (task: AgentTask, config = configOf({ task: { namespace: "agent-job-tasks" } })) =>
  stringify(build(task, { ...config, policy: { ...config.policy, configHash: "c0ffee" } }), {
    compat: "yaml-1.1",
    lineWidth: 0,
    aliasDuplicateObjects: false
  })

describe("the Job of any task", () => {
  const config = configOf()
  const withEverything = configOf({
    persistence: { enabled: true },
    global: { tls: { caBundleSecret: { name: "roots" }, clientCertSecret: { name: "client" } } }
  })

  it.prop("passes Pod Security restricted with default values", [choices], ([choices]) => {
    const { epoch, task } = caseOf(choices)
    expect(violations(podOf(job(task, config, epoch)))).toEqual([])
  })

  it("has the volumes that the schema of values knows as ours, and no others", () => {
    const filed = taskOf({ source: { configMap: { name: "files" } } })
    const kept = taskOf({
      source: { archive: { url: "https://example.com/a.tar.gz", sha256: "0".repeat(64) } },
      savePlan: { claimName: "plans" }
    })
    const names = [fullTask(), filed, kept].flatMap((task) => podOf(build(task, withEverything)).volumes ?? []).map(({ name }) => name)
    expect(new Set(names)).toEqual(new Set([...workerVolumes, ...volumesForAll, "agent-job-ca-bundle", "claim-0"]))
  })

  it.prop("has a name of at most 57 characters that a Pod's name may begin with, and labels of at most 63", [choices], ([choices]) => {
    const { metadata, spec } = build(caseOf(choices).task, config)
    expect(metadata?.name).toMatch(/^[a-z0-9]([-a-z0-9]{0,55}[a-z0-9])?$/u)
    const ours = Object.entries(metadata?.labels ?? {}).filter(([key]) =>
      key.startsWith("scalr.io/") || key.startsWith("app.kubernetes.io/")
    )
    expect(ours.filter(([, value]) => !/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/u.test(value))).toEqual([])
    expect(spec?.template.metadata?.labels).toEqual(metadata?.labels)
  })

  it.prop("is the same each time, and of no `undefined`", [choices], ([choices]) => {
    const { epoch, task } = caseOf(choices)
    const made = job(task, config, epoch)
    expect(job(task, config, epoch)).toStrictEqual(made)
    const marked = JSON.stringify(made, (_, value: unknown) => value === undefined ? "undefined!" : value)
    expect(marked).toBe(JSON.stringify(made))
  })

  it.prop("has no label of its workspace but the name of that", [choices], ([choices]) => {
    const forged = { "scalr.io/workspace": "forged", "scalr.io/other": "forged", "app.kubernetes.io/component": "forged" }
    const { task } = caseOf({ ...choices, jobTemplate: { ...choices.jobTemplate, labels: forged } })
    const given = {
      ...config,
      objectLabels: forged,
      task: { ...config.task, jobLabels: forged, pod: { ...config.task.pod, labels: forged } }
    }
    const { metadata, spec } = build(task, given)
    for (const labels of [metadata?.labels, spec?.template.metadata?.labels]) {
      expect([undefined, task.spec.workspace]).toContain(labels?.["scalr.io/workspace"])
      expect(Object.values(labels ?? {})).not.toContain("forged")
    }
  })

  const values = { a: "values", "example.com/b": "values" }
  const marking = configOf({ global: { labels: values }, task: { nodeSelector: values, podAnnotations: values, podLabels: values } })
  it.prop("has what the values mark it with and where they place it, whatever its task adds", [choices], ([choices]) => {
    const theirs = { a: "task", "example.com/b": "task", c: "task", "karpenter.sh/do-not-disrupt": "false" }
    const { task } = caseOf({
      ...choices,
      jobTemplate: { ...choices.jobTemplate, annotations: theirs, labels: theirs, nodeSelector: theirs }
    })
    const { metadata, spec } = build(task, marking)
    expect(metadata?.labels).toMatchObject({ ...values, c: "task" })
    expect(spec?.template.metadata).toMatchObject({
      annotations: { ...values, c: "task", "karpenter.sh/do-not-disrupt": "true" },
      labels: { ...values, c: "task" }
    })
    expect(spec?.template.spec?.nodeSelector).toEqual({ ...theirs, ...values })
  })

  it.prop("keeps what is the worker's alone from the runner", [choices], ([choices]) => {
    const made = build(caseOf(choices).task, config)
    const worker = new Set(Object.values(places(container(made, "worker"))))
    const runner = Object.values(places(container(made, "runner")))
    expect(runner.filter((volume) => worker.has(volume))).toEqual(["data"])
    expect(container(made, "runner").env?.filter(({ name }) => name.startsWith("AGENT_JOB_"))).toEqual([])
    expect(podOf(made).automountServiceAccountToken).toBe(false)
  })

  it.prop("has no volume under a name that the values may give to one of their own", [choices], ([choices]) => {
    const names = (podOf(build(caseOf(choices).task, withEverything)).volumes ?? []).map(({ name }) => name)
    const taken = Result.match(parseValues({ task: { extraVolumes: names.map((name) => ({ name, emptyDir: {} })) } }), {
      onFailure: (problems) => problems,
      onSuccess: () => []
    })
    expect(taken).toHaveLength(names.length)
  })

  it.prop("mounts only volumes that the Pod has, each under one name", [choices], ([choices]) => {
    const pod = podOf(build(caseOf(choices).task, config))
    const names = (pod.volumes ?? []).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(
      containersOf(pod).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)).filter((name) => !names.includes(name))
    ).toEqual([])
  })
})

describe("the Job", () => {
  it.each([["a task's name of 253 letters", "a".repeat(253)], ["one that just does not fit", "a".repeat(58)], ["dots", "v1.2.3"]])(
    "has a short name for %s",
    (_, name) => {
      const made = build(taskOf({}, { name })).metadata
      expect(made?.name).toMatch(/^[a-z0-9]([-a-z0-9]{0,55}[a-z0-9])?$/u)
      expect(made?.labels?.["scalr.io/task"]).toBe(name.slice(0, 63))
    }
  )

  it("is as in test/golden/job.yaml", () => expect(golden(taskOf())).toMatchFileSnapshot("../../golden/job.yaml"))
  it("of a task with everything is as in test/golden/job-full.yaml", () =>
    expect(golden(fullTask())).toMatchFileSnapshot("../../golden/job-full.yaml"))

  it("of many values is as in test/golden/job-values.yaml", () => {
    const config = configOf({
      agent: {
        providerNetworkMirrors: [{ url: "https://mirror.example.com/", include: ["hashicorp/*"], tokenSecret: { name: "mirror" } }]
      },
      global: {
        annotations: { "example.com/owner": "platform" },
        labels: { team: "platform" },
        podLabels: { team: "platform" },
        proxy: { httpsProxy: "http://proxy.example.com:3128", noProxy: "git.example.com" },
        tls: { caBundleSecret: { name: "roots" }, clientCertSecret: { name: "client" } }
      },
      persistence: { hostPath: { path: "/var/cache/tofu" } },
      task: {
        dnsConfig: { options: [{ name: "ndots", value: "1" }] },
        hostAliases: [{ ip: "192.0.2.1", hostnames: ["git.example.com"] }],
        job: {
          activeDeadlineSeconds: 1800,
          podFailurePolicy: { rules: [{ action: "FailJob", onExitCodes: { containerName: "runner", operator: "In", values: [42] } }] }
        },
        namespace: "agent-job-tasks",
        priorityClassName: "tasks",
        runner: { extraEnvFrom: [{ prefix: "AWS_", secretRef: { name: "aws" } }] },
        runtimeClassName: "gvisor",
        topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway" }]
      }
    })
    return expect(golden(taskOf({ stage: "apply" }), config)).toMatchFileSnapshot("../../golden/job-values.yaml")
  })

  it("never lets Kubernetes run a stage twice", () => {
    const { spec } = build(taskOf())
    expect(spec).toMatchObject({
      backoffLimit: 0,
      podReplacementPolicy: "Failed",
      podFailurePolicy: { rules: [{ action: "Ignore", onExitCodes: { containerName: "worker", operator: "In", values: [75] } }] }
    })
    expect(spec?.template.spec?.restartPolicy).toBe("Never")
  })

  it("is owned by its task, which cannot be removed before it", () => {
    expect(build(taskOf()).metadata?.ownerReferences).toEqual([
      {
        apiVersion: "scalr.io/v1",
        kind: "AgentTask",
        name: "demo-plan",
        uid: "0a1b2c3d-0000-4000-8000-000000000001",
        controller: true,
        blockOwnerDeletion: true
      }
    ])
  })

  it("ends some time after the task's own timeout, start and grace, and the 15 minutes in which no node may take its Pod", () => {
    expect(build(taskOf({ stage: "plan" })).spec?.activeDeadlineSeconds).toBe(3600 + 900 + 180 + 360 + 120)
    expect(
      job(taskOf({ timeoutSeconds: 60 }), configOf({ task: { startupTimeoutSeconds: 30, terminationGracePeriodSeconds: 10 } }), 0).spec
        ?.activeDeadlineSeconds
    ).toBe(60 + 900 + 30 + 10 + 120)
  })

  it("leaves an apply three days more, in which its worker or a person may save the last state, as far as the values let any Job live", () => {
    const { plan: approved, ...spec } = fullTask().spec
    const seconds = (stage: AgentTask["spec"]["stage"], activeDeadlineSeconds = 0) =>
      job(
        taskOf({ ...spec, ...(stage !== "plan" && { plan: approved }), stage }),
        configOf({ task: { job: { activeDeadlineSeconds } } }),
        0
      ).spec?.activeDeadlineSeconds
    expect([seconds("plan"), seconds("apply"), seconds("destroy")]).toEqual([1500 + 660, 1500 + 3 * 86_400 + 660, 1500 + 3 * 86_400 + 660])
    expect(build(taskOf({ stage: "apply" })).spec?.activeDeadlineSeconds).toBe(3600 + 3 * 86_400 + 1560) // without a pool
    expect([seconds("apply", 3000), seconds("apply", 1_000_000)]).toEqual([3000, 600 + 3 * 86_400 + 840])
  })

  it("takes retries of a start from the values", () =>
    expect(job(taskOf(), configOf({ task: { job: { backoffLimit: 2 } } }), 0).spec?.backoffLimit).toBe(2))

  it("may live no longer than the values say, and shortens the stage for it", () => {
    const config = configOf({ task: { job: { activeDeadlineSeconds: 1200 } } })
    const limit = (task: AgentTask) =>
      container(job(task, config, 0), "worker").env?.find(({ name }) => name === "AGENT_JOB_TIMEOUT_LIMIT_SECONDS")?.value
    expect([job(taskOf(), config, 0).spec?.activeDeadlineSeconds, limit(taskOf())]).toEqual([1200, "360"])
    expect(job(taskOf({ timeoutSeconds: 60 }), config, 0).spec?.activeDeadlineSeconds).toBe(60 + 840)
    expect(container(build(taskOf()), "worker").env?.map(({ name }) => name)).not.toContain("AGENT_JOB_TIMEOUT_LIMIT_SECONDS")
  })

  it("has rules of the values after the one that spares the winner of a claim", () => {
    const rules = [{ action: "FailJob", onExitCodes: { containerName: "runner", operator: "In", values: [42] } }]
    const made = job(taskOf(), configOf({ task: { job: { podFailurePolicy: { rules } } } }), 0)
    expect(made.spec?.podFailurePolicy?.rules).toEqual([...build(taskOf()).spec?.podFailurePolicy?.rules ?? [], ...rules])
  })

  it("has the exit codes of such a rule in order and once, which is all that Kubernetes takes", () => {
    const rules = [{ action: "FailJob", onExitCodes: { operator: "In", values: [100, 42, 3, 42] } }]
    const made = job(taskOf(), configOf({ task: { job: { podFailurePolicy: { rules } } } }), 0)
    expect(made.spec?.podFailurePolicy?.rules.at(-1)?.onExitCodes).toEqual({ operator: "In", values: [3, 42, 100] })
  })

  it("is marked as the task says, over it as the values say, for all objects and over it for Jobs, and ours over all", () => {
    const config = configOf({
      global: {
        labels: { a: "global", b: "global", c: "global" },
        annotations: { a: "global", b: "global" },
        podLabels: { pods: "global" }
      },
      task: { jobLabels: { b: "job", c: "job" }, jobAnnotations: { b: "job" }, podLabels: { c: "pod" } }
    })
    const { metadata, spec } = job(taskOf({ jobTemplate: { labels: { c: "task", d: "task" } } }), config, 0)
    expect(metadata?.labels).toMatchObject({ a: "global", b: "job", c: "job", d: "task", "scalr.io/task": "demo-plan" })
    expect(metadata?.annotations).toEqual({ a: "global", b: "job", "scalr.io/config-hash": config.policy.configHash })
    expect(spec?.template.metadata?.labels).toMatchObject({ pods: "global", c: "pod", d: "task", "scalr.io/task": "demo-plan" })
    expect(spec?.template.metadata?.labels).not.toHaveProperty("a")
  })

  it("has no workspace label where the name is no label", () => {
    const jobTemplate = { labels: { "scalr.io/workspace": "demo" } }
    for (const workspace of ["a".repeat(64), "demo-"]) {
      expect(build(taskOf({ workspace, jobTemplate })).metadata?.labels).not.toHaveProperty("scalr.io/workspace")
    }
    expect(build(taskOf({ workspace: "demo_1" })).metadata?.labels).toHaveProperty("scalr.io/workspace", "demo_1")
  })
})

describe("the Pod", () => {
  it("starts install, then sidecars and the runner, which live as long as the worker", () => {
    const { containers, initContainers = [] } = podOf(
      job(
        taskOf(),
        configOf({ task: { sidecars: [{ name: "proxy", image: "proxy:1" }, { name: "once", image: "once:1", restartPolicy: "Never" }] } }),
        0
      )
    )
    expect(initContainers.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
      ["install", undefined],
      ["proxy", "Always"],
      ["once", "Always"],
      ["runner", "Always"]
    ])
    expect(containers.map(({ name }) => name)).toEqual(["worker"])
    expect(initContainers[0]?.terminationMessagePolicy).toBe("FallbackToLogsOnError") // nothing else tells of a wrong architecture
  })

  it.each([["plan", 0], ["apply", 2], ["destroy", 2]])("of %s outlives a silent node by %i tolerations without a limit", (stage, count) => {
    const forEver = podOf(build(taskOf({ stage }))).tolerations?.filter(({ effect, operator, tolerationSeconds }) =>
      effect === "NoExecute" && operator === "Exists" && tolerationSeconds === undefined
    )
    expect(forEver ?? []).toHaveLength(count)
  })

  it("of an apply outlives it whatever the values tolerate, because Kubernetes takes the first toleration that matches a taint", () => {
    const key = "node.kubernetes.io/unreachable"
    const tolerations = [{ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 30 }]
    const made = podOf(build(taskOf({ stage: "apply" }), configOf({ task: { tolerations } }))).tolerations ?? []
    expect(made.filter((_) => _.key === key).map(({ tolerationSeconds }) => tolerationSeconds)).toEqual([undefined, 30])
  })

  it("tells the worker who it is, and where what is its own is", () => {
    const env = Object.fromEntries(
      (container(job(fullTask(), configOf(), 7), "worker").env ?? []).map(({ name, value, valueFrom }) => [name, value ?? valueFrom])
    )
    expect(env).toEqual({
      AGENT_JOB_NAMESPACE: { fieldRef: { fieldPath: "metadata.namespace" } },
      AGENT_JOB_TASK: "run-1-apply",
      AGENT_JOB_TASK_UID: "0a1b2c3d-0000-4000-8000-000000000001",
      AGENT_JOB_JOB: "agent-job-run-1-apply",
      AGENT_JOB_CONFIG_HASH: configOf().policy.configHash,
      AGENT_JOB_POD_NAME: { fieldRef: { fieldPath: "metadata.name" } },
      AGENT_JOB_POD_UID: { fieldRef: { fieldPath: "metadata.uid" } },
      AGENT_JOB_NODE: { fieldRef: { fieldPath: "spec.nodeName" } },
      AGENT_JOB_EPOCH: "7",
      AGENT_JOB_DATA_DIR: "/var/lib/scalr-agent",
      AGENT_JOB_PRIVATE_DIR: "/var/lib/agent-job/private",
      AGENT_JOB_TOKEN_FILE: "/var/run/agent-job/token/token",
      AGENT_JOB_GRACE_SECONDS: "359",
      AGENT_JOB_VARIABLE_1: { secretKeyRef: { name: "database", key: "password" } }
    })
  })

  it.each([
    { grace: 360, sleep: { seconds: 1 }, left: "359" },
    { grace: 2, sleep: { seconds: 1 }, left: "1" },
    { grace: 1, sleep: undefined, left: "1" },
    { grace: 0, sleep: undefined, left: "0" }
  ])("leaves a worker that has to go a moment to listen before its SIGTERM, of $grace seconds", ({ grace, left, sleep }) => {
    const { env, lifecycle } = container(job(taskOf(), configOf({ task: { terminationGracePeriodSeconds: grace } }), 0), "worker")
    expect(lifecycle?.preStop?.sleep).toEqual(sleep)
    expect(env).toContainEqual({ name: "AGENT_JOB_GRACE_SECONDS", value: left })
  })

  it("lets no variable of the values take the place of one of ours", () => {
    const env = container(job(taskOf(), configOf({ global: { extraEnv: { AGENT_JOB_TASK: "other" } } }), 0), "worker").env ?? []
    expect(env.filter(({ name }) => name === "AGENT_JOB_TASK")).toEqual([{ name: "AGENT_JOB_TASK", value: "demo-plan" }])
  })

  it("mounts the files of a ConfigMap in the worker", () => {
    const made = build(taskOf({ source: { configMap: { name: "files" } } }))
    expect(places(container(made, "worker"))).toHaveProperty("/var/run/agent-job/source", "source")
    expect(container(made, "worker").env).toContainEqual({ name: "AGENT_JOB_SOURCE_DIR", value: "/var/run/agent-job/source" })
  })

  it("mounts the claim of plans in the worker alone, which writes there to keep a plan, and to note that its apply began", () => {
    const source = { fluxSource: { kind: "GitRepository" as const, name: "infra" } }
    const plans = (spec: object, of: "worker" | "runner" = "worker") =>
      container(build(taskOf(spec)), of).volumeMounts?.find(({ name }) => name === "plans")
    const keeping = { source, savePlan: { claimName: "plans" } }
    const applying = { stage: "apply", source: { savedPlan: { claimName: "plans", sha256: "c".repeat(64) } } }
    for (const spec of [keeping, applying]) {
      expect(plans(spec)).toEqual({ name: "plans", mountPath: "/var/run/agent-job/plans" })
      expect(plans(spec, "runner")).toBeUndefined()
    }
    expect(plans({ source })).toBeUndefined()
  })

  it("mounts a task's claim also where the values mount something, which the API server refuses before its state goes there", () => {
    const spec = { jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: "/state" }] } }
    const values = {
      task: { extraVolumes: [{ name: "v", emptyDir: {} }], runner: { extraVolumeMounts: [{ name: "v", mountPath: "/state" }] } }
    }
    const mounts = container(build(taskOf(spec), configOf(values)), "runner").volumeMounts?.filter(({ mountPath }) =>
      mountPath === "/state"
    )
    expect(mounts).toEqual([{ name: "v", mountPath: "/state" }, { name: "claim-0", mountPath: "/state" }])
  })

  it("shares the cache, which only the worker may write", () => {
    const made = job(taskOf(), configOf({ persistence: { enabled: true, persistentVolumeClaim: { subPath: "a" } } }), 0)
    const cache = (name: string) => container(made, name).volumeMounts?.find((_) => _.name === "cache")
    expect(cache("worker")).toEqual({ name: "cache", mountPath: "/var/lib/scalr-agent/cache", subPath: "a" })
    expect(cache("runner")).toEqual({ name: "cache", mountPath: "/var/lib/scalr-agent/cache", subPath: "a", readOnly: true })
  })

  it("keeps the cache from a worker with a claim of plans, where another task's link could lead it there", () => {
    const source = { fluxSource: { kind: "GitRepository" as const, name: "infra" } }
    const made = job(taskOf({ source, savePlan: { claimName: "plans" } }), configOf({ persistence: { enabled: true } }), 0)
    expect(container(made, "worker").volumeMounts?.map(({ name }) => name)).toEqual([
      "data",
      "private",
      "tmp",
      expect.stringMatching("token"),
      "plans"
    ])
    expect(container(made, "worker").env?.map(({ name }) => name)).not.toContain("AGENT_JOB_CACHE_DIR")
    expect(container(made, "runner").volumeMounts?.map(({ name }) => name)).toContain("cache")
  })

  it("lets no task write a claim of the installation from its runner, also where no policy refuses the task", () => {
    const volumeClaims = ["agent-job-cache", "state"].map((claimName) => ({ claimName, mountPath: `/${claimName}` }))
    const made = job(taskOf({ jobTemplate: { volumeClaims } }), configOf({ persistence: { enabled: true } }), 0)
    expect(container(made, "runner").volumeMounts).toEqual(expect.arrayContaining([
      { name: "claim-0", mountPath: "/agent-job-cache", readOnly: true },
      { name: "claim-1", mountPath: "/state" }
    ]))
  })

  it("may have a directory of the node for its cache, and then no claim", () => {
    const made = job(taskOf(), configOf({ persistence: { enabled: true, hostPath: { path: "/var/cache/tofu" } } }), 0)
    expect(podOf(made).volumes).toContainEqual({ name: "cache", hostPath: { path: "/var/cache/tofu", type: "Directory" } })
    expect(violations(podOf(made))).toEqual(["volume cache"])
  })

  it("shows certificates to trust to worker and runner, and the client certificate to the worker alone", () => {
    const made = job(
      fullTask(),
      configOf({ global: { tls: { caBundleSecret: { name: "roots" }, clientCertSecret: { name: "client", keyKey: "key.pem" } } } }),
      0
    )
    const [trust, client] = ["/var/run/agent-job/ca-bundle", "/var/run/agent-job/client-certificate"]
    expect(places(container(made, "worker"))).toMatchObject({ [trust]: "agent-job-ca-bundle", [client]: "agent-job-client-certificate" })
    expect(places(container(made, "runner"))).toHaveProperty([trust], "agent-job-ca-bundle")
    expect(JSON.stringify(container(made, "runner"))).not.toMatch(/client/u)
    expect(podOf(made).volumes).toContainEqual({
      name: "agent-job-ca-bundle",
      secret: { secretName: "roots", items: [{ key: "ca-bundle.crt", path: "ca.crt" }] }
    })
    expect(podOf(made).volumes).toContainEqual({
      name: "agent-job-client-certificate",
      secret: {
        secretName: "client",
        items: [{ key: "tls.crt", path: "tls.crt" }, { key: "key.pem", path: "tls.key" }],
        defaultMode: 0o400
      }
    })
    expect(container(made, "worker").env).toContainEqual({ name: "AGENT_JOB_CLIENT_CERTIFICATE_DIR", value: client })
    expect(violations(podOf(made))).toEqual([])
  })

  it("is placed and surrounded as the values say", () => {
    const dns = { dnsPolicy: "None", dnsConfig: { nameservers: ["10.0.0.10"], options: [{ name: "ndots", value: "1" }] } }
    const spread = { maxSkew: 1, topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway" }
    const around = {
      ...dns,
      hostAliases: [{ ip: "10.0.0.1", hostnames: ["git.example.com"] }],
      priorityClassName: "high",
      topologySpreadConstraints: [spread, { ...spread, labelSelector: { matchLabels: { a: "b" } } }]
    }
    const { metadata, spec } = job(taskOf(), configOf({ task: { ...around, runtimeClassName: "gvisor" } }), 0).spec?.template ?? {}
    const [first, second] = spec?.topologySpreadConstraints ?? []
    expect(spec).toMatchObject({ ...dns, hostAliases: around.hostAliases, priorityClassName: "high", runtimeClassName: "gvisor" })
    expect(metadata?.labels).toMatchObject(first?.labelSelector?.matchLabels ?? { none: "" })
    expect(second?.labelSelector).toEqual({ matchLabels: { a: "b" } })
  })

  it("tells the worker of mirrors and of the Secrets with their tokens, and the runner nothing", () => {
    const providerNetworkMirrors = [
      { url: "https://a.example.com" },
      {
        url: "https://b.example.com/",
        include: ["hashicorp/*"],
        tokenSecret: { name: "mirror" }
      }
    ]
    const made = job(taskOf(), configOf({ agent: { providerFilesystemMirrors: [{ path: "/opt/providers" }], providerNetworkMirrors } }), 0)
    const env = Object.fromEntries((container(made, "worker").env ?? []).map(({ name, value, valueFrom }) => [name, value ?? valueFrom]))
    expect(JSON.parse(String(env["AGENT_JOB_PROVIDER_MIRRORS"]))).toEqual({
      filesystem: [{ path: "/opt/providers", include: [] }],
      network: [
        { url: "https://a.example.com/", include: [] },
        { url: "https://b.example.com/", include: ["hashicorp/*"], tokenSecret: { name: "mirror", key: "token" } }
      ]
    })
    expect(env["AGENT_JOB_MIRROR_TOKEN_1"]).toEqual({ secretKeyRef: { name: "mirror", key: "token" } })
    expect(env).not.toHaveProperty("AGENT_JOB_MIRROR_TOKEN_0")
    expect(JSON.stringify(container(made, "runner"))).not.toMatch(/mirror/iu)
  })

  it("takes variables from objects beside those by name", () => {
    const made = job(
      taskOf(),
      configOf({ task: { runner: { extraEnvFrom: [{ prefix: "A_", secretRef: { name: "keys", optional: true } }] } } }),
      0
    )
    expect(container(made, "runner").envFrom).toEqual([{ prefix: "A_", secretRef: { name: "keys", optional: true } }])
    expect(container(made, "worker")).not.toHaveProperty("envFrom")
  })

  it("lets a mount of the values take the place of one of ours", () => {
    const made = job(
      taskOf(),
      configOf({
        task: { extraVolumes: [{ name: "mine", emptyDir: {} }], worker: { extraVolumeMounts: [{ name: "mine", mountPath: "/tmp" }] } }
      }),
      0
    )
    const mounts = container(made, "worker").volumeMounts?.filter(({ mountPath }) => mountPath === "/tmp")
    expect(mounts).toEqual([{ name: "mine", mountPath: "/tmp" }])
  })

  it("takes what the task's own template may change, and no more", () => {
    const made = build(fullTask())
    expect(container(made, "runner")).toMatchObject({
      image: "example.com/tofu:1",
      resources: { limits: { cpu: "4000m", memory: "4Gi" }, requests: { cpu: "500m", memory: "512Mi" } }
    })
    expect(places(container(made, "runner"))).toHaveProperty("/state")
    expect(made.spec?.template.metadata?.annotations).toMatchObject({
      "example.com/team": "a",
      "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"
    })
    expect(made.metadata?.labels).toMatchObject({ "example.com/cost": "b", "scalr.io/stage": "apply" })
    expect(podOf(made).nodeSelector).toEqual({ pool: "terraform" })
  })
})

describe("the check of Pod Security", () => {
  it.each([
    [
      "a privileged runner",
      { task: { runner: { securityContext: { privileged: true, allowPrivilegeEscalation: true } } } },
      "runner is privileged"
    ],
    ["a runner as root", { task: { runner: { securityContext: { runAsUser: 0, runAsNonRoot: false } } } }, "runner is root"],
    ["a capability", { agent: { securityContext: { capabilities: { add: ["CHOWN"] } } } }, "worker adds capabilities"],
    ["a directory of the node", { task: { extraVolumes: [{ name: "host", hostPath: { path: "/" } }] } }, "volume host"]
  ])("finds %s", (_, values, violation) => expect(violations(podOf(job(taskOf(), configOf(values), 0)))).toContain(violation))
})
