// What is in a base and beside it, as far as this machine has it: a base elsewhere is taken for one of ours.
// Used by cli/write-overlay.ts.
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import type { Options } from "../core/overlay/overlay.ts"
import { shippedComponents } from "../core/overlay/shipped.ts"
import { type Base, isRemote } from "./base-reference.ts"
import { componentBeside } from "./overlay-files.ts"

const kustomizationAt = (path: string): string => `${path}/kustomization.yaml`

/** In a list of either form, but not in a comment. */
const closes = /^[^#\n]*\/(components\/restricted-egress|overlays\/production)\b/mu

/** For an overlay in `out`. */
export const contentsOf = ({ reference }: Base, out: string): Required<Pick<Options, "available" | "closed">> => {
  const remote = isRemote(reference)
  const isThere = (component: string | undefined): boolean => component !== undefined && (remote || existsSync(kustomizationAt(resolve(out, component))))
  return {
    available: shippedComponents.filter(({ name }) => isThere(componentBeside(reference, name))),
    closed: !remote && closes.test(readFileSync(kustomizationAt(resolve(out, reference)), "utf8"))
  }
}
