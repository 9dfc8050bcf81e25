// The files of a folder of Kustomize: one object a file, named for its kind and for what sets it apart from others of that kind.
// Invariant: no two objects of a folder have one name.
// Used by generate/kustomize and generate/component.
import { release } from "./installation.ts"

export interface Described {
  readonly kind?: string
  readonly metadata?: { readonly name?: string; readonly namespace?: string }
}

const kebab = (kind: string): string => kind.replace(/(?<=[a-z])(?=[A-Z])/gu, "-").toLowerCase()

/** What a name of ours adds to that of the installation. */
const rest = (name = ""): string => name.slice(release.name.length)

/** role-task.yaml; of one name in two namespaces, the tasks' one says so. */
const fileName = ({ kind = "", metadata }: Described, all: ReadonlyArray<Described>): string => {
  const ofKind = all.filter((_) => _.kind === kind)
  const ofName = ofKind.filter((_) => _.metadata?.name === metadata?.name)
  return `${kebab(kind)}${ofKind.length > ofName.length ? rest(metadata?.name) : ""}${ofName.length > 1 ? rest(metadata?.namespace) : ""}.yaml`
}

export interface ObjectFile {
  readonly file: string
  readonly object: Described
}

export const objectFiles = (objects: ReadonlyArray<Described>): ReadonlyArray<ObjectFile> => objects.map((object) => ({ file: fileName(object, objects), object }))
