// Rules for values of which each is right by itself, but of which Kubernetes would refuse every Pod.
// Invariant: only what is certain is refused; test/schema/values/pod-rules.cluster.test.ts tries each rule, and a near miss, on a real API server.
// Used by schema/values/value-rules.
import type { Contradiction, Rule } from "./contradiction.ts"
import { contextsInEffect, resourcesOf } from "./our-containers.ts"
import { amountOf } from "./quantity.ts"

type Key = Contradiction["path"]

/** Reports an issue once for each key, since two containers may have the agent's. */
const issues = (paths: ReadonlyArray<Key>, issue: string) =>
  [...new Map(paths.map((path) => [path.join("."), path])).values()].map((path) => ({ path, issue }))

/** Finds containers that are root although runAsNonRoot refuses root. The API server accepts such a Pod, and only the kubelet refuses it. */
const rootIsAllowed: Rule = (values) =>
  issues(
    contextsInEffect(values).flatMap(({ context, path, pod }) =>
      (context.runAsNonRoot ?? pod.runAsNonRoot) && (context.runAsUser ?? pod.runAsUser) === 0 ? [[...path, "runAsUser"]] : []
    ),
    "is root, which runAsNonRoot refuses; the Pod would never start"
  )

/** Finds containers that would see the node's own /proc, which Kubernetes leaves to Pods with users of their own. */
const procIsMasked: Rule = (values) =>
  issues(
    contextsInEffect(values).flatMap(({ context, path, userNamespace }) =>
      context.procMount === "Unmasked" && !userNamespace ? [[...path, "procMount"]] : []
    ),
    "is Unmasked, which Kubernetes refuses without user namespaces: tasks have them with task.userNamespaces, the controller never"
  )

const again = (names: ReadonlyArray<string>, path: (index: number) => Key, what: string) =>
  names.map((name, index) => names.indexOf(name) < index && { path: path(index), issue: `${what} "${name}" is there already` })

const namesAreOnce: Rule = ({ task }) => [
  ...again(task.extraVolumes.map(({ name }) => name), (index) => ["task", "extraVolumes", index, "name"], "a volume"),
  ...again(task.sidecars.map(({ name }) => name), (index) => ["task", "sidecars", index, "name"], "a container"),
  ...(["runner", "worker"] as const).flatMap((part) =>
    again(
      task[part].extraVolumeMounts.map(({ mountPath }) => mountPath),
      (index) => ["task", part, "extraVolumeMounts", index, "mountPath"],
      "a mount at"
    )
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

const profilesAreNamed: Rule = ({ agent, controller, task }) =>
  [
    { path: ["agent", "securityContext"], context: agent.securityContext },
    { path: ["controller", "podSecurityContext"], context: controller.podSecurityContext },
    { path: ["controller", "securityContext"], context: controller.securityContext },
    { path: ["task", "podSecurityContext"], context: task.podSecurityContext },
    { path: ["task", "worker", "securityContext"], context: task.worker.securityContext },
    { path: ["task", "runner", "securityContext"], context: task.runner.securityContext }
  ].flatMap(({ context, path }) =>
    (["appArmorProfile", "seccompProfile"] as const).map((kind) =>
      context[kind]?.type === "Localhost" && (context[kind].localhostProfile ?? "") === "" &&
      { path: [...path, kind], issue: "needs localhostProfile, the name of a profile on the node, with the type Localhost" }
    )
  )

/** What a container may have of a node's own resources; all others are devices and the like, with a name of their maker. */
const ofNode = /^(?:cpu|memory|ephemeral-storage|hugepages-.+)$/u
const isDevice = (name: string): boolean => name.includes("/") && !name.includes("kubernetes.io/")

const resourcesAreKnown: Rule = (values) =>
  resourcesOf(values).flatMap(({ path, resources: { limits = {}, requests = {} } }) =>
    Object.entries({ limits, requests }).flatMap(([kind, amounts]) =>
      Object.entries(amounts).flatMap(([name, amount]) => [
        !name.includes("/") && !ofNode.test(name) &&
        {
          path: [...path, kind, name],
          issue: "is no resource of a container: these are cpu, memory, ephemeral-storage, hugepages-SIZE, and names such as nvidia.com/gpu"
        },
        isDevice(name) && !Number.isInteger(amountOf(amount)) &&
        { path: [...path, kind, name], issue: "must be a whole number, since no part of such a thing can be had" },
        isDevice(name) && kind === "requests" && amountOf(limits[name] ?? Infinity) > amountOf(amount) &&
        { path: [...path, kind, name], issue: "needs the same amount in limits, since it cannot be shared" }
      ])
    )
  )

export const podRules: ReadonlyArray<Rule> = [
  rootIsAllowed,
  procIsMasked,
  namesAreOnce,
  tolerationsAreWhole,
  profilesAreNamed,
  resourcesAreKnown
]
