// Finds out which components are beside a base and in it, and so what it sets, also by the inputs of component pool, whether it closes all
// egress, and what its server speaks. What is not on this machine is judged by its name. One with a values.yaml of its own is refused.
// Used by cli/commands/overlay.ts and cli/values/migrate-release.ts.
import { Effect, Option, Schema } from "effect"
import { readFileSync, realpathSync } from "node:fs"
import { resolve } from "node:path"
import { parse } from "yaml"
import { configMapName } from "../../core/manifest/installation/config-map.ts"
import type { Options } from "../../core/overlay/overlay.ts"
import { layersOf, type ShippedComponent, shippedComponents, shippedRelease } from "../../core/overlay/shipped.ts"
import type { Tree } from "../../schema/document/layers.ts"
import { errorInWords } from "../../schema/system-error.ts"
import { shownPath } from "../files/input.ts"
import { BadInput } from "../terminal/failure.ts"
import { type Base, isRemote, kustomizationIn, realPathOf } from "./base-reference.ts"
import { componentBeside } from "./overlay-files.ts"
import { type Generator, type Inputs, inputsOfStandalone, inputsOver, poolOf } from "./pool-of-base.ts"

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
const Kustomization = Schema.Struct({
  resources: List,
  components: List,
  bases: List,
  configMapGenerator: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({
    name: Schema.optionalKey(Schema.String),
    env: Schema.optionalKey(Schema.NullOr(Schema.String)),
    envs: List,
    files: List,
    literals: List
  }))))
})
const decoded = Schema.decodeUnknownOption(Kustomization)

const parsed = Option.liftThrowable((text: string): unknown => parse(text))

/** Returns what is read of a kustomization: nothing if it is invalid, because kustomize refuses it too. */
const read = (text: string): typeof Kustomization.Type => Option.getOrElse(Option.flatMap(parsed(text), decoded), () => ({}))

/** Reports whether one of them gives the controller's ConfigMap a layer of that name. */
const hasLayer = (generators: ReadonlyArray<Generator>, layer: "pool" | "values"): boolean =>
  generators.some(({ files, literals, name }) =>
    name === configMapName(shippedRelease) &&
    [files, literals].flat().some((_) => new RegExp(`^(${layer}\\.yaml=|([^=]*/)?${layer}\\.yaml$)`, "u").test(_ ?? ""))
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

/** What was found in a base so far. */
interface Found {
  readonly components: ReadonlySet<string>
  /** The inputs of component pool where the search is. */
  readonly inputs: Inputs
  /** Component pool with the inputs of its last use, `unread` if these are not known, or nothing if the base takes no work. */
  readonly pool?: ShippedComponent | "unread"
}

/** Returns what is found with these components too. Each use of component pool takes the inputs as they are then. */
const using = (found: Found, components: ReadonlyArray<string>): Found => ({
  ...found,
  components: new Set([...found.components, ...components]),
  ...(components.includes("pool") && { pool: poolOf(found.inputs) ?? "unread" })
})

/**
 * Returns what is found with what is not on this machine too, by its path without what it asks for. People edit the literals of an overlay,
 * so that those there are not known, but where the server comes with it.
 */
const usingElsewhere = (found: Found, reference: string): Found => {
  const path = reference.replace(/\/?(\?.*)?$/u, "")
  const overlay = Object.entries(componentsOfOverlays).find(([overlay]) => path.endsWith(`/${overlay}`))?.[1]
  return overlay === undefined
    ? using(found, componentAt(path))
    : using({ ...found, inputs: overlay.includes("server") ? inputsOfStandalone : {} }, overlay)
}

/** Returns what is found with what these generators make too, in a kustomization that is the components `here`. */
const generated = (found: Found, generators: ReadonlyArray<Generator>, here: ReadonlyArray<string>): Found => ({
  ...found,
  inputs: inputsOver(found.inputs, generators),
  ...(hasLayer(generators, "pool") && !here.includes("pool") && { pool: "unread" })
})

/**
 * Returns what is found in the kustomization at `reference` too, and in what it lists, in the order of kustomize: resources, generators,
 * components. `around` has the folders that lead there, so that none is looked for within itself. What a kustomization lists is resolved from
 * its real path, as kustomize does.
 */
const foundIn = (found: Found, reference: string, from: string, around: ReadonlyArray<string> = []): Effect.Effect<Found, BadInput> =>
  Effect.gen(function*() {
    const folder = resolve(from, reference)
    const kustomization = yield* reading(folder, () => kustomizationIn(folder))
    if (kustomization === undefined) return usingElsewhere(found, reference)
    const place = yield* reading(folder, () => realpathSync(folder))
    const here = [folder, place].flatMap(componentAt)
    const entered = using(found, here)
    if (around.includes(place)) return entered
    const { bases, components, configMapGenerator, resources } = read(yield* reading(folder, () => readFileSync(kustomization, "utf8")))
    const generators = configMapGenerator ?? []
    if (hasLayer(generators, "values")) {
      return yield* new BadInput({
        message: `The base has a values.yaml in ${
          shownPath(folder)
        }, which that of this overlay would replace as a whole; name the base below it with --base, and give that file to agent-job overlay with --values too; or, if all that it says is about tasks, give it another name there, such as team.yaml.`
      })
    }
    const within = (before: Found, listed: string) => foundIn(before, listed, place, [...around, place])
    const below = yield* Effect.reduce([...resources ?? [], ...bases ?? []], () => entered, within)
    return yield* Effect.reduce(components ?? [], () => generated(below, generators, here), within)
  })

const isIn = (folder: string): Effect.Effect<boolean, BadInput> => reading(folder, () => kustomizationIn(folder) !== undefined)

/** What a base contains, and what its layers set where the values say nothing: nothing if it is the base alone, as overlays always were. */
export interface Contents extends Required<Pick<Options, "available" | "closed" | "present" | "server">> {
  readonly layers: ReadonlyArray<Tree>
  /** Whether it has the CustomResourceDefinition, which component without-crd takes out. */
  readonly definition: boolean
  /** Whether it makes the shipped namespaces, by component namespaces. */
  readonly namespaces: boolean
  /** Whether it takes work from a server that is not known, by component pool. */
  readonly unreadPool: boolean
}

/** Returns the shipped components beside the base, and what is in it. Its reference is resolved from `out`, the overlay. */
export const contentsOf = Effect.fnUntraced(function*({ reference }: Base, out: string): Effect.fn.Return<Contents, BadInput> {
  const from = realPathOf(resolve(out))
  const isThere = (component: string | undefined): Effect.Effect<boolean, BadInput> =>
    component === undefined ? Effect.succeed(false) : isRemote(reference) ? Effect.succeed(true) : isIn(resolve(from, component))
  const { components: found, pool } = yield* foundIn({ components: new Set(), inputs: {} }, reference, from)
  const present = [
    ...shippedComponents.filter(({ name }) => found.has(name)),
    ...(pool === undefined || pool === "unread" ? [] : [pool])
  ]
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
    server: !found.has("server") ? "none" : found.has("server-tls") ? "https" : "http",
    unreadPool: pool === "unread"
  }
})
