// Changes the values of the installed controller for a while: its Deployment mounts a copy of the ConfigMap, which restarts the controller.
// Invariant: the function that `changeValues` returns mounts the original ConfigMap again.
// Used by the end-to-end tests that need other values.
import { Schema } from "effect"
import { parse, stringify } from "yaml"
import { isTree, merge, type Tree } from "../../src/schema/document/layers.ts"
import { kubectl, productNamespace } from "./cluster.ts"

const deployment = "deployment/agent-job-controller"

const resources = { requests: { cpu: "50m", memory: "64Mi" } }
/**
 * Values with which a stage's Pod requests so little that several fit on a small node at once, and with which ended Jobs are there until a
 * test has counted them.
 */
export const smallPods = { task: { job: { ttlSecondsAfterFinished: 600 }, runner: { resources }, worker: { resources } } }

const Pods = Schema.fromJsonString(Schema.Struct({
  items: Schema.Array(Schema.Struct({
    metadata: Schema.Struct({ name: Schema.String }),
    spec: Schema.Struct({
      volumes: Schema.Array(Schema.Struct({ configMap: Schema.optionalKey(Schema.Struct({ name: Schema.String })) }))
    })
  }))
}))
const decodePods = Schema.decodeUnknownSync(Pods)

const inProduct = (args: ReadonlyArray<string>, input?: string) => kubectl(["--namespace", productNamespace, ...args], input)

/** Returns the name of the ConfigMap that the controller has its values from. */
export const configOf = (): Promise<string> =>
  inProduct(["get", deployment, "--output=jsonpath={.spec.template.spec.volumes[?(@.name==\"config\")].configMap.name}"])

/** Gives the controller its values from this ConfigMap, and waits until only the new controller is left. */
export const mountConfig = async (name: string): Promise<void> => {
  const volume = { name: "config", configMap: { name } }
  await inProduct([
    "patch",
    deployment,
    "--type=strategic",
    "--patch",
    JSON.stringify({ spec: { template: { spec: { volumes: [volume] } } } })
  ])
  await inProduct(["rollout", "status", deployment, "--timeout=300s"])
  // A rollout does not wait for a Pod that is being deleted, which still leads.
  const { items } = decodePods(await inProduct(["get", "pods", "--selector=app.kubernetes.io/component=controller", "--output=json"]))
  const former = items.filter(({ spec }) => !spec.volumes.some(({ configMap }) => configMap?.name === name))
  if (former.length > 0) {
    await inProduct(["wait", "--for=delete", ...former.map(({ metadata }) => `pod/${metadata.name}`), "--timeout=300s"])
  }
}

/** Returns the values files in the ConfigMap, by name. */
const layersOf = async (config: string): Promise<Readonly<Record<string, string>>> => {
  const layers: unknown = JSON.parse(await inProduct(["get", "configmap", config, "--output=jsonpath={.data}"]))
  if (!isTree(layers)) throw new Error(`the ConfigMap ${config} has no values`)
  return Object.fromEntries(Object.entries(layers).map(([name, text]) => [name, String(text)]))
}

/** Returns the values files of the controller as it runs, by name. */
export const currentLayers = async (): Promise<Readonly<Record<string, string>>> => layersOf(await configOf())

/** Restarts the controller with these values over its own. Returns a function that restores the original values. */
export const changeValues = async (change: Tree): Promise<() => Promise<void>> => {
  const config = await configOf()
  const layers = await layersOf(config)
  const own: unknown = parse(layers["values.yaml"] ?? "{}")
  const name = `${config}-e2e`
  const object = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    data: { ...layers, "values.yaml": stringify(merge(isTree(own) ? own : {}, change)) }
  }
  const restore = async () => {
    await mountConfig(config)
    await inProduct(["delete", "configmap", name])
  }
  await inProduct(["apply", "--filename=-"], JSON.stringify(object))
  await mountConfig(name).catch(async (error: unknown) => {
    await restore()
    throw error
  })
  return restore
}
