// What is said of a task that waits, to its pool as well, and when it is looked at again.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { plan } from "../../../src/core/reconcile/plan.ts"
import { Holder, Turn } from "../../../src/core/task/observed.ts"
import { reasons } from "../../../src/schema/task/reason.ts"
import { noon, perform, plainSeed, policyOf, type Seed, worldOf } from "../worlds.ts"
import { planned } from "./planned.ts"

describe("plan, of a task that waits", () => {
  it("tells the pool why a task waits until it has heard that, whatever the status says", () => {
    const whole: Seed = { ...plainSeed, turn: "limit", pool: true }
    const unheard = { ...perform(worldOf(whole), planned(whole)), reportedWait: Option.none() }
    const { actions, status, notices } = plan(policyOf(whole), unheard, noon)
    expect([actions, status]).toEqual([[], unheard.task.status])
    expect(notices).toMatchObject([{ _tag: "ReportWait", reason: "ConcurrencyLimit", message: status.message }])
    const forAnother = Option.some({ reason: "WorkspaceBusy", message: status.message ?? "" } as const)
    expect(plan(policyOf(whole), { ...unheard, reportedWait: forAnother }, noon).notices).toEqual(notices)
    expect(
      plan(
        policyOf(whole),
        perform(unheard, { situation: "", recheck: undefined, actions, status, notices, requeueAfterMillis: Option.none() }),
        noon
      ).notices
    ).toEqual([])
  })

  it.each<readonly [message: string, seed: Partial<Seed>]>([
    ["Waiting for other, which goes before it in workspace demo.", { turn: "busy" }],
    ["Number 1 in the queue: other tasks go before it in workspace demo.", { turn: "far" }],
    ["Waiting for other, which holds workspace demo.", { stage: "apply", holder: "taken" }],
    [
      "Waiting for a person, since the state of workspace demo may lack what AgentTask other made before it ended: look for that, bring the state up to date, then delete that task, first in Git if it is there, or it runs again: kubectl -n tasks delete atask other",
      { stage: "destroy", holder: "inDoubt" }
    ],
    [
      "Waiting for workspace demo: its Lease agent-job-demo was not written by agent-job, so nobody can tell whether it is free; see who wrote it, and delete it once nothing changes the workspace.",
      { stage: "apply", holder: "foreign" }
    ],
    ["Number 1 in the queue: as many tasks are running as task.limits.total allows (10); wait, or raise it.", { turn: "limit" }],
    ["Nothing new starts while the cluster is draining; to end that: agent-job drain --undo", { turn: "drained" }],
    ["Nothing starts before the isolation of tasks is proven for the present values; run: agent-job doctor", { turn: "unproven" }],
    ["Cancelled before it started; nothing was run.", { cancel: true }],
    ["Deleted before it started; nothing was run.", { deleted: true }]
  ])("says %s", (message, seed) => expect(planned(seed).status.message).toBe(message))

  it.each(
    [
      {
        installation: { name: "blue", namespace: "agent-job" },
        turn: "drained",
        command: "drain --undo --name blue --controller-namespace agent-job"
      },
      { installation: { name: "agent-job", namespace: "eu" }, turn: "unproven", command: "doctor --name agent-job --namespace eu" }
    ] as const
  )("names the command for its own installation, and not for the usual one: $command", ({ command, installation, turn }) => {
    const whole: Seed = { ...plainSeed, turn }
    expect(plan({ ...policyOf(whole), installation }, worldOf(whole), noon).status.message?.split(": ").at(-1)).toBe(`agent-job ${command}`)
  })

  it("names in the status whom it waits for, and nobody where that is a limit, or where it is far behind", () => {
    const queue = (seed: Partial<Seed>) => planned(seed).status.queue
    const inDoubt = queue({ stage: "apply", holder: "inDoubt" })
    expect([inDoubt, queue({ turn: "busy" }), queue({ stage: "apply", holder: "taken" }), queue({ turn: "limit" }), queue({ turn: "far" })])
      .toStrictEqual([
        { position: 1, reason: "StateRescuePending", blockedBy: "other" },
        { position: 1, reason: "WorkspaceBusy", blockedBy: "other" },
        { position: 1, reason: "WorkspaceBusy", blockedBy: "other" },
        { position: 1, reason: "ConcurrencyLimit" },
        { position: 1, reason: "WorkspaceBusy" }
      ])
  })

  it.each([{ holder: "inDoubt", stalled: "True" }, { holder: "taken", stalled: "False" }] as const)(
    "needs a person only after a change that left the state in doubt: $holder",
    ({ holder, stalled }) => {
      const { conditions } = planned({ stage: "apply", holder }).status
      expect(conditions).toMatchObject([{ status: "False" }, { status: stalled === "True" ? "False" : "True" }, { status: stalled }])
    }
  )

  it.each([{ node: "node-1", next: "check node node-1, which has to answer or be removed" }, {
    node: "",
    next: "check what keeps it"
  }])("names the Pod that is left of a former task of its own name, and not itself: $next", ({ next, node }) => {
    const world = worldOf({ ...plainSeed, stage: "apply", holder: "left" })
    const holder = Holder.Left({ by: "task", pod: "former-pod", node })
    const { actions, situation, status } = plan(policyOf(plainSeed), { ...world, holder }, noon)
    expect([situation, actions, status.message]).toEqual([
      "another task holds the workspace",
      [],
      `Waiting for Pod former-pod of a former task task, which may still change workspace demo; if it does not end, ${next}.`
    ])
    expect(status.queue).toEqual({ position: 1, reason: "WorkspaceBusy" })
  })

  it.each([{ holder: "left", what: "Pod" }, { holder: "foreign", what: "Lease" }] as const)(
    "has a reason whose advice knows of the $what that keeps it, and not of another task alone",
    ({ holder, what }) => {
      const { message, reason } = planned({ stage: "apply", holder }).status
      expect([reason, message]).toEqual(["WorkspaceBusy", expect.stringContaining(what)])
      expect(reasons.WorkspaceBusy).toContain(what)
    }
  )

  it.each<{ readonly given: string; readonly seed: Partial<Seed>; readonly again: number }>([
    { given: "another task holds its workspace", seed: { stage: "apply", holder: "taken" }, again: 10_000 },
    { given: "the state is in doubt", seed: { stage: "apply", holder: "inDoubt" }, again: 10_000 },
    { given: "a Pod of a former task may change its workspace", seed: { stage: "apply", holder: "left" }, again: 10_000 },
    { given: "a stranger wrote its Lease", seed: { stage: "apply", holder: "foreign" }, again: 10_000 },
    { given: "its workspace was not asked for", seed: { stage: "apply", holder: "unasked" }, again: 0 },
    { given: "its source is not ready", seed: { source: "notReady" }, again: 5_000 },
    { given: "its Job was refused for now", seed: { refusal: "Refused" }, again: 7_000 }
  ])(
    "is looked at again when no watch may tell that it need not wait any more: $given",
    ({ again, seed }) => expect(planned(seed).requeueAfterMillis).toEqual(Option.some(again))
  )

  it("says of a place behind the first that it is rounded up", () => {
    const turn = (position: number) => Turn.Waiting({ position, why: { reason: "ConcurrencyLimit", limit: "perWorkspace" } })
    const said = (position: number) => plan(policyOf(plainSeed), { ...worldOf(plainSeed), turn: turn(position) }, noon).status.message
    const because = "as many tasks of workspace demo are running as task.limits.perWorkspace allows (5); wait, or raise it."
    expect([said(1), said(16)]).toEqual([`Number 1 in the queue: ${because}`, `Among the first 16 in the queue: ${because}`])
  })
})
