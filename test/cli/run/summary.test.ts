import { describe, expect, it } from "@effect/vitest"
import {
  applySummary,
  approvalHint,
  approved,
  badEnd,
  nextSteps,
  notApproved,
  outputLines,
  planSummary,
  question,
  shortChanges,
  stageOf,
  stepIsOver,
  waiting
} from "../../../src/cli/run/summary.ts"
import { exitCodeOf } from "../../../src/cli/terminal/failure.ts"
import type { RunView } from "../../../src/schema/api/run.ts"
import { applied, failed, pending, planned, run, sealed, stage } from "../run-views.ts"

describe("the summary of a plan", () => {
  it.each([
    [planned, "Plan: 1 to add, 2 to change, 3 to destroy."],
    [run({ hasChanges: false, changes: { add: 0, change: 0, destroy: 0 } }), "The plan changes nothing in demo."],
    [
      run({ hasChanges: true, changes: { add: 0, change: 0, destroy: 0 } }),
      "Plan: nothing to add, change or destroy, but the state or the outputs change."
    ],
    [
      run({ hasChanges: true, changes: { add: 0, change: 0, destroy: 8, import: 2, forget: 1 } }),
      "Plan: 2 to import, 0 to add, 0 to change, 8 to destroy, 1 to forget."
    ],
    [
      run({ hasChanges: true, changes: { add: 0, change: 0, destroy: 0, forget: 1 } }),
      "Plan: 0 to add, 0 to change, 0 to destroy, 1 to forget."
    ],
    [run({}), "Planned."]
  ])("%# comes from its numbers", (view, said) => expect(planSummary(view)).toBe(said))
})

describe("the summary of an apply", () => {
  it("counts what the apply did, not what was planned", () =>
    expect(applySummary(applied)).toBe("Applied: 1 added, 0 changed, 0 destroyed."))
  it("counts what the plan was to import and forget, which no apply tells by itself", () =>
    expect(applySummary({ ...applied, changes: { add: 3, change: 0, destroy: 0, import: 2, forget: 1 } })).toBe(
      "Applied: 2 imported, 1 added, 0 changed, 0 destroyed, 1 forgotten."
    ))
  it("falls back on the plan's numbers", () => expect(applySummary(planned)).toBe("Applied: 1 added, 2 changed, 3 destroyed."))
})

describe("why a run failed", () => {
  const failure = (more: Partial<RunView>) => badEnd(run({ status: "errored", ...more }))?.message
  const confirmed = { timestamps: { confirmed: "2026-01-31T11:59:00Z" } }
  it("is told by the worker, and by what the reason means", () =>
    expect(failure(failed)).toBe([
      "The plan of run-a1 failed: tofu ended with exit code 1.",
      "ExitCode: The engine ended with an error; its log says which."
    ].join("\n")))
  it("is told once when both say the same", () =>
    expect(
      failure({
        stages: [
          stage({
            reason: "NodeLost",
            message:
              "The Pod is gone, most often with its node, or its node was started anew, and the stage left no result; after an apply or destroy, look at the state before the next run."
          })
        ]
      })
    ).toBe(
      "The plan of run-a1 failed: The Pod is gone, most often with its node, or its node was started anew, and the stage left no result; after an apply or destroy, look at the state before the next run."
    ))
  it("names what it left in the world", () =>
    expect(
      failure({
        stages: [
          stage({
            message: "It is gone.",
            effects: { unsaved: [{ action: "create", address: "a.b" }], unsavedCount: 1, unknown: [], unknownCount: 0 }
          })
        ]
      })
    ).toContain("\nMade, but not in the state:\n  a.b"))
  it("is told by the run when no stage knows", () =>
    expect(failure({ ...confirmed, failure: "The server lost\nthe archive" })).toBe(
      "The apply of run-a1 failed: The server lost the archive."
    ))
  it("is told by the run when its plan went well and is not applied", () =>
    expect(
      failure({
        stages: planned.stages.map((plan) => ({ ...plan, result: applied.stages.at(-1)!.result! })),
        failure: "It imports 1 of 2."
      })
    )
      .toBe("The plan of run-a1 failed: It imports 1 of 2."))
  it("may be unknown", () => expect(failure(confirmed)).toBe("The apply of run-a1 failed."))
})

describe("the end of a run", () => {
  const doubt = "The state is in doubt; look at it and settle it with: agent-job state rescue demo"
  it.each(
    [
      { status: "errored", says: "The plan of run-a1 failed.", code: 1 },
      { status: "errored", inDoubt: true, says: `The plan of run-a1 failed.\n${doubt}`, code: 1 },
      { status: "canceled", says: "run-a1 was cancelled.", code: 6 },
      { status: "canceled", inDoubt: true, says: `run-a1 was cancelled.\n${doubt}`, code: 6 },
      { status: "discarded", says: "run-a1 was discarded; nothing was changed.", code: 6 }
    ] as const
  )("as $status says so, and what to do about a state in doubt ($inDoubt)", ({ code, says, ...view }) => {
    const error = badEnd(run(view))
    expect([error?.message, exitCodeOf(error)]).toEqual([says, code])
  })
  it("is no failure where it went well, or is not the end", () =>
    expect([planned, applied, run({ status: "cost_estimated" })].map(badEnd)).toEqual([undefined, undefined, undefined]))
  it("is a failure where only a newer server knows it", () =>
    expect(badEnd(run({ status: "policy_failed", final: true }))?.message).toBe(
      "run-a1 ended as policy failed, which this version of agent-job does not know; see agent-job get run-a1."
    ))
})

describe("why a run waits", () => {
  it.each([
    ["the queue says it", pending, "The run run-b2 holds the workspace and is applying"],
    [
      "its place in it",
      run({ queue: { position: 3, message: "The run run-b2 holds the workspace." } }),
      "The run run-b2 holds the workspace (number 3 in line)"
    ],
    [
      "its Pod's trouble",
      run({ stages: [stage({ status: "offered", message: "ImagePull: the image nope:1 could not be pulled" })] }),
      "ImagePull: the image nope:1 could not be pulled"
    ],
    [
      "the same in good time, whatever it is",
      run({ stages: [stage({ status: "offered", message: `${".".repeat(1_000_000)} no.` })] }),
      `${".".repeat(1_000_000)} no`
    ],
    ["it begins", run({ stages: [stage({ status: "running" })] }), "Planning"],
    ["nobody took it", run({ stages: [stage({})] }), "Waiting for a controller to take the plan"],
    ["it stops", run({ cancelAsked: true }), "Stopping"],
    [
      "what keeps it from that",
      run({ cancelAsked: true, stages: [stage({ status: "running" })], queue: { position: 1, message: "Node n1 does not answer." } }),
      "Stopping: Node n1 does not answer"
    ]
  ])("%s", (_, view, said) => expect(waiting(view, "plan")).toBe(said))
})

describe("a step", () => {
  it("is over when the run has left it", () => {
    expect(
      (["pending", "planning", "planned", "confirmed", "applying", "applied", "errored", "canceled"] as const).map((
        status
      ) => [stepIsOver(run({ status }), "plan"), stepIsOver(run({ status }), "apply")])
    ).toEqual([
      [false, true],
      [false, true],
      [true, true],
      [true, false],
      [true, false],
      [true, true],
      [true, true],
      [true, true]
    ])
  })
  it("is not over in a status of a newer server, before the run is", () => {
    const over = (final: boolean) => (["plan", "apply"] as const).map((step) => stepIsOver(run({ status: "cost_estimated", final }), step))
    expect([over(false), over(true)]).toEqual([[false, false], [true, true]])
  })
  it("has the newest stage of its kind, and destroying is applying", () => {
    const view = run({ stages: [stage({ attempt: 1 }), stage({ attempt: 2 }), stage({ stage: "destroy" })] })
    expect(stageOf(view, "plan")?.attempt).toBe(2)
    expect(stageOf(view, "apply")?.stage).toBe("destroy")
    expect(stageOf(run({}), "apply")).toBeUndefined()
  })
})

describe("outputs", () => {
  it("are aligned, short ones in a line, and sensitive ones hidden", () =>
    expect(outputLines([
      { name: "url", sensitive: false, value: "https://example.test" },
      { name: "password", sensitive: true, value: "swordfish" },
      { name: "n", sensitive: false, value: 3 },
      { name: "long", sensitive: false, value: { text: "x".repeat(80) } },
      { name: "none", sensitive: false, value: null }
    ])).toEqual([
      "  url      = \"https://example.test\"",
      "  password = (sensitive)",
      "  n        = 3",
      "  long     = {",
      `    "text": "${"x".repeat(80)}"`,
      "  }",
      "  none     = null"
    ]))
  it("are in line by what a terminal shows, also with wide names", () =>
    expect(outputLines([{ name: "名前", sensitive: false, value: 1 }, { name: "region", sensitive: false, value: 2 }])).toEqual([
      "  名前   = 1",
      "  region = 2"
    ]))
})

describe("what to do next", () => {
  it("after an apply is to change something, remove it, or look", () =>
    expect(nextSteps(applied, "infra")).toEqual([
      "  agent-job run infra --workspace demo             run again after a change",
      "  agent-job run infra --workspace demo --destroy   remove it all",
      "  agent-job get run-a1                             what happened, stage by stage"
    ]))
  it("after a destroy is to make it again", () =>
    expect(nextSteps({ ...applied, destroy: true }, "infra")[0]).toBe("  agent-job run infra --workspace demo   make it all again"))
  it("names a directory as a shell reads it", () =>
    expect(nextSteps(applied, "my infra")[0]).toContain("agent-job run 'my infra' --workspace demo"))
  it("after a plan only is to apply", () =>
    expect(nextSteps(run({ status: "planned_and_finished", planOnly: true, hasChanges: true }), ".")[0]).toContain(
      "agent-job run . --workspace demo"
    ))
  it("is nothing after a failure", () => expect(nextSteps(failed, ".")).toEqual([]))
  it("for a plan that waits is to decide", () =>
    expect(approvalHint(planned)).toEqual([
      "run-a1 waits for your decision and keeps its workspace until then:",
      "  agent-job approve run-a1   apply this very plan",
      "  agent-job discard run-a1   change nothing"
    ]))
  it("for a plan with a seal is to name it", () => {
    expect(approvalHint(sealed)[1]).toBe("  agent-job approve run-a1 --seal 0123456789ab   apply this very plan")
    expect(question(sealed)).toBe("Apply these changes to demo (seal 0123456789ab)? Only \"yes\" applies them.")
    expect(approved(sealed)).toBe(
      "run-a1 is approved with the seal 0123456789ab and applies its plan; follow it with: agent-job logs -f run-a1"
    )
    expect(approved(run({ ...sealed, status: "confirmed", timestamps: { confirmed: "2026-01-31T11:59:00Z" } }))).toBe(
      "run-a1 was approved already with the seal 0123456789ab and applies its plan; follow it with: agent-job logs -f run-a1"
    )
  })
  it("is asked in one sentence", () => {
    expect(question(planned)).toBe("Apply these changes to demo? Only \"yes\" applies them.")
    expect(question({ ...planned, destroy: true })).toBe("Destroy all of this in demo? Only \"yes\" destroys it.")
    expect(question({ ...planned, destroy: true, changes: { add: 0, change: 0, destroy: 1, forget: 1 } })).toBe(
      "Apply these changes to demo? Only \"yes\" applies them."
    )
    expect(question({ ...planned, destroy: true, hasChanges: false })).toBe(
      "Apply this plan, which changes nothing, to demo? Only \"yes\" applies it."
    )
  })
})

describe("numbers", () => {
  it("of changes are short in a column", () => {
    expect(shortChanges({ add: 1, change: 2, destroy: 3 })).toBe("+1 ~2 -3")
    expect(shortChanges(undefined)).toBe("")
  })
})

describe("an approval", () => {
  it.each([
    { given: "the seal that was seen", view: sealed, seen: "0123456789ab", says: undefined },
    { given: "no seal", view: sealed, seen: undefined, says: undefined },
    {
      given: "another seal",
      view: sealed,
      seen: "ba9876543210",
      says:
        `run-a1 has the plan with the seal ${sealed.planSha256}, which does not begin with ba9876543210; look at it again: agent-job logs run-a1`
    },
    {
      given: "the seal of a plan that is applied, asked to stop too late",
      view: run({ ...sealed, status: "applied", final: true, cancelAsked: true, timestamps: { confirmed: "2026-01-31T11:59:00Z" } }),
      seen: "0123456789ab",
      says: undefined
    },
    ...[undefined, "ba9876543210"].map((seen) => ({
      given: `a run that is applied, and ${seen === undefined ? "no seal" : "another seal"}`,
      view: run({ ...sealed, status: "applied", final: true, timestamps: { confirmed: "2026-01-31T11:59:00Z" } }),
      seen,
      says: "run-a1 is applied already, so there is nothing to approve; see what came of it with: agent-job get run-a1"
    })),
    {
      given: "the seal of a plan that was discarded",
      view: run({ ...sealed, status: "discarded", final: true }),
      seen: "0123456789ab",
      says: "run-a1 is discarded already, so there is nothing to approve; see what came of it with: agent-job get run-a1"
    },
    {
      given: "a run that is approved and stops",
      view: run({ ...sealed, status: "applying", cancelAsked: true, timestamps: { confirmed: "2026-01-31T11:59:00Z" } }),
      seen: undefined,
      says: "run-a1 was approved already, and is asked to stop; see how it ends with: agent-job get run-a1"
    },
    {
      given: "a plan that is made again",
      view: run({ status: "planning" }),
      seen: undefined,
      says: "run-a1 is planning, so there is no plan to approve yet; look at it once it is there: agent-job logs -f run-a1"
    }
  ])("with $given is held against what there is", ({ says, seen, view }) => expect(notApproved(view, seen)).toBe(says))
})
