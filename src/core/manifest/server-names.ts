// The names of the server's objects that other builders have to know: the Secrets with its tokens and certificate, and the volume
// claim with its database.
// Used by core/manifest/installation/server, core/manifest/own-objects and core/network/pool-server.
import type { ResolvedConfig } from "../resolve/resolve.ts"

type Named = Pick<ResolvedConfig, "name">

export const serverName = ({ name }: Named): string => `${name}-server`

export const serverSecrets = ({ name }: Named): { readonly user: string; readonly pool: string; readonly tls: string } => ({
  user: `${name}-user-token`,
  pool: `${name}-pool-token`,
  tls: `${name}-server-tls`
})

export const serverVolume = "data"

/** Returns the name that Kubernetes gives the volume claim of the StatefulSet's only replica. */
export const serverClaim = (of: Named): string => `${serverVolume}-${serverName(of)}-0`
