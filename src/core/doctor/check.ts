// A check of the doctor: what was looked at, how it came out, and what to do if it is not as it should be.
// Invariant: a check has the same name whether or not its answer could be found out.
// Used by all of core/doctor, and by cli/doctor.

/** The name of each check, which people and programs read. */
export const checkNames = {
  definition: "the CustomResourceDefinition",
  admission: "admission policies",
  rightsOfController: "what the controller may do",
  rightsOfTasks: "what tasks may do",
  accountsOfTasks: "the accounts of tasks",
  podSecurity: "Pod Security of the tasks' namespace",
  workerImage: "the worker's image",
  userNamespaces: "user namespaces",
  networkPolicies: "network policies are enforced",
  metadataServices: "metadata services are closed to tasks",
  inVain: "egress policies close what they say",
  otherPods: "other Pods are closed to tasks",
  needs: "tasks reach what they need",
  ingress: "tasks are closed to other Pods",
  proof: "the proof of isolation"
} as const

export type CheckName = (typeof checkNames)[keyof typeof checkNames]

export interface Check {
  readonly name: CheckName
  readonly outcome: "ok" | "warning" | "failed" | "unknown"
  readonly message: string
}

export const check = (name: CheckName) => (outcome: Check["outcome"], message: string): Check => ({ name, outcome, message })
