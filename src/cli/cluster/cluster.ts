// The cluster that a command asks: the one of a context of the kubeconfig.
// Used by the commands that ask the Kubernetes API.
import { Option } from "effect"
import { Kubernetes } from "../../kubernetes/client.ts"
import { discover } from "../../kubernetes/credentials.ts"
import type { ClusterFlags } from "../flags/settings.ts"

/** Returns the Kubernetes client for the context that was asked for, or for the current one. */
export const cluster = ({ context }: Pick<ClusterFlags, "context">) =>
  Kubernetes.layer(discover({ context: Option.getOrUndefined(context) }))
