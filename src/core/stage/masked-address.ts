// The address of a thing whose keys have secrets: with a mask for each, and a number where two would be alike without them.
// Invariant: no two addresses of a stage are written alike; what a mask hides is not guessed, only left out when addresses are compared.
// Used by worker/engine/journal, core/state/left-over and core/state/state-objects.
import { mask } from "../text/redact.ts"
import { keyOf, writtenAddress } from "./written-address.ts"

/** A key. One that was cut off, or that a hostile state leaves open, ends with the address, so that nothing is gone through twice. */
const quotedKey = /"(?:[^"\\]|\\.)*"?/gu

/**
 * Returns an address without the secrets in its keys. All else in it is written in the configuration, which contains no secret, though a
 * word of it may be the same; and it has to match the state.
 */
export const maskedAddress = (address: string, redactKey: (key: string) => string): string => address.replace(quotedKey, redactKey)

/** Returns the form of the nth of the things that have the same masked address, counted from 1. */
export const numbered = (masked: string, nth: number): string => nth === 1 ? masked : writtenAddress(masked.replace(mask, `${mask}${nth}`))

/** Returns an address without that number, which a plan and its apply give in orders of their own. */
export const unnumbered = (address: string): string => address.replace(numberedMask, mask)
const numberedMask = /\*\*\*\d+/u

const [opening, closing] = [`["`, `"]`]

/**
 * What is left of the key of an address when keys are left out: all of them, or its own alone, which ends it if it has one. The blank makes
 * a copy: going through a key itself enlarges it.
 */
export const withoutSomeKeys = (key: string): readonly [withoutKeys: string, withoutOwn: string] => {
  const copy = `${key} `
  const withoutKeys = copy.replace(quotedKey, "")
  return [withoutKeys, copy.endsWith(`${closing} `) ? copy.slice(0, copy.lastIndexOf(opening) + opening.length) : withoutKeys]
}

/** Returns what is known for sure of a masked address: one of `withoutSomeKeys`. Undefined if it has no mask. */
export const knownOf = (address: string): string | undefined => {
  if (!address.includes(mask)) return undefined
  const key = keyOf(address)
  const [withoutKeys, withoutOwn] = withoutSomeKeys(key)
  return key.lastIndexOf(opening) < key.indexOf(mask) ? withoutOwn : withoutKeys
}
