// The login command of a kubeconfig's user, made ready for client-node so that it runs as from kubectl.
// Used by kubeconfig.ts.
import type { Cluster, User } from "@kubernetes/client-node"
import { Option, Schema } from "effect"
import { readFile } from "node:fs/promises"
import { resolve, sep } from "node:path"

/** A key that a kubeconfig may leave out or leave empty. */
export const mayLack = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const Exec = Schema.Struct({
  apiVersion: mayLack(Schema.String),
  command: Schema.String,
  args: mayLack(Schema.Array(Schema.String)),
  env: mayLack(Schema.Array(Schema.Unknown)),
  provideClusterInfo: mayLack(Schema.Boolean)
})
const decodeExec = Schema.decodeUnknownOption(Exec)

/** Returns what a command is told of the cluster. A missing file is left out here, since the login that needs it fails and names it. */
const clusterInfo = async (cluster: Cluster, config: unknown) => ({
  server: cluster.server,
  "tls-server-name": cluster.tlsServerName,
  "insecure-skip-tls-verify": cluster.skipTLSVerify || undefined,
  "certificate-authority-data": cluster.caFile ? await readFile(cluster.caFile, "base64").catch(() => undefined) : cluster.caData,
  config: config ?? null
})

interface Place {
  /** Where the kubeconfig is. */
  readonly folder: string
  readonly cluster: Cluster | null
  /** What the cluster's entry in the kubeconfig has for login commands. */
  readonly config: unknown
}

/**
 * Returns the login command with its path from the kubeconfig's folder, so that none of the current directory runs, and with what it is
 * told. It has no terminal: client-node gives it pipes.
 */
export const loginCommand = async ({ exec, name }: User, { cluster, config, folder }: Place) => {
  const { apiVersion, provideClusterInfo, ...command } = Option.getOrThrowWith(
    decodeExec(exec),
    () => new Error(`the exec of user ${name} is not of the form that kubectl knows`)
  )
  const spec = { ...(provideClusterInfo && cluster ? { cluster: await clusterInfo(cluster, config) } : {}), interactive: false }
  return {
    ...command,
    command: command.command.includes(sep) ? resolve(folder, command.command) : command.command,
    env: [...command.env ?? [], { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify({ kind: "ExecCredential", apiVersion, spec }) }]
  }
}
