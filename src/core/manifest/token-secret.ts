// The Secret with the pool's token, when the values carry the token itself: the only object that has it.
// Used by core/manifest/install.
import type { V1Secret } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { objectMetadata } from "./object-metadata.ts"

/** None when the values name a Secret that exists, or no token at all. */
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
