// What Kubernetes would refuse only later, of every Pod: contradictions between values that each are right by themselves.
// Pure, and no more than is certain: what is found here no API server takes, or no kubelet starts.
// Used by cli/config-validate; test/core/pod-faults.cluster.test.ts holds it against a real API server.
import { type Fault, located, type Mistake } from "../schema/explain.ts"
import type { Layer, Path } from "../schema/layers.ts"
import type { Quantity, Resources, SecurityContext } from "../schema/pod-values.ts"
import type { Values } from "../schema/values.ts"

const suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]
const binary = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]

/** In units of one; as close as a number comes. */
const amount = (quantity: Quantity): number => {
  const [, digits = "", suffix = ""] = /^([\d.]+(?:[eE][+-]?\d+)?)(\D*)$/u.exec(String(quantity)) ?? []
  return Number(digits) * (suffix.endsWith("i") ? 1024 ** binary.indexOf(suffix) : 1000 ** (suffixes.indexOf(suffix) - 3))
}

const resourceMistakes = ({ limits = {}, requests = {} }: Resources, path: Path): ReadonlyArray<Mistake> =>
  Object.entries(requests).flatMap(([name, asked]) => {
    const most = limits[name]
    return most !== undefined && amount(asked) > amount(most) ? [{ path: [...path, "requests", name], message: `asks for ${asked}, more than the limit of ${most}` }] : []
  })

interface Users {
  readonly runAsUser?: number
  readonly runAsNonRoot?: boolean
}

/** What a container does not say is as its Pod says. */
const securityMistakes = ([own, path]: readonly [SecurityContext, Path], pod: Users): ReadonlyArray<Mistake> => [
  ...(own.allowPrivilegeEscalation === false && own.privileged === true
    ? [{ path: [...path, "privileged"], message: `needs ${path.join(".")}.allowPrivilegeEscalation: true` }]
    : []),
  ...((own.runAsNonRoot ?? pod.runAsNonRoot) === true && (own.runAsUser ?? pod.runAsUser) === 0
    ? [{ path: [...path, "runAsUser"], message: "is root, which runAsNonRoot refuses; the Pod would never start" }]
    : [])
]

const twice = (names: ReadonlyArray<string>, path: (index: number) => Path, what: string): ReadonlyArray<Mistake> =>
  names.flatMap((name, index) => names.indexOf(name) < index ? [{ path: path(index), message: `${what} ${JSON.stringify(name)} is there already` }] : [])

/** Volumes of ours that every task's Pod has. */
const alwaysThere = ["data", "private", "tmp", "api-token"]

const mountMistakes = (mounts: Values["task"]["runner"]["extraVolumeMounts"], volumes: ReadonlyArray<string>, path: Path): ReadonlyArray<Mistake> => [
  ...mounts.flatMap(({ name }, index) => volumes.includes(name) ? [] : [{ path: [...path, index, "name"], message: `there is no volume ${JSON.stringify(name)}; add it to task.extraVolumes` }]),
  ...twice(mounts.map(({ mountPath }) => mountPath), (index) => [...path, index, "mountPath"], "a mount at")
]

const tolerationMistakes = (tolerations: Values["task"]["tolerations"], path: Path): ReadonlyArray<Mistake> =>
  tolerations.flatMap(({ effect, key = "", operator, tolerationSeconds, value = "" }, index) => [
    ...(operator === "Exists" && value !== "" ? [{ path: [...path, index, "value"], message: "must be empty with the operator Exists" }] : []),
    ...(key === "" && operator !== "Exists" ? [{ path: [...path, index], message: "needs a key, or the operator Exists" }] : []),
    ...(tolerationSeconds !== undefined && effect !== "NoExecute" ? [{ path: [...path, index, "tolerationSeconds"], message: "needs the effect NoExecute" }] : [])
  ])

const podMistakes = ({ agent, controller, persistence, task }: Values): ReadonlyArray<Mistake> => {
  const volumes = [...alwaysThere, ...(persistence.enabled || persistence.hostPath.path !== "" ? ["cache"] : []), ...task.extraVolumes.map(({ name }) => name)]
  const own = (of: SecurityContext, path: Path): readonly [SecurityContext, Path] => Object.keys(of).length === 0 ? [agent.securityContext, ["agent", "securityContext"]] : [of, path]
  return [
    ...resourceMistakes(controller.resources, ["controller", "resources"]),
    ...resourceMistakes(task.worker.resources, ["task", "worker", "resources"]),
    ...resourceMistakes(task.runner.resources, ["task", "runner", "resources"]),
    ...securityMistakes(own(controller.securityContext, ["controller", "securityContext"]), controller.podSecurityContext),
    ...securityMistakes(own(task.worker.securityContext, ["task", "worker", "securityContext"]), task.podSecurityContext),
    ...securityMistakes([task.runner.securityContext, ["task", "runner", "securityContext"]], task.podSecurityContext),
    ...twice(task.extraVolumes.map(({ name }) => name), (index) => ["task", "extraVolumes", index, "name"], "a volume"),
    ...twice(task.sidecars.map(({ name }) => name), (index) => ["task", "sidecars", index, "name"], "a container"),
    ...mountMistakes(task.runner.extraVolumeMounts, volumes, ["task", "runner", "extraVolumeMounts"]),
    ...mountMistakes(task.worker.extraVolumeMounts, volumes, ["task", "worker", "extraVolumeMounts"]),
    ...tolerationMistakes(controller.tolerations, ["controller", "tolerations"]),
    ...tolerationMistakes(task.tolerations, ["task", "tolerations"])
  ]
}

/** Each with its place; what two containers inherit is told once. */
export const podFaults = (layers: ReadonlyArray<Layer>, values: Values): ReadonlyArray<Fault> =>
  located(layers, [...new Map(podMistakes(values).map((mistake) => [JSON.stringify(mistake), mistake])).values()])
