// How Kubernetes says that a ResourceQuota is the reason, in an answer as in an event: in words alone, since its code and reason are those of every denial.
// Used by kubernetes/errors.ts and core/pod-trouble.ts.
import { amountOf } from "./quantity.ts"

/** The quota is full, or new and not counted yet: room may come by itself. */
export const isOfQuota = (message: string): boolean => /exceeded quota|status unknown for quota/u.test(message)

/** As in `limits.memory=64Gi,pods=1`. */
const amounts = (list: string): ReadonlyMap<string, string> =>
  new Map(
    list.split(",").flatMap((item) => {
      const [resource, amount] = item.split("=")
      return resource === undefined || amount === undefined ? [] : [[resource, amount]]
    })
  )

/** A quota that never has room, however many others end, and what is asked of it beyond all that it gives. */
export interface TooSmall {
  readonly quota: string
  readonly asked: ReadonlyArray<{ readonly resource: string; readonly requested: string; readonly limited: string }>
}

/** Of a quota that gives none at all, somebody may give some again: that is how a namespace is frozen. */
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
