// Asks the API server of the tests about objects: by a dry run with strict validation, in namespaces that only one test file uses, because
// the real ones may be in use.
// Used by the tests of this folder, and by some of test/cli/commands, test/controller and test/core/manifest.
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { manifestYaml } from "../../src/cli/terminal/manifest-yaml.ts"
import { established } from "../established.ts"
import type { Built } from "./build.ts"

export const kubectl = (args: ReadonlyArray<string>, input = ""): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = execFile("kubectl", args, { encoding: "utf8", maxBuffer: 2 ** 24 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(stderr || error.message)))
    child.stdin?.end(input)
  })

const suffix = randomBytes(4).toString("hex")
const moved = (name: string): string => `${name}-${suffix}`

const inOurs = ({ metadata, ...object }: Built): object => ({
  ...object,
  metadata: { ...metadata, ...(metadata.namespace !== undefined && { namespace: moved(metadata.namespace) }) }
})

export const namespaces = ["agent-job", "agent-job-tasks"].map(moved)

const kindsOfOthers = "test/kustomize/prometheus-crds.yaml"
const kinds = ["atasks.scalr.io", "podmonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com"]

/** Installs the CustomResourceDefinitions of our objects, and makes the namespaces. */
export const begin = async (): Promise<void> => {
  await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "kustomize/crd/crd.yaml", "-f", kindsOfOthers])
  for (const state of established) {
    await kubectl(["wait", `--for=${state}`, "--timeout=300s", ...kinds.map((_) => `crd/${_}`)])
  }
  for (const name of namespaces) await kubectl(["create", "namespace", name])
  for (const name of namespaces) await kubectl(["wait", "--for=create", "--timeout=300s", "-n", name, "serviceaccount/default"])
  for (const name of namespaces) await kubectl(["label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted"])
}

export const end = async (): Promise<void> => void await kubectl(["delete", "namespace", ...namespaces, "--wait=false"])

const lines = (text: string): ReadonlyArray<string> => text.trim().split("\n")

/** Returns a line for each object that the API server accepts. Fails with the server's words when it refuses one. */
export const dryRun = async (objects: ReadonlyArray<Built>): Promise<ReadonlyArray<string>> =>
  lines(
    await kubectl(
      ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-"],
      objects.map((_) => manifestYaml(inOurs(_))).join("---\n")
    )
  )
