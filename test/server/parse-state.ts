// Parses a state from a file as the server does when it accounts for a stage and gives out outputs, with the heap that this process has,
// of which journals as long as they may be, of a plan and of its apply, have their part.
// Used by state-content.test.ts, which gives it that of the container.
import { Schema } from "effect"
import { readFileSync } from "node:fs"
import { getHeapStatistics } from "node:v8"
import { JournalEntry, journalLimit, journalLimitBytes, longestIdentity } from "../../src/schema/effects.ts"
import { contentOf, outputsIn } from "../../src/server/state-content.ts"
import { asListed } from "../../src/server/tfe-documents.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(JournalEntry))
const journalOf = (nameOf: (number: number) => string) => {
  const entries: Array<JournalEntry> = []
  for (let size = 0; size < journalLimitBytes && entries.length < journalLimit;) {
    const number = entries.length + 1
    const entry = JSON.stringify({ number, kind: "done", action: "create", address: nameOf(number), idKey: "id", id: nameOf(number) })
    size += Buffer.byteLength(entry)
    entries.push(decode(entry))
  }
  return entries
}
const { address: longest } = longestIdentity
/** The longest that there are; and those that take twice as much memory as they have bytes, since one character of them needs it. */
const journals = [
  journalOf((number) => `${number}${"😀".repeat(longest - `${number}`.length)}`),
  journalOf((number) => `Ā${number}`.padEnd(longest, "a"))
]

const bytes = readFileSync(process.argv[2] ?? "")
const heapBytes = getHeapStatistics().heap_size_limit
const outputs = outputsIn(heapBytes, bytes)
const listed = typeof outputs === "string" ? outputs : outputs.map(([, output]) => asListed(output)).length
console.log(
  JSON.stringify({
    objects: contentOf(heapBytes, bytes).objects.size,
    isTooMuch: contentOf(heapBytes, bytes).isTooMuch,
    outputs: listed,
    entries: journals.flat().length
  })
)
