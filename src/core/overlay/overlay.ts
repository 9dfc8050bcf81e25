// A Kustomize overlay for some values: the base, the components that say the same as the values, and patches for what is left.
// Law: `kustomize build` of it gives what `render` prints of the same values, and what else the base has; but no Secret with a token.
// Used in cli/values; the law is in test/cli/commands/overlay.cluster.test.ts.
import { difference, merge, union } from "../../schema/document/layers.ts"
import { defaultValues, type Values } from "../../schema/values/values.ts"
import { configMapName, layerText } from "../manifest/installation/config-map.ts"
import { install, type InstalledObject } from "../manifest/installation/install.ts"
import { secureServer, server } from "../manifest/installation/server.ts"
import { permissivePolicies, policyName } from "../network/network-policy.ts"
import { type Release, resolve, type ResolvedConfig, type TokenConfig } from "../resolve/resolve.ts"
import { content, identityPatches, type JsonPatch } from "./identity.ts"
import { type Installed, isControllerAccount, nameOf, type Pair, pairsOf } from "./pairs.ts"
import { changesBetween } from "./patch.ts"
import { layersOf, shipped, type ShippedComponent, shippedComponents } from "./shipped.ts"

export interface Overlay {
  /** What is shipped, including the components, and what the overlay makes of it. */
  readonly from: Installed
  readonly to: Installed
  readonly components: ReadonlyArray<ShippedComponent>
  /** Strategic merge patches, each of one object under its shipped name. */
  readonly patches: ReadonlyArray<object>
  /** The patches of names and namespaces, which are applied after those. */
  readonly identity: ReadonlyArray<JsonPatch>
  readonly resources: ReadonlyArray<InstalledObject>
  /** The last layer of values in the ConfigMap. */
  readonly values: string
}

/** Returns the last layer: what the values say beyond the components of the base, and what has to be said against the layers below. */
const lastLayer = (
  { controllerValues }: ResolvedConfig,
  present: ReadonlyArray<ShippedComponent>,
  components: ReadonlyArray<ShippedComponent>
): string => {
  const all = merge(defaultValues, controllerValues)
  const ofBase = present.map(({ layer }) => layer).reduce(merge, defaultValues)
  const below = layersOf([...present, ...components]).reduce(merge, defaultValues)
  return layerText(union(difference(ofBase, all), difference(below, all))) || "{}\n"
}

export interface Options {
  /** The components that may be used. Absent: all that are shipped. */
  readonly available?: ReadonlyArray<ShippedComponent>
  /** The components that the base has. The values are given over their layers. Absent: none. */
  readonly present?: ReadonlyArray<ShippedComponent>
  /** Whether the base closes all egress, by component restricted-egress. */
  readonly closed?: boolean
  /** What the server speaks that the base has by component server; HTTPS by component server-tls. Absent: it has none. */
  readonly server?: "none" | "http" | "https"
  /** Whether somebody else installs the CustomResourceDefinition. */
  readonly withoutCrd?: boolean
}

const isWide = ({ kind, metadata }: InstalledObject, name: string): boolean =>
  kind === "NetworkPolicy" && permissivePolicies.some((_) => metadata?.name === policyName({ name }, _))

/** Returns the pair of ConfigMaps without the values, which are files beside it. */
const withoutData = ({ from, to }: Pair): Pair => ({ from: { ...from, data: {} }, to: { ...to, data: {} } })

const overlayWith = (to: Installed, components: ReadonlyArray<ShippedComponent>, { closed, present = [] }: Options): Overlay => {
  const { config, objects } = shipped([...present, ...components])
  const from = { config, objects: objects.filter((_) => closed !== true || !isWide(_, config.name)) }
  const { added, gone, pairs } = pairsOf(from, to)
  const hasAccount = pairs.some(({ to }) => isControllerAccount(to))
  const contents = pairs.map((pair) => content(nameOf(pair.to) === configMapName(to.config) ? withoutData(pair) : pair, hasAccount))
  return {
    from,
    to,
    components,
    identity: identityPatches(from.config, to.config, pairs),
    patches: [
      ...changesBetween(gone, []).patches,
      ...changesBetween(contents.map(({ before }) => before), contents.map(({ after }) => after)).patches
    ],
    resources: added,
    values: lastLayer(to.config, present, components)
  }
}

/** Returns the length of what a person would have to read. Patches of names do not count, because they say little. */
const size = ({ patches, resources, values }: Overlay): number => JSON.stringify([patches, resources]).length + values.length

const isLeftOut = (object: InstalledObject, name: string, { closed = false, withoutCrd = false }: Options): boolean =>
  object.kind === "Secret" || (withoutCrd && object.kind === "CustomResourceDefinition") || (closed && isWide(object, name))

/** Returns what the values change of the server. It keeps its name, because its volume, and so all states, would not follow to another. */
const serverPatches = (
  from: ResolvedConfig,
  to: ResolvedConfig,
  speaks: Options["server"] = "none"
): ReadonlyArray<object> => {
  if (speaks === "none") return []
  const objects = speaks === "https" ? secureServer : server
  return changesBetween(objects(from), objects({ ...to, name: from.name, namespace: from.namespace })).patches
}

/**
 * Returns the overlay for some values. A component is part of it if it makes the rest shorter and the values have nothing of it to take
 * back. The Secret of a token is not part of the overlay.
 */
export const overlay = (values: Values, release: Release, options: Options): Overlay => {
  const config = resolve(values, release)
  const to = { config, objects: install(config).filter((_) => !isLeftOut(_, config.name, options)) }
  const made = (options.available ?? shippedComponents).reduce((best, component) => {
    const withIt = overlayWith(to, [...best.components, component], options)
    return size(withIt) < size(best) && withIt.values.length <= best.values.length ? withIt : best
  }, overlayWith(to, [], options))
  return { ...made, patches: [...made.patches, ...serverPatches(made.from.config, to.config, options.server)] }
}

/** Returns the Secret to make by hand, if the values contain the token itself. */
export const missingSecret = ({ to: { config: { token } } }: Overlay): TokenConfig["secret"] | undefined =>
  token?.value === undefined ? undefined : token.secret
