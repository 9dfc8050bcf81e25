// Rules for values of which each is right by itself, but of which Kubernetes would refuse every Pod.
// Invariant: only what is certain is refused; test/schema/values/pod-rules.cluster.test.ts tries each rule, and a near miss, on a real API server.
// Used by schema/values/value-rules.
import type { Contradiction, Rule } from "./contradiction.ts"
import type { Sections } from "./value-sections.ts"

type Key = Contradiction["path"]

/**
 * Finds containers that are root although runAsNonRoot refuses root. The API server accepts such a Pod, and only the kubelet refuses it.
 * What a container does not say comes from its Pod, and an empty context is replaced by the agent's.
 */
const rootIsAllowed: Rule = ({ agent, controller, task }) => {
  const agents: Key = ["agent", "securityContext"]
  const inherited = (own: Sections["controller"]["securityContext"], path: Key) =>
    Object.keys(own).length === 0 ? { own: agent.securityContext, path: agents } : { own, path }
  const contexts = [
    { ...inherited(controller.securityContext, ["controller", "securityContext"]), pod: controller.podSecurityContext },
    { ...inherited(task.worker.securityContext, ["task", "worker", "securityContext"]), pod: task.podSecurityContext },
    { own: task.runner.securityContext, path: ["task", "runner", "securityContext"], pod: task.podSecurityContext }
  ]
  const found = contexts.flatMap(({ own, path, pod }) =>
    (own.runAsNonRoot ?? pod.runAsNonRoot) && (own.runAsUser ?? pod.runAsUser) === 0 ? [path] : []
  )
  return found.filter((path, index) => found.indexOf(path) === index).map((path) => ({
    path: [...path, "runAsUser"],
    issue: "is root, which runAsNonRoot refuses; the Pod would never start"
  }))
}

const again = (names: ReadonlyArray<string>, path: (index: number) => Key, what: string) =>
  names.map((name, index) => names.indexOf(name) < index && { path: path(index), issue: `${what} "${name}" is there already` })

const namesAreOnce: Rule = ({ task: { extraVolumes, runner, sidecars, worker } }) => [
  ...again(extraVolumes.map(({ name }) => name), (index) => ["task", "extraVolumes", index, "name"], "a volume"),
  ...again(sidecars.map(({ name }) => name), (index) => ["task", "sidecars", index, "name"], "a container"),
  ...again(
    runner.extraVolumeMounts.map(({ mountPath }) => mountPath),
    (index) => ["task", "runner", "extraVolumeMounts", index, "mountPath"],
    "a mount at"
  ),
  ...again(
    worker.extraVolumeMounts.map(({ mountPath }) => mountPath),
    (index) => ["task", "worker", "extraVolumeMounts", index, "mountPath"],
    "a mount at"
  )
]

const tolerationsAreWhole: Rule = (values) =>
  (["controller", "task"] as const).flatMap((part) =>
    values[part].tolerations.flatMap(({ effect, key = "", operator, tolerationSeconds, value = "" }, index) => [
      operator === "Exists" && value !== "" &&
      { path: [part, "tolerations", index, "value"], issue: "must be empty with the operator Exists" },
      key === "" && operator !== "Exists" && { path: [part, "tolerations", index], issue: "needs a key, or the operator Exists" },
      tolerationSeconds !== undefined && effect !== "NoExecute" &&
      { path: [part, "tolerations", index, "tolerationSeconds"], issue: "needs the effect NoExecute" }
    ])
  )

export const podRules: ReadonlyArray<Rule> = [rootIsAllowed, namesAreOnce, tolerationsAreWhole]
