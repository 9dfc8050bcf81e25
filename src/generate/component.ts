// A component of kustomize/components: a layer of values, what these values change among the installed objects, and objects of its own.
// Invariant: the changes follow from the layer; nobody writes them by hand, so the two cannot disagree.
// Used by generate/components, whose table has them all.
import { configMapName, layerText } from "../core/manifest/config-map.ts"
import { install, type InstalledObject } from "../core/manifest/install.ts"
import { difference } from "../core/patch.ts"
import type { ResolvedConfig } from "../core/resolve.ts"
import type { Tree } from "../schema/layers.ts"
import { type GeneratedFile, mark, yamlFile } from "./file.ts"
import { type Described, objectFiles } from "./folder.ts"
import { installationOf, release } from "./installation.ts"

export interface Component {
  /** Of its folder and of its layer. */
  readonly name: string
  /** One sentence. */
  readonly does: string
  /** What it needs, and what to make one's own; sentences. */
  readonly adapt: string
  readonly layer?: Tree
  /** What no value asks for. */
  readonly objects?: (config: ResolvedConfig) => ReadonlyArray<Described>
  /** Further keys of its kustomization. */
  readonly more?: { readonly patches?: ReadonlyArray<object>; readonly replacements?: ReadonlyArray<object>; readonly configMapGenerator?: ReadonlyArray<object> }
  /** Further files by their names, without our mark. */
  readonly files?: Readonly<Record<string, string>>
}

/** Their values are the layer itself. */
const beside = (config: ResolvedConfig) => (objects: ReadonlyArray<InstalledObject>) => objects.filter(({ kind, metadata }) => kind !== "ConfigMap" || metadata?.name !== configMapName(config))

const unlessEmpty = <A>(key: string, list: ReadonlyArray<A>): object => list.length === 0 ? {} : { [key]: list }

const pathOf = ({ name }: Component) => (file: string): string => `kustomize/components/${name}/${file}`

const text = (path: string, content: string): GeneratedFile => ({ path, content: `# ${mark}\n${content}` })

export const componentFiles = (component: Component): ReadonlyArray<GeneratedFile> => {
  const { adapt, does, files = {}, layer = {}, more, name, objects } = component
  const config = installationOf(layer)
  const installed = beside(config)
  const { added, patches } = difference(installed(install(installationOf({}))), installed(install(config)))
  const resources = objectFiles([...added, ...objects?.(config) ?? []])
  const changes = objectFiles(patches).map(({ file, object }) => ({ file: `patch-${file}`, object }))
  const path = pathOf(component)
  const layerFile = `${name}.yaml`
  const ofLayer = component.layer === undefined ? [] : [{ name: configMapName(config), namespace: release.namespace, behavior: "merge", files: [layerFile] }]
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1alpha1",
    kind: "Component",
    ...unlessEmpty("resources", resources.map(({ file }) => file)),
    ...unlessEmpty("configMapGenerator", [...ofLayer, ...more?.configMapGenerator ?? []]),
    ...unlessEmpty("patches", [...changes.map(({ file }) => ({ path: file })), ...more?.patches ?? []]),
    ...unlessEmpty("replacements", more?.replacements ?? [])
  }
  return [
    yamlFile(path("kustomization.yaml"), kustomization, [does, ...adapt.split("\n")]),
    ...(component.layer === undefined ? [] : [text(path(layerFile), layerText(layer))]),
    ...[...resources, ...changes].map(({ file, object }) => yamlFile(path(file), object)),
    ...Object.entries(files).map(([file, content]) => ({ path: path(file), content }))
  ]
}
