// The file names of objects in a folder of Kustomize: the kind, and what sets an object apart from others of its kind.
// Invariant: no two objects of an installation have the same file name.
// Used by cli/values/overlay-files and generate/files/folder.
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { cutName } from "../text/cut-name.ts"
import { fingerprint } from "../text/fingerprint.ts"

export interface Described {
  readonly kind?: string
  readonly metadata?: { readonly name?: string; readonly namespace?: string }
}

/** How much of an identity's name a file has: file systems take 255 characters, with all that is around it. */
const longest = 200

const kebab = (kind: string): string => kind.replace(/(?<=[a-z])(?=[A-Z])/gu, "-").toLowerCase()

/**
 * Returns a name such as role-task.yaml: the kind, followed by what the object's name adds to the installation's if `all` has other names
 * of that kind. If both namespaces have an object of that kind and name, that of the tasks ends in `-tasks`. The account of an identity has any
 * name, so that its file has all of it, or, as no file system takes as many characters as Kubernetes, what tells a long one apart.
 */
export const fileName = (
  { kind = "", metadata: { name = "", namespace } = {} }: Described,
  all: ReadonlyArray<Described>,
  installation: Pick<ResolvedConfig, "identities" | "name" | "namespace">
): string => {
  if (kind === "ServiceAccount" && installation.identities?.some((_) => _.name === name) === true) {
    return `${kebab(kind)}-identity-${name.length <= longest ? name : `${cutName(name, longest)}-${fingerprint(name)}`}.yaml`
  }
  const ofKind = all.filter((_) => _.kind === kind)
  const ofName = ofKind.filter((_) => _.metadata?.name === name)
  const rest = name.startsWith(installation.name) ? name.slice(installation.name.length).replace(/\..*$/u, "") : "" // without a policy's namespace
  return `${kebab(kind)}${ofKind.length > ofName.length ? rest : ""}${
    ofName.length > 1 && namespace !== installation.namespace ? "-tasks" : ""
  }.yaml`
}
