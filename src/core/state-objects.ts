// What a state of OpenTofu or Terraform (version 4) has, by address: the part of it that tells one real thing from another.
// Always holds: a text that is no such state has nothing, so that nothing is taken to be saved that is not.
// Used by core/stage-effects.ts, server/state-content.ts and worker/settlement.ts.
import { Option, Predicate, Schema } from "effect"
import { longestIdentity } from "../schema/effects.ts"
import { quoted } from "./hcl.ts"

const State = Schema.Struct({
  version: Schema.Literal(4),
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

/** By the engine itself, which leaves only serial and lineage to be read. */
export const isEncrypted = (text: string): boolean => Option.isSome(decodeEncrypted(text))

/** Every object at an address, as JSON has it: the current one, and those that wait to be destroyed. */
export type StateObjects = ReadonlyMap<string, ReadonlyArray<unknown>>

/**
 * As it ends the address; nothing of what is no instance. Read without a schema, which takes five times as long: a hostile engine may write
 * a million of them, and the server looks at them while all others wait.
 */
const indexOf = (instance: unknown): string | undefined => {
  if (!Predicate.isObject(instance)) return undefined
  const key = Predicate.hasProperty(instance, "index_key") ? instance.index_key : null
  if (key === null) return ""
  return typeof key === "number" ? `[${key}]` : typeof key === "string" ? `[${quoted(key)}]` : undefined
}

export const stateObjects = (text: string): StateObjects => {
  const found = new Map<string, Array<unknown>>()
  for (const { instances, mode, module, name, type } of Option.getOrUndefined(decode(text))?.resources ?? []) {
    if (mode !== "managed") continue
    for (const instance of instances) {
      const index = indexOf(instance)
      if (index === undefined) return new Map()
      const address = `${module === undefined || module === "" ? "" : `${module}.`}${type}.${name}${index}`
      if (address.length > longestIdentity.address) continue // no journal names it, and a name of megabytes would be gone through for each instance
      const here = found.get(address)
      if (here === undefined) found.set(address, [instance])
      else here.push(instance) // in place, since all of them may be at one address
    }
  }
  return found
}

/** Is there an object at the address with that id? Without an id the address has to do. */
export const hasObject = (objects: StateObjects, address: string, idKey: string | undefined, id: string | undefined): boolean =>
  (objects.get(address) ?? []).some((object) =>
    idKey === undefined || id === undefined ||
    (Predicate.hasProperty(object, "attributes") && Predicate.hasProperty(object.attributes, idKey) && object.attributes[idKey] === id)
  )

/** Is there what a failed creation left? The engine marks it. */
export const hasTainted = (objects: StateObjects, address: string): boolean =>
  (objects.get(address) ?? []).some((object) => Predicate.hasProperty(object, "status") && object.status === "tainted")
