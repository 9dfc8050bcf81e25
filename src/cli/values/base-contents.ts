// Finds out which components are beside a base, whether the base closes all egress, and whether it has the server, which may speak HTTPS.
// What is not on this machine is judged by its name.
// Used by cli/values/write-overlay.ts.
import { Effect, Option, Schema, Struct } from "effect"
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

const sought = {
  closed: {
    folder: "/components/restricted-egress",
    name: /^[^?]*\/(components\/restricted-egress|kustomize\/overlays\/production)\/?(\?|$)/u
  },
  server: {
    folder: "/kustomize/components/server",
    name: /^[^?]*\/(kustomize\/(components\/server|(overlays|argo-cd)\/standalone)|flux\/platform\/standalone)\/?(\?|$)/u
  },
  serverTls: {
    folder: "/kustomize/components/server-tls",
    name: /^[^?]*\/kustomize\/components\/server-tls\/?(\?|$)/u
  }
} satisfies Record<string, Sought>

type Found = ReadonlySet<keyof typeof sought>

const allThat = (is: (component: Sought) => boolean): Found => new Set(Struct.keys(sought).filter((key) => is(sought[key])))

/**
 * Returns which of the components the kustomization at `reference` is or lists, or others that it lists. `seen` has the folders that were
 * looked at before. What a kustomization lists is resolved from its real path, as kustomize does.
 */
const foundIn = (reference: string, from: string, seen = new Set<string>()): Effect.Effect<Found, BadInput> =>
  Effect.gen(function*() {
    const folder = resolve(from, reference)
    const kustomization = yield* reading(folder, () => kustomizationIn(folder))
    if (kustomization === undefined) return allThat(({ name }) => name.test(reference))
    const place = yield* reading(folder, () => realpathSync(folder))
    if (seen.has(place)) return new Set()
    seen.add(place)
    const text = yield* reading(folder, () => readFileSync(kustomization, "utf8"))
    const below = yield* Effect.forEach(listedIn(text), (listed) => foundIn(listed, place, seen))
    const here = allThat((component) => [folder, place].some((path) => path.endsWith(component.folder)))
    return below.reduce<Found>((all, found) => all.union(found), here)
  })

const isIn = (folder: string): Effect.Effect<boolean, BadInput> => reading(folder, () => kustomizationIn(folder) !== undefined)

/** Returns the shipped components beside the base, and what is in it. Its reference is resolved from `out`, the overlay. */
export const contentsOf = Effect.fnUntraced(function*(
  { reference }: Base,
  out: string
): Effect.fn.Return<Required<Pick<Options, "available" | "closed" | "server">>, BadInput> {
  const from = realPathOf(resolve(out))
  const isThere = (component: string | undefined): Effect.Effect<boolean, BadInput> =>
    component === undefined ? Effect.succeed(false) : isRemote(reference) ? Effect.succeed(true) : isIn(resolve(from, component))
  const found = yield* foundIn(reference, from)
  return {
    available: yield* Effect.filter(shippedComponents, ({ name }) => isThere(componentBeside(reference, name))),
    closed: found.has("closed"),
    server: !found.has("server") ? "none" : found.has("serverTls") ? "https" : "http"
  }
})
