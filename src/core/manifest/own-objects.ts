// What of the tasks' namespace is for the installation alone, so that no AgentTask may name it: Secrets of everybody but the runner, and claims that no runner may write all of.
// Invariant: a Secret in a task's Pod that no task named is among them, unless the values give the runner all of it.
// Used by core/manifest/admission-references and core/manifest/volumes.
import type { V1EnvFromSource, V1EnvVar, V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { serverClaim, serverSecrets } from "./server-names.ts"

type Names = ReadonlyArray<string | undefined>

const unique = (names: Names): ReadonlyArray<string> => [...new Set(names.filter((name) => name !== undefined))]

const ofSources = (envFrom: ReadonlyArray<V1EnvFromSource> = []): Names => envFrom.map(({ secretRef }) => secretRef?.name)

const ofVariables = (env: ReadonlyArray<V1EnvVar> = []): Names => env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name)

const nameIn = (node: object): unknown => "name" in node ? node.name : undefined

/** Whatever kind of volume it is in, and the attributes of a driver: a Secret goes by one of these in all of them. */
const inVolume = (node: unknown): ReadonlyArray<unknown> =>
  typeof node !== "object" || node === null ? [] : Object.entries(node).flatMap(([key, value]: [string, unknown]) => [
    ...(key === "secretName" ? [value] : []),
    ...(isReference(key) && typeof value === "object" && value !== null ? [nameIn(value)] : []),
    ...inVolume(value)
  ])

const isReference = (key: string): boolean => key === "secret" || /secretRef$/iu.test(key)

const ofVolume = (volume: V1Volume): Names => inVolume(volume).filter((name) => typeof name === "string")

const isShared = ({ namespace, taskNamespace }: Pick<ResolvedConfig, "namespace" | "taskNamespace">): boolean => namespace === taskNamespace

/** Of controller and server, where tasks are in their namespace. */
const besideTasks = (config: ResolvedConfig): Names =>
  isShared(config)
    ? [config.token?.secret.name, ...Object.values(serverSecrets(config)), ...ofSources(config.controller.container.envFrom)]
    : []

/**
 * The one that component `mtls` names is among them without it too, so that this policy is whole in whatever order the components are
 * listed. Of the one with the roots to trust the runner has a single key; beside it may be the authority's own.
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
    ...besideTasks(config)
  ]).filter((name) => !withRunner.includes(name))
}

/** Who has a folder of a claim has not the rest of it. */
const writesAll = ({ readOnly, subPath = "", subPathExpr = "" }: V1VolumeMount): boolean =>
  readOnly !== true && subPath === "" && subPathExpr === ""

/** The cache's own is among them without persistence too: it stays when that is taken away, and may have the only copy of a state. */
export const ownClaims = (config: ResolvedConfig): ReadonlyArray<string> => {
  const { cache, name, task: { runner, volumes } } = config
  const isWritten = ({ name, persistentVolumeClaim }: V1Volume): boolean =>
    persistentVolumeClaim?.readOnly !== true && runner.volumeMounts.some((mount) => mount.name === name && writesAll(mount))
  return unique([
    `${name}-cache`,
    cache?.volume.persistentVolumeClaim?.claimName,
    ...volumes.filter((volume) => !isWritten(volume)).map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName),
    isShared(config) ? serverClaim(config) : undefined
  ])
}
