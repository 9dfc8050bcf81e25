// The engine's own configuration file (TF_CLI_CONFIG_FILE), which says where it gets providers from and with which tokens.
// Invariant: a provider that a mirror includes comes from a mirror, and a token is used for its mirror's host alone.
// Used by worker/stage/provider-mirrors.ts.
import { mirrorHost, type ProviderMirrors } from "../../schema/values/provider-mirrors.ts"

/** Reports whether the text is a bearer token (RFC 6750), which needs no escaping here. */
export const isToken = (text: string): boolean => /^[-A-Za-z0-9._~+/]+=*$/u.test(text)

const block = (name: string, fields: Readonly<Record<string, string | ReadonlyArray<string>>>): ReadonlyArray<string> => [
  `${name} {`,
  ...Object.entries(fields).map(([field, value]) => `  ${field} = ${JSON.stringify(value)}`),
  "}"
]

const included = (include: ReadonlyArray<string>) => include.length === 0 ? {} : { include }

/** Returns the block for the registries, which serve what no mirror includes. It is empty if a mirror includes everything. */
const direct = (includes: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  includes.some((include) => include.length === 0) ? [] : block("direct", { exclude: includes.flat() })

/** Returns the content of the file. `tokens` are by host; a token for a host that is no mirror's is left out. */
export const cliConfiguration = ({ filesystem, network }: ProviderMirrors, tokens: ReadonlyMap<string, string>): string => {
  const methods = [
    ...filesystem.flatMap(({ include, path }) => block("filesystem_mirror", { path, ...included(include) })),
    ...network.flatMap(({ include, url }) => block("network_mirror", { url, ...included(include) })),
    ...direct([...filesystem, ...network].map(({ include }) => include))
  ]
  const hosts = new Set(network.map(mirrorHost))
  const credentials = [...tokens].filter(([host]) => hosts.has(host)).flatMap(([host, token]) =>
    block(`credentials ${JSON.stringify(host)}`, { token })
  )
  return ["provider_installation {", ...methods.map((line) => `  ${line}`), "}", ...credentials, ""].join("\n")
}
