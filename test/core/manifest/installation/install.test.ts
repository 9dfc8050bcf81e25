import { describe, expect, it } from "@effect/vitest"
import type { V1LabelSelector, V1Role } from "@kubernetes/client-node"
import { Yaml } from "effect/encoding"
import { stringify } from "yaml"
import { trustConfigMaps } from "../../../../src/core/manifest/certificates.ts"
import { configMap } from "../../../../src/core/manifest/installation/config-map.ts"
import { crd } from "../../../../src/core/manifest/installation/crd.ts"
import { deployment } from "../../../../src/core/manifest/installation/deployment.ts"
import { disruptionBudgets } from "../../../../src/core/manifest/installation/disruption-budget.ts"
import { install } from "../../../../src/core/manifest/installation/install.ts"
import { rbac } from "../../../../src/core/manifest/installation/rbac.ts"
import { secureServer, server } from "../../../../src/core/manifest/installation/server.ts"
import { controllerAccount, identityAccounts, taskAccount } from "../../../../src/core/manifest/installation/service-account.ts"
import { tokenSecret } from "../../../../src/core/manifest/installation/token-secret.ts"
import { volumeClaim } from "../../../../src/core/manifest/installation/volume-claim.ts"
import { job } from "../../../../src/core/manifest/job.ts"
import { networkPolicies } from "../../../../src/core/network/network-policy.ts"
import { configOf, taskOf } from "../../configs.ts"
import { violations } from "../restricted.ts"

const golden = (objects: ReadonlyArray<object>) =>
  objects.map((_) => stringify(_, { compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false })).join("---\n")
const everything = {
  admissionPolicies: { enabled: true },
  agent: { token: "t", url: "https://example.com" },
  controller: {
    replicas: 2,
    podDisruptionBudget: { enabled: true },
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "ScheduleAnyway" }]
  },
  global: {
    proxy: { httpsProxy: "http://proxy.example.com:3128" },
    tls: { caBundle: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", clientCertSecret: { name: "client" } }
  },
  persistence: { enabled: true },
  restrictMetadataService: true,
  serviceAccount: { annotations: { "example.com/role": "a" } },
  task: {
    namespace: "tasks",
    networkPolicy: { denyIngress: true, denyPods: true },
    identities: [
      {
        name: "network-plan",
        workspaces: ["network-*"],
        stages: ["plan"],
        annotations: { "example.com/role": "reader" },
        labels: { "example.com/team": "network" }
      },
      { name: "network", workspaces: ["network-*"], create: false }
    ]
  }
}

describe("an installation", () => {
  it("with everything is as in test/golden/install-full.yaml", () =>
    expect(golden(install(configOf(everything)).slice(1))).toMatchFileSnapshot("../../../golden/install-full.yaml"))

  it.each([{}, everything, { serviceAccount: { name: "agent-job-task" } }])("has no two objects of one kind and place: %j", (values) => {
    const keys = install(configOf(values)).map(({ kind, metadata }) =>
      JSON.stringify([kind, metadata && "namespace" in metadata ? metadata.namespace : "", metadata?.name])
    )
    expect(new Set(keys).size).toBe(keys.length)
  })

  it("marks every object as the values say, but not the CustomResourceDefinition that installations share, and no Pod", () => {
    const objects = install(
      configOf({ ...everything, global: { ...everything.global, labels: { team: "a" }, annotations: { "example.com/owner": "b" } } })
    )
    const plain = objects.filter(({ metadata }) =>
      metadata?.labels?.["team"] !== "a" || !("annotations" in metadata) || metadata.annotations?.["example.com/owner"] !== "b"
    )
    expect(plain.map(({ kind }) => kind)).toEqual(["CustomResourceDefinition"])
    expect(JSON.stringify(deployment(configOf({ global: { labels: { team: "a" } } })).spec?.template)).not.toContain("team")
  })

  it("puts what belongs to tasks into their namespace, and nothing else", () => {
    const inTasks = install(configOf(everything)).filter(({ metadata }) =>
      metadata && "namespace" in metadata && metadata.namespace === "tasks"
    ).map(({ kind, metadata }) => `${kind}/${metadata?.name}`)
    expect(inTasks).toEqual([
      "ServiceAccount/agent-job-task",
      "ServiceAccount/network-plan",
      "Role/agent-job-controller",
      "RoleBinding/agent-job-controller",
      "Role/agent-job-task",
      "RoleBinding/agent-job-task",
      "ConfigMap/agent-job-ca-bundle",
      "PersistentVolumeClaim/agent-job-cache",
      "NetworkPolicy/agent-job-task-egress",
      "NetworkPolicy/agent-job-task-ingress",
      "PodDisruptionBudget/agent-job-changes"
    ])
  })

  it("runs controller and server as Pod Security restricted wants it", () => {
    const pods = [deployment(configOf(everything)), ...server(configOf()), ...secureServer(configOf())].flatMap((object) =>
      "spec" in object && object.spec && "template" in object.spec && object.spec.template.spec ? [object.spec.template.spec] : []
    )
    expect(pods).toHaveLength(3)
    expect(pods.flatMap(violations)).toEqual([])
  })
})

describe("the token", () => {
  it("is in a Secret and nowhere else, and the controller reads it as a file", () => {
    const objects = install(configOf({ agent: { token: "very-secret" } }))
    expect(objects.filter((_) => JSON.stringify(_).includes("very-secret")).map(({ kind }) => kind)).toEqual(["Secret"])
    const { spec } = deployment(configOf({ agent: { token: "very-secret" } }))
    expect(spec?.template.spec?.volumes).toContainEqual({
      name: "pool-token",
      secret: { secretName: "agent-job-token", items: [{ key: "token", path: "token" }], defaultMode: 0o400 }
    })
    expect(spec?.template.spec?.containers[0]?.volumeMounts).toContainEqual({
      name: "pool-token",
      mountPath: "/var/run/agent-job/pool",
      readOnly: true
    })
  })

  it("may be read by others in its container only where the Pod's volumes have no group", () => {
    const modes = ({ template }: NonNullable<ReturnType<typeof deployment>["spec"]>) =>
      template.spec?.volumes?.flatMap(({ secret }) => secret?.defaultMode ?? [])
    const values = (fsGroup: object) => configOf({ agent: { token: "t" }, controller: { podSecurityContext: fsGroup } })
    expect([{}, { fsGroup: 7 }, { fsGroup: null }].map((_) => deployment(values(_)).spec).map((_) => _ && modes(_))).toEqual([
      [0o400],
      [0o400],
      [0o444]
    ])
  })

  it("of an existing Secret makes none", () => expect(tokenSecret(configOf({ agent: { tokenExistingSecret: { name: "s" } } }))).toEqual([]))
})

describe("the values file of the controller", () => {
  it("is YAML that says what differs from the defaults", () => {
    expect(configMap(configOf()).data).toEqual({ "values.yaml": "{}\n" })
    const text = configMap(
      configOf({
        agent: { token: "t", url: "https://example.com" },
        task: { podAnnotations: { "1e3": "a number", "example.com/c": "1: 2" }, tolerations: [{ operator: "Exists" }] }
      })
    ).data?.["values.yaml"] ?? ""
    expect(Yaml.parse(text)).toEqual({
      agent: { tokenExistingSecret: { name: "agent-job-token" }, url: "https://example.com" },
      task: { podAnnotations: { "1e3": "a number", "example.com/c": "1: 2" }, tolerations: [{ operator: "Exists" }] }
    })
  })

  it("makes no new Pods when it changes, since the controller reads it again", () => {
    expect(deployment(configOf({ task: { limits: { total: 1 } } }))).toEqual(deployment(configOf()))
  })
})

describe("the controller's Deployment", () => {
  it("is told where its values are and who it is", () => {
    expect(deployment(configOf()).spec?.template.spec?.containers[0]?.args).toEqual([
      "controller",
      "--values",
      "/etc/agent-job",
      "--name",
      "agent-job",
      "--namespace",
      "agent-job"
    ])
  })

  it.each([true, false])("mounts its own token, with automountToken %s", (automountToken) => {
    const spec = deployment(configOf({ serviceAccount: { automountToken, tokenTTL: 900 } })).spec?.template.spec
    expect(spec?.automountServiceAccountToken).toBe(automountToken)
    expect(JSON.stringify(spec?.volumes)).toContain(`"serviceAccountToken":{"expirationSeconds":900,"path":"token"}`)
  })
})

describe("a drain of nodes", () => {
  it.each(
    [
      ["plan", false],
      ["apply", true],
      ["destroy", true]
    ] as const
  )("that meets a %s is kept from it: %s", (stage, isKept) => {
    const config = configOf(everything)
    const selectors = disruptionBudgets(config).filter(({ metadata }) => metadata?.namespace === "tasks").map(({ spec }) => spec?.selector)
    const labels = job(taskOf({ stage }), config, 0).spec?.template.metadata?.labels ?? {}
    const selects = ({ matchExpressions = [], matchLabels = {} }: V1LabelSelector) =>
      Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
      matchExpressions.every(({ key, operator, values }) => operator === "In" && values?.includes(labels[key] ?? ""))
    expect(selectors.map((selector) => selector !== undefined && selects(selector))).toEqual([isKept])
  })

  it("is never told a share of the Pods, which a Job's have none of", () => {
    expect(disruptionBudgets(configOf()).map(({ spec }) => [spec?.minAvailable, spec?.maxUnavailable])).toEqual([[
      2_147_483_647,
      undefined
    ]])
  })
})

describe("several controllers", () => {
  it("are as many as the values say, and a drain leaves as many as they say", () => {
    const config = configOf({ controller: { replicas: 3, podDisruptionBudget: { enabled: true, minAvailable: "50%" } } })
    expect(deployment(config).spec?.replicas).toBe(3)
    const ofController = (of: ReturnType<typeof configOf>) =>
      disruptionBudgets(of).filter(({ metadata }) => metadata?.labels?.["app.kubernetes.io/component"] === "controller")
    expect(ofController(config).map(({ metadata, spec }) => [metadata?.name, spec])).toEqual([["agent-job-controller", {
      minAvailable: "50%",
      selector: deployment(config).spec?.selector
    }]])
    expect([deployment(configOf()).spec?.replicas, ofController(configOf())]).toEqual([1, []])
  })

  it("are spread among themselves", () => {
    const spread = { maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule" }
    const { spec } = deployment(configOf({ controller: { topologySpreadConstraints: [spread] } }))
    expect(spec?.template.spec?.topologySpreadConstraints).toEqual([{ ...spread, labelSelector: spec?.selector }])
  })
})

describe("certificates", () => {
  const caBundle = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

  it("of the values are a ConfigMap in each namespace with Pods of ours", () => {
    const config = configOf({ global: { tls: { caBundle } }, task: { namespace: "tasks" } })
    expect(trustConfigMaps(config).map(({ data, metadata }) => [metadata?.namespace, metadata?.name, data])).toEqual(
      ["agent-job", "tasks"].map((namespace) => [namespace, "agent-job-ca-bundle", { "ca-bundle.crt": caBundle }])
    )
    expect(trustConfigMaps(configOf({ global: { tls: { caBundle } } }))).toHaveLength(1)
    expect(trustConfigMaps(configOf({ global: { tls: { caBundleConfigMap: { name: "theirs" } } } }))).toEqual([])
  })

  it("of the values make new Pods of the controller when they change", () => {
    const marks = (tls: object) => deployment(configOf({ global: { tls } })).spec?.template.metadata?.annotations?.["checksum/ca-bundle"]
    expect(new Set([marks({}), marks({ caBundle }), marks({ caBundle: caBundle + caBundle })]).size).toBe(3)
  })

  it("are mounted in the controller", () => {
    const [container] =
      deployment(configOf({ global: { tls: { caBundle, clientCertSecret: { name: "client" } } } })).spec?.template.spec?.containers ?? []
    expect(container?.volumeMounts).toContainEqual({
      name: "agent-job-ca-bundle",
      mountPath: "/var/run/agent-job/ca-bundle",
      readOnly: true
    })
    expect(container?.volumeMounts).toContainEqual({
      name: "agent-job-client-certificate",
      mountPath: "/var/run/agent-job/client-certificate",
      readOnly: true
    })
    expect(container?.env).toContainEqual({ name: "AGENT_JOB_CLIENT_CERTIFICATE_DIR", value: "/var/run/agent-job/client-certificate" })
  })
})

describe("what the accounts may do", () => {
  const grants = rbac(configOf({ task: { namespace: "tasks" } })).filter((_): _ is V1Role => _.kind === "Role")
    .map((
      { metadata, rules = [] }
    ) => [
      `${metadata?.namespace}/${metadata?.name}`,
      rules.map(({ apiGroups, resourceNames, resources, verbs }) =>
        `${apiGroups?.join() || "core"} ${resources?.join()}${resourceNames ? ` ${resourceNames.join()}` : ""}: ${verbs.join(" ")}`
      )
    ])

  it("is this and nothing else", () => {
    expect(Object.fromEntries(grants)).toEqual({
      "agent-job/agent-job-leader": ["coordination.k8s.io leases: create", "coordination.k8s.io leases agent-job-controller: get update"],
      "tasks/agent-job-controller": [
        "scalr.io atasks: get list watch",
        "scalr.io atasks: create update patch delete",
        "scalr.io atasks/status: update",
        "scalr.io atasks/finalizers: update",
        "source.toolkit.fluxcd.io gitrepositories,ocirepositories,buckets: get",
        "batch jobs: get list watch create delete",
        "core pods: get list watch",
        "core secrets: create patch",
        "coordination.k8s.io leases: get create patch",
        "events.k8s.io events: create list"
      ],
      "tasks/agent-job-task": ["scalr.io atasks: get watch", "scalr.io atasks/status: update"]
    })
  })
})

describe("service accounts", () => {
  it("of controller and tasks have the same annotations, and the controller's has the labels", () => {
    const config = configOf({ serviceAccount: { annotations: { role: "a" }, labels: { team: "b" } } })
    expect(
      [...controllerAccount(config), taskAccount(config)].map((
        { metadata }
      ) => [metadata?.name, metadata?.annotations, metadata?.labels?.["team"]])
    ).toEqual([
      ["agent-job", { role: "a" }, "b"],
      ["agent-job-task", { role: "a" }, undefined]
    ])
  })

  it("of tasks mount no token by themselves, and those of identities have what they say of themselves alone", () => {
    const annotations = { "example.com/role": "plan" }
    const identities = [{ name: "reader", workspaces: ["a"], annotations }, { name: "plain", workspaces: ["b"] }]
    const config = configOf({
      serviceAccount: { annotations: { "example.com/role": "all", team: "a" }, labels: { team: "b" } },
      task: { identities }
    })
    const made = identityAccounts(config)
    expect(made.map(({ metadata }) => [metadata?.name, metadata?.annotations, metadata?.labels?.["team"]])).toEqual([
      ["reader", annotations, undefined],
      ["plain", undefined, undefined]
    ])
    expect([taskAccount(config), ...made].map((_) => _.automountServiceAccountToken)).toEqual([false, false, false])
  })

  it("that exist are not made", () =>
    expect(controllerAccount(configOf({ serviceAccount: { create: false, name: "theirs" } }))).toEqual([]))
})

describe("the NetworkPolicy of the metadata service", () => {
  it("is made only where it is asked for, one a namespace", () => {
    expect(networkPolicies(configOf())).toEqual([])
    expect(networkPolicies(configOf({ restrictMetadataService: true })).map(({ metadata }) => metadata?.namespace)).toEqual(["agent-job"])
    expect(
      networkPolicies(configOf({ restrictMetadataService: true, task: { namespace: "tasks" } })).map(({ metadata }) => metadata?.namespace)
    ).toEqual(["agent-job", "tasks"])
  })
})

describe("the claim of the cache", () => {
  const claim = (persistentVolumeClaim: object) => volumeClaim(configOf({ persistence: { enabled: true, persistentVolumeClaim } }))
  it("is made unless it exists", () => {
    expect(claim({ claimName: "nfs" })).toEqual([])
    expect(volumeClaim(configOf())).toEqual([])
    expect(claim({})[0]?.spec).toEqual({ accessModes: ["ReadWriteMany"], resources: { requests: { storage: "20Gi" } } })
    expect(claim({ storageClassName: "-" })[0]?.spec?.storageClassName).toBe("")
  })

  it("is left by Flux and Argo CD when it leaves Git, as the CRD is, whatever the values want on all objects", () => {
    const values = {
      persistence: { enabled: true },
      global: { annotations: { team: "a", "kustomize.toolkit.fluxcd.io/prune": "enabled" } }
    }
    const kept = { "kustomize.toolkit.fluxcd.io/prune": "disabled", "argocd.argoproj.io/sync-options": "Prune=false,Delete=false" }
    expect(volumeClaim(configOf(values))[0]?.metadata?.annotations).toEqual({ team: "a", ...kept })
    expect(crd().metadata.annotations).toEqual(kept)
  })
})
