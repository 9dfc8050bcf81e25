// What the file of an object is called in a folder of Kustomize: for its kind, and for what sets it apart from others of that kind.
// Invariant: no two objects of an installation have one name.
// Used by cli/overlay-files and generate/folder.
import type { ResolvedConfig } from "../resolve.ts"

export interface Described {
  readonly kind?: string
  readonly metadata?: { readonly name?: string; readonly namespace?: string }
}

const kebab = (kind: string): string => kind.replace(/(?<=[a-z])(?=[A-Z])/gu, "-").toLowerCase()

/**
 * role-task.yaml, for what its name adds to that of the installation where `all` has several of its kind; of one name in both namespaces,
 * the tasks' one says so.
 */
export const fileName = (
  { kind = "", metadata: { name = "", namespace } = {} }: Described,
  all: ReadonlyArray<Described>,
  installation: Pick<ResolvedConfig, "name" | "namespace">
): string => {
  const ofKind = all.filter((_) => _.kind === kind)
  const ofName = ofKind.filter((_) => _.metadata?.name === name)
  const rest = name.startsWith(installation.name) ? name.slice(installation.name.length).replace(/\..*$/u, "") : "" // of a policy, its namespace
  return `${kebab(kind)}${ofKind.length > ofName.length ? rest : ""}${
    ofName.length > 1 && namespace !== installation.namespace ? "-tasks" : ""
  }.yaml`
}
