// What docs/values.md says to write for a mirror on the volume that tasks share, which the runner finds there and cannot write, and to delete
// of an installation that gets another name.
import { expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import { leaderLeaseName } from "../../src/core/manifest/controller-names.ts"
import { server } from "../../src/core/manifest/installation/server.ts"
import { job } from "../../src/core/manifest/job.ts"
import { shipped, shippedComponents } from "../../src/core/overlay/shipped.ts"
import { installationOf } from "../../src/generate/files/installation.ts"
import type { Tree } from "../../src/schema/document/layers.ts"
import { taskOf } from "../core/configs.ts"
import { isSelected } from "../label-selector.ts"

interface Made {
  readonly kind?: string
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> }
}

const blocks = readFileSync("docs/values.md", "utf8").match(/(?<=\n\n)(?: {4}[^\n]*\n)+/gu) ?? []

it("shows values by which the runner has the mirror on the volume that tasks share, to read alone", () => {
  const config = installationOf(parse(blocks.find((block) => block.includes("providerFilesystemMirrors")) ?? "") as Tree)
  const [mirror] = config.task.mirrors?.filesystem ?? []
  const { containers = [], initContainers = [] } = job(taskOf(), config, 0).spec?.template.spec ?? {}
  const runner = [...containers, ...initContainers].find(({ name }) => name === "runner")
  const mount = runner?.volumeMounts?.filter(({ mountPath }) => mirror?.path.startsWith(`${mountPath}/`)).at(-1)
  expect(mount).toMatchObject({ name: "cache", readOnly: true })
  expect(mirror?.include).not.toEqual([])
})

it("deletes what would stay of an installation that gets another name, but for the definition, the volume that tasks share and the server", () => {
  const { config, objects } = shipped(shippedComponents.filter(({ name }) => name !== "node-cache")) // which comes in the place of persistence
  const block = blocks.find((block) => block.includes("delete lease")) ?? ""
  const [, namespaces = "", kinds = "", selector = ""] = /for namespace in (.*); do\n.* delete (\S+) .*\n *-l (\S+)/u.exec(block) ?? []
  const [, ofCluster = "", names = ""] = /kubectl get (\S+) -o name [^]*grep '(.*)'/u.exec(block) ?? []
  const goes = ({ kind = "", metadata: { labels, name, namespace = "" } = {} }: Made) =>
    namespaces.split(" ").includes(namespace) && kinds.split(",").includes(kind.toLowerCase()) && isSelected(selector, labels) ||
    ofCluster.split(",").includes(kind.toLowerCase()) && new RegExp(names, "u").test(`admissionregistration.k8s.io/${name}`)
  const made: ReadonlyArray<Made> = [...objects, ...server(config)]
  expect(made.filter((object) => !goes(object)).map(({ kind }) => kind)).toEqual([
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    ...server(config).map(({ kind }) => kind)
  ])
  expect(block).toContain(`kubectl -n ${config.namespace} delete lease ${leaderLeaseName(config)}\n`)
  expect(goes({ kind: "ValidatingAdmissionPolicyBinding", metadata: { name: "agent-job-installation-in-use.agent-job-tasks" } })).toBe(
    false
  )
})
