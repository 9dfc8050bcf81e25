// What a state of OpenTofu or Terraform (version 4) has, by address, with what tells one real thing from another.
// Always holds: a text that is no such state has no objects, so that nothing counts as saved that is not.
// Used by core/state/left-over, server/workspace/state-content, server/rescue/settlements and worker/stage/settlement.
import { Option, Predicate, Schema } from "effect"
import { longestIdentity } from "../../schema/api/effects.ts"
import { quoted } from "../text/hcl.ts"

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

/** Reports whether the engine itself encrypted the state, which leaves only serial and lineage to be read. */
export const isEncrypted = (text: string): boolean => Option.isSome(decodeEncrypted(text))

const escape = /\\(?:u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4}|.)/gu

/** Returns an engine's address with its keys as `quoted` writes them: the engine escapes in them all that it cannot print. */
const inOneForm = (address: string): string =>
  address.replace(
    escape,
    (found) => found.length === 2 ? found : quoted(String.fromCodePoint(Number.parseInt(found.slice(2), 16))).slice(1, -1)
  )

/** Every object at an address in one form, as JSON has it: the current one, and those that wait to be destroyed. */
export type StateObjects = ReadonlyMap<string, ReadonlyArray<unknown>>

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
  for (const { instances, mode, module, name, type } of Option.getOrUndefined(decode(text))?.resources ?? []) {
    if (mode !== "managed") continue
    const resource = `${module === undefined || module === "" ? "" : `${inOneForm(module)}.`}${type}.${name}`
    for (const instance of instances) {
      const index = indexOf(instance)
      if (index === undefined) return new Map()
      const address = `${resource}${index}`
      if (address.length > longestIdentity.address) continue // no journal names it, and each instance would cost its megabytes
      const here = found.get(address)
      if (here === undefined) found.set(address, [instance])
      else here.push(instance) // in place, since all instances may be at one address
    }
  }
  return found
}

/** Reports whether there is an object at the address with that id. Without an id, the address is enough. */
export const hasObject = (objects: StateObjects, address: string, idKey: string | undefined, id: string | undefined): boolean =>
  (objects.get(inOneForm(address)) ?? []).some((object) =>
    idKey === undefined || id === undefined ||
    (Predicate.hasProperty(object, "attributes") && Predicate.hasProperty(object.attributes, idKey) && object.attributes[idKey] === id)
  )

/** Reports whether a failed creation left an object at the address. The engine marks it as tainted. */
export const hasTainted = (objects: StateObjects, address: string): boolean =>
  (objects.get(inOneForm(address)) ?? []).some((object) => Predicate.hasProperty(object, "status") && object.status === "tainted")
