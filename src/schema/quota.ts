// How Kubernetes says that a ResourceQuota is the reason, in an answer as in an event: in words alone, since its code and reason are those of every denial.
// Used by kubernetes/errors.ts and core/pod-trouble.ts.

/** The quota is full, or new and not counted yet: room may come by itself. */
export const isOfQuota = (message: string): boolean => /exceeded quota|status unknown for quota/u.test(message)
