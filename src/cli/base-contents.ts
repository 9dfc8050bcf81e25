// What is in a base and beside it, as far as this machine has it: what is elsewhere is known by its name alone, if it is one of ours.
// Used by cli/write-overlay.ts.
import { Option, Schema } from "effect"
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { join, resolve } from "node:path"
import { parse } from "yaml"
import type { Options } from "../core/overlay/overlay.ts"
import { shippedComponents } from "../core/overlay/shipped.ts"
import { type Base, isRemote } from "./base-reference.ts"
import { componentBeside } from "./overlay-files.ts"

const kustomizationIn = (folder: string): string | undefined => ["kustomization.yaml", "kustomization.yml", "Kustomization"].map((name) => join(folder, name)).find(existsSync)

const List = Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String)))
const decoded = Schema.decodeUnknownOption(Schema.Struct({ resources: List, components: List, bases: List }))

const parsed = Option.liftThrowable((text: string): unknown => parse(text))

/** What it is made of. Nothing of a text that kustomize refuses as well. */
const listedIn = (kustomization: string): ReadonlyArray<string> =>
  Option.match(Option.flatMap(parsed(readFileSync(kustomization, "utf8")), decoded), {
    onNone: () => [],
    onSome: (lists) => Object.values(lists).flatMap((list) => list ?? [])
  })

const closesByName = (reference: string): boolean => /^[^?]*\/(components\/restricted-egress|kustomize\/overlays\/production)\/?(\?|$)/u.test(reference)

/** Whether it, or what it is made of, closes all egress; `seen` are the folders above it and before. Where links lead is where kustomize goes on from. */
const closes = (reference: string, from: string, seen = new Set<string>()): boolean => {
  const folder = resolve(from, reference)
  const kustomization = kustomizationIn(folder)
  if (kustomization === undefined) return closesByName(reference)
  const place = realpathSync(folder)
  if ([folder, place].some((path) => path.endsWith("/components/restricted-egress"))) return true
  if (seen.has(place)) return false
  seen.add(place)
  return listedIn(kustomization).some((listed) => closes(listed, place, seen))
}

/** For an overlay in `out`. */
export const contentsOf = ({ reference }: Base, out: string): Required<Pick<Options, "available" | "closed">> => {
  const isThere = (component: string | undefined): boolean => component !== undefined && (isRemote(reference) || kustomizationIn(resolve(out, component)) !== undefined)
  return {
    available: shippedComponents.filter(({ name }) => isThere(componentBeside(reference, name))),
    closed: closes(reference, out)
  }
}
