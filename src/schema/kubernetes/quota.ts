// Finds out whether a ResourceQuota is the reason of an answer or event, as only the words tell: code and reason are those of any denial.
// Used by kubernetes/errors.ts and core/reconcile/start-trouble.ts.
import { amountOf } from "../values/quantity.ts"

/** Reports whether a quota is the reason: it is full, or new and not counted yet, so room may come by itself. */
export const isOfQuota = (message: string): boolean => /exceeded quota|status unknown for quota/u.test(message)

/** Parses amounts such as `limits.memory=64Gi,pods=1`. */
const amounts = (list: string): ReadonlyMap<string, string> =>
  new Map(
    list.split(",").flatMap((item) => {
      const [resource, amount] = item.split("=")
      return resource === undefined || amount === undefined ? [] : [[resource, amount]]
    })
  )

/**
 * A quota that never has room for a request, however many others end, and the resources of which the request asks for more than the whole
 * quota.
 */
export interface TooSmall {
  readonly quota: string
  readonly asked: ReadonlyArray<{ readonly resource: string; readonly requested: string; readonly limited: string }>
}

/**
 * Returns the quota if it is too small. A resource of which it gives none at all does not count, because that is how a namespace is frozen,
 * and somebody may give some again.
 */
export const quotaTooSmall = (message: string): TooSmall | undefined => {
  const [, quota = "", requested = "", limited = ""] =
    /exceeded quota: (\S+), requested: (\S+), used: \S+, limited: (\S+)/u.exec(message) ?? []
  const limits = amounts(limited)
  const asked = [...amounts(requested)].flatMap(([resource, requested]) => {
    const limited = limits.get(resource)
    if (limited === undefined || amountOf(limited) === 0) return []
    return amountOf(requested) > amountOf(limited) ? [{ resource, requested, limited }] : []
  })
  return asked.length === 0 ? undefined : { quota, asked }
}
