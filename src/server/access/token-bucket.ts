// How often a caller may ask: a bucket that fills steadily, and from which every request takes one token.
// Invariant: over any time, no more is granted than the burst and what has flowed in since; a refusal says when to come again.
// Used by server/access/limits.ts for requests, and by server/access/audit.ts for entries of refusals.

export interface Rate {
  readonly perSecond: number
  /** What a full bucket holds. */
  readonly burst: number
}

/** How many tokens were left at a time, in milliseconds. */
export interface Bucket {
  readonly left: number
  readonly at: number
}

export const fullBucket = ({ burst }: Rate, at: number): Bucket => ({ left: burst, at })

/** Returns the bucket as it is `now`. A clock that went back fills nothing. */
const filled = (bucket: Bucket, { burst, perSecond }: Rate, now: number): Bucket => ({
  left: Math.min(burst, bucket.left + (Math.max(0, now - bucket.at) / 1000) * perSecond),
  at: now
})

/** Reports whether the bucket is full, so that it may be forgotten: a new one would be the same. */
export const isFull = (bucket: Bucket, rate: Rate, now: number): boolean => filled(bucket, rate, now).left >= rate.burst

/** Takes a token for one request. 0 seconds to wait mean that it is granted; otherwise nothing is taken. */
export const take = (bucket: Bucket, rate: Rate, now: number): { readonly bucket: Bucket; readonly waitSeconds: number } => {
  const { left } = filled(bucket, rate, now)
  return left >= 1
    ? { bucket: { left: left - 1, at: now }, waitSeconds: 0 }
    : { bucket: { left, at: now }, waitSeconds: Math.ceil((1 - left) / rate.perSecond) }
}
