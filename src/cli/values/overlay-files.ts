// An overlay as files: kustomization.yaml, values.yaml, and a file for each patch and object, each with our mark in its first line.
// Invariant: the same overlay gives the same bytes, and no file has a token.
// Used by cli/values/write-overlay.ts and cli/values/migrate-release.ts; cli/values/overlay-folder.ts knows its files again by their marks.
import { Document, isCollection, isScalar, visit } from "yaml"
import { configMapName } from "../../core/manifest/installation/config-map.ts"
import { type Described, fileName } from "../../core/overlay/file-name.ts"
import { unmoved } from "../../core/overlay/identity.ts"
import type { Overlay } from "../../core/overlay/overlay.ts"
import type { Installed } from "../../core/overlay/pairs.ts"
import { manifestYaml, readAlike } from "../terminal/manifest-yaml.ts"

/** The mark in the first line of every file of an overlay. */
export const mark = "Written by agent-job overlay"

/** The mark in the first line of the page that migrate writes beside an overlay. The page stays when the overlay is written again. */
export const pageMark = "Written by agent-job migrate"

/** The content of files, by path within the folder. */
export type Files = Readonly<Record<string, string>>

const filesOf = <A extends Described>(
  prefix: string,
  objects: ReadonlyArray<A>,
  { config, objects: all }: Installed,
  written: (object: A) => object = (_) => _
): Files => Object.fromEntries(objects.map((object) => [`${prefix}${fileName(object, all, config)}`, manifestYaml(written(object))]))

/** Returns the reference of a folder beside the base, at the same version. Returns `base` if its last part is not "base". */
const beside = (base: string, folder: string): string => base.replace(/(?<![^/])base\/?(?=\?|$)/u, folder)

/** Returns the reference of a component that belongs to a base; undefined if the base's last part is not "base". */
export const componentBeside = (base: string, name: string): string | undefined => {
  const path = beside(base, `components/${name}`)
  return path === base ? undefined : path
}

const unlessEmpty = <A>(key: string, list: ReadonlyArray<A>): object => list.length === 0 ? {} : { [key]: list }

const kustomization = (
  { components, from, identity }: Overlay,
  base: string,
  files: { readonly patches: Files; readonly resources: Files }
): object => ({
  apiVersion: "kustomize.config.k8s.io/v1beta1",
  kind: "Kustomization",
  resources: [base, ...Object.keys(files.resources)],
  ...unlessEmpty("components", components.map(({ name }) => beside(base, `components/${name}`))),
  configMapGenerator: [{ name: configMapName(from.config), namespace: from.config.namespace, behavior: "merge", files: ["values.yaml"] }],
  ...unlessEmpty("patches", [...Object.keys(files.patches).map((path) => ({ path })), ...identity])
})

/** Formats the kustomization, with the target and the options of a patch in one line each. */
const inOneLine = (data: object): string => {
  const document = new Document(data, readAlike)
  visit(document, {
    Pair: (_, { key, value }) => {
      if (isScalar(key) && (key.value === "target" || key.value === "options") && isCollection(value)) value.flow = true
    }
  })
  return document.toString({ lineWidth: 0 })
}

/** Returns the files of an overlay. `again`: the command that writes them again. */
export const overlayFiles = (overlay: Overlay, base: string, again: string): Files => {
  const { from, patches, resources, to } = overlay
  const files = { patches: filesOf("patch-", patches, from), resources: filesOf("", resources, to, unmoved(from, to)) }
  const all: Files = {
    "kustomization.yaml": inOneLine(kustomization(overlay, base, files)),
    "values.yaml": overlay.values,
    ...files.resources,
    ...files.patches
  }
  return Object.fromEntries(
    Object.entries(all).map(([path, content]) => [path, `# ${mark}; change values.yaml and write it anew: ${again}\n${content}`])
  )
}
