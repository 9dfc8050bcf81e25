// Who has a workspace: nobody loses it by time, and only what is over can be taken over.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { type Fate, holderOf, leaseName } from "../../src/core/workspace-lease.ts"
import { Uid } from "../../src/schema/names.ts"

const self = Uid.make("self")
const lease = (holder: string) => Option.some({ holder, transitions: 3, resourceVersion: "9" })
const cases: ReadonlyArray<{ readonly given: string; readonly holder?: string; readonly fate: Fate; readonly expected: object }> = [
  { given: "no Lease", fate: { fate: "gone" }, expected: { _tag: "Free" } },
  { given: "our own", holder: "self", fate: { fate: "alive", name: "self" }, expected: { _tag: "Mine", epoch: 3 } },
  { given: "a task that is over", holder: "other", fate: { fate: "over" }, expected: { _tag: "Over", resourceVersion: "9", epoch: 3 } },
  { given: "a task that is gone with all its Pods", holder: "other", fate: { fate: "gone" }, expected: { _tag: "Over", resourceVersion: "9", epoch: 3 } },
  { given: "a task that may still run", holder: "other", fate: { fate: "alive", name: "other-task" }, expected: { _tag: "Taken", by: "other-task" } }
]

describe("holderOf", () => {
  it.each(cases)("answers $given", ({ expected, fate, holder }) => {
    expect(holderOf(holder === undefined ? Option.none() : lease(holder), self, () => fate)).toMatchObject(expected)
  })
})

describe("leaseName", () => {
  it.each([["demo", "Demo"], ["a_b", "a-b"], ["x".repeat(90), `${"x".repeat(89)}y`]])("tells %s from %s", (one, other) => {
    expect(leaseName(one)).not.toBe(leaseName(other))
    for (const name of [leaseName(one), leaseName(other)]) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u)
  })
})
