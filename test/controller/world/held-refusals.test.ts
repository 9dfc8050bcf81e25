// A refusal holds for its time and is kept until it is dropped; only what lies between a denial and the next refusal is denied time.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { heldRefusals } from "../../../src/controller/world/held-refusals.ts"
import type { Refusal } from "../../../src/core/task/observed.ts"

type Kind = Refusal["kind"]

const refusal = (kind: Kind): Refusal => ({ kind, message: "no", againInMillis: 10_000 })

/** Returns what is held after the task `uid` was refused at these times, for these reasons. */
const refusedAt = (...asked: ReadonlyArray<readonly [at: number, kind: Kind]>) => {
  const refused = heldRefusals()
  for (const [at, kind] of asked) refused.refuse("uid", refusal(kind), at)
  return refused
}

describe("a refusal", () => {
  it("holds until its time is over, and says how much of that is left", () => {
    const refused = refusedAt([1_000, "Refused"])
    expect([1_000, 10_999, 11_000].map((at) => Option.map(refused.at("uid", at), ({ againInMillis }) => againInMillis)))
      .toEqual([Option.some(10_000), Option.some(1), Option.none()])
  })

  it("keeps its task refused until it is dropped, which happens once and not before its time is over", () => {
    const refused = refusedAt([0, "Refused"])
    const dropped = [9_999, 10_000, 10_001].map((at) => [refused.dropExpired("uid", at), refused.isRefused("uid")])
    expect(dropped).toEqual([[false, true], [true, false], [false, false]])
  })

  it("is as the API server last gave it", () => {
    const refused = refusedAt([0, "QuotaExceeded"], [5_000, "Invalid"])
    expect(refused.at("uid", 12_000)).toEqual(Option.some({ ...refusal("Invalid"), againInMillis: 3_000 }))
  })

  it.each<{ readonly kind: Kind; readonly isPassedOver: boolean }>([
    { kind: "QuotaExceeded", isPassedOver: false },
    { kind: "Refused", isPassedOver: true },
    { kind: "Denied", isPassedOver: true },
    { kind: "NameHeld", isPassedOver: true },
    { kind: "NameTaken", isPassedOver: true },
    { kind: "Invalid", isPassedOver: true }
  ])("lets other tasks go first, unless they need room in the same quota: $kind", ({ isPassedOver, kind }) => {
    const refused = refusedAt([0, kind])
    expect([refused.isPassedOver("uid"), refused.isPassedOver("another")]).toEqual([isPassedOver, false])
  })

  it("by a quota is lifted for all tasks at once, and none but those", () => {
    const refused = refusedAt([0, "QuotaExceeded"])
    refused.refuse("second", refusal("QuotaExceeded"), 0)
    refused.refuse("third", refusal("Denied"), 0)
    expect([refused.liftQuota(), refused.liftQuota()]).toEqual([["uid", "second"], []])
    expect(["uid", "second", "third"].map(refused.isRefused)).toEqual([false, false, true])
  })
})

describe("the time for which a task has been denied", () => {
  const each = (count: number, millis: number, kindOf: (index: number) => Kind = () => "Denied") =>
    Array.from({ length: count }, (_, index) => [index * millis, kindOf(index)] as const)

  it.each<{ readonly given: string; readonly asked: ReadonlyArray<readonly [number, Kind]>; readonly millis: number }>([
    { given: "begins at the first denial", asked: [[0, "QuotaExceeded"], [10_000, "Denied"]], millis: 0 },
    { given: "goes on from denial to denial", asked: each(3, 10_000), millis: 20_000 },
    { given: "goes on until the API server refuses otherwise", asked: [[0, "Denied"], [10_000, "Refused"]], millis: 10_000 },
    {
      given: "rests from there to the next denial, which takes nothing back",
      asked: [[0, "Denied"], [10_000, "Refused"], [20_000, "QuotaExceeded"], [30_000, "Denied"], [40_000, "Denied"]],
      millis: 20_000
    },
    {
      given: "grows where a webhook fails each other time that it is asked",
      asked: each(37, 10_000, (index) => index % 2 === 0 ? "Denied" : "Refused"),
      millis: 180_000
    },
    { given: "grows by a minute where denials are far apart, since others had the slot", asked: each(4, 600_000), millis: 180_000 }
  ])("$given", ({ asked, millis }) => expect(refusedAt(...asked).deniedMillis("uid")).toBe(millis))

  it("is counted anew from when the API server took a Job, whatever still holds", () => {
    const refused = refusedAt(...each(2, 10_000))
    refused.countAnew("uid")
    expect([refused.deniedMillis("uid"), refused.isRefused("uid")]).toEqual([0, true])
    refused.refuse("uid", refusal("Denied"), 60_000)
    expect(refused.deniedMillis("uid")).toBe(0)
  })

  it("is forgotten with the refusal of a task that is gone", () => {
    const refused = refusedAt(...each(2, 10_000))
    refused.forget("uid")
    expect([refused.deniedMillis("uid"), refused.isRefused("uid")]).toEqual([0, false])
  })
})
