// What the values are made of: a key with its default and its description, sections of such keys, and texts of a certain form.
// Invariant: decoder and JSON Schema know the same defaults, and a section is complete without a single key given.
// Used by schema/values/value-sections.ts and what it is put together from.
import { Effect, Schema, SchemaAST } from "effect"

/**
 * Returns the schema of a key. It is annotated before it gets its default, so that both the decoder and the JSON Schema have the default.
 */
export const value = <S extends Schema.Top>(schema: S, fallback: S["Encoded"], description: string) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(fallback))(schema.annotate({ description, default: fallback }) as S)

/** Returns the schema of a section, in which every key has a default, so that the whole section may be left out. */
export const section = <F extends Schema.Struct.Fields>(fields: F) => withDefaults(Schema.Struct(fields))
const withDefaults = <S extends Schema.Top & { readonly Encoded: object }>(schema: S) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed({}))(schema)

/**
 * Returns the schema of a key that the values may lack: null takes it away for good. Its default comes with that of the map around it, see
 * `removables`.
 */
export const removable = <S extends Schema.Top>(schema: S, fallback: S["Encoded"], description: string) =>
  Schema.optionalKey(schema.annotate({ description, default: fallback }) as S)

/** Returns the schema of a key that has no default: Kubernetes gets what the values say, and decides where they say nothing. */
export const passedOn = <S extends Schema.Top>(schema: S, description: string) => Schema.optionalKey(schema.annotate({ description }) as S)

/** Returns the schema of a map of such keys. The map has the defaults of all of them, but only where nothing at all is said of it. */
export const removables = <F extends Schema.Struct.Fields>(fields: F) => {
  const defaults = Object.entries(fields)
    .map(([key, { ast }]) => [key, SchemaAST.resolve(ast)?.["default"]])
    .filter(([, fallback]) => fallback !== undefined)
  const map = Schema.Struct(fields)
  return Schema.withDecodingDefaultKey<typeof map>(Effect.succeed(Object.fromEntries(defaults) as (typeof map)["Encoded"]))(map)
}

/** Returns a schema that also accepts the empty text, which means that nothing is said. */
export const orEmpty = <S extends Schema.Schema<string>>(schema: S) => Schema.Union([Schema.Literal(""), schema])

export const whole = Schema.Int.check(Schema.isInt32(), Schema.isGreaterThanOrEqualTo(0))
export const atLeastOne = Schema.Int.check(Schema.isInt32(), Schema.isGreaterThanOrEqualTo(1))

/** Returns the schema of a text of a certain form, which `expected` says for a person. */
export const matching = (pattern: RegExp, expected: string) => Schema.String.check(Schema.isPattern(pattern, { expected }))
export const Path = matching(/^\/[^:]*$/u, "an absolute path")
export const Url = matching(/^https?:\/\/[^\s/@?#]+([/?#]\S*)?$/u, "a URL that begins with http:// or https://, without user and password")
export const Namespace = matching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u, "a namespace: up to 63 lowercase letters, digits or '-'")
export const Repository = matching(/^[^\s:@]+(:\d+\/[^\s:@]+)?$/u, "an image's name without its tag")
export const Tag = matching(/^\w[\w.-]{0,127}(@sha256:[0-9a-f]{64})?$/u, "an image's tag, with or without a digest")
export const StorageClass = matching(/^(-|([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?)$/u, "a storage class, '-' or nothing")
