// Finds out which components are beside a base, and whether the base closes all egress. What is not on this machine is judged by its name.
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

const closesByName = (reference: string): boolean =>
  /^[^?]*\/(components\/restricted-egress|kustomize\/overlays\/production)\/?(\?|$)/u.test(reference)

/**
 * Reports whether the kustomization at `reference`, or one that it lists, closes all egress. `seen` has the folders that were looked at
 * before. What a kustomization lists is resolved from its real path, as kustomize does.
 */
const closes = (reference: string, from: string, seen = new Set<string>()): Effect.Effect<boolean, BadInput> =>
  Effect.gen(function*() {
    const folder = resolve(from, reference)
    const kustomization = yield* reading(folder, () => kustomizationIn(folder))
    if (kustomization === undefined) return closesByName(reference)
    const place = yield* reading(folder, () => realpathSync(folder))
    if ([folder, place].some((path) => path.endsWith("/components/restricted-egress"))) return true
    if (seen.has(place)) return false
    seen.add(place)
    const text = yield* reading(folder, () => readFileSync(kustomization, "utf8"))
    return Option.isSome(yield* Effect.findFirst(listedIn(text), (listed) => closes(listed, place, seen)))
  })

const isIn = (folder: string): Effect.Effect<boolean, BadInput> => reading(folder, () => kustomizationIn(folder) !== undefined)

/** Returns the shipped components beside the base, and whether it closes all egress. Its reference is resolved from `out`, the overlay. */
export const contentsOf = ({ reference }: Base, out: string): Effect.Effect<Required<Pick<Options, "available" | "closed">>, BadInput> => {
  const from = realPathOf(resolve(out))
  const isThere = (component: string | undefined): Effect.Effect<boolean, BadInput> =>
    component === undefined ? Effect.succeed(false) : isRemote(reference) ? Effect.succeed(true) : isIn(resolve(from, component))
  return Effect.all({
    available: Effect.filter(shippedComponents, ({ name }) => isThere(componentBeside(reference, name))),
    closed: closes(reference, from)
  })
}
