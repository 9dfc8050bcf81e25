import { expect, it } from "@effect/vitest"
import { readSeen, seenIn } from "../../../src/cli/flags/seen.ts"
import { Timestamp } from "../../../src/schema/names.ts"

const rescue = (id: string, journal: number) => ({
  id,
  journal,
  stage: "run-a1.apply.1",
  reason: "Lost" as const,
  message: "",
  openedAt: Timestamp.make("2026-01-31T12:00:00Z")
})
const refused = (id: string) => ({
  id,
  stage: "run-a1.apply.1",
  serial: 1,
  lineage: "l",
  sha256: "" as never,
  sizeBytes: 1,
  why: "",
  receivedAt: Timestamp.make("2026-01-31T12:00:00Z")
})
const stored = { id: "sv-1", serial: 1, lineage: "l", sha256: "" as never, sizeBytes: 1, createdAt: Timestamp.make("2026-01-31T12:00:00Z") }

it.each([
  { given: "nothing", state: { pending: [], evidence: [] }, word: "", seen: { pending: [] } },
  {
    given: "two rescues with the ends of their journals, of which one is empty",
    state: { pending: [rescue("res-1", 12), rescue("res-2", 0)], evidence: [], version: stored },
    word: "res-1:12,res-2:0,sv-1",
    seen: { pending: ["res-1", "res-2"], journals: { "res-1": 12, "res-2": 0 }, version: "sv-1" }
  },
  {
    given: "a rescue, the stored state and refused ones, of which the newest is enough",
    state: { pending: [rescue("res-1", 3)], evidence: [refused("ev-2"), refused("ev-1")], version: stored },
    word: "res-1:3,ev-2,sv-1",
    seen: { pending: ["res-1"], journals: { "res-1": 3 }, evidence: "ev-2", version: "sv-1" }
  }
])("$given is one word, and read from it again", ({ seen, state, word }) => {
  expect(seenIn(state)).toBe(word)
  expect(readSeen(word)).toEqual(seen)
})
