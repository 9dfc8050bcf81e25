// Generates kustomize/crd, kustomize/base (everything but the server) and kustomize/components, from the builders that also render.
// The CRD is apart, for those who install it first and keep it. The ConfigMap's name has no hash: the controller itself sees changes in it.
// Called by generate/main.
import { configMap, valuesFile } from "../core/manifest/installation/config-map.ts"
import { crd } from "../core/manifest/installation/crd.ts"
import { install } from "../core/manifest/installation/install.ts"
import { components } from "./components.ts"
import { componentFiles } from "./files/component.ts"
import { type GeneratedFile, mark, yamlFile } from "./files/file.ts"
import { objectFiles } from "./files/folder.ts"
import { installationOf } from "./files/installation.ts"

const kustomization = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" }

/** The file of the base's layer. It is not values.yaml, which is the user's own and lies on top. */
const layerFile = "base.yaml"

const base = (): ReadonlyArray<GeneratedFile> => {
  const config = installationOf({})
  const { metadata } = configMap(config)
  const generator = {
    name: metadata?.name,
    namespace: metadata?.namespace,
    files: [layerFile],
    options: { disableNameSuffixHash: true, labels: metadata?.labels }
  }
  const files = objectFiles(install(config).filter(({ kind }) => kind !== "ConfigMap" && kind !== "CustomResourceDefinition"))
  return [
    yamlFile("kustomize/base/kustomization.yaml", {
      ...kustomization,
      resources: ["../crd", ...files.map(({ file }) => file)],
      configMapGenerator: [generator]
    }),
    { path: `kustomize/base/${layerFile}`, content: `# ${mark}\n${valuesFile(config)}` },
    ...files.map(({ file, object }) => yamlFile(`kustomize/base/${file}`, object))
  ]
}

export const kustomize = (): ReadonlyArray<GeneratedFile> => [
  yamlFile("kustomize/crd/kustomization.yaml", { ...kustomization, resources: ["crd.yaml"] }),
  yamlFile("kustomize/crd/crd.yaml", crd()),
  ...base(),
  ...components.flatMap(componentFiles)
]
