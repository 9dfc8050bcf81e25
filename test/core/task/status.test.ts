// How a status moves: only forward, with kstatus conditions whose transition times change only when their status does.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { reflected } from "../../../src/core/reconcile/attempt-conditions.ts"
import { acknowledged, advance, claimed, finished, mayFollow, running as runningIn } from "../../../src/core/task/status.ts"
import { Sha256, Uid } from "../../../src/schema/names.ts"
import { Phase, WritableStatus } from "../../../src/schema/task/agent-task.ts"
import { before, noon, plainSeed, success, worldOf } from "../worlds.ts"

const claim = { podUid: Uid.make("pod-uid"), nonce: "nonce", epoch: 0, at: before(60) }
const running = claimed({ phase: "Starting", launches: 1 }, claim, { job: "job", configHash: "c0ffee", pod: "pod", node: "node" }, 1)
const says = (type: string) => running.conditions?.find((_) => _.type === type)?.status

it.each([[undefined, 1], [0, 1], [1, 1], [3, 3]])(
  "is of one launch at least once it is claimed, also of one that was taken back: of %s",
  (launches, said) =>
    expect(
      claimed({ phase: "Starting", ...(launches !== undefined && { launches }) }, claim, {
        job: "job",
        configHash: "c0ffee",
        pod: "pod",
        node: "node"
      }, 1).launches
    ).toBe(said)
)

describe("advance", () => {
  it.prop("never goes back, whatever step it is given", [Phase, Phase], ([from, to]) => {
    const { phase } = advance({ phase: from }, { phase: to, reason: "Lost", message: "", generation: 1, now: noon })
    expect(phase).toBe(mayFollow(from, to) ? to : from)
  })
  it("keeps a condition's time while its status stays, and is equal to itself", () => {
    const step = { phase: "Running", reason: "Claimed", message: "again", generation: 1, now: noon } as const
    const once = advance(running, step)
    expect(once.conditions?.map((_) => _.lastTransitionTime)).toEqual([before(60), before(60), before(60)])
    expect(advance(once, { ...step, now: "2027-01-01T00:00:00.000Z" })).toEqual(once)
    const over = advance(once, { ...step, phase: "Failed", reason: "Lost" }).conditions ?? []
    expect(over.map((_) => [_.type, _.lastTransitionTime])).toEqual([["Ready", before(60)], ["Reconciling", noon], ["Stalled", noon]])
  })
  it("leaves a final status alone, but for the result of a worker that comes late", () => {
    const lost = { phase: "Failed", reason: "NodeLost", message: "gone" } as const
    expect(finished(lost, success, 1)).toEqual({ ...lost, result: success })
  })
  it("leaves a phase that only a newer version knows alone, but for the end", () => {
    const odd = { ...running, phase: "Moonlit" }
    expect(advance(odd, { phase: "Running", reason: "Stopping", message: "", generation: 1, now: noon })).toBe(odd)
    expect(finished(odd, success, 1)).toMatchObject({ phase: "Succeeded", result: success })
  })
  it("writes conditions that only a newer version knows, and such fields of the others, back as they were", () => {
    const moonlit = { type: "Moonlit", status: "Waning", reason: "Moonrise", message: "", lastTransitionTime: before(60) }
    const odd = { ...running, conditions: [moonlit, ...(running.conditions ?? []).map((_) => ({ ..._, moons: 3 }))] }
    const { conditions } = finished(odd, success, 1)
    expect(conditions?.map((_) => _.type)).toEqual(["Ready", "Reconciling", "Stalled", "Moonlit"])
    expect(conditions).toMatchObject([{ status: "True", moons: 3 }, { moons: 3 }, { moons: 3 }, moonlit])
    const seen = acknowledged({ conditions: conditions ?? [] }, 2)
    expect(seen.conditions?.map((_) => _.observedGeneration)).toEqual([2, 2, 2, undefined])
    expect(acknowledged(seen, 2)).toBe(seen)
    expect(acknowledged({ phase: "Failed" }, 2)).toStrictEqual({ phase: "Failed", observedGeneration: 2 })
  })
  const words = Schema.Array(Schema.Literals(["a", "é", "😀"])).check(Schema.isMaxLength(8))
  it.prop("keeps of any words as much as the API server takes, also where those of another task are told", [
    words,
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5000 }))
  ], ([pattern, count]) => {
    const message = pattern.join("").repeat(count)
    const status = advance({}, { phase: "Starting", reason: "ImagePull", message, generation: 1, now: noon })
    const told = reflected(worldOf({ ...plainSeed, life: "succeeded" }).task, { ...worldOf(plainSeed).task, status }, noon)
    const all = [status.message, ...[...status.conditions ?? [], ...told.conditions ?? []].map((_) => _.message)].map((_) => _ ?? "")
    expect(all.filter((_) => [..._].length > 4096 || !_.isWellFormed())).toEqual([])
    expect(Schema.decodeUnknownSync(WritableStatus)(status)).toEqual(status)
    const [said = ""] = all
    if (message.length <= 4096) expect(said).toBe(message)
    else expect([message.startsWith(said.slice(0, -1)), said.endsWith("…"), said.length >= 4095]).toEqual([true, true, true])
  })
  it("forgets the queue once the task is past it", () => {
    const queued = { phase: "Queued", queue: { position: 1, reason: "WorkspaceBusy" } } as const
    expect(advance(queued, { phase: "Starting", reason: "JobCreated", message: "", generation: 1, now: noon }).queue).toBeUndefined()
  })
})

describe("claimed and finished", () => {
  it("show a task under way as Reconciling and neither Ready nor Stalled", () => {
    expect([says("Ready"), says("Reconciling"), says("Stalled")]).toEqual(["False", "True", "False"])
  })
  it.each([
    [42, "42s"],
    [60, "1m0s"],
    [200, "3m20s"],
    [3599, "59m59s"],
    [3600, "1h0m"],
    [7500, "2h5m"],
    [-5, "0s"]
  ])("tell %i seconds as %s", (seconds, told) => {
    const { duration } = finished({ ...running, startedAt: before(seconds) }, { ...success, finishedAt: noon }, 1)
    expect(duration).toBe(told)
  })
  it("show a task that needs a person to go on as Stalled, and no more as Reconciling", () => {
    const { conditions } = advance(running, {
      phase: "Running",
      reason: "NodeUnreachable",
      message: "",
      stalled: true,
      generation: 1,
      now: noon
    })
    expect(conditions?.map((_) => [_.type, _.status])).toEqual([["Ready", "False"], ["Reconciling", "False"], ["Stalled", "True"]])
  })
  it("name the node of the Pod, where it is known", () =>
    expect([{ name: "pod", node: "node" }, { name: "pod" }].map((pod) => runningIn(pod).message)).toEqual([
      "Running in Pod pod on node node.",
      "Running in Pod pod."
    ]))
  const kept = { planDigest: Sha256.make("a".repeat(64)) }
  const following = (onChange: string) => ({
    savePlan: { claimName: "plans" },
    source: { fluxSource: { kind: "GitRepository", name: "infra", onChange } }
  })
  const underWay = { ready: "False", reconciling: "True", stalled: "False" }
  const ready = { ready: "True", reconciling: "False", stalled: "False" }

  it.each([
    { given: "with changes", result: { ...kept, hasChanges: true }, says: underWay },
    { given: "whose changes could not be counted", result: kept, says: underWay },
    { given: "that changes nothing", result: { ...kept, hasChanges: false }, says: ready },
    { given: "that was not kept", result: { hasChanges: true }, says: ready },
    { given: "that a person applies", result: { ...kept, hasChanges: true }, onChange: "plan", says: ready }
  ])("do not show a task as Ready whose plan is still to be applied by itself: one $given", (
    { onChange = "planAndApply", result, says }
  ) => {
    const planned = { ...success, ...result, message: "Planned", finishedAt: noon }
    const { conditions = [], message, phase } = finished(running, planned, 1, { spec: following(onChange) })
    expect({ ready: conditions[0]?.status, reconciling: conditions[1]?.status, stalled: conditions[2]?.status }).toEqual(says)
    expect([phase, message]).toEqual(["Succeeded", "Planned"])
    const told = says === ready ? { lastTransitionTime: noon, message } : {
      lastTransitionTime: before(60),
      message: "Planned. Its plan is to be applied."
    }
    expect(conditions[0]).toMatchObject(told)
  })
  it("leave the conditions of a task that is over, though its plan comes late", () => {
    const lost = { phase: "Failed", reason: "NodeLost", message: "gone" } as const
    expect(finished(lost, { ...success, ...kept }, 1, { spec: following("planAndApply") })).not.toHaveProperty("conditions")
  })
  it("sum the changes up for people", () => {
    expect(finished(running, { ...success, changes: { add: 2, change: 1, destroy: 0 } }, 1).changes).toBe("+2 ~1 -0")
  })
  it.each(
    [
      { outcome: "succeeded", phase: "Succeeded", ready: "True", stalled: "False" },
      { outcome: "failed", phase: "Failed", ready: "False", stalled: "True" },
      { outcome: "cancelled", phase: "Cancelled", ready: "False", stalled: "True" }
    ] as const
  )("end a $outcome stage as $phase, with its duration and the claim kept", ({ outcome, phase, ready, stalled }) => {
    const status = finished(running, { ...success, outcome, finishedAt: noon }, 1, { reported: true })
    expect(status).toMatchObject({ phase, claim, reportedAt: noon, finishedAt: noon, duration: "1m0s" })
    expect(status.conditions?.find((_) => _.type === "Ready")?.status).toBe(ready)
    expect(status.conditions?.find((_) => _.type === "Stalled")?.status).toBe(stalled)
  })
})
