// Parses a state from a file as the server does to account for a stage and to give out outputs. The heap of this process also holds the
// longest journals that a plan and its apply may have.
// Used by state-content.test.ts, which gives it the heap of the server's container.
import { Schema } from "effect"
import { readFileSync } from "node:fs"
import { getHeapStatistics } from "node:v8"
import { contentOf } from "../../src/core/state/state-objects.ts"
import { JournalEntry, journalLimit, journalLimitBytes, longestIdentity } from "../../src/schema/api/effects.ts"
import { asListed } from "../../src/server/tfe/tfe-documents.ts"
import { outputsIn } from "../../src/server/workspace/state-content.ts"

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
/** The longest journal, and one that takes twice as much memory as it has bytes, because it has characters outside of Latin-1. */
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
    unread: contentOf(heapBytes, bytes).unread ?? "is read",
    outputs: listed,
    entries: journals.flat().length
  })
)
