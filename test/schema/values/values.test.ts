import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { isTree, type Layer, leaves, saying, type Tree, union, valueAt } from "../../../src/schema/document/layers.ts"
import { valueKeys } from "../../../src/schema/values/values-document.ts"
import { defaultValues, overrides, parseLayers, parseValues } from "../../../src/schema/values/values.ts"
import { chartKeys, ourKeys } from "../value-keys.ts"
import { made, Tape } from "./made-file.ts"

const at = (tree: unknown, key: string): unknown =>
  key.split(".").reduce<unknown>(
    (inner, part) => typeof inner === "object" && inner !== null ? Object.entries(inner).find(([name]) => name === part)?.[1] : undefined,
    tree
  )

/** Returns `{ a: { b: value } }` for "a.b". */
const tree = (key: string, value: unknown): object =>
  key.split(".").reduceRight<unknown>((inner, part) => ({ [part]: inner }), value) as object

const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

const problems = (input: unknown): ReadonlyArray<string> => Result.match(parseValues(input), { onFailure: (_) => _, onSuccess: () => [] })
const parsed = (input: unknown) => Result.getOrThrow(parseValues(input))

describe("the values", () => {
  it.each([...chartKeys, ...ourKeys])("have %s with its default", (key, fallback) => {
    expect(at(defaultValues, key)).toEqual(fallback)
  })

  it("are documented, each key with its default and nothing else", () => {
    const documented = Object.fromEntries(valueKeys().map(({ fallback, key }) => [key, fallback]))
    expect(documented).toEqual(Object.fromEntries([...chartKeys, ...ourKeys]))
    expect(valueKeys().filter(({ description }) => !/^[A-Z].*\.$/u.test(description))).toEqual([])
  })

  it("are the defaults for an empty file", () => {
    for (const empty of [{}, null, undefined, { agent: null, task: { job: null } }]) expect(parsed(empty)).toEqual(defaultValues)
  })

  it("are merged map by map, and lists and single values replace", () => {
    const values = parsed({
      agent: { securityContext: { runAsUser: 2000, capabilities: { add: ["CHOWN"] } } },
      task: { runner: { resources: { limits: { cpu: 8 } } }, tolerations: [{ key: "a", operator: "Exists" }] }
    })
    expect(values.agent.securityContext).toEqual({
      ...defaultValues.agent.securityContext,
      runAsUser: 2000,
      capabilities: { add: ["CHOWN"], drop: ["ALL"] }
    })
    expect(values.task.runner.resources).toEqual({ limits: { cpu: 8, memory: "2048Mi" }, requests: { cpu: "500m", memory: "512Mi" } })
    expect(values.task.tolerations).toEqual([{ key: "a", operator: "Exists" }])
  })

  it("lose a key that is null", () => {
    expect(parsed({ controller: { resources: { limits: null } } }).controller.resources).toEqual({
      requests: { cpu: "100m", memory: "128Mi" }
    })
  })

  it("take keys with a prefix for tasks, one by one or all of a prefix, also where the prefix looks like that of Kubernetes", () => {
    const allowedKeys = ["example.com/", "sidecar.istio.io/inject", "kueue.x-k8s.io/queue-name"]
    expect(parsed({ task: { allowedKeys } }).task.allowedKeys).toEqual(allowedKeys)
  })

  it("take numbers and booleans as variables", () => {
    expect(parsed({ global: { extraEnv: { A: 1, B: true, C: "" } } }).global.extraEnv).toEqual({ A: 1, B: true, C: "" })
  })

  it("tell every problem at once, each with its path", () => {
    expect(problems({
      controler: {},
      task: { job: { backofLimit: 1, ttlSecondsAfterFinished: -1 }, runner: { extraVolumeMounts: [{ name: "a", mountPth: "/a" }] } },
      persistence: { enabled: "yes" }
    })).toEqual([
      `controler: unknown key, did you mean "controller"?`,
      `persistence.enabled: must be true or false, not the text "yes"`,
      `task.job.backofLimit: unknown key, did you mean "backoffLimit"?`,
      `task.job.ttlSecondsAfterFinished: must be a value greater than or equal to 0`,
      `task.runner.extraVolumeMounts[0].mountPth: unknown key, did you mean "mountPath"?`,
      `task.runner.extraVolumeMounts[0].mountPath: is missing`
    ])
  })

  const contradicting = {
    admissionPolicies: { secrets: ["a"] },
    agent: { token: "a", tokenExistingSecret: { name: "b" } },
    controller: { podDisruptionBudget: { enabled: true }, dnsPolicy: "None" },
    global: { tls: { caBundle: certificate, caBundleSecret: { name: "a" } } },
    task: {
      job: { activeDeadlineSeconds: 1 },
      runner: { securityContext: { privileged: true, allowPrivilegeEscalation: false } },
      tolerations: [{}],
      worker: { resources: { limits: { cpu: "1m" } } }
    }
  }
  const contradictions = [
    "admissionPolicies.secrets: needs admissionPolicies.enabled",
    "agent.token: is given, and",
    "controller.dnsConfig: needs nameservers",
    "controller.podDisruptionBudget.minAvailable: is 1 of 1",
    "global.tls.caBundle: is given, and",
    "task.job.activeDeadlineSeconds: leaves no minute",
    "task.runner.securityContext.privileged: needs",
    "task.tolerations[0]: needs a key",
    "task.worker.resources.limits.cpu: 1m is less than"
  ]
  const begin = (told: ReadonlyArray<string>) => told.toSorted().map((line) => contradictions.find((_) => line.startsWith(_)) ?? line)

  it("tell all that contradicts in one list, of whatever section it is", () => {
    expect(begin(problems(contradicting))).toEqual(contradictions)
  })

  it.each([
    { given: "an unknown key", file: { task: { polTimeout: 1 } }, told: `task.polTimeout: unknown key` },
    { given: "an unknown key that null takes away", file: { agent: { tokn: null } }, told: "agent.tokn: unknown key" },
    { given: "a wrong value", file: { persistence: { enabled: "yes" } }, told: "persistence.enabled: must be" },
    { given: "a wrong value in the same section", file: { task: { limits: { total: 0 } } }, told: "task.limits.total: must be" },
    { given: "a value that null takes away", file: { task: { limits: { total: null } } }, told: "task.limits.total: null cannot" }
  ])("tell what contradicts beside $given", ({ file, told }) => {
    const all = begin(problems(union(contradicting, file)))
    expect(all.filter((line) => !contradictions.includes(line))).toEqual([expect.stringContaining(told)])
    expect(all.filter((line) => contradictions.includes(line))).toEqual(contradictions)
  })

  it.each([
    { meant: "agent.token", file: { agent: { url: "https://example.com", tokn: "a" } }, told: "agent.tokn" },
    {
      meant: "controller.replicas",
      file: { controller: { replica: 2, podDisruptionBudget: { enabled: true } } },
      told: "controller.replica"
    },
    {
      meant: "admissionPolicies",
      file: { admissionPolices: { enabled: true }, admissionPolicies: { secrets: ["a"] } },
      told: "admissionPolices"
    }
  ])("leave out those that look at $meant, which an unknown key seems to mean", ({ file, told }) => {
    expect(problems(file)).toEqual([expect.stringContaining(`${told}: unknown key, did you mean`)])
  })

  it.each([
    { given: "its value is wrong", file: { agent: { url: "https://example.com", token: 5 } }, path: "agent.token" },
    {
      given: "its section is no map",
      file: { persistence: "a", task: { runner: { extraVolumeMounts: [{ name: "cache", mountPath: "/c" }] } } },
      path: "persistence"
    },
    {
      given: "null takes away what must be there",
      file: { controller: { replicas: null, podDisruptionBudget: { enabled: true } } },
      path: "controller.replicas"
    }
  ])("do not say that a key contradicts another one where $given", ({ file, path }) => {
    expect(problems(file)).toEqual([expect.stringMatching(new RegExp(`^${path}: `, "u"))])
  })

  it.each([
    ["task.job.backoffLimit", "three", "must be a number, not a text"],
    ["task.job.backoffLimit", 1.5, "must be an integer"],
    ["global.imagePullSecrets", "regcred", "must be a list, not a text"],
    ["agent.image.pullPolicy", "Sometimes", `must be "Always", "IfNotPresent" or "Never"`],
    ["agent.image.tag", 1.1, "must be a text, not a number; put it in quotes"],
    ["agent.dataDir", "data", "must be an absolute path"],
    [
      "agent.dataDir",
      `/${"ä".repeat(43)}`,
      "is 87 bytes long, and no provider starts in a directory of more than 86; choose a shorter path"
    ],
    ["agent.url", "server", "must be "],
    ["agent.url", "https://user:pass@server.example.com", "without user and password"],
    ["task.namespace", "Tasks", "must be "],
    ["task.limits.total", 0, "greater than or equal to 1"],
    ["serviceAccount.tokenTTL", 60, "greater than or equal to 600"],
    ["persistence.emptyDir.sizeLimit", "20GB", "must be "],
    ["task.runner.resources.limits.memory", "2 gigs", "must be "],
    ["controller.podAnnotations", { "bad key!": "x" }, "bad key!"],
    ["controller.podAnnotations", { a: true }, "must be a text, not true or false; put it in quotes"],
    ["serviceAccount.labels", { team: "has spaces" }, "team"],
    ["global.extraEnv", { "1A": "x" }, "1A"],
    ["task.extraVolumes", [{ emptyDir: {} }], "[0]"],
    ["task.extraVolumes", [{ name: "data", emptyDir: {} }], `"data" is the name of a volume of ours`],
    ["task.sidecars", [{ name: "worker", image: "a" }], `"worker" is the name of a container of ours`],
    ["global.proxy.httpsProxy", "http://user:pass@proxy.example.com:3128", "without user and password"],
    ["global.proxy.httpProxy", "proxy.example.com", "a proxy's URL such as"],
    ["global.tls.caBundle", "MIIB", "certificates in PEM"],
    ["global.tls.caBundle", `${certificate}-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n`, "no private key"],
    ["global.tls.caBundle", `-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n${certificate}`, "no private key"],
    ["global.tls", { caBundle: certificate, caBundleSecret: { name: "a" } }, "caBundle: is given, and caBundleSecret too"],
    [
      "global.tls",
      { caBundleConfigMap: { name: "a" }, caBundleSecret: { name: "b" } },
      "caBundleConfigMap: is given, and caBundleSecret too"
    ],
    ["global.labels", { "scalr.io/task": "a" }, "is a label that agent-job itself sets"],
    ["task.podLabels", { "app.kubernetes.io/instance": "a" }, "is a label that agent-job itself sets"],
    ["global.labels", { "app.kubernetes.io/managed-by": "helm" }, "is a label that agent-job itself sets"],
    ["task.jobLabels", { "bad key": "a" }, "the key must be a name like"],
    ["task.allowedKeys", ["team"], "must be a key with its prefix"],
    ["task.allowedKeys", ["example.com/*"], "must be a key with its prefix"],
    ["task.allowedKeys", ["/"], "must be a key with its prefix"],
    ["task.allowedKeys", ["scalr.io/"], "no key of Kubernetes or of agent-job itself"],
    ["task.allowedKeys", ["more.scalr.io/task"], "no key of Kubernetes or of agent-job itself"],
    ["task.allowedKeys", ["kubernetes.io/"], "no key of Kubernetes or of agent-job itself"],
    ["task.allowedKeys", ["app.kubernetes.io/name"], "no key of Kubernetes or of agent-job itself"],
    ["task.allowedKeys", ["k8s.io/"], "no key of Kubernetes or of agent-job itself"],
    ["task.allowedKeys", ["autoscaler.k8s.io/a"], "no key of Kubernetes or of agent-job itself"],
    [
      "controller.extraEnvFrom",
      [{ configMapRef: { name: "a" }, secretRef: { name: "b" } }],
      "needs configMapRef or secretRef, one of them"
    ],
    ["controller.extraEnvFrom", [{ prefix: "A_" }], "needs configMapRef or secretRef, one of them"],
    ["controller.topologySpreadConstraints", [{ maxSkew: 0, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" }], "[0].maxSkew"],
    ["task.hostAliases", [{ ip: "10.0.0.256", hostnames: ["a"] }], "an IP address"],
    ["task.dnsPolicy", "None", "task.dnsConfig: needs nameservers"],
    ["controller.podDisruptionBudget", { enabled: true }, "minAvailable: is 1 of 1, so that no node"],
    ["controller.podDisruptionBudget", { enabled: true, minAvailable: "1%" }, "minAvailable: is 1% of 1, so that no node"],
    ["controller", { replicas: 3, podDisruptionBudget: { enabled: true, minAvailable: "67%" } }, "is 67% of 3, so that no node"],
    ["controller.podDisruptionBudget.minAvailable", "half", "must be "],
    ["task.job.activeDeadlineSeconds", 899, "leaves no minute for a stage: start and end take up to 840 seconds; give at least 900, or 0"],
    ["task.job.podFailurePolicy.rules", [{ action: "Ignore", onExitCodes: { operator: "In", values: [1] } }], `must be "FailJob"`],
    [
      "task.job.podFailurePolicy.rules",
      [{ action: "FailJob", onExitCodes: { containerName: "engine", operator: "In", values: [1] } }],
      `"engine" is no container of a task's Pod; it has install, runner, worker`
    ],
    ["agent.providerNetworkMirrors", [{ url: "http://mirror.example.com/" }], "begins with https://"],
    ["agent.providerNetworkMirrors", [{ url: "https://a:b@mirror.example.com/" }], "without user and password"],
    [
      "agent.providerNetworkMirrors",
      [{ url: "https://a.example.com/x/", tokenSecret: { name: "s" } }, { url: "https://a.example.com/y/" }],
      "[1].tokenSecret: differs from that of another mirror of a.example.com"
    ],
    [
      "agent.providerNetworkMirrors",
      ["a", "b"].map((key) => ({ url: `https://a.example.com/${key}/`, tokenSecret: { name: "s", key } })),
      "[1].tokenSecret: differs from that of another mirror of a.example.com"
    ],
    ["agent.providerNetworkMirrors", [{ url: "https://a.example.com/", include: ["hashicorp"] }], "include[0]"],
    ["agent.providerFilesystemMirrors", [{ path: "mirror" }], "an absolute path"],
    [
      "task.runner.extraVolumeMounts",
      [{ name: "api-token", mountPath: "/token" }],
      `[0].name: there is no volume "api-token" to mount; give it in task.extraVolumes`
    ],
    ["task.worker.extraVolumeMounts", [{ name: "cache", mountPath: "/cache" }], `there is no volume "cache" to mount`],
    [
      "task.worker.securityContext",
      { privileged: true, allowPrivilegeEscalation: false },
      "privileged: needs task.worker.securityContext.allowPrivilegeEscalation: true too"
    ],
    ["agent.securityContext.privileged", true, "needs agent.securityContext.allowPrivilegeEscalation: true too"],
    ["task.runner.securityContext.runAsUser", 2 ** 31, "must be "],
    [
      "task.runner.resources.limits.memory",
      "256Mi",
      "256Mi is less than the request of 512Mi; lower task.runner.resources.requests.memory too"
    ],
    ["task.worker.resources.limits.memory", "1Mi", "1Mi is less than the request of "],
    ["controller.resources.limits.cpu", 0.05, "0.05 is less than the request of 100m"],
    ["persistence.hostPath.type", "Socket", "must be "],
    ["global.proxy.httpProxy", "http://[::1", "is no address that a program can ask"],
    ["global.proxy.httpsProxy", "http://:8080", "is no address that a program can ask"],
    ["task.networkPolicy", { denyPods: true, privateCidrs: ["0.0.0.0/0"] }, "privateCidrs[0]: must be a network such as"],
    ["task.networkPolicy", { denyPods: true, privateCidrs: ["::/0"] }, "privateCidrs[0]: must be a network such as"],
    ["fullnameOverride", "Blue", "must be a lowercase DNS name"],
    ["task.identities", [{ name: "Network", workspaces: ["a"] }], "[0].name: must be a lowercase DNS name"],
    ["task.identities", [{ name: "a".repeat(254), workspaces: ["a"] }], "[0].name: must be "],
    ["task.identities", [{ name: "default", workspaces: ["a"] }], "[0].name: must be no account that Kubernetes or agent-job has itself"],
    ["task.identities", [{ name: "agent-job", workspaces: ["a"] }], "[0].name: must be no account that Kubernetes or agent-job has itself"],
    ["task.identities", [{ name: "blue-task", workspaces: ["a"] }], "[0].name: must be no account that Kubernetes or agent-job has itself"],
    [
      "task.identities",
      [{ name: "blue-tasks", workspaces: ["a"] }],
      "[0].name: must be no account that Kubernetes or agent-job has itself"
    ],
    [
      "task.identities",
      [{ name: "a", workspaces: ["a"] }, { name: "b", workspaces: ["b"] }, { name: "a", workspaces: ["c"] }],
      `[2].name: "a" is there already; give that one these workspaces too, or choose another name`
    ],
    ["task.identities", [{ name: "a", workspaces: [] }], "[0].workspaces: must be a list of one name or more"],
    ["task.identities", [{ name: "a" }], "[0].workspaces: is missing"],
    [
      "task.identities",
      [{ name: "a", workspaces: ["a*b"] }],
      "[0].workspaces[0]: must be a workspace's name, or the beginning of names and *"
    ],
    [
      "task.identities",
      [{ name: "a", workspaces: ["a.b"] }],
      "[0].workspaces[0]: must be a workspace's name, or the beginning of names and *"
    ],
    ["task.identities", [{ name: "a", workspaces: ["a"], stages: ["import"] }], `[0].stages[0]: must be "plan", "apply" or "destroy"`],
    ["task.identities", [{ name: "a", workspaces: ["a"], annotations: { "bad key!": "a" } }], "bad key!"],
    ["agent", "token", "must be a map of keys, not a text"]
  ])("refuse %s: %j", (key, value, told) => {
    const [first = "", ...others] = problems(tree(key, value))
    expect(others).toEqual([])
    expect(first).toContain(key)
    expect(first).toContain(told)
  })

  it("open a cloud's identity in either wall", () =>
    expect(
      [{ restrictMetadataService: true, denyPods: false }, { restrictMetadataService: false, denyPods: true }].map((
        { denyPods, restrictMetadataService }
      ) => problems({ restrictMetadataService, task: { networkPolicy: { denyPods, cloudIdentity: "eks" } } }))
    ).toEqual([[], []]))

  it("take a data directory in which a provider can just start, whatever slashes follow its name", () =>
    expect(problems({ agent: { dataDir: `/${"ä".repeat(42)}a//` } })).toEqual([]))

  it("take a rule for a Job's failures that names no container, or one of its own", () => {
    const onExitCodes = { operator: "In", values: [1] }
    for (
      const given of [{ onExitCodes }, { onExitCodes: { ...onExitCodes, containerName: "runner" } }, { onPodConditions: [{ type: "A" }] }]
    ) {
      expect(problems(tree("task.job.podFailurePolicy.rules", [{ action: "FailJob", ...given }]))).toEqual([])
    }
  })

  it.each([
    { given: "digits", key: "task.runner.resources.limits.memory", value: `${"1".repeat(1_000_000)} gigs`, told: "must be " },
    {
      given: "certificates that do not end",
      key: "global.tls.caBundle",
      value: "-----BEGIN CERTIFICATE-----\n".repeat(100_000),
      told: "PEM"
    }
  ])(
    "refuse megabytes of $given in good time",
    ({ key, told, value }) => expect(problems(tree(key, value))).toEqual([expect.stringContaining(told)])
  )

  it("refuse a token that is given twice, and a server without one", () => {
    expect(problems({ agent: { token: "a", tokenExistingSecret: { name: "b" } } })).toEqual([
      "agent.token: is given, and agent.tokenExistingSecret.name too; give one of them"
    ])
    expect(problems({ agent: { token: "a", auth: { token: "b" } } })).toEqual([
      "agent.auth.token: differs from agent.token; give the token once"
    ])
    expect(problems({ agent: { url: "https://example.com" } })).toEqual([
      "agent.url: needs a token: give agent.token or agent.tokenExistingSecret.name"
    ])
    expect(problems({ agent: { auth: { token: "a" }, url: "https://example.com" } })).toEqual([])
  })

  it.each([
    { given: "the values name", values: { serviceAccount: { name: "mine" } }, name: "mine" },
    { given: "has the full name that the values give", values: { fullnameOverride: "blue" }, name: "blue" }
  ])("refuse the controller's account as one of tasks, where it $given", ({ name, values }) => {
    const identities = [{ name: "other", workspaces: ["a"] }, { name, workspaces: ["*"] }]
    expect(problems({ ...values, task: { identities } })).toEqual([
      `task.identities[1].name: "${name}" is the controller's account, whose rights no task may have; choose another name`
    ])
  })

  const oneAfter = (workspaces: ReadonlyArray<string>, stages: ReadonlyArray<string>, then: object) => ({
    task: { identities: [{ name: "first", workspaces, stages }, { name: "second", ...then }] }
  })
  it.each([
    { given: "everything", file: oneAfter(["*"], [], { workspaces: ["a", "b*"], stages: ["plan"] }) },
    { given: "its workspaces, in plans too", file: oneAfter(["b*", "a"], [], { workspaces: ["a", "b-*"], stages: ["plan"] }) },
    { given: "its workspaces, and each stage by name", file: oneAfter(["a*"], ["plan", "apply", "destroy"], { workspaces: ["a*"] }) }
  ])("refuse an identity that no task ever has, after one that takes $given", ({ file }) =>
    expect(problems(file)).toEqual([
      `task.identities[1]: no task ever has it, since "first" before it takes all of its workspaces and stages; put it before that one`
    ]))
  it.each([
    { given: "some of its stages", file: oneAfter(["*"], ["plan"], { workspaces: ["a"] }) },
    { given: "other stages", file: oneAfter(["*"], ["plan"], { workspaces: ["a"], stages: ["apply"] }) },
    { given: "some of its workspaces", file: oneAfter(["a"], [], { workspaces: ["a", "b"] }) },
    { given: "a part of what its names begin with", file: oneAfter(["ab*"], [], { workspaces: ["a*"] }) }
  ])("take an identity after one that takes $given", ({ file }) => expect(problems(file)).toEqual([]))

  it("take workspaces by whole names, and by the beginning of names, in every form that there is", () => {
    const workspaces = ["*", "network-*", "A_b-1", "7*"]
    expect(parsed({ task: { identities: [{ name: "a.b", workspaces }] } }).task.identities).toEqual([
      { name: "a.b", workspaces, stages: [], create: true, annotations: {}, labels: {} }
    ])
  })

  it("refuse a file of the engine's own beside mirrors of providers", () => {
    const agent = { providerFilesystemMirrors: [{ path: "/mirror" }] }
    const told = "is given, and agent has provider mirrors, which are such a file too; give one of them"
    expect(problems({ agent, global: { extraEnv: { TF_CLI_CONFIG_FILE: "/a" } } })).toEqual([`global.extraEnv.TF_CLI_CONFIG_FILE: ${told}`])
    expect(problems({ agent, task: { runner: { extraEnv: { TF_CLI_CONFIG_FILE: "/a" } } } })).toEqual([
      `task.runner.extraEnv.TF_CLI_CONFIG_FILE: ${told}`
    ])
  })

  it("refuse what is no map at all", () => expect(problems(["agent"])).toEqual(["the file: must be a map of keys, such as agent or task"]))

  const Some = Schema.Array(Schema.Literals([
    { agent: { dataDir: "/data", image: { tag: "1.2" } } },
    { agent: { securityContext: { capabilities: { drop: null, add: ["CHOWN"] } } } },
    { controller: { resources: { limits: null, requests: { cpu: 1 } }, nodeSelector: { a: "b" } } },
    { task: { job: { backoffLimit: 3 }, tolerations: [{ operator: "Exists" }], runner: { extraEnv: { A: 1 } } } },
    { persistence: { enabled: true, persistentVolumeClaim: { storage: 5 } } },
    { global: { imagePullSecrets: [{ name: "a" }] } }
  ].map((_) => JSON.stringify(_))))
  it.prop("are given again by the shortest file that says how they differ", [Arbitrary.schema(Some)], ([files]) => {
    const values = files.map((file) => JSON.parse(file) as unknown).reduce<typeof defaultValues>(
      (below, file) => Result.getOrThrow(parseValues({ ...overrides(below), ...file as object })),
      defaultValues
    )
    expect(parsed(overrides(values))).toEqual(values)
  })

  const layer = (tree: Tree): Layer => ({ name: "values.yaml", tree, place: () => ({ line: 1, column: 1 }) })
  const seen = { good: 0 }
  it.prop("of two files are what the later one sets, and else those of the earlier one", [
    Arbitrary.schema(Tape),
    Arbitrary.schema(Tape)
  ], (tapes) => {
    const [below, above] = [layer(made(tapes[0], true)), layer(made(tapes[1], true))]
    const [early, late, both] = [parseLayers([below]), parseLayers([above]), parseLayers([below, above])]
    if (Result.isFailure(early) || Result.isFailure(late) || Result.isFailure(both)) return // what contradicts
    seen.good++
    for (const { path, value } of leaves(above.tree)) {
      if (isTree(value)) continue // says nothing
      expect(valueAt(both.success, path)).toEqual(valueAt(late.success, path))
      if (value !== null) expect({ value: valueAt(both.success, path) }).toMatchObject({ value })
    }
    for (const { path, value } of leaves(early.success)) {
      if (saying(above.tree, path).says === "nothing") expect(valueAt(both.success, path)).toEqual(value)
    }
  })
  it("have been seen of enough pairs of files to say so", () => expect(seen.good).toBeGreaterThan(50))

  it("differ in nothing by default", () => expect(overrides(defaultValues)).toEqual({}))
})
