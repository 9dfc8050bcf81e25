// What an informer knows of the objects of its kind, from what it is told page by page and event by event; tells which keys changed.
// Invariant: what existed when a look began and was not named before its end is gone. Keeps projections, never whole objects.
// Used by kubernetes/informer.
import { Deferred, Effect, Option } from "effect"
import { isDeepStrictEqual } from "node:util"
import type { Options } from "./informer.ts"
import { keyOf, type KubernetesObject, type WatchEvent } from "./object.ts"

/**
 * How far the informer is: it knows nothing; it looks at all objects, with the keys named since the look began; or it is at a version from
 * which a watch goes on.
 */
type Position =
  | { readonly _tag: "Nothing" }
  | { readonly _tag: "Looking"; readonly named: Set<string> }
  | { readonly _tag: "At"; readonly version: string }

/** In place of the version of an object that may be another one at that version by now. */
const untrusted = ""

export const knownObjects = Effect.fnUntraced(function*<A>(
  { changed, leftOut, project }: Required<Pick<Options<A>, "changed" | "leftOut" | "project">>
) {
  /** The last projection of each object, by `keyOf`. */
  const objects = new Map<string, A>()
  const versions = new Map<string, string>()
  const synced = yield* Deferred.make<void>()
  let position: Position = { _tag: "Nothing" }

  const moveTo = (next: Position): void => {
    position = next
  }
  const beginLook = (): void => moveTo({ _tag: "Looking", named: new Set() })
  const name = (key: string): void => {
    if (position._tag === "Looking") position.named.add(key)
  }

  /** Takes an object that exists. */
  const store = (object: KubernetesObject): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { managedFields: _, ...metadata } = object.metadata
      const key = keyOf(metadata)
      name(key)
      const version = versions.get(key)
      if (version === metadata.resourceVersion) return Effect.void
      versions.set(key, metadata.resourceVersion)
      try {
        const seen = project({ ...object, metadata })
        if (version === untrusted && isDeepStrictEqual(objects.get(key), seen)) return Effect.void
        objects.set(key, seen)
        return changed(key, Option.some(seen))
      } catch (error) {
        objects.delete(key)
        return Effect.logError("cannot use an object, so it is left out", error).pipe(
          Effect.annotateLogs({ key }),
          Effect.andThen(leftOut(object)),
          Effect.andThen(changed(key, Option.none()))
        )
      }
    })

  const remove = (key: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      name(key)
      objects.delete(key)
      versions.delete(key)
      return changed(key, Option.none())
    })

  /** Ends a look: all existing objects have been named by now, so an object that has not been named is gone. */
  const endLook = (version: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const before = position
      moveTo({ _tag: "At", version })
      if (before._tag !== "Looking") return Effect.void
      const gone = [...versions.keys()].filter((key) => !before.named.has(key))
      return Effect.andThen(Effect.forEach(gone, remove, { discard: true }), Deferred.succeed(synced, undefined))
    })

  const observe = (event: WatchEvent): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (event.type === "BOOKMARK" && event.whole) return endLook(event.resourceVersion)
      if (position._tag === "At") {
        moveTo({ _tag: "At", version: event.type === "BOOKMARK" ? event.resourceVersion : event.object.metadata.resourceVersion })
      }
      if (event.type === "BOOKMARK") return Effect.void
      return event.type === "DELETED" ? remove(keyOf(event.object.metadata)) : store(event.object)
    })

  return {
    beginLook,
    store,
    endLook,
    observe,
    /**
     * Gives up the version: a watch can no longer go on from it. A watch ends so also when the CRD is replaced, after which an object may
     * have other fields at the same version, so each is taken anew.
     */
    loseVersion: (): void => {
      moveTo({ _tag: "Nothing" })
      for (const key of versions.keys()) versions.set(key, untrusted)
    },
    /** Returns the version to watch from; undefined to begin with all objects. */
    version: (): string | undefined => position._tag === "At" ? position.version : undefined,
    /** Completes after the first full look. */
    synced: Deferred.await(synced),
    /** Reports every key as changed. */
    tellAll: Effect.suspend(() =>
      Effect.forEach([...versions.keys()], (key) => changed(key, Option.fromUndefinedOr(objects.get(key))), { discard: true })
    )
  }
})
