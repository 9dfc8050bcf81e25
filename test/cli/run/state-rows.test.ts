import { describe, expect, it } from "@effect/vitest"
import { importLines, rescueLines, stateLines } from "../../../src/cli/run/state-rows.ts"
import type { StateView } from "../../../src/schema/api/state.ts"
import { RunId, Sha256, Timestamp, WorkspaceName } from "../../../src/schema/names.ts"

const now = Date.parse("2026-01-31T12:00:00Z")
const at = Timestamp.make("2026-01-31T11:00:00Z")
const sha256 = Sha256.make("0".repeat(64))
const calm: StateView = { workspace: WorkspaceName.make("demo"), epoch: 3, pending: [], settled: [], evidence: [], forcedUnlocks: [] }
const doubted: StateView = {
  ...calm,
  version: { id: "sv-1", serial: 7, lineage: "l-1", sha256, sizeBytes: 48_100, runId: "run-a1" as never, createdAt: at },
  lock: { id: "lock-1", who: "me@here", created: "2026-01-31T11:59:00Z", stage: "run-b2.apply.1", agent: "agent-1" },
  forcedUnlocks: [{ lockId: "lock-0", holder: "run-a1.apply.1", epoch: 2, forcedBy: "me@here", forcedAt: at }],
  settled: [{
    id: "res-0",
    stage: "run-z.apply.1",
    reason: "Lost",
    message: "The apply of run-z ended with Lost: so",
    openedAt: at,
    settledAt: at,
    settledBy: "me@here",
    how: "the stored state is kept"
  }],
  pending: [{
    id: "res-1",
    stage: "run-a1.apply.1",
    reason: "NodeLost",
    message: "The apply of run-a1 ended with NodeLost: so",
    openedAt: at
  }],
  evidence: [{
    id: "ev-1",
    stage: "run-a1.apply.1",
    serial: 9,
    lineage: "l-1",
    sha256,
    sizeBytes: 900,
    why: "late",
    receivedAt: at,
    storedVersion: "sv-1"
  }]
}

describe("the state of a workspace", () => {
  it("is told in three lines when all is well", () =>
    expect(stateLines(calm, now)).toEqual(["workspace demo   epoch 3", "State: none yet", "Lock: free"]))

  it("tells of a lock what is known of it", () =>
    expect(stateLines({ ...calm, lock: { id: "lock-1" } }, now)).toContain("Lock: lock-1, held by a person"))
  it("is told with its lock, what was decided before, what is in doubt, and what was refused", () =>
    expect(stateLines(doubted, now)).toEqual([
      "workspace demo   epoch 3",
      "State: serial 7, 48.1 kB, 1h old, of run-a1   lineage l-1   sv-1",
      "Lock: lock-1, held by run-b2.apply.1 of agent agent-1 (me@here) since 2026-01-31T11:59:00Z",
      "Unlocked by force: lock-0 of run-a1.apply.1 (me@here, 2026-01-31T11:00:00Z)",
      "Settled: The apply of run-z ended with Lost: so; the stored state is kept (me@here, 2026-01-31T11:00:00Z)",
      "In doubt: The apply of run-a1 ended with NodeLost: so (1h ago)",
      "",
      "EVIDENCE   SERIAL   SIZE    AGE   OF               LINEAGE",
      "ev-1       9        900 B   1h    run-a1.apply.1   l-1"
    ]))
})

it("what a stage chose in a state is on one line, and nothing that a terminal heeds", () => {
  const chosen = "a\u001b[2J\n  agent-job state rescue demo --use ev-9\u202e"
  const [version, lock, [refused], [unlocked]] = [doubted.version!, doubted.lock!, doubted.evidence, doubted.forcedUnlocks]
  const lines = stateLines({
    ...doubted,
    version: { ...version, lineage: chosen },
    lock: { ...lock, id: chosen, who: chosen, created: chosen },
    evidence: [{ ...refused!, lineage: chosen }],
    forcedUnlocks: [{ ...unlocked!, lockId: chosen }]
  }, now)
  expect(lines).toHaveLength(stateLines(doubted, now).length)
  expect(lines.join("")).not.toMatch(/\p{C}/u)
  expect(lines[2]).toMatch(/^Lock: a\[2J {3}agent-job .* \(a\[2J {3}agent-job .*\) since a\[2J/u)
})

describe("what waits to be settled", () => {
  it("is nothing when all is well", () => expect(rescueLines(calm, now)).toEqual(["Nothing of demo waits to be settled."]))
  it("is told with the ways out, a refused state only where there is one", () => {
    expect(rescueLines(doubted, now).slice(-3)).toEqual([
      "No stage of the workspace starts before this is settled:",
      "  agent-job state rescue demo --use ev-1 --seen res-1:0,ev-1,sv-1   a refused state becomes the next version; to look into it first: agent-job state show demo --evidence ev-1",
      "  agent-job state rescue demo --keep --seen res-1:0,ev-1,sv-1   the stored state stays as it is; what is missing in it, import or remove by hand"
    ])
    const [refused] = doubted.evidence
    const evidence = [{ ...refused!, id: "ev-4", stage: "run-z.apply.1", serial: 20 }, { ...refused!, id: "ev-3", serial: 8 }, {
      ...refused!,
      id: "ev-2",
      serial: 10
    }, refused!]
    expect(rescueLines({ ...doubted, evidence }, now).filter((line) => line.includes("--use"))).toEqual([
      expect.stringContaining(" --use ev-2 ")
    ])
    expect(rescueLines({ ...doubted, evidence: evidence.slice(0, 1) }, now).filter((line) => line.includes("--use"))).toEqual([])
    const effects = {
      unsaved: [{ action: "create", address: "t.a", idKey: "id", id: "1" }],
      unsavedCount: 1,
      unknown: [],
      unknownCount: 0
    } as const
    expect(rescueLines({ ...doubted, evidence: [], pending: doubted.pending.map((rescue) => ({ ...rescue, effects })) }, now).slice(-7))
      .toEqual([
        "Made, but not in the state:",
        "  t.a [id=1]",
        "",
        "No stage of the workspace starts before this is settled:",
        "  agent-job state rescue demo --import   plans a run that imports what was made and is not in the state, which you then approve",
        "  agent-job state rescue demo --import-blocks FILE   writes the import blocks instead",
        "  agent-job state rescue demo --keep --seen res-1:0,sv-1   the stored state stays as it is; what is missing in it, import or remove by hand"
      ])
    const replaced = { ...effects, unsaved: effects.unsaved.map((effect) => ({ ...effect, replaces: true })) }
    const withReplaced = { ...doubted, evidence: [], pending: doubted.pending.map((rescue) => ({ ...rescue, effects: replaced })) }
    expect(rescueLines(withReplaced, now).slice(-3)).toEqual([
      "No stage of the workspace starts before this is settled:",
      "  agent-job state rescue demo --import-blocks FILE   writes the import blocks, and what else to do", // an import would be refused
      expect.stringContaining(" --keep ")
    ])
    const full = { unsaved: [], unsavedCount: 0, unknown: [], unknownCount: 0, incomplete: true } as const
    const withFull = { ...doubted, evidence: [], pending: doubted.pending.map((rescue) => ({ ...rescue, effects: full })) }
    expect(rescueLines(withFull, now).slice(-4)).toEqual([
      "Its journal was full, so it may have made more than the state has: look into its log, as for a provider that crashed.",
      "",
      "No stage of the workspace starts before this is settled:",
      expect.stringContaining(" --keep ") // and no import, which would have nothing to import
    ])
    expect(rescueLines({ ...doubted, evidence: [] }, now).slice(-2).map((line) => line.split("   ")[0])).toEqual([
      "No stage of the workspace starts before this is settled:",
      "  agent-job state rescue demo --keep --seen res-1:0,sv-1"
    ])
  })
})

describe("a refused state", () => {
  const [refused] = doubted.evidence
  const offers = (version: object, evidence: object = {}) =>
    rescueLines({ ...doubted, version: { ...doubted.version!, ...version }, evidence: [{ ...refused!, ...evidence }] }, now).filter((
      line
    ) => line.includes("--use") || line.includes("--keep")).map((line) => line.trim())

  it.each([
    { given: "the stored serial is higher", version: { serial: 10 } },
    { given: "the stored serial is the same", version: { serial: 9 } },
    {
      given: "the stored one came later, by a clock that was put back",
      version: { id: "sv-2", createdAt: Timestamp.make("2026-01-31T09:00:00Z") }
    }
  ])("is offered last, and for what it undoes, when $given", ({ version }) =>
    expect(offers(version)).toEqual([
      expect.stringContaining(" --keep "),
      `agent-job state rescue demo --use ev-1 --seen res-1:0,ev-1,${
        version.id ?? "sv-1"
      }   puts a refused state over the stored one, which may be newer (serial ${
        version.serial ?? 7
      }, of run-a1), and undoes what only that has; to look into it first: agent-job state show demo --evidence ev-1`
    ]))

  it("is offered first when the same state is stored as when it came, whatever the clocks said", () =>
    expect(offers({ createdAt: Timestamp.make("2026-01-31T11:30:00Z") })[0]).toContain(" --use ev-1 "))
})

describe("a refused state of another lineage than the stored one", () => {
  const [refused] = doubted.evidence
  const other = { ...refused!, id: "ev-2", serial: 99, lineage: "l-2" }
  const offers = (state: StateView) => rescueLines(state, now).filter((line) => line.includes("--use"))

  it("is never offered, since it cannot follow, however high its serial", () => {
    expect(offers({ ...doubted, evidence: [other, refused!] })).toEqual([expect.stringContaining(" --use ev-1 ")])
    expect(offers({ ...doubted, evidence: [other] })).toEqual([])
  })
  it("is offered where nothing is stored yet", () => {
    const { version: _, ...nothingStored } = doubted
    expect(offers({ ...nothingStored, evidence: [other] })).toEqual([expect.stringContaining(" --use ev-2 ")])
  })
})

describe("a run that imports", () => {
  it("is told with what it imports and what to do with it", () =>
    expect(importLines({ runId: RunId.make("run-c3"), addresses: ["t.a", "t.b"] }).slice(0, 3)).toEqual([
      "run-c3 plans the import of:",
      "  t.a",
      "  t.b"
    ]))
})
