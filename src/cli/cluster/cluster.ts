// The cluster that a command asks: the one of a context of the kubeconfig.
// Used by the commands that ask the Kubernetes API.
import { Option } from "effect"
import { shellWord } from "../../core/text/shell-word.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { discover } from "../../kubernetes/credentials.ts"
import type { ClusterFlags } from "../flags/settings.ts"

/** Returns the Kubernetes client for the context that was asked for, or for the current one. */
export const cluster = ({ context }: Pick<ClusterFlags, "context">) =>
  Kubernetes.layer(discover({ context: Option.getOrUndefined(context) }))

/** Returns the flag with which another command reaches the same cluster, after a blank; nothing for the current context. */
export const contextFlag = ({ context }: Pick<ClusterFlags, "context">): string =>
  Option.match(context, { onNone: () => "", onSome: (name) => ` --context ${shellWord(name)}` })
