// The Secret with the pool's token, if the values contain the token itself. No other object contains it.
// Used by core/manifest/installation/install.
import type { V1Secret } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { objectMetadata } from "../object-metadata.ts"

/** Returns the Secret, or nothing if the values name an existing one or give no token. */
export const tokenSecret = (config: ResolvedConfig): ReadonlyArray<V1Secret> => {
  const { token } = config
  if (token?.value === undefined) return []
  return [{
    apiVersion: "v1",
    kind: "Secret",
    metadata: objectMetadata(config, "controller", { name: token.secret.name, namespace: config.namespace }),
    type: "Opaque",
    stringData: { [token.secret.key]: token.value }
  }]
}
