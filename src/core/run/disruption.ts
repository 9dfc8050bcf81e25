// What was disrupted through no fault of its own: how often it is tried again, and after how long.
// Invariant: the tries are bounded, and so is the delay before each.
// Used for launches before the claim, for plans that are made again, for the stages of the pool that wait to be offered, and by worker/stage/retried.ts.

/** How often something that was disrupted is made again, at most. */
export const mostRetries = 3

/** Reports whether the reason is that the Pod or its node had to go. */
export const hadToGo = (reason: string | undefined): boolean => reason === "Evicted" || reason === "NodeLost"

/** Returns the delay before a retry: 5, 20 and then 80 seconds. */
export const retryDelayMillis = (retry: number): number => 5_000 * 4 ** (Math.min(retry, mostRetries) - 1)
