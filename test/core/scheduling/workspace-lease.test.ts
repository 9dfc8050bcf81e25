// Which task holds a workspace: no task loses it by time, and it can only be taken over from a task that is over.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { epochOf, holderOf, isOfTask, leaseName, nextEpoch, waitsForLeft } from "../../../src/core/scheduling/workspace-lease.ts"
import { Holder } from "../../../src/core/task/observed.ts"
import { Uid } from "../../../src/schema/names.ts"

const self = Uid.make("self")
const lease = (holder: string) => ({ holder, transitions: 3, resourceVersion: "9" })

describe("holderOf", () => {
  it.each([
    { given: "our own", holder: "self", keeper: Option.none(), expected: Holder.Mine({ epoch: 3 }) },
    {
      given: "one of nobody, or of a task that is over or gone with all its Pods",
      holder: "other",
      keeper: Option.none(),
      expected: Holder.Over({ resourceVersion: "9", epoch: 3 })
    },
    {
      given: "one of a task that may still run",
      holder: "other",
      keeper: Option.some(Holder.Taken({ by: "other-task" })),
      expected: Holder.Taken({ by: "other-task" })
    }
  ])("answers $given", ({ expected, holder, keeper }) => expect(holderOf(lease(holder), self, keeper)).toEqual(expected))
})

describe("isOfTask", () =>
  it.each<readonly [given: string, of: { readonly holder?: string; readonly transitions?: number; readonly by?: string }, is: boolean]>([
    ["a task", {}, true],
    ["nobody", { holder: "", by: "" }, true],
    ["nobody who ever had it", { holder: "", by: "", transitions: 0 }, true],
    ["a task, in the last time that it can be taken", { transitions: 2_147_483_646 }, true],
    ["what no label may be", { holder: "no label!" }, false],
    ["what would be one more condition of a selector", { holder: "x,scalr.io/a=b" }, false],
    ["a name that no object has", { by: "../../../x" }, false],
    ["as many changes as the API server can count", { transitions: 2_147_483_647 }, false],
    ["fewer changes than none", { transitions: -1 }, false]
  ])(
    "believes a Lease that a task may have written, and no other: of %s",
    (_, { by = "former", holder = "other", transitions = 3 }, is) => expect(isOfTask({ holder, transitions }, by)).toBe(is)
  ))

describe("waitsForLeft", () =>
  it.each([
    {
      by: "apply-1",
      node: "node-1",
      says: "a former task apply-1, which may still change workspace demo; if it does not end, check node node-1"
    },
    { by: "", node: "", says: "a former task, which may still change workspace demo; if it does not end, check what keeps it" }
  ])("names the task and the node as far as they are known: $by", ({ by, node, says }) =>
    expect(waitsForLeft({ _tag: "Left", by, pod: "pod", node }, "demo")).toContain(`Waiting for Pod pod of ${says}`)))

describe("the epoch", () => {
  it.each([
    { holder: Holder.NotAsked(), now: 0 },
    { holder: Holder.Mine({ epoch: 3 }), now: 3 },
    { holder: Holder.Free(), next: 1 },
    { holder: Holder.Over({ resourceVersion: "9", epoch: 3 }), next: 4 }
  ])("counts how often a workspace has changed hands: $holder._tag", ({ holder, next, now }) => {
    if (now !== undefined) expect(epochOf(holder)).toBe(now)
    if (next !== undefined) expect(nextEpoch(holder)).toBe(next)
  })
})

describe("leaseName", () => {
  it("stays what it was, since a Lease of another name would be another one", () =>
    expect(leaseName("Prod_EU west")).toBe("agent-job-prod-eu-west-o7zt0y"))

  it.each([["demo", "Demo"], ["a_b", "a-b"], ["x".repeat(90), `${"x".repeat(89)}y`]])("tells %s from %s", (one, other) => {
    expect(leaseName(one)).not.toBe(leaseName(other))
    for (const name of [leaseName(one), leaseName(other)]) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u)
  })
})
