// Values that are wrong for Kubernetes, most of them right one by one, each with the key and message reported, and a near miss that is right.
// Used by pod-rules.test.ts, and by pod-rules.cluster.test.ts, which asks a real API server about the same.

interface Case {
  readonly given: string
  readonly wrong: object
  readonly says: string
  readonly right: object
  /** Set if the API server accepts the Job and only the kubelet refuses it. */
  readonly late?: true
  /** Set if the key is wrong by itself, so that no Job can be made of it. */
  readonly alone?: true
}

const task = (given: object) => ({ task: given })
const runner = (given: object) => task({ runner: given })
const failure = (values: ReadonlyArray<number>) =>
  task({ job: { podFailurePolicy: { rules: [{ action: "FailJob", onExitCodes: { operator: "In", values } }] } } })

export const cases: ReadonlyArray<Case> = [
  {
    given: "more asked for than the limit",
    wrong: runner({ resources: { requests: { cpu: "4001m" } } }),
    says: "task.runner.resources.limits.cpu: 4000m is less than the request of 4001m",
    right: runner({ resources: { requests: { cpu: 4 } } })
  },
  {
    given: "more memory asked for, in other units",
    wrong: runner({ resources: { requests: { memory: "3G" } } }),
    says: "task.runner.resources.limits.memory",
    right: runner({ resources: { requests: { memory: "2147483648" } } })
  },
  {
    given: "all privileges without escalation",
    wrong: runner({ securityContext: { privileged: true } }),
    says: "task.runner.securityContext.privileged: needs",
    right: runner({ securityContext: { privileged: true, allowPrivilegeEscalation: true } })
  },
  {
    given: "root where none may be",
    wrong: runner({ securityContext: { runAsUser: 0 } }),
    says: "task.runner.securityContext.runAsUser: is root",
    right: runner({ securityContext: { runAsUser: 0, runAsNonRoot: false } }),
    late: true
  },
  {
    given: "all of /proc on the node",
    wrong: runner({ securityContext: { procMount: "Unmasked" } }),
    says: "task.runner.securityContext.procMount: is Unmasked",
    right: task({ userNamespaces: true, runner: { securityContext: { procMount: "Unmasked" } } })
  },
  {
    given: "all of /proc on the node, as every container has",
    wrong: { agent: { securityContext: { procMount: "Unmasked" } } },
    says: "agent.securityContext.procMount: is Unmasked",
    right: { agent: { securityContext: { procMount: "Default" } } }
  },
  {
    given: "a mount of no volume",
    wrong: runner({ extraVolumeMounts: [{ name: "a", mountPath: "/a" }] }),
    says: `task.runner.extraVolumeMounts[0].name: there is no volume "a"`,
    right: task({ runner: { extraVolumeMounts: [{ name: "a", mountPath: "/a" }] }, extraVolumes: [{ name: "a", emptyDir: {} }] })
  },
  {
    given: "two mounts at one place",
    wrong: runner({ extraVolumeMounts: [{ name: "data", mountPath: "/a" }, { name: "data", mountPath: "/a" }] }),
    says: `task.runner.extraVolumeMounts[1].mountPath: a mount at "/a" is there already`,
    right: runner({ extraVolumeMounts: [{ name: "data", mountPath: "/a" }, { name: "data", mountPath: "/b" }] })
  },
  {
    given: "the shared volume where another one is",
    wrong: { agent: { dataDir: "/tmp" } },
    says: "agent.dataDir: is where agent-job itself mounts something",
    right: { agent: { dataDir: "/var/run/agent-job/data" } }
  },
  {
    given: "two volumes of one name",
    wrong: task({ extraVolumes: [{ name: "a", emptyDir: {} }, { name: "a", emptyDir: {} }] }),
    says: `task.extraVolumes[1].name: a volume "a" is there already`,
    right: task({ extraVolumes: [{ name: "a", emptyDir: {} }, { name: "b", emptyDir: {} }] })
  },
  {
    given: "two sidecars of one name",
    wrong: task({ sidecars: [{ name: "a", image: "a" }, { name: "a", image: "b" }] }),
    says: `task.sidecars[1].name: a container "a" is there already`,
    right: task({ sidecars: [{ name: "a", image: "a" }, { name: "b", image: "b" }] })
  },
  {
    given: "a taint of any value, with a value",
    wrong: task({ tolerations: [{ key: "a", operator: "Exists", value: "b" }] }),
    says: "task.tolerations[0].value: must be empty",
    right: task({ tolerations: [{ key: "a", operator: "Exists" }, { key: "a", operator: "", value: "b" }] })
  },
  {
    given: "no taint's name",
    wrong: task({ tolerations: [{ value: "b" }] }),
    says: "task.tolerations[0]: needs a key",
    right: task({ tolerations: [{ operator: "Exists", effect: "" }] })
  },
  {
    given: "seconds of a taint that evicts nobody",
    wrong: task({ tolerations: [{ key: "a", tolerationSeconds: 1 }] }),
    says: "task.tolerations[0].tolerationSeconds: needs",
    right: task({ tolerations: [{ key: "a", effect: "NoExecute", tolerationSeconds: 1 }] })
  },
  {
    given: "no container's resource",
    wrong: runner({ resources: { limits: { Memory: "1Gi" } } }),
    says: "task.runner.resources.limits.Memory: is no resource of a container",
    right: runner({ resources: { limits: { "hugepages-2Mi": "2Mi" } } })
  },
  {
    given: "half of a device",
    wrong: runner({ resources: { limits: { "nvidia.com/gpu": 0.5 } } }),
    says: "task.runner.resources.limits.nvidia.com/gpu: must be a whole number",
    right: runner({ resources: { limits: { "nvidia.com/gpu": "1000m" } } })
  },
  {
    given: "a device with no limit",
    wrong: runner({ resources: { requests: { "nvidia.com/gpu": 1 } } }),
    says: "task.runner.resources.requests.nvidia.com/gpu: needs the same amount in limits",
    right: runner({ resources: { requests: { "nvidia.com/gpu": 1 }, limits: { "nvidia.com/gpu": "1" } } })
  },
  {
    given: "fewer devices than the limit",
    wrong: runner({ resources: { requests: { "nvidia.com/gpu": 1 }, limits: { "nvidia.com/gpu": 2 } } }),
    says: "task.runner.resources.requests.nvidia.com/gpu: needs the same amount in limits",
    right: runner({ resources: { limits: { "nvidia.com/gpu": 2 } } })
  },
  {
    given: "a profile with no name",
    wrong: runner({ securityContext: { seccompProfile: { type: "Localhost" } } }),
    says: "task.runner.securityContext.seccompProfile: needs localhostProfile",
    right: runner({ securityContext: { seccompProfile: { type: "Localhost", localhostProfile: "a.json" } } })
  },
  {
    given: "a profile of the whole Pod with no name",
    wrong: task({ podSecurityContext: { appArmorProfile: { type: "Localhost", localhostProfile: "" } } }),
    says: "task.podSecurityContext.appArmorProfile: needs localhostProfile",
    right: task({ podSecurityContext: { appArmorProfile: { type: "RuntimeDefault" } } })
  },
  {
    given: "a mount at a place with a colon",
    wrong: runner({ extraVolumeMounts: [{ name: "data", mountPath: "/a:b" }] }),
    says: "task.runner.extraVolumeMounts[0].mountPath",
    right: runner({ extraVolumeMounts: [{ name: "data", mountPath: "/a b" }] }),
    alone: true
  },
  {
    given: "a taint whose name has a blank",
    wrong: task({ tolerations: [{ key: "a b", operator: "Exists" }] }),
    says: "task.tolerations[0].key",
    right: task({ tolerations: [{ key: "example.com/a_B", operator: "Exists" }, { key: "", operator: "Exists" }] }),
    alone: true
  },
  {
    given: "four name servers",
    wrong: task({ dnsConfig: { nameservers: ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"] } }),
    says: "task.dnsConfig.nameservers",
    right: task({ dnsConfig: { nameservers: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] } }),
    alone: true
  },
  {
    given: "a name with an empty part",
    wrong: task({ runtimeClassName: "a..b" }),
    says: "task.runtimeClassName: must be a lowercase DNS name",
    right: task({ runtimeClassName: "a.b-c.d" }),
    alone: true
  },
  {
    given: "a name with a part that begins with a dash",
    wrong: task({ runtimeClassName: "a.-b" }),
    says: "task.runtimeClassName: must be a lowercase DNS name",
    right: task({ runtimeClassName: "a--b" }),
    alone: true
  },
  {
    given: "no exit code of a failure",
    wrong: failure([]),
    says: "task.job.podFailurePolicy.rules[0].onExitCodes.values",
    right: failure([3, 1, 3]), // Kubernetes wants them in order and once, which the Job has
    alone: true
  }
]
