// Objects in the tasks' namespace that no AgentTask may name, such as Secrets that are not the runner's, and accounts that no task may have.
// Invariant: every Secret that the values put into a task's Pod is among them, unless the values give the runner all of it.
// Used by core/manifest/admission/admission-references, core/manifest/volumes, core/doctor/installation, controller/configuration/configuration and cli/values/own-accounts.
import type { V1EnvFromSource, V1EnvVar, V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import type { Mistake } from "../../schema/document/explain.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { serverClaim, serverName, serverSecrets } from "./server-names.ts"

type Names = ReadonlyArray<string | undefined>

/** Returns each name once, sorted: lists from values that say the same in another way are the same text in a policy. */
const unique = (names: Names): ReadonlyArray<string> => [...new Set(names.filter((name) => name !== undefined))].toSorted()

const ofSources = (envFrom: ReadonlyArray<V1EnvFromSource> = []): Names => envFrom.map(({ secretRef }) => secretRef?.name)

const ofVariables = (env: ReadonlyArray<V1EnvVar> = []): Names => env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name)

const nameIn = (node: object): unknown => "name" in node ? node.name : undefined

/**
 * Returns the names of Secrets anywhere in a volume: every kind of volume, and the attributes of every driver, name a Secret by one of
 * these keys.
 */
const inVolume = (node: unknown): ReadonlyArray<unknown> =>
  typeof node !== "object" || node === null ? [] : Object.entries(node).flatMap(([key, value]: [string, unknown]) => [
    ...(key === "secretName" ? [value] : []),
    ...(isReference(key) && typeof value === "object" && value !== null ? [nameIn(value)] : []),
    ...inVolume(value)
  ])

const isReference = (key: string): boolean => key === "secret" || /secretRef$/iu.test(key)

const ofVolume = (volume: V1Volume): Names => inVolume(volume).filter((name) => typeof name === "string")

const isShared = ({ namespace, taskNamespace }: Pick<ResolvedConfig, "namespace" | "taskNamespace">): boolean => namespace === taskNamespace

/** Returns the Secrets of the controller and the server if tasks run in the same namespace, and none otherwise. */
const secretsBesideTasks = (config: ResolvedConfig): Names =>
  isShared(config)
    ? [config.token?.secret.name, ...Object.values(serverSecrets), ...ofSources(config.controller.container.envFrom)]
    : []

/**
 * Returns the Secrets that no AgentTask may name. The Secret of component `mtls` is always among them, so that the policy is complete in
 * whatever order the components are listed. So is the Secret with the trusted roots, because the runner gets a single key of it, and
 * another key may be the authority's private key.
 */
export const ownSecrets = (config: ResolvedConfig): ReadonlyArray<string> => {
  const { clientCertificate, imagePullSecrets, name, task: { mirrors, runner, sidecars, volumes, worker }, trust } = config
  const withRunner = ofSources(runner.envFrom)
  return unique([
    ...imagePullSecrets.map(({ name }) => name),
    clientCertificate?.secretName,
    `${name}-client-certificate`,
    trust?.from.kind === "Secret" ? trust.from.name : undefined,
    ...(mirrors?.network ?? []).map(({ tokenSecret }) => tokenSecret?.name),
    ...ofSources(worker.envFrom),
    ...sidecars.flatMap(({ env, envFrom }) => [...ofSources(envFrom), ...ofVariables(env)]),
    ...volumes.flatMap(ofVolume),
    ...secretsBesideTasks(config)
  ]).filter((name) => !withRunner.includes(name))
}

/** Reports whether a mount gives write access to the whole volume. A mount of one folder gives none to the rest. */
const writesAll = ({ readOnly, subPath = "", subPathExpr = "" }: V1VolumeMount): boolean =>
  readOnly !== true && subPath === "" && subPathExpr === ""

/**
 * Returns the volume claims that no AgentTask may name. The cache's own is among them without persistence too: it stays when persistence is
 * turned off, and may hold the only copy of a state.
 */
export const ownClaims = (config: ResolvedConfig): ReadonlyArray<string> => {
  const { cache, name, task: { runner, volumes } } = config
  const isWritten = ({ name, persistentVolumeClaim }: V1Volume): boolean =>
    persistentVolumeClaim?.readOnly !== true && runner.volumeMounts.some((mount) => mount.name === name && writesAll(mount))
  return unique([
    `${name}-cache`,
    cache?.volume.persistentVolumeClaim?.claimName,
    ...volumes.filter((volume) => !isWritten(volume)).map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName),
    isShared(config) ? serverClaim : undefined
  ])
}

/** Returns the mistake of each identity that is the account of the controller or the server, whose rights its tasks would have. */
export const takenIdentities = (config: ResolvedConfig): ReadonlyArray<Mistake> => {
  const accounts = isShared(config) ? [config.account.name, serverName] : []
  return (config.identities ?? []).flatMap(({ name }, index) =>
    !accounts.includes(name) ? [] : [{
      path: ["task", "identities", index, "name"],
      message:
        `"${name}" is the account of the controller or the server in namespace ${config.namespace}, whose rights no task may have; choose another name, or give the tasks a namespace of their own (task.namespace)`
    }]
  )
}
