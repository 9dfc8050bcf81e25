// What a state of OpenTofu or Terraform (version 4) has, by address: the part of it that tells one real thing from another.
// Always holds: a text that is no such state has nothing, so that nothing is taken to be saved that is not.
// Used by core/stage-effects.ts, server/effects.ts and worker/stage.ts.
import { Option, Predicate, Schema } from "effect"
import { quoted } from "./hcl.ts"

const Instance = Schema.Struct({
  index_key: Schema.optionalKey(Schema.NullOr(Schema.Union([Schema.String, Schema.Number]))),
  attributes: Schema.optionalKey(Schema.Unknown),
  status: Schema.optionalKey(Schema.String)
})
const State = Schema.Struct({
  version: Schema.Literal(4),
  resources: Schema.Array(Schema.Struct({
    module: Schema.optionalKey(Schema.String),
    mode: Schema.String,
    type: Schema.String,
    name: Schema.String,
    instances: Schema.Array(Instance)
  }))
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(State))
const decodeEncrypted = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ encrypted_data: Schema.String })))

/** By the engine itself, which leaves only serial and lineage to be read. */
export const isEncrypted = (text: string): boolean => Option.isSome(decodeEncrypted(text))

type StateObject = Pick<typeof Instance.Type, "attributes" | "status">

/** Every object at an address: the current one, and those that wait to be destroyed. */
export type StateObjects = ReadonlyMap<string, ReadonlyArray<StateObject>>

const indexOf = ({ index_key: key }: typeof Instance.Type): string => key === undefined || key === null ? "" : typeof key === "number" ? `[${key}]` : `[${quoted(key)}]`

export const stateObjects = (text: string): StateObjects => {
  const found = new Map<string, Array<StateObject>>()
  for (const { instances, mode, module, name, type } of Option.getOrUndefined(decode(text))?.resources ?? []) {
    if (mode !== "managed") continue
    for (const instance of instances) {
      const address = `${module === undefined || module === "" ? "" : `${module}.`}${type}.${name}${indexOf(instance)}`
      const here = found.get(address)
      if (here === undefined) found.set(address, [instance])
      else here.push(instance) // in place: a hostile engine may have all of its instances at one address
    }
  }
  return found
}

/** Is there an object at the address with that id? Without an id the address has to do. */
export const hasObject = (objects: StateObjects, address: string, idKey: string | undefined, id: string | undefined): boolean =>
  (objects.get(address) ?? []).some(({ attributes }) => idKey === undefined || id === undefined || (Predicate.hasProperty(attributes, idKey) && attributes[idKey] === id))

/** Is there what a failed creation left? The engine marks it. */
export const hasTainted = (objects: StateObjects, address: string): boolean => (objects.get(address) ?? []).some(({ status }) => status === "tainted")
