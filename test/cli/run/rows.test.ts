import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { auditTable, runDetails, runTable, taskDetails, taskTable, variableTable } from "../../../src/cli/run/rows.ts"
import { rescueAdvice } from "../../../src/core/run/state-doubt.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { succeeded } from "../../server/live-server.ts"
import { applied, failed, pending, planned, run, sealed, stage } from "../run-views.ts"

const now = Date.parse("2026-01-31T12:00:00Z")

describe("the table of runs", () => {
  it("says of each what it does, and why it waits or failed", () =>
    expect(runTable([pending, planned, applied, failed], now)).toEqual([
      "RUN      WORKSPACE   STATUS    CHANGES    AGE   REASON",
      "run-a1   demo        pending   -          2m    The run run-b2 holds the workspace and is applying.",
      "run-a1   demo        planned   +1 ~2 -3   2m    waits for a decision",
      "run-a1   demo        applied   +1 ~2 -3   2m    Completed",
      "run-a1   demo        errored   -          2m    tofu ended with exit code 1."
    ]))

  it.each([
    { given: "a plan that was discarded", view: { status: "discarded", stoppedBy: "Ada" }, reason: "by Ada" },
    { given: "a plan that was cancelled, by whom is not known", view: { status: "canceled" }, reason: "-" },
    { given: "a plan alone", view: { status: "planned_and_finished" }, reason: "-" },
    { given: "a run that was discarded before its plan", view: { status: "discarded", stoppedBy: "Ada", stages: [] }, reason: "by Ada" }
  ])("does not tell the end of its plan as that of $given", ({ reason, view }) => {
    const stages = planned.stages.map((stage) => ({ ...stage, result: succeeded({}) }))
    expect(runTable([run({ ...planned, final: true, stages, ...view })], now)[1]).toMatch(new RegExp(` {3}${reason}$`, "u"))
  })

  it("says all of a reason, unless it is to be cut", () => {
    const message = "No controller has asked for work in the last 90 seconds; check that one runs and that it has the pool's token."
    const waiting = [{ ...pending, queue: { position: 1, reason: "NoController", message } }]
    expect(runTable(waiting, now)[1]).toContain(` ${message}`)
    expect(runTable(waiting, now, 30)[1]).toMatch(/ No controller has asked for w…$/u)
  })
})

describe("what only a newer server knows of a run", () =>
  it("is shown as it comes", () => {
    const stages = [stage({ status: "paused", reason: "FromTomorrow", attempt: 1 })]
    const view = run({ status: "cost_estimated", stages })
    expect(runTable([view], now)[1]).toBe("run-a1   demo        cost_estimated   -         2m    FromTomorrow")
    expect(runDetails(view, now)).toEqual([
      "run-a1   workspace demo   cost_estimated   2m ago",
      "",
      "STAGE   STATUS   CONTROLLER   TOOK   REASON",
      "plan    paused   -            -      FromTomorrow"
    ])
  }))

describe("the table of who changed what", () => {
  it("says whose token it was, and what was done with it", () =>
    expect(auditTable([
      {
        seq: 2,
        at: "2026-01-31T12:00:00.000Z",
        kind: "user",
        name: "Ada",
        action: "POST /api/v2/runs/:id/actions/apply",
        object: "run-a1",
        requestId: "req-2"
      },
      {
        seq: 1,
        at: "2026-01-31T11:59:59.000Z",
        kind: "task",
        name: "run-a1.plan.1",
        action: "PUT /api/task/v1/plan",
        object: "",
        requestId: "req-1"
      }
    ])).toEqual([
      "SEQ   AT                         WHO                  ACTION                                OBJECT   REQUEST",
      "2     2026-01-31T12:00:00.000Z   user Ada             POST /api/v2/runs/:id/actions/apply   run-a1   req-2",
      "1     2026-01-31T11:59:59.000Z   task run-a1.plan.1   PUT /api/task/v1/plan                 -        req-1"
    ]))
})

describe("a run that waits for a state in doubt", () =>
  it("names the command that shows and settles it, however long the reason is", () => {
    const [, row] = runTable([{
      ...pending,
      queue: { position: 1, reason: "StateRescuePending", message: `The apply of run-b2 ended with Lost: ${"long ".repeat(20)}` }
    }], now)
    expect(row).toMatch(/ agent-job state rescue demo$/u)
  }))

describe("a run that left its state in doubt", () => {
  it.each(["errored", "canceled"] as const)("names that command too when it is %s, since nobody may wait yet", (status) => {
    const [, row] = runTable([{ ...failed, status, failure: `The worker is gone: ${"long ".repeat(20)}`, inDoubt: true }], now)
    expect(row).toMatch(new RegExp(` ${status} .* agent-job state rescue demo$`, "u"))
  })

  it("names what it ended with once that is settled", () => {
    const [, row] = runTable([{ ...failed, failure: "The worker is gone." }], now)
    expect(row).toMatch(/ The worker is gone\.$/u)
  })
})

describe("one run", () => {
  it("is told with what it imports and forgets", () =>
    expect(runDetails({ ...applied, changes: { add: 1, change: 2, destroy: 3, import: 4, forget: 5 } }, now)).toContain(
      "Changes: 4 to import, 1 to add, 2 to change, 3 to destroy, 5 to forget"
    ))

  it("is told with its stages", () =>
    expect(runDetails(applied, now)).toEqual([
      "run-a1   workspace demo   applied   2m ago",
      "Changes: 1 to add, 2 to change, 3 to destroy",
      "",
      "STAGE   STATUS     CONTROLLER   TOOK    REASON",
      "plan    finished   agent-1      30.0s   -",
      "apply   finished   agent-1      10.0s   Completed"
    ]))
  it("is told with what ends it when its cancel does not", () => {
    const stopping = run({ status: "applying", cancelAsked: true })
    expect(runDetails(stopping, now).slice(0, 2)).toEqual([
      "run-a1   workspace demo   applying, to be cancelled   2m ago",
      "Stops: once its state is safe. Only if its AgentTask is gone (see agent-job get tasks in the cluster of its controller), end it with: agent-job cancel run-a1 --force"
    ])
    expect(runDetails(run({ status: "canceled", cancelAsked: true, final: true }), now)).toHaveLength(1)
  })
  it.each(
    [
      ["discarded", "Discarded: by Ada"],
      ["canceled", "Cancelled: by Ada"],
      ["applying", "Cancel asked: by Ada"],
      ["applied", "Cancel asked: by Ada"]
    ] as const
  )(
    "is told with who stopped it, or tried to (%s)",
    (status, line) => expect(runDetails({ ...planned, status, stoppedBy: "Ada" }, now)).toContain(line)
  )

  it("is told with its seal, and who approved that", () => {
    const planSha256 = Sha256.make("0123456789abcdef".repeat(4))
    expect(runDetails({ ...sealed, approval: { by: "user-1f2e3d4c", seal: planSha256, at: "2026-01-31T11:59:00Z" } }, now).slice(2, 4))
      .toEqual([`Seal: ${planSha256}`, "Approved: by user-1f2e3d4c, 1m ago"])
  })
  it("is told with why it waits", () =>
    expect(runDetails(pending, now)).toEqual([
      "run-a1   workspace demo   pending   2m ago",
      "Waits: The run run-b2 holds the workspace and is applying."
    ]))
  it("is told with why it waits although it was to apply by itself", () => {
    const stages = planned.stages.map((stage) => ({ ...stage, result: succeeded({ unusedBackend: "s3" }) }))
    expect(runDetails({ ...planned, autoApply: true, stages }, now)).toContainEqual(
      expect.stringMatching(/^Waits: its configuration has a backend s3, which is not used, and workspace demo has no state yet; /u)
    )
    expect(runDetails({ ...planned, stages }, now)).toContain("Waits: for your decision:")
  })
  it("is told with what decides it, where it waits for that", () =>
    expect(runDetails(sealed, now).slice(3, 6)).toEqual([
      "Waits: for your decision:",
      "  agent-job approve run-a1 --seal 0123456789ab   apply this very plan",
      "  agent-job discard run-a1                       change nothing"
    ]))
  it("is told with what a stage left in the world", () =>
    expect(
      runDetails({
        ...failed,
        stages: failed.stages.map((stage) => ({
          ...stage,
          effects: { unsaved: [{ action: "create" as const, address: "a.b" }], unsavedCount: 1, unknown: [], unknownCount: 0 }
        }))
      }, now).slice(-3)
    )
      .toEqual(["", "Made, but not in the state:", "  a.b"]))
  it("is told with why it failed", () => expect(runDetails(failed, now)[1]).toBe("Failed: tofu ended with exit code 1."))
  it("is told with what settles the state that it left in doubt, unless its failure says so", () => {
    const advice = "In doubt: what it left; look at it and settle it with: agent-job state rescue demo"
    expect(runDetails(run({ status: "canceled", final: true, inDoubt: true }), now)[1]).toBe(advice)
    expect(runDetails({ ...failed, inDoubt: true }, now)[2]).toBe(advice)
    expect(runDetails({ ...failed, inDoubt: true, failure: `The worker is gone. The state is in doubt; ${rescueAdvice("demo")}` }, now)).not
      .toContain(advice)
  })
})

describe("the table of variables", () =>
  it("has the kinds in words, and one of a newer server as it comes", () => {
    const variable = (category: string) => ({ id: "var-1", key: "a", value: "1", category, hcl: false, sensitive: false })
    expect(variableTable(["terraform", "env", "policy"].map(variable))).toEqual([
      "NAME   KIND          VALUE",
      "a      input         1",
      "a      environment   1",
      "a      policy        1"
    ])
  }))

describe("the table of AgentTasks", () => {
  const task = (name: string, status: object) =>
    Schema.decodeUnknownSync(AgentTask)({
      metadata: { name, namespace: "n", uid: name, resourceVersion: "1", creationTimestamp: "2026-01-31T11:00:00Z" },
      spec: { workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } } },
      status
    })
  it("has the columns of kubectl", () =>
    expect(taskTable([
      task("a", {}),
      task("b", { phase: "Succeeded", reason: "Completed", changes: "+1 ~0 -0" })
    ], now)).toEqual([
      "NAME   WORKSPACE   STAGE   PHASE       CHANGES    REASON      AGE",
      "a      demo        plan    -           -          -           1h",
      "b      demo        plan    Succeeded   +1 ~0 -0   Completed   1h"
    ]))
  const claim = { podUid: "p", nonce: "n", epoch: 0, at: "2026-01-31T11:00:00Z" }
  it.each([
    [{ phase: "Queued", message: "Waiting for b, which holds workspace demo." }, "Waits: Waiting for b, which holds workspace demo."],
    [{ phase: "Running", claim, message: "Running in Pod p on node n." }, "Now: Running in Pod p on node n."],
    [{ phase: "Failed", claim, message: "The engine ended." }, "Ended: The engine ended."]
  ])(
    "is followed, of one task, by what that says of itself: %o",
    (status, line) => expect(taskDetails(task("a", status), now)).toEqual([...taskTable([task("a", status)], now), "", line])
  )
  it("is all that there is of a task of which nothing is known", () =>
    expect(taskDetails(task("a", {}), now)).toEqual(taskTable([task("a", {})], now)))
})
