// Parses a state from a file as the server does when it accounts for a stage and gives out outputs, with the heap that this process has.
// Used by state-content.test.ts, which gives it that of a small container.
import { readFileSync } from "node:fs"
import { getHeapStatistics } from "node:v8"
import { contentOf, outputsIn } from "../../src/server/state-content.ts"
import { asListed } from "../../src/server/tfe-documents.ts"

const bytes = readFileSync(process.argv[2] ?? "")
const heapBytes = getHeapStatistics().heap_size_limit
const outputs = outputsIn(heapBytes, bytes)
const listed = typeof outputs === "string" ? outputs : outputs.map(([, output]) => asListed(output)).length
console.log(
  JSON.stringify({ objects: contentOf(heapBytes, bytes).objects.size, isTooMuch: contentOf(heapBytes, bytes).isTooMuch, outputs: listed })
)
