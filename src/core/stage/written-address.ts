// The address of a resource's instance as a journal has it, and as the key by which what a state has is found.
// Invariant: of one thing, journal and state come to the same key; addresses that are too long for a journal differ where a hash of them does.
// Used by core/stage/engine-events, core/stage/journal and core/state/state-objects.
import { longestIdentity } from "../../schema/api/effects.ts"
import { fingerprint, fingerprintAfter } from "../text/fingerprint.ts"
import { quoted } from "../text/hcl.ts"

const escape = /\\(?:u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4}|.)/gu

/** Returns an engine's address with its keys as `quoted` writes them: the engine escapes in them all that it cannot print. */
const inOneForm = (address: string): string =>
  address.replace(
    escape,
    (found) => found.length === 2 ? found : quoted(String.fromCodePoint(Number.parseInt(found.slice(2), 16))).slice(1, -1)
  )

const controls = /\p{C}/gu
const longest = longestIdentity.address

/** What stands for the end of an address that is too long, of which it has the hash. No address ends so, and HCL takes none that does. */
const mark = (hash: string): string => `…${hash}`
const marked = /…[0-9a-z]{1,7}$/u

/** Returns an address as a journal stores it: without control characters, and no longer than a journal takes. */
export const writtenAddress = (address: string): string => {
  const plain = address.replace(controls, "")
  if (plain.length <= longest) return plain
  const end = mark(fingerprint(inOneForm(plain)))
  return plain.slice(0, longest - end.length).replace(controls, "") + end // the cut may leave half of a character
}

/** Returns the key of what has this address in a journal. */
export const keyOf = (written: string): string => marked.exec(written)?.[0] ?? inOneForm(written)

/** A character that the engine may escape, by which an address becomes six times as long at most. */
const escapable = /[^\x20-\x7e]/u
const mostEscaped = 6

/**
 * Returns the keys of the instances of a resource of a state by the index that ends their addresses. An instance has two where a journal may
 * have the hash of its address, since that is too long as the engine escapes it. A name of megabytes is gone through once, and not for each
 * of its instances.
 */
export const keysOf = (module: string, resource: string): (index: string) => ReadonlyArray<string> => {
  const address = `${inOneForm(module)}${resource}`
  const hashed = fingerprintAfter(address)
  return (index) => {
    const length = address.length + index.length
    if (length > longest) return [mark(hashed(index))]
    const key = `${address}${index}`
    return length * mostEscaped > longest && escapable.test(key) ? [key, mark(hashed(index))] : [key]
  }
}
