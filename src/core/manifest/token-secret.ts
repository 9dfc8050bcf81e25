// The Secret with the pool's token, when the values carry the token itself: the only object that has it.
// Used by core/manifest/install.
import type { V1Secret } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { labels } from "./labels.ts"

/** None when the values name a Secret that exists, or no token at all. */
export const tokenSecret = (config: ResolvedConfig): ReadonlyArray<V1Secret> => {
  const { token } = config
  if (token?.value === undefined) return []
  return [{
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: token.secret.name, namespace: config.namespace, labels: labels(config, "controller") },
    type: "Opaque",
    stringData: { [token.secret.key]: token.value }
  }]
}
