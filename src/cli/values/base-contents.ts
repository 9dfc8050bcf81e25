// Finds out which components are beside a base, which are in it, and so what it sets, whether it closes all egress, and what its server speaks.
// What is not on this machine is judged by its name. One with a values.yaml of its own is refused.
// Used by cli/commands/overlay.ts and cli/values/migrate-release.ts.
import { Effect, Option, Schema } from "effect"
import { readFileSync, realpathSync } from "node:fs"
import { resolve } from "node:path"
import { parse } from "yaml"
import { configMapName } from "../../core/manifest/installation/config-map.ts"
import type { Options } from "../../core/overlay/overlay.ts"
import { layersOf, shippedComponents, shippedRelease } from "../../core/overlay/shipped.ts"
import type { Tree } from "../../schema/document/layers.ts"
import { errorInWords } from "../../schema/system-error.ts"
import { shownPath } from "../files/input.ts"
import { BadInput } from "../terminal/failure.ts"
import { type Base, isRemote, kustomizationIn, realPathOf } from "./base-reference.ts"
import { componentBeside } from "./overlay-files.ts"

/** Runs `read`, and fails if it throws: a kustomization that cannot be read is not skipped, because it might close all egress. */
const reading = <A>(folder: string, read: () => A): Effect.Effect<A, BadInput> =>
  Effect.try({
    try: read,
    catch: (error) =>
      new BadInput({
        message: `Cannot read the kustomization in ${shownPath(folder)} (${
          errorInWords(error)
        }); correct that, or name another base with --base.`
      })
  })

const List = Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String)))
const Generator = Schema.Struct({ name: Schema.optionalKey(Schema.String), files: List, literals: List })
const Kustomization = Schema.Struct({
  resources: List,
  components: List,
  bases: List,
  configMapGenerator: Schema.optionalKey(Schema.NullOr(Schema.Array(Generator)))
})
const decoded = Schema.decodeUnknownOption(Kustomization)

const parsed = Option.liftThrowable((text: string): unknown => parse(text))

/** Returns what is read of a kustomization: nothing if it is invalid, because kustomize refuses it too. */
const read = (text: string): typeof Kustomization.Type => Option.getOrElse(Option.flatMap(parsed(text), decoded), () => ({}))

const listedIn = ({ bases, components, resources }: typeof Kustomization.Type): ReadonlyArray<string> =>
  [resources, components, bases].flatMap((list) => list ?? [])

/** Reports whether it gives the controller's ConfigMap a values.yaml: that of an overlay over it takes its place as a whole. */
const hasValues = ({ configMapGenerator }: typeof Kustomization.Type): boolean =>
  (configMapGenerator ?? []).some(({ files, literals, name }) =>
    name === configMapName(shippedRelease) &&
    [files, literals].flat().some((_) => /^(values\.yaml=|([^=]*\/)?values\.yaml$)/u.test(_ ?? ""))
  )

const agent = ["namespaces", "admission", "no-ingress", "pool"]
const production = [...agent, "ha", "quota", "restricted-egress", "separate-users"]
const standalone = [...agent, "restrict-metadata", "server"]

/** The components of each overlay in this repository, for one that is not on this machine. */
export const componentsOfOverlays: Readonly<Record<string, ReadonlyArray<string>>> = {
  "kustomize/overlays/agent": agent,
  "kustomize/overlays/production": production,
  "kustomize/overlays/standalone": standalone,
  "kustomize/argo-cd/standalone": standalone,
  "flux/platform/production": [...production, "without-crd"],
  "flux/platform/standalone": [...standalone, "without-crd"]
}

/**
 * Returns the component that a path ends in, if it ends in one. That which closes all egress is known beside others than kustomize too,
 * because taking it for somebody else's would open all the rest.
 */
const componentAt = (path: string): ReadonlyArray<string> =>
  /(?<=\/kustomize\/components\/)[^/]+$|(?<=\/components\/)restricted-egress$/u.exec(path) ?? []

/** Returns the components that a reference to what is not on this machine stands for, by its path without what it asks for. */
const componentsOf = (reference: string): ReadonlyArray<string> => {
  const path = reference.replace(/\/?(\?.*)?$/u, "")
  return Object.entries(componentsOfOverlays).find(([overlay]) => path.endsWith(`/${overlay}`))?.[1] ?? componentAt(path)
}

/**
 * Returns the names of the components that the kustomization at `reference` is or lists, or others that it lists. `seen` has the folders
 * that were looked at before. What a kustomization lists is resolved from its real path, as kustomize does.
 */
const foundIn = (reference: string, from: string, seen = new Set<string>()): Effect.Effect<ReadonlyArray<string>, BadInput> =>
  Effect.gen(function*() {
    const folder = resolve(from, reference)
    const kustomization = yield* reading(folder, () => kustomizationIn(folder))
    if (kustomization === undefined) return componentsOf(reference)
    const place = yield* reading(folder, () => realpathSync(folder))
    const here = [folder, place].flatMap(componentAt)
    if (seen.has(place)) return here
    seen.add(place)
    const kustomized = read(yield* reading(folder, () => readFileSync(kustomization, "utf8")))
    if (hasValues(kustomized)) {
      return yield* new BadInput({
        message: `The base has a values.yaml in ${
          shownPath(folder)
        }, which that of this overlay would replace as a whole; name the base below it with --base, and give that file to agent-job overlay with --values too; or, if all that it says is about tasks, give it another name there, such as team.yaml.`
      })
    }
    const below = yield* Effect.forEach(listedIn(kustomized), (listed) => foundIn(listed, place, seen))
    return here.concat(...below)
  })

const isIn = (folder: string): Effect.Effect<boolean, BadInput> => reading(folder, () => kustomizationIn(folder) !== undefined)

/** What a base contains, and what its layers set where the values say nothing: nothing if it is the base alone, as overlays always were. */
export interface Contents extends Required<Pick<Options, "available" | "closed" | "present" | "server">> {
  readonly layers: ReadonlyArray<Tree>
  /** Whether it has the CustomResourceDefinition, which component without-crd takes out. */
  readonly definition: boolean
  /** Whether it makes the shipped namespaces, by component namespaces. */
  readonly namespaces: boolean
}

/** Returns the shipped components beside the base, and what is in it. Its reference is resolved from `out`, the overlay. */
export const contentsOf = Effect.fnUntraced(function*({ reference }: Base, out: string): Effect.fn.Return<Contents, BadInput> {
  const from = realPathOf(resolve(out))
  const isThere = (component: string | undefined): Effect.Effect<boolean, BadInput> =>
    component === undefined ? Effect.succeed(false) : isRemote(reference) ? Effect.succeed(true) : isIn(resolve(from, component))
  const found = new Set(yield* foundIn(reference, from))
  const present = shippedComponents.filter(({ name }) => found.has(name))
  return {
    available: yield* Effect.filter(
      shippedComponents.filter((_) => !present.includes(_)),
      ({ name }) => isThere(componentBeside(reference, name))
    ),
    present,
    layers: found.size === 0 ? [] : layersOf(present),
    definition: !found.has("without-crd"),
    namespaces: found.has("namespaces"),
    closed: found.has("restricted-egress"),
    server: !found.has("server") ? "none" : found.has("server-tls") ? "https" : "http"
  }
})
