// kustomize/crd, kustomize/base (everything but the server) and kustomize/components/server, one object a file, from the builders that also render.
// Base is the defaults with one thing decided: tasks are in a namespace of their own. The CRD is apart, for those who install it first and keep it.
// Called by generate/main.
import { Result } from "effect"
import { configMap, valuesFile } from "../core/manifest/config-map.ts"
import { crd } from "../core/manifest/crd.ts"
import { install } from "../core/manifest/install.ts"
import { server } from "../core/manifest/server.ts"
import { type ResolvedConfig, resolve } from "../core/resolve.ts"
import { appVersion, parseValues } from "../schema/values.ts"
import { type GeneratedFile, mark, yamlFile } from "./file.ts"

const name = "agent-job"

const config = (): ResolvedConfig =>
  resolve(Result.getOrThrow(parseValues({ task: { namespace: "agent-job-tasks" } })), { name, namespace: "agent-job", version: appVersion })

interface Kustomization { readonly kind: string; readonly resources?: ReadonlyArray<string>; readonly [key: string]: unknown }

interface Described {
  readonly kind?: string
  readonly metadata?: { readonly name?: string }
}

const kebab = (kind: string): string => kind.replace(/(?<=[a-z])(?=[A-Z])/gu, "-").toLowerCase()

/** For its kind and, where there are several, for what its name adds: role-task.yaml. */
const fileName = ({ kind = "", metadata }: Described, several: boolean): string => {
  const rest = (metadata?.name ?? "").slice(name.length)
  return `${kebab(kind)}${several ? rest : ""}.yaml`
}

const folder = (path: string, { resources = [], ...kustomization }: Kustomization, objects: ReadonlyArray<Described>): ReadonlyArray<GeneratedFile> => {
  const files = objects.map((object) => ({ file: fileName(object, objects.filter(({ kind }) => kind === object.kind).length > 1), object }))
  return [
    yamlFile(`${path}/kustomization.yaml`, { ...kustomization, resources: [...resources, ...files.map(({ file }) => file)] }),
    ...files.map(({ file, object }) => yamlFile(`${path}/${file}`, object))
  ]
}

const kustomization = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" }

/** The values are a file, and their ConfigMap's name ends in its hash: other values make other Pods. */
const base = (config: ResolvedConfig): ReadonlyArray<GeneratedFile> => {
  const { metadata } = configMap(config)
  const generator = { name: metadata?.name, namespace: metadata?.namespace, files: ["values.yaml"], options: { labels: metadata?.labels } }
  return [
    ...folder(
      "kustomize/base",
      { ...kustomization, configMapGenerator: [generator], resources: ["../crd"] },
      install(config).filter(({ kind }) => kind !== "ConfigMap" && kind !== "CustomResourceDefinition")
    ),
    { path: "kustomize/base/values.yaml", content: `# ${mark}\n${valuesFile(config)}` }
  ]
}

export const kustomize = (): ReadonlyArray<GeneratedFile> => {
  const resolved = config()
  return [
    yamlFile("kustomize/crd/kustomization.yaml", { ...kustomization, resources: ["crd.yaml"] }),
    yamlFile("kustomize/crd/crd.yaml", crd()),
    ...base(resolved),
    ...folder("kustomize/components/server", { apiVersion: "kustomize.config.k8s.io/v1alpha1", kind: "Component" }, server(resolved))
  ]
}
