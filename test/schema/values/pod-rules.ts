// Values that are right one by one and wrong for Kubernetes, each with the key and message reported, and a near miss that is right.
// Used by pod-rules.test.ts, and by pod-rules.cluster.test.ts, which asks a real API server about the same.

interface Case {
  readonly given: string
  readonly wrong: object
  readonly says: string
  readonly right: object
  /** Set if the API server accepts the Job and only the kubelet refuses it. */
  readonly late?: true
}

const task = (given: object) => ({ task: given })
const runner = (given: object) => task({ runner: given })

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
  }
]
