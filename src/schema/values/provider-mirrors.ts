// Where providers come from instead of their registries: directories of the runner, and mirrors that are asked over the network.
// Invariant: no text in here needs an escape in the engine's own files, and a token is given only by the name of its Secret.
// Used by schema/values/network-values, core/stage/cli-configuration and worker/stage/provider-mirrors.
import { Schema } from "effect"
import { ObjectKey, Subdomain } from "../names.ts"
import { matching, value } from "./value.ts"

/** A pattern of providers, as the engines read it. */
const Pattern = matching(
  /^(\*\/\*\/\*|([-A-Za-z0-9.]+(:\d+)?\/)?([-\w]+\/([-\w]+|\*)|\*\/\*))$/u,
  "a provider such as hashicorp/aws, or a pattern such as hashicorp/*, example.com/*/* or */*"
)
const include = value(
  Schema.mutable(Schema.Array(Pattern)),
  [],
  "Providers that come from this mirror and from nowhere else; none: all of them."
)

export const FilesystemMirror = Schema.Struct({
  path: matching(/^\/[-\w.~/ ]*$/u, "an absolute path of letters, digits and -_.~"),
  include
})

export const NetworkMirror = Schema.Struct({
  url: matching(
    /^https:\/\/[-A-Za-z0-9.]+(:\d+)?(\/[-\w.~%!&()+,;=:]*)*$/u,
    "a mirror's URL that begins with https://, without user and password"
  ),
  include,
  tokenSecret: Schema.optionalKey(Schema.Struct({ name: Subdomain, key: value(ObjectKey, "token", "Key of the token in that Secret.") }))
})
export type NetworkMirror = typeof NetworkMirror.Type

/** The mirrors in the order in which they are asked, directories first. */
export const ProviderMirrors = Schema.Struct({ filesystem: Schema.Array(FilesystemMirror), network: Schema.Array(NetworkMirror) })
export type ProviderMirrors = typeof ProviderMirrors.Type

/** Returns the host of a mirror, with its port if the URL has one. */
export const mirrorHost = ({ url }: Pick<NetworkMirror, "url">): string => url.split("/")[2] ?? ""
