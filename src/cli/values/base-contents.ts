// Finds out which components are beside a base, whether the base closes all egress, and whether it has the server, which may speak HTTPS.
// What is not on this machine is judged by its name.
// Used by cli/values/write-overlay.ts.
import { Effect, Option, Schema } from "effect"
import { readFileSync, realpathSync } from "node:fs"
import { resolve } from "node:path"
import { parse } from "yaml"
import type { Options } from "../../core/overlay/overlay.ts"
import { shippedComponents } from "../../core/overlay/shipped.ts"
import { errorInWords } from "../../schema/system-error.ts"
import { BadInput } from "../terminal/failure.ts"
import { type Base, isRemote, kustomizationIn, realPathOf, shown } from "./base-reference.ts"
import { componentBeside } from "./overlay-files.ts"

/** Runs `read`, and fails if it throws: a kustomization that cannot be read is not skipped, because it might close all egress. */
const reading = <A>(folder: string, read: () => A): Effect.Effect<A, BadInput> =>
  Effect.try({
    try: read,
    catch: (error) =>
      new BadInput({
        message: `Cannot read the kustomization in ${shown(folder)} (${
          errorInWords(error)
        }); correct that, or name another base with --base.`
      })
  })

const List = Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String)))
const decoded = Schema.decodeUnknownOption(Schema.Struct({ resources: List, components: List, bases: List }))

const parsed = Option.liftThrowable((text: string): unknown => parse(text))

/** Returns the resources, components and bases that a kustomization lists: none if it is invalid, because kustomize refuses it too. */
const listedIn = (text: string): ReadonlyArray<string> =>
  Option.match(Option.flatMap(parsed(text), decoded), {
    onNone: () => [],
    onSome: (lists) => Object.values(lists).flatMap((list) => list ?? [])
  })

/** A component, by the end of its folder, and by the name of whatever is shipped with it. */
interface Sought {
  readonly folder: string
  readonly name: RegExp
}

const closing: Sought = {
  folder: "/components/restricted-egress",
  name: /^[^?]*\/(components\/restricted-egress|kustomize\/overlays\/production)\/?(\?|$)/u
}
const serving: Sought = {
  folder: "/kustomize/components/server",
  name: /^[^?]*\/(kustomize\/(components\/server|(overlays|argo-cd)\/standalone)|flux\/platform\/standalone)\/?(\?|$)/u
}
const servingTls: Sought = {
  folder: "/kustomize/components/server-tls",
  name: /^[^?]*\/kustomize\/components\/server-tls\/?(\?|$)/u
}

/**
 * Reports whether the kustomization at `reference` is the component, or lists it, or another one that does. `seen` has the folders that were
 * looked at before. What a kustomization lists is resolved from its real path, as kustomize does.
 */
const has = (sought: Sought, reference: string, from: string, seen = new Set<string>()): Effect.Effect<boolean, BadInput> =>
  Effect.gen(function*() {
    const folder = resolve(from, reference)
    const kustomization = yield* reading(folder, () => kustomizationIn(folder))
    if (kustomization === undefined) return sought.name.test(reference)
    const place = yield* reading(folder, () => realpathSync(folder))
    if ([folder, place].some((path) => path.endsWith(sought.folder))) return true
    if (seen.has(place)) return false
    seen.add(place)
    const text = yield* reading(folder, () => readFileSync(kustomization, "utf8"))
    return Option.isSome(yield* Effect.findFirst(listedIn(text), (listed) => has(sought, listed, place, seen)))
  })

const isIn = (folder: string): Effect.Effect<boolean, BadInput> => reading(folder, () => kustomizationIn(folder) !== undefined)

/** Returns the shipped components beside the base, and what is in it. Its reference is resolved from `out`, the overlay. */
export const contentsOf = (
  { reference }: Base,
  out: string
): Effect.Effect<Required<Pick<Options, "available" | "closed" | "server" | "serverTls">>, BadInput> => {
  const from = realPathOf(resolve(out))
  const isThere = (component: string | undefined): Effect.Effect<boolean, BadInput> =>
    component === undefined ? Effect.succeed(false) : isRemote(reference) ? Effect.succeed(true) : isIn(resolve(from, component))
  return Effect.all({
    available: Effect.filter(shippedComponents, ({ name }) => isThere(componentBeside(reference, name))),
    closed: has(closing, reference, from),
    server: has(serving, reference, from),
    serverTls: has(servingTls, reference, from)
  })
}
