// Decodes Kubernetes' protobuf encoding. It skips every field that no table names, which is most of a Job or Pod.
// Invariant: the fields that are decoded have the names and values of the same object's JSON, so that no other code need know the encoding.
// Used by watch-stream.ts with the tables of kinds.ts; the numbers are those of the generated.proto files in k8s.io/api and apimachinery.
import { BinaryReader } from "@bufbuild/protobuf/wire"

interface Field {
  readonly name: string
  readonly read: (reader: BinaryReader) => unknown
  /** Combines a value with the earlier values of the same field, in place, as there may be very many. By default a value replaces them. */
  readonly join?: (before: unknown, value: unknown) => unknown
  /** What is read of a message. */
  readonly fields?: Fields
}

/** The fields of a message that are read, by their numbers. */
export type Fields = Readonly<Record<number, Field>>

const fieldsUntil = (reader: BinaryReader, fields: Fields, end: number): Record<string, unknown> => {
  const found: Record<string, unknown> = {}
  while (reader.pos < end) {
    const [number, wireType] = reader.tag()
    const field = fields[number]
    if (field === undefined) {
      reader.skip(wireType, number)
      continue
    }
    const value = field.read(reader)
    // Leaves out empty text, as JSON does, but keeps a number and a flag: an exit code may be 0, and a container not ready.
    if (value !== undefined && value !== "") found[field.name] = field.join?.(found[field.name], value) ?? value
  }
  return found
}

const messageOf = (fields: Fields) => (reader: BinaryReader): Record<string, unknown> => {
  const length = reader.uint32()
  return fieldsUntil(reader, fields, reader.pos + length)
}

const list = (before: unknown, value: unknown) => {
  if (!Array.isArray(before)) return [value]
  before.push(value)
  return before
}
const record = (before: unknown, value: unknown) => typeof before === "object" && before !== null ? Object.assign(before, value) : value

export const text = (name: string): Field => ({ name, read: (reader) => reader.string() })
export const int = (name: string): Field => ({ name, read: (reader) => Number(reader.int64()) })
export const flag = (name: string): Field => ({ name, read: (reader) => reader.bool() })
export const message = (name: string, fields: Fields): Field => ({ name, fields, read: messageOf(fields) })
export const messages = (name: string, fields: Fields): Field => ({ ...message(name, fields), join: list })

const readSeconds = messageOf({ 1: int("seconds") })
/** A time to the second, as Kubernetes writes it in JSON. */
const time = (name: string): Field => ({
  name,
  read: (reader) => {
    const seconds = Number(readSeconds(reader)["seconds"] ?? 0)
    return seconds === 0 ? undefined : new Date(seconds * 1000).toISOString().replace(".000Z", "Z")
  }
})

const readEntry = messageOf({ 1: text("key"), 2: text("value") })
const strings = (name: string): Field => ({
  name,
  read: (reader) => {
    const { key = "", value = "" } = readEntry(reader)
    return { [String(key)]: value }
  },
  join: record
})

/** What is read of the metadata of every kind: not managedFields, for one, which are often half of an object. */
export const metadata = message("metadata", {
  1: text("name"),
  3: text("namespace"),
  5: text("uid"),
  6: text("resourceVersion"),
  8: time("creationTimestamp"),
  9: time("deletionTimestamp"),
  11: strings("labels"),
  12: strings("annotations"),
  13: messages("ownerReferences", {
    1: text("kind"),
    3: text("name"),
    4: text("uid"),
    6: flag("controller")
  })
})

const status: Fields = {
  3: text("message"),
  4: text("reason"),
  5: message("details", { 4: messages("causes", { 1: text("reason"), 2: text("message"), 3: text("field") }) }),
  6: int("code")
}

const magic = "k8s\0"
const raw: Field = { name: "raw", read: (reader) => reader.bytes() }
const unknown: Fields = { 2: raw }
const readObject = messageOf({ 1: raw })
const event: Fields = { 1: text("type"), 2: { name: "raw", read: (reader) => readObject(reader)["raw"] } }

const rawOf = ({ raw }: Record<string, unknown>): Uint8Array => raw instanceof Uint8Array ? raw : new Uint8Array()

const whole = (bytes: Uint8Array, fields: Fields): Record<string, unknown> => fieldsUntil(new BinaryReader(bytes), fields, bytes.length)

/** Decodes one event of a watch into the shape that it has as a line of JSON. Throws an `Error` on bytes that are no such event. */
export const watchEvent = (frame: Uint8Array, fields: Fields): { readonly type: unknown; readonly object: unknown } => {
  const outer = whole(frame, event)
  const enveloped = rawOf(outer)
  if (Buffer.from(enveloped.subarray(0, magic.length)).toString("latin1") !== magic) {
    throw new Error("an object of the watch is not Kubernetes' protobuf")
  }
  const bytes = rawOf(whole(enveloped.subarray(magic.length), unknown))
  const { type } = outer
  return { type, object: whole(bytes, type === "ERROR" ? status : fields) }
}
