// An overlay as files: kustomization.yaml, values.yaml, a patch or an object a file, each with our mark in its first line.
// Invariant: the same overlay gives the same bytes, and no file has a token.
// Used by cli/overlay.ts and cli/migrate.ts.
import { Document, isCollection, isScalar, visit } from "yaml"
import { configMapName } from "../core/manifest/config-map.ts"
import type { Overlay } from "../core/overlay/overlay.ts"
import type { Installed } from "../core/overlay/pairs.ts"
import { manifestYaml } from "./manifest-yaml.ts"

/** In the first line of every file. */
export const mark = "Written by agent-job overlay"

/** Content by path within the folder. */
export type Files = Readonly<Record<string, string>>

interface Described {
  readonly kind?: string
  readonly metadata?: { readonly name?: string; readonly namespace?: string }
}

const kebab = (kind: string): string => kind.replace(/(?<=[a-z])(?=[A-Z])/gu, "-").toLowerCase()

/** For its kind, for what its name adds to that of the installation where there are several, and for the tasks where the name is in both namespaces. */
const fileName = ({ kind = "", metadata: { name = "", namespace } = {} }: Described, { config, objects }: Installed): string => {
  const ofKind: ReadonlyArray<Described> = objects.filter((_) => _.kind === kind)
  const ofName = ofKind.filter((_) => _.metadata?.name === name)
  const rest = name.startsWith(config.name) ? name.slice(config.name.length) : ""
  return `${kebab(kind)}${ofKind.length > ofName.length ? rest : ""}${ofName.length > 1 && namespace !== config.namespace ? "-tasks" : ""}.yaml`
}

const filesOf = (prefix: string, objects: ReadonlyArray<Described>, installed: Installed): Files =>
  Object.fromEntries(objects.map((object) => [`${prefix}${fileName(object, installed)}`, manifestYaml(object)]))

/** The folder beside the base, in the same repository at the same version. */
const beside = (base: string, folder: string): string => base.replace(/\bbase\/?(?=\?|$)/u, folder)

/** Whether components are to be found beside a base. */
export const hasComponents = (base: string): boolean => beside(base, "") !== base

const unlessEmpty = <A>(key: string, list: ReadonlyArray<A>): object => list.length === 0 ? {} : { [key]: list }

const kustomization = ({ components, from, identity }: Overlay, base: string, files: { readonly patches: Files; readonly resources: Files }): object => ({
  apiVersion: "kustomize.config.k8s.io/v1beta1",
  kind: "Kustomization",
  resources: [base, ...Object.keys(files.resources)],
  ...unlessEmpty("components", components.map(({ name }) => beside(base, `components/${name}`))),
  configMapGenerator: [{ name: configMapName(from.config), namespace: from.config.namespace, behavior: "merge", files: ["values.yaml"] }],
  ...unlessEmpty("patches", [...Object.keys(files.patches).map((path) => ({ path })), ...identity])
})

/** What only says which object is meant takes one line. */
const inOneLine = (data: object): string => {
  const document = new Document(data, { compat: "yaml-1.1", aliasDuplicateObjects: false })
  visit(document, {
    Pair: (_, { key, value }) => {
      if (isScalar(key) && (key.value === "target" || key.value === "options") && isCollection(value)) value.flow = true
    }
  })
  return document.toString({ lineWidth: 0 })
}

/** `again`: the command that writes it anew. */
export const overlayFiles = (overlay: Overlay, base: string, again: string): Files => {
  const files = { patches: filesOf("patch-", overlay.patches, overlay.from), resources: filesOf("", overlay.resources, overlay.to) }
  const all: Files = { "kustomization.yaml": inOneLine(kustomization(overlay, base, files)), "values.yaml": overlay.values, ...files.resources, ...files.patches }
  return Object.fromEntries(Object.entries(all).map(([path, content]) => [path, `# ${mark}; change values.yaml and write it anew: ${again}\n${content}`]))
}
