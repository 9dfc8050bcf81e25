// A component of kustomize/components: a layer of values, what these values change among the installed objects, and objects of its own.
// Invariant: the changes follow from the layer; nobody writes them by hand, so the two cannot disagree.
// Used by generate/components, whose table has them all.
import { manifestYaml } from "../../cli/terminal/manifest-yaml.ts"
import { configMapName, layerText } from "../../core/manifest/installation/config-map.ts"
import { install } from "../../core/manifest/installation/install.ts"
import type { Described } from "../../core/overlay/file-name.ts"
import { changesBetween } from "../../core/overlay/patch.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import type { Tree } from "../../schema/document/layers.ts"
import { type GeneratedFile, mark, yamlFile } from "./file.ts"
import { objectFiles } from "./folder.ts"
import { type Input, replacements } from "./inputs.ts"
import { installationOf } from "./installation.ts"

export interface ObjectPatch {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: object }
  readonly spec?: object
  readonly $patch?: "delete"
}

export interface Component {
  /** The name of its folder, its layer and its inputs. */
  readonly name: string
  /** What it does, in one sentence. */
  readonly does: string
  /** What it needs, and what its users have to adapt, a sentence each. */
  readonly adapt: ReadonlyArray<string>
  readonly layer?: Tree
  readonly inputs?: ReadonlyArray<Input>
  /** Returns the objects that no value asks for. */
  readonly objects?: (config: ResolvedConfig) => ReadonlyArray<Described>
  /** Patches for objects of other components. A patch has no effect where its object is not used. */
  readonly ifThere?: ReadonlyArray<ObjectPatch>
  /** Objects of other components as they are, and as they are with this one. Patches make the one of the other where they are used. */
  readonly changes?: (
    config: ResolvedConfig
  ) => { readonly before: ReadonlyArray<Described>; readonly after: ReadonlyArray<Described> }
  /** Further ConfigMaps, which kustomize generates from `files`. */
  readonly configMaps?: ReadonlyArray<
    { readonly name: string; readonly namespace: string; readonly files: ReadonlyArray<string>; readonly options: object }
  >
  /** Further files, by their names. */
  readonly files?: Readonly<Record<string, string>>
}

/** Returns the installed objects without the ConfigMap of the values, because the layers are these values. */
const installed = (config: ResolvedConfig) =>
  install(config).filter(({ kind, metadata }) => kind !== "ConfigMap" || metadata?.name !== configMapName(config))

const generators = ({ configMaps = [], layer, name }: Component, config: ResolvedConfig): ReadonlyArray<object> => [
  ...(layer === undefined
    ? []
    : [{ name: configMapName(config), namespace: config.namespace, behavior: "merge", files: [`${name}.yaml`] }]),
  ...configMaps
]

const comments = ({ adapt, does, inputs = [], name, objects }: Component): ReadonlyArray<string> => [
  does,
  ...(inputs.length === 0
    ? []
    : [
      `Whoever uses it generates the ConfigMap agent-job-${name} with ${
        inputs.map(({ example, literal }) => `${literal}=${example}`).join(" and ")
      }, as their own values; it is never applied.`
    ]),
  ...adapt,
  ...(objects === undefined
    ? []
    : ["What it brings is for an installation under the shipped names; for others see \"Other names\" in kustomize/README.md."])
]

/** Returns a patch with a target, because kustomize does not fail if the object of such a patch is missing. */
const targeted = ({ kind, metadata }: Described, patch: object): object => ({
  target: { kind, name: metadata?.name },
  patch: manifestYaml(patch)
})

const isSame = (one: Described) => (other: Described): boolean => one.kind === other.kind && one.metadata?.name === other.metadata?.name

/** Returns the patches for objects of other components. */
const elsewhere = ({ changes, ifThere = [] }: Component, config: ResolvedConfig): ReadonlyArray<object> => {
  const { after, before } = changes?.(config) ?? { after: [], before: [] }
  return [
    ...ifThere.map((patch) => targeted(patch, patch)),
    ...before.flatMap((object) => changesBetween([object], after.filter(isSame(object))).patches.map((patch) => targeted(object, patch)))
  ]
}

const filled = (lists: Readonly<Record<string, ReadonlyArray<unknown>>>): object =>
  Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0))

export const componentFiles = (component: Component): ReadonlyArray<GeneratedFile> => {
  const { files = {}, layer, name, objects } = component
  const config = installationOf(layer ?? {})
  const { added, patches } = changesBetween(installed(installationOf({})), installed(config))
  const resources = objectFiles([...added, ...objects?.(config) ?? []])
  const changes = objectFiles(patches).map(({ file, object }) => ({ file: `patch-${file}`, object }))
  const path = (file: string): string => `kustomize/components/${name}/${file}`
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1alpha1",
    kind: "Component",
    ...filled({
      resources: resources.map(({ file }) => file),
      configMapGenerator: generators(component, config),
      patches: [...changes.map(({ file }) => ({ path: file })), ...elsewhere(component, config)],
      replacements: replacements(config, component)
    })
  }
  return [
    yamlFile(path("kustomization.yaml"), kustomization, comments(component)),
    ...(layer === undefined ? [] : [{ path: path(`${name}.yaml`), content: `# ${mark}\n${layerText(layer)}` }]),
    ...[...resources, ...changes].map(({ file, object }) => yamlFile(path(file), object)),
    ...Object.entries(files).map(([file, content]) => ({ path: path(file), content }))
  ]
}
