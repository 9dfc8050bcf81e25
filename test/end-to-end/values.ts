// Changes the values of the installed controller for a while: its Deployment mounts a copy of the ConfigMap, which restarts the controller.
// Always holds: the function that `changeValues` returns mounts the original ConfigMap again.
// Used by the end-to-end tests that need other values.
import { parse, stringify } from "yaml"
import { isTree, merge, type Tree } from "../../src/schema/document/layers.ts"
import { kubectl, productNamespace } from "./cluster.ts"

const deployment = "deployment/agent-job-controller"

const inProduct = (args: ReadonlyArray<string>, input?: string) => kubectl(["--namespace", productNamespace, ...args], input)

/** Mounts the volume into the controller's Pod, and waits until only the new controller is left. */
const mount = async (volume: unknown) => {
  await inProduct([
    "patch",
    deployment,
    "--type=strategic",
    "--patch",
    JSON.stringify({ spec: { template: { spec: { volumes: [volume] } } } })
  ])
  await inProduct(["rollout", "status", deployment, "--timeout=90s"])
}

/** Restarts the controller with these values over its own. Returns a function that restores the original values. */
export const changeValues = async (change: Tree): Promise<() => Promise<void>> => {
  const config = await inProduct([
    "get",
    deployment,
    "--output=jsonpath={.spec.template.spec.volumes[?(@.name==\"config\")].configMap.name}"
  ])
  const layers: unknown = JSON.parse(await inProduct(["get", "configmap", config, "--output=jsonpath={.data}"]))
  if (!isTree(layers)) throw new Error(`the ConfigMap ${config} has no values`)
  const own: unknown = parse(String(layers["values.yaml"] ?? "{}"))
  const name = `${config}-e2e`
  const object = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    data: { ...layers, "values.yaml": stringify(merge(isTree(own) ? own : {}, change)) }
  }
  await inProduct(["apply", "--filename=-"], JSON.stringify(object))
  await mount({ name: "config", configMap: { name } })
  return async () => {
    await mount({ name: "config", configMap: { name: config } })
    await inProduct(["delete", "configmap", name])
  }
}
