// Whether two pieces of Kubernetes data mean the same, though they are written differently.
// Used by compare.ts.
import type { V1Container, V1PodSecurityContext, V1PodSpec, V1SecurityContext, V1Toleration } from "@kubernetes/client-node"
import { isDeepStrictEqual } from "node:util"
import { isTree, type Tree } from "./chart-values.ts"

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60
}

const amount = (quantity: unknown): number => {
  const [, digits, suffix = ""] = /^([0-9.]+(?:[eE][-+]?\d+)?)([a-zA-Z]*)$/u.exec(String(quantity)) ?? []
  return digits === undefined ? NaN : Number(digits) * (suffix === "" ? 1 : factors[suffix] ?? NaN)
}

/** Reports whether two quantities are equal, such as 500m and 0.5, or 1Gi and 1024Mi. A value that is no quantity equals nothing. */
export const sameAmount = (a: unknown, b: unknown): boolean => Math.abs(amount(a) - amount(b)) <= 1e-9 * amount(a)

/** Reports whether everything in `want` is in `have`: maps may have more keys, and lists of named things more items. */
export const isWithin = (want: unknown, have: unknown): boolean => {
  if (isTree(want)) return isTree(have) && Object.entries(want).every(([key, value]) => isWithin(value, have[key]))
  if (!Array.isArray(want)) return isDeepStrictEqual(want, have)
  if (!Array.isArray(have)) return false
  if (want.every((item) => isTree(item) && ("name" in item || "mountPath" in item))) {
    return want.every((item) => have.some((other) => isWithin(item, other)))
  }
  return want.length === have.length && want.every((item, index) => isWithin(item, have[index]))
}

/** Returns the context without empty maps and lists, which mean nothing. */
const said = (context: object): Tree =>
  Object.fromEntries(
    Object.entries(context).filter(([, value]) =>
      value !== undefined && !(typeof value === "object" && Object.keys(value as object).length === 0)
    )
  )

/** Kubernetes' defaults for a security context. */
const unsaid: Tree = { privileged: false, readOnlyRootFilesystem: false, runAsNonRoot: false, fsGroupChangePolicy: "Always" }

export const inForce = (context: V1PodSecurityContext | V1SecurityContext = {}): Tree =>
  Object.fromEntries(Object.entries(said(context)).filter(([key, value]) => unsaid[key] !== value))

const inherited = ["runAsGroup", "runAsNonRoot", "runAsUser", "seLinuxOptions", "seccompProfile"]

/** Returns what the kubelet applies: the container's settings over the Pod's. */
export const inForceWithin = ({ securityContext: pod = {} }: V1PodSpec, { securityContext: own = {} }: V1Container): Tree =>
  inForce({ ...Object.fromEntries(Object.entries(said(pod)).filter(([key]) => inherited.includes(key))), ...said(own) })

/** Returns the tolerations as texts, in one order and spelling, so that they can be compared. */
export const tolerationsSaid = (all: ReadonlyArray<V1Toleration> = []): ReadonlyArray<string> =>
  all.map(({ operator, ...rest }) =>
    JSON.stringify(Object.entries({ ...rest, ...(operator !== "Equal" && operator !== undefined && { operator }) }).sort())
  ).sort()
