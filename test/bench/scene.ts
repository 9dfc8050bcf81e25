// Namespaces for tasks on a control plane of our own, each for one measurement, with the accounts and roles of a real installation.
// Invariant: the controller uses its own service account and its rights, so that the audit log tells its calls from all others.
// Used by control-plane.ts, render.ts and everything that starts a controller.
import { Result } from "effect"
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { crd } from "../../src/core/manifest/installation/crd.ts"
import { rbac } from "../../src/core/manifest/installation/rbac.ts"
import { controllerAccount, taskAccount } from "../../src/core/manifest/installation/service-account.ts"
import { resolve, type ResolvedConfig } from "../../src/core/resolve/resolve.ts"
import { parseValues } from "../../src/schema/values/values.ts"
import { established } from "../established.ts"

export const installation = { name: "agent-job", namespace: "agent-job" }
/** The controller's user name in the audit log. */
export const controllerUser = `system:serviceaccount:${installation.namespace}:${installation.name}`

export interface Scene {
  /** The namespace of its tasks. */
  readonly namespace: string
  readonly config: ResolvedConfig
  /** The controller's values file. */
  readonly valuesFile: string
}

/** Sets limits and timeouts so high that none of them affects a measurement. */
const valuesFor = (namespace: string) => ({
  task: { namespace, limits: { total: 100_000, perWorkspace: 100_000 }, startupTimeoutSeconds: 36_000 }
})

const sceneOf = (directory: string, namespace: string): Scene => {
  const values = valuesFor(namespace)
  const valuesFile = join(directory, `${namespace}.yaml`)
  writeFileSync(valuesFile, JSON.stringify(values))
  return { namespace, valuesFile, config: resolve(Result.getOrThrow(parseValues(values)), installation) }
}

const kubectl = (kubeconfig: string, args: ReadonlyArray<string>, input = ""): string =>
  execFileSync("kubectl", ["--kubeconfig", kubeconfig, ...args], { input, encoding: "utf8" })

const namespace = (name: string) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })

/** Creates the scenes and everything that they have in common; their values files are left in `directory`. */
export const makeScenes = (directory: string, kubeconfig: string, names: ReadonlyArray<string>): ReadonlyArray<Scene> => {
  const scenes = names.map((name) => sceneOf(directory, name))
  const objects = [
    crd(),
    namespace(installation.namespace),
    ...scenes.flatMap((scene) => [namespace(scene.namespace), taskAccount(scene.config), ...rbac(scene.config)])
  ]
  const accounts = scenes.slice(0, 1).flatMap(({ config }) => controllerAccount(config))
  kubectl(
    kubeconfig,
    ["apply", "--server-side", "-f", "-"],
    [...objects, ...accounts].map((object) => JSON.stringify(object)).join("\n---\n")
  )
  for (const state of established) {
    kubectl(kubeconfig, ["wait", `--for=${state}`, "--timeout=30s", "crd/atasks.scalr.io"])
  }
  return scenes
}

/** Writes a kubeconfig with a token of the controller's service account, like the one in its Pod, and returns its path. */
export const controllerKubeconfig = (directory: string, kubeconfig: string): string => {
  const file = join(directory, "controller.kubeconfig")
  const token = kubectl(kubeconfig, ["-n", installation.namespace, "create", "token", installation.name, "--duration=2h"])
  const [{ cluster }] = JSON.parse(kubectl(kubeconfig, ["config", "view", "--raw", "-o", "jsonpath={.clusters}"]))
  const named = {
    clusters: [{ name: "own", cluster }],
    users: [{ name: "own", user: { token } }],
    contexts: [{ name: "own", context: { cluster: "own", user: "own" } }]
  }
  writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "Config", "current-context": "own", ...named }), { mode: 0o600 })
  return file
}
