// Quantities of Kubernetes as numbers, to compare them: 500m is half of 1, 1Gi is 1024Mi.
// Used by schema/values/value-rules.ts and schema/kubernetes/quota.ts.
import type { Quantity } from "./pod-values.ts"

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
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

/** Returns a quantity in the unit without a suffix, as exact as a double is. */
export const amountOf = (quantity: Quantity): number => {
  if (typeof quantity === "number") return quantity
  const suffix = /(?:[numkMGTPE]|[KMGTPE]i)$/u.exec(quantity)?.[0] ?? "" // 1e3 has no suffix
  return Number(quantity.slice(0, quantity.length - suffix.length)) * (factors[suffix] ?? NaN)
}
