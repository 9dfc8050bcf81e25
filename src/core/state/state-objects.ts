// What a state of OpenTofu or Terraform (version 4) has, by address, with what tells one real thing from another.
// Invariant: a text that is no such state has no objects, so that nothing counts as saved that is not.
// Used by core/state/left-over, server/run/left-overs, server/rescue/settlements and worker/stage/settlement.
import { Option, Predicate, Schema } from "effect"
import type { Effected } from "../../schema/api/effects.ts"
import { knownOf, withoutSomeKeys } from "../stage/masked-address.ts"
import { keyOf, keysOf } from "../stage/written-address.ts"
import { quoted } from "../text/hcl.ts"
import { jsonExcess } from "../text/json-limits.ts"
import { parsable } from "./state-limits.ts"

const State = Schema.Struct({
  version: Schema.Literal(4),
  encrypted_data: Schema.optionalKey(Schema.Unknown),
  resources: Schema.Array(Schema.Struct({
    module: Schema.optionalKey(Schema.String),
    mode: Schema.String,
    type: Schema.String,
    name: Schema.String,
    instances: Schema.Array(Schema.Unknown)
  }))
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(State))
const decodeEncrypted = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ encrypted_data: Schema.String })))

/** Reports whether the engine itself encrypted the state, which leaves only serial and lineage to be read. */
export const isEncrypted = (text: string): boolean => Option.isSome(decodeEncrypted(text))

/** The objects by the key of their address, as JSON has them: the current one, and those that wait to be destroyed. */
export type StateObjects = ReadonlyMap<string, ReadonlyArray<unknown>>

/**
 * How many objects of one address are kept, the first ones; a state with so many counts as too large to be looked into. An engine writes the
 * current one and a few that wait to be destroyed. Who means harm writes a million, and a journal in which 40,000 addresses
 * have that one key: each is held against all.
 */
const mostAtOneAddress = 100

/**
 * Returns the index that ends an instance's address, or undefined if this is no instance. No schema is used, since that takes five times as
 * long: a hostile engine may write a million instances, and other requests wait while the server looks at them.
 */
const indexOf = (instance: unknown): string | undefined => {
  if (!Predicate.isObject(instance)) return undefined
  const key = Predicate.hasProperty(instance, "index_key") ? instance.index_key : null
  if (key === null) return ""
  return typeof key === "number" ? `[${key}]` : typeof key === "string" ? `[${quoted(key)}]` : undefined
}

export const stateObjects = (text: string): StateObjects => {
  const found = new Map<string, Array<unknown>>()
  const state = Option.getOrUndefined(decode(text))
  if (typeof state?.encrypted_data === "string") return found // whatever else it has
  for (const { instances, mode, module, name, type } of state?.resources ?? []) {
    if (mode !== "managed") continue
    const keysAt = keysOf(module === undefined || module === "" ? "" : `${module}.`, `${type}.${name}`)
    for (const instance of instances) {
      const index = indexOf(instance)
      if (index === undefined) return new Map()
      for (const key of keysAt(index)) {
        const here = found.get(key)
        if (here === undefined) found.set(key, [instance])
        else if (here.length < mostAtOneAddress) here.push(instance) // in place, since all instances may be at one address
      }
    }
  }
  return found
}

/** Why a state is not looked into: it is not to be had here, the engine encrypted it, or it has too much in it. */
export type Unread = "not-here" | "encrypted" | "too-large"

export interface StateContent {
  /** All that there are, or none if the state is not looked into. */
  readonly objects: StateObjects
  readonly unread: Unread | undefined
}

/** The content of a state that is not looked into. */
export const unreadable = (unread: Unread): StateContent => ({ objects: new Map(), unread })

/** Returns the objects of a state, as far as a process with that heap can parse it. */
export const contentOf = (heapBytes: number, bytes: Uint8Array): StateContent => {
  if (jsonExcess(parsable(heapBytes, bytes), bytes) !== undefined) return unreadable("too-large")
  const text = new TextDecoder().decode(bytes)
  const objects = stateObjects(text)
  if (objects.size === 0) return isEncrypted(text) ? unreadable("encrypted") : { objects, unread: undefined }
  return objects.values().some(({ length }) => length >= mostAtOneAddress) ? unreadable("too-large") : { objects, unread: undefined }
}

const maskedIdentity = ({ address, id, idKey }: Effected): string | undefined => {
  const known = idKey === "id" && id !== undefined ? knownOf(address) : undefined
  return known === undefined ? undefined : `${known}${id}`
}

/**
 * Reports which of these things are in the state by their resource and id, where an address has a mask in place of a secret that was a key.
 * The state is gone through once, and only if there is such an address; nothing is kept of what the state has besides.
 */
export const maskedObjects = (objects: StateObjects, made: Iterable<Effected>): (effect: Effected) => boolean => {
  const wanted = new Set([...made].map(maskedIdentity).filter(Predicate.isNotUndefined))
  const found = new Set<string>()
  for (const [key, here] of wanted.size === 0 ? [] : objects) {
    const parts = withoutSomeKeys(key)
    for (const object of here) {
      if (!Predicate.hasProperty(object, "attributes") || !Predicate.hasProperty(object.attributes, "id")) continue
      const { id } = object.attributes
      if (typeof id !== "string") continue
      for (const identity of parts.map((part) => `${part}${id}`)) if (wanted.has(identity)) found.add(identity)
    }
  }
  return (effect) => found.has(maskedIdentity(effect) ?? "")
}

/** Reports whether there is an object at the address with that id. Without an id, the address is enough. */
export const hasObject = (objects: StateObjects, address: string, idKey: string | undefined, id: string | undefined): boolean =>
  (objects.get(keyOf(address)) ?? []).some((object) =>
    idKey === undefined || id === undefined ||
    (Predicate.hasProperty(object, "attributes") && Predicate.hasProperty(object.attributes, idKey) && object.attributes[idKey] === id)
  )

/** Reports whether a failed creation left an object at the address. The engine marks it as tainted. */
export const hasTainted = (objects: StateObjects, address: string): boolean =>
  (objects.get(keyOf(address)) ?? []).some((object) => Predicate.hasProperty(object, "status") && object.status === "tainted")
