// Secrets that stand in the values of a release in the clear: taken out, and named as the Secrets that are to have them.
// Invariant: no value of them is in what is returned; a path tells where the release has it.
// Used by core/migration/release-values.ts.
import { isTree, type Tree } from "../../schema/layers.ts"
import { get, textAt, without, withValue } from "../tree-path.ts"

/** A Secret to make: of each key, where in the user-supplied values of the release its content is. */
export interface InlineSecret {
  readonly name: string
  readonly data: Readonly<Record<string, ReadonlyArray<string | number>>>
}

interface Taken {
  readonly values: Tree
  readonly secrets: ReadonlyArray<InlineSecret>
}

/**
 * Where variables are, in this chart or in later ones, and how the Secret of those of them that are secrets is called after the release.
 */
const environments = {
  global: "env",
  agent: "agent-env",
  controller: "controller-env",
  "agent.controller": "agent-controller-env",
  "task.worker": "worker-env",
  "task.runner": "runner-env"
}

interface Variable {
  readonly name: string
  readonly value: unknown
  /** Below the variables. */
  readonly path: ReadonlyArray<string | number>
}

/** By name, or in a list. */
const variablesOf = (given: unknown): ReadonlyArray<Variable> => {
  if (isTree(given)) return Object.entries(given).map(([name, value]) => ({ name, value, path: [name] }))
  return Array.isArray(given)
    ? given.flatMap((_: unknown, index) =>
      isTree(_) && typeof _["name"] === "string" ? [{ name: _["name"], value: _["value"], path: [index, "value"] }] : []
    )
    : []
}

const withoutNames = (given: unknown, names: ReadonlyArray<string>): unknown => {
  if (isTree(given)) return Object.fromEntries(Object.entries(given).filter(([name]) => !names.includes(name)))
  return Array.isArray(given) ? given.filter((_: unknown) => !isTree(_) || !names.includes(String(_["name"]))) : given
}

const namesSecret = /(token|passw|passphrase|pass$|(^|[-_.])pass[-_.]|pwd|secret|credential|(private|api|access)[-_.]?key|[-_.]key$|dsn$)/iu
const holdsSecret = /:\/\/[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----/u

/** Kubernetes puts another variable in its place, but not in what comes from a Secret. */
const reference = /\$\([^)]*\)/gu

/**
 * By its name, or by a password in a URL or a private key in its value. One with a reference in it by its value alone: its name may be that
 * of what it refers to.
 */
const isSecret = ({ name, value }: Variable): boolean => {
  if (typeof value === "number") return namesSecret.test(name)
  if (typeof value !== "string" || value === "") return false
  const own = value.replace(reference, "")
  return holdsSecret.test(own) || (own === value && namesSecret.test(name))
}

const path = (key: string, ...rest: ReadonlyArray<string | number>): ReadonlyArray<string | number> => [...key.split("."), ...rest]

/** Precedence stays: a variable that is given by name goes before one of a Secret, as a nearer one before a farther one. */
const variables = (release: string) => ({ secrets, values }: Taken, [key, suffix]: readonly [string, string]): Taken => {
  const given = get(values, `${key}.extraEnv`)
  const found = variablesOf(given).filter(isSecret)
  if (found.length === 0) return { secrets, values }
  const secret = { name: `${release}-${suffix}`, data: Object.fromEntries(found.map((_) => [_.name, path(key, "extraEnv", ..._.path)])) }
  const others = get(values, `${key}.extraEnvFrom`)
  const left = withValue(values, `${key}.extraEnv`, withoutNames(given, found.map(({ name }) => name)))
  return {
    secrets: [...secrets, secret],
    values: withValue(left, `${key}.extraEnvFrom`, [...Array.isArray(others) ? others : [], { secretRef: { name: secret.name } }])
  }
}

/** In a container that is as in a Pod the variable stays in its place, since what comes after it may name it. */
const sidecars = (release: string, { secrets, values }: Taken): Taken => {
  const given = get(values, "task.sidecars")
  if (!Array.isArray(given)) return { secrets, values }
  const made: Array<InlineSecret> = []
  const named = given.map((container: unknown, index) => {
    const env = isTree(container) ? container["env"] : undefined
    if (!isTree(container) || !Array.isArray(env)) return container
    const found = variablesOf(env).filter(isSecret)
    if (found.length === 0) return container
    const name = `${release}-sidecar-${typeof container["name"] === "string" ? container["name"] : index}-env`
    made.push({ name, data: Object.fromEntries(found.map((_) => [_.name, path("task.sidecars", index, "env", ..._.path)])) })
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

const clientCertificate = (release: string, { secrets, values }: Taken): Taken => {
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

const mirrorTokens = (release: string, { secrets, values }: Taken): Taken => {
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
 * The pool's token: that of an existing Secret goes before, as in the chart. Where nothing is said, the chart's Pods read a Secret called
 * as the chart.
 */
const poolToken = ({ secrets, values }: Taken, secretName: string): Taken => {
  const spelling = ["agent.token", "agent.auth.token"].find((key) => textAt(values, key) !== "")
  const left = without(without(values, "agent.token"), "agent.auth.token")
  if (textAt(values, "agent.tokenExistingSecret.name") !== "") return { secrets, values: left }
  if (spelling === undefined && textAt(values, "agent.url") === "") return { secrets, values: left }
  const name = spelling === undefined ? textAt(values, "nameOverride") || "agent-job" : secretName
  const secret = spelling === undefined ? [] : [{ name, data: { token: path(spelling) } }]
  return { secrets: [...secret, ...secrets], values: withValue(left, "agent.tokenExistingSecret", { name, key: "token" }) }
}

/** `tokenSecret`: the name of the Secret that an installation reads the pool's token from. */
export const withoutSecrets = (values: Tree, release: string, tokenSecret: string): Taken => {
  const start: Taken = { values, secrets: [] }
  const environment = sidecars(release, Object.entries(environments).reduce(variables(release), start))
  return poolToken(mirrorTokens(release, clientCertificate(release, environment)), tokenSecret)
}
