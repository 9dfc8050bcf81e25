// Secrets that values contain in the clear: taken out, and replaced by the names of Kubernetes Secrets to make for them.
// Invariant: no secret that is recognised, by name or form, is in what is returned, but for those of secretsLeft; a path tells of each.
// Used by core/migration/release-values.ts, and by cli/values/write-overlay.ts for values that come from no release.
import { isTree, type Tree } from "../../schema/document/layers.ts"
import { get, textAt, without, withValue } from "../resolve/tree-path.ts"
import { isEscaped, isSecret, isSecretBesideReference, type Variable } from "./secret-variable.ts"

type Path = ReadonlyArray<string | number>

/** A Secret to make. `data` gives for each key the path of its content in the values. */
export interface InlineSecret {
  readonly name: string
  readonly data: Readonly<Record<string, Path>>
  /** The keys whose content has `$$` in the values, which Kubernetes reads as `$` in the value of a variable, and not in a Secret. */
  readonly escaped?: ReadonlyArray<string>
}

/** Returns whose Pods alone read what stands at a path; undefined if both do. */
const readerOf = ([part, key = ""]: Path): "controller" | "tasks" | undefined => {
  if (part === "task") return "tasks"
  return part === "controller" || (part === "agent" && ["auth", "controller", "token"].includes(String(key))) ? "controller" : undefined
}

/** Returns the namespaces of the Pods that read a Secret. */
export const readersOf = (
  { data }: InlineSecret,
  { namespace, taskNamespace }: { readonly namespace: string; readonly taskNamespace: string }
): ReadonlyArray<string> => {
  const readers = Object.values(data).map(readerOf)
  return [
    ...new Set([
      ...(readers.includes("tasks") ? [] : [namespace]),
      ...(readers.includes("controller") ? [] : [taskNamespace])
    ])
  ]
}

interface Taken {
  readonly values: Tree
  readonly secrets: ReadonlyArray<InlineSecret>
}

/** Takes the secrets out that stand in one part of the values. */
type Taking = (taken: Taken) => Taken

/**
 * The keys of the values, in any version of the chart, that have variables, and what follows the release's name in the name of the Secret
 * for those variables that are secrets.
 */
const environments = {
  global: "env",
  agent: "agent-env",
  controller: "controller-env",
  "agent.controller": "agent-controller-env",
  "task.worker": "worker-env",
  "task.runner": "runner-env"
}

interface Placed extends Variable {
  /** The path of the value below the key of the variables. */
  readonly path: Path
}

/** Returns the variables of a map by name, or of a list as in a Pod. */
const variablesOf = (given: unknown): ReadonlyArray<Placed> => {
  if (isTree(given)) return Object.entries(given).map(([name, value]) => ({ name, value, path: [name] }))
  return Array.isArray(given)
    ? given.flatMap((_: unknown, index) =>
      isTree(_) && typeof _["name"] === "string" ? [{ name: _["name"], value: _["value"], path: [index, "value"] }] : []
    )
    : []
}

/** Returns the variables with those in `found` as references to the variables of the same names that a Secret gives. */
const withReferences = (given: unknown, found: ReadonlyArray<Placed>): unknown => {
  const isFound = (at: string | number) => found.some(({ path: [first] }) => first === at)
  if (isTree(given)) return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, isFound(name) ? `$(${name})` : value]))
  return Array.isArray(given)
    ? given.map((_: unknown, index) => isTree(_) && isFound(index) ? { ..._, value: `$(${String(_["name"])})` } : _)
    : given
}

const path = (key: string, ...rest: Path): Path => [...key.split("."), ...rest]

/** Returns the Secret for the variables, which are below `at`. */
const secretOf = (name: string, at: Path, found: ReadonlyArray<Placed>): InlineSecret => {
  const escaped = found.filter(isEscaped).map((_) => _.name)
  return { name, data: Object.fromEntries(found.map((_) => [_.name, [...at, ..._.path]])), ...(escaped.length > 0 && { escaped }) }
}

/**
 * Moves the secrets among the variables of one key into a Secret. Each variable stays at its place and refers to what the Secret gives: a
 * variable that is given by name overrides every Secret, so without it a farther variable of the same name would be in effect.
 */
const variables = (release: string, key: string, suffix: string): Taking => ({ secrets, values }) => {
  const env = get(values, `${key}.extraEnv`)
  const found = variablesOf(env).filter(isSecret)
  if (found.length === 0) return { secrets, values }
  const secret = secretOf(`${release}-${suffix}`, path(key, "extraEnv"), found)
  const given = get(values, `${key}.extraEnvFrom`)
  const others: ReadonlyArray<unknown> = Array.isArray(given) ? given : []
  const isNamed = others.some((_) => isTree(_) && textAt(_, "secretRef.name") === secret.name && textAt(_, "prefix") === "")
  const referring = withValue(values, `${key}.extraEnv`, withReferences(env, found))
  return {
    secrets: [...secrets, secret],
    values: isNamed ? referring : withValue(referring, `${key}.extraEnvFrom`, [...others, { secretRef: { name: secret.name } }])
  }
}

/**
 * Moves the secrets among the variables of sidecars into Secrets. A sidecar is written as in a Pod, so the variable stays at its place in
 * the list, because the variables after it may refer to it.
 */
const sidecars = (release: string): Taking => ({ secrets, values }) => {
  const given = get(values, "task.sidecars")
  if (!Array.isArray(given)) return { secrets, values }
  const made: Array<InlineSecret> = []
  const named = given.map((container: unknown, index) => {
    const env = isTree(container) ? container["env"] : undefined
    if (!isTree(container) || !Array.isArray(env)) return container
    const found = variablesOf(env).filter(isSecret)
    if (found.length === 0) return container
    const name = `${release}-sidecar-${typeof container["name"] === "string" ? container["name"] : index}-env`
    made.push(secretOf(name, path("task.sidecars", index, "env"), found))
    const from = (at: number) => found.find(({ path: [first] }) => first === at)?.name
    return {
      ...container,
      env: env.map((variable: unknown, at) => {
        const key = from(at)
        return key === undefined ? variable : { name: key, valueFrom: { secretKeyRef: { name, key } } }
      })
    }
  })
  return { secrets: [...secrets, ...made], values: withValue(values, "task.sidecars", named) }
}

/**
 * Returns where variables have a secret beside a reference to another variable. They stay as they are, in the clear: Kubernetes replaces no
 * reference in what a Secret gives.
 */
export const secretsLeft = (values: Tree): ReadonlyArray<Path> => {
  const sidecars = get(values, "task.sidecars")
  const all = [
    ...Object.keys(environments).map((key) => ({ at: path(key, "extraEnv"), env: get(values, `${key}.extraEnv`) })),
    ...(Array.isArray(sidecars) ? sidecars : []).map((_: unknown, index) => ({
      at: path("task.sidecars", index, "env"),
      env: isTree(_) ? _["env"] : undefined
    }))
  ]
  return all.flatMap(({ at, env }) => variablesOf(env).filter(isSecretBesideReference).map((_) => [...at, ..._.path]))
}

const clientCertificate = (release: string): Taking => ({ secrets, values }) => {
  const given = ["clientCert", "clientKey"].every((key) => textAt(values, `global.tls.${key}`) !== "")
  const left = without(without(values, "global.tls.clientCert"), "global.tls.clientKey")
  if (!given || textAt(values, "global.tls.clientCertSecret.name") !== "") return { secrets, values: left }
  const keyOf = (key: string, fallback: string) => textAt(values, `global.tls.clientCertSecret.${key}`) || fallback
  const secret = {
    name: `${release}-client-certificate`,
    data: { [keyOf("certKey", "tls.crt")]: path("global.tls.clientCert"), [keyOf("keyKey", "tls.key")]: path("global.tls.clientKey") }
  }
  return { secrets: [...secrets, secret], values: withValue(left, "global.tls.clientCertSecret.name", secret.name) }
}

const mirrorTokens = (release: string): Taking => ({ secrets, values }) => {
  const mirrors = get(values, "agent.providerNetworkMirrors")
  if (!Array.isArray(mirrors)) return { secrets, values }
  const made: Array<InlineSecret> = []
  const named = mirrors.map((mirror: unknown, index) => {
    if (!isTree(mirror)) return mirror
    const { token, ...rest } = mirror
    if (typeof token !== "string" || token === "") return rest
    const name = `${release}-mirror-${index}`
    made.push({ name, data: { token: path("agent.providerNetworkMirrors", index, "token") } })
    return { ...rest, tokenSecret: { name } }
  })
  return { secrets: [...secrets, ...made], values: withValue(values, "agent.providerNetworkMirrors", named) }
}

/**
 * Moves the pool's token into a Secret. An existing Secret takes precedence, as in the chart. If the values give neither, the chart's Pods
 * read a Secret that has the chart's name.
 */
const poolToken = (secretName: string): Taking => ({ secrets, values }) => {
  const spelling = ["agent.token", "agent.auth.token"].find((key) => textAt(values, key) !== "")
  const left = without(without(values, "agent.token"), "agent.auth.token")
  if (textAt(values, "agent.tokenExistingSecret.name") !== "") return { secrets, values: left }
  if (spelling === undefined && textAt(values, "agent.url") === "") return { secrets, values: left }
  const name = spelling === undefined ? textAt(values, "nameOverride") || "agent-job" : secretName
  const secret = spelling === undefined ? [] : [{ name, data: { token: path(spelling) } }]
  return { secrets: [...secret, ...secrets], values: withValue(left, "agent.tokenExistingSecret", { name, key: "token" }) }
}

/** Returns the values without their secrets but for the pool's token, and the Secrets to make. */
export const withoutInlineSecrets = (values: Tree, release: string): Taken =>
  [
    ...Object.entries(environments).map(([key, suffix]) => variables(release, key, suffix)),
    sidecars(release),
    clientCertificate(release),
    mirrorTokens(release)
  ].reduce<Taken>((taken, take) => take(taken), { values, secrets: [] })

/**
 * Returns the values without their secrets, and the Secrets to make. `tokenSecret` is the name of the Secret from which an installation
 * reads the pool's token.
 */
export const withoutSecrets = (values: Tree, release: string, tokenSecret: string): Taken =>
  poolToken(tokenSecret)(withoutInlineSecrets(values, release))
