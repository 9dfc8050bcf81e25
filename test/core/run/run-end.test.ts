import { describe, expect, it } from "@effect/vitest"
import { runEnd } from "../../../src/core/run/run-end.ts"
import { RunEvent } from "../../../src/core/run/run-machine.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"

const [ours, another] = [Sha256.make("a".repeat(64)), Sha256.make("b".repeat(64))]
const stored = { planOnly: false, planSha256: ours, allowEmptyApply: false, mayAsk: false }
const nothingStored = { planOnly: false, planSha256: null, allowEmptyApply: false, mayAsk: false }
const success: StageResult = { outcome: "succeeded", reason: "Completed", message: "Done.", finishedAt: "2026-01-31T12:00:00Z" }
const failure: StageResult = { ...success, outcome: "failed", reason: "ExitCode", message: "tofu ended with exit code 1." }
const stop: StageResult = { ...success, outcome: "cancelled", reason: "Cancelled", message: "The task was cancelled." }
const changes = { add: 1, change: 0, destroy: 0 }
const noChanges = { add: 0, change: 0, destroy: 0 }
const { Applied, Failed, Planned, Stopped } = RunEvent
const notOurs = {
  event: Failed({ step: "plan" }),
  hasChanges: true,
  failure: "The plan succeeded, but its saved plan is not the one stored here, so it cannot be applied; start the run again."
}

describe("the end of a plan", () => {
  it.each([
    {
      given: "says what it found out",
      run: stored,
      result: { ...success, hasChanges: true, changes, planDigest: ours },
      expected: { event: Planned({ hasChanges: true }), hasChanges: true, changes }
    },
    {
      given: "has changes where only its numbers say so",
      run: stored,
      result: { ...success, changes },
      expected: { event: Planned({ hasChanges: true }), hasChanges: true, changes }
    },
    {
      given: "has none where its numbers say so, and needs no saved plan then",
      run: nothingStored,
      result: { ...success, changes: noChanges },
      expected: { event: Planned({ hasChanges: false }), hasChanges: false, changes: noChanges }
    },
    {
      given: "has none and may be applied all the same, with the saved plan that is stored",
      run: { ...stored, allowEmptyApply: true },
      result: { ...success, hasChanges: false, planDigest: ours },
      expected: { event: Planned({ hasChanges: false }), hasChanges: false }
    },
    {
      given: "fails where it has none, may be applied all the same and no saved plan is stored",
      run: { ...nothingStored, allowEmptyApply: true },
      result: { ...success, hasChanges: false, planDigest: ours },
      expected: { ...notOurs, hasChanges: false }
    },
    {
      given: "has changes of outputs alone where it says so",
      run: stored,
      result: { ...success, hasChanges: true, changes: noChanges },
      expected: { event: Planned({ hasChanges: true }), hasChanges: true, changes: noChanges }
    },
    {
      given: "is taken to change something where nothing says what",
      run: stored,
      result: success,
      expected: { event: Planned({ hasChanges: true }), hasChanges: true }
    },
    {
      given: "goes on where the configuration has a backend that is not used, of a stock client, which would not know that it waits",
      run: stored,
      result: { ...success, hasChanges: true, unusedBackend: "cloud" },
      expected: { event: Planned({ hasChanges: true }), hasChanges: true }
    },
    {
      given: "asks a person where the configuration has a backend that is not used, and that may have the state",
      run: { ...stored, mayAsk: true },
      result: { ...success, hasChanges: true, unusedBackend: "s3" },
      expected: { event: Planned({ hasChanges: true, asks: true }), hasChanges: true }
    },
    {
      given: "asks nobody where the configuration has no such backend",
      run: { ...stored, mayAsk: true },
      result: { ...success, hasChanges: true, planDigest: ours },
      expected: { event: Planned({ hasChanges: true }), hasChanges: true }
    },
    {
      given: "fails with a saved plan that is not the stored one",
      run: stored,
      result: { ...success, hasChanges: true, planDigest: another },
      expected: notOurs
    },
    {
      given: "fails where no saved plan is stored",
      run: nothingStored,
      result: { ...success, hasChanges: true, planDigest: ours },
      expected: notOurs
    },
    {
      given: "needs no saved plan where only a plan was asked for",
      run: { ...nothingStored, planOnly: true },
      result: { ...success, hasChanges: true },
      expected: { event: Planned({ hasChanges: true }), hasChanges: true }
    },
    {
      given: "goes on where it imports all that it is to import",
      run: { ...stored, toImport: 2 },
      result: { ...success, changes: { ...noChanges, import: 2 }, hasChanges: true },
      expected: { event: Planned({ hasChanges: true }), hasChanges: true, changes: { ...noChanges, import: 2 } }
    },
    {
      given: "fails where it passes over something that it is to import",
      run: { ...stored, toImport: 2 },
      result: { ...success, changes: { ...changes, import: 1 } },
      expected: {
        event: Failed({ step: "plan" }),
        hasChanges: true,
        changes: { ...changes, import: 1 },
        failure:
          "The plan imports 1 of 2, and would make the rest once more: the state has something else at an address, or the configuration moves it there; take that out of the state (tofu state rm) and import again, or import by hand and then settle with --keep, as where the state has the very things by now."
      }
    },
    {
      given: "goes on to a person where nobody could count what it imports",
      run: { ...stored, toImport: 2 },
      result: success,
      expected: { event: Planned({ hasChanges: true }), hasChanges: true }
    },
    {
      given: "is a failure with its message",
      run: stored,
      result: failure,
      expected: { event: Failed({ step: "plan" }), failure: failure.message }
    },
    { given: "is a stop where it was cancelled", run: stored, result: stop, expected: { event: Stopped({ step: "plan" }) } }
  ])("$given", ({ expected, result, run }) => expect(runEnd("plan", run, result, "")).toEqual(expected))
})

describe("the end of an apply", () => {
  it.each([
    { given: "is its success, whatever plan is stored", result: success, expected: { event: Applied() } },
    {
      given: "is a failure that says what is in doubt",
      result: failure,
      expected: { event: Failed({ step: "apply" }), failure: `${failure.message} The state is in doubt.` }
    },
    {
      given: "is a stop where it was cancelled, which says so too",
      result: stop,
      expected: { event: Stopped({ step: "apply" }), failure: `${stop.message} The state is in doubt.` }
    }
  ])("$given", ({ expected, result }) => expect(runEnd("apply", nothingStored, result, " The state is in doubt.")).toEqual(expected))
})
