// How long the Pod of a claim has not been ready, or a task been over, counts from the controller's first look, whatever another clock says.
import { expect, it } from "@effect/vitest"
import { Option } from "effect"
import { unreadyOrOver } from "../../../src/controller/world/unready-or-over.ts"
import { Uid } from "../../../src/schema/names.ts"
import { plainSeed, type Seed, worldOf } from "../../core/worlds.ts"

const claimed: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "unready", worker: "running" }

const unready = worldOf(claimed)
const looks = {
  "not claimed": worldOf({ ...claimed, life: "starting" }),
  unready,
  ready: worldOf({ ...claimed, pod: "Running" }),
  another: { ...unready, pod: Option.map(unready.pod, (pod) => ({ ...pod, uid: Uid.make("other-uid") })) },
  gone: { ...unready, pod: Option.none() },
  over: worldOf({ ...claimed, life: "succeeded" }),
  "over and gone": worldOf({ ...claimed, life: "succeeded", pod: "none" })
}

it("counts how long the Pod of a claim has not been ready, anew once it was ready, of another Pod, and once the task is over", () => {
  const counted = unreadyOrOver()
  const look = (what: keyof typeof looks, at: number) => {
    const millis = counted.millis(looks[what], at)
    counted.passSaw(looks[what], at)
    return millis
  }
  const story: ReadonlyArray<readonly [what: keyof typeof looks, at: number, millis: number]> = [
    ["not claimed", 0, 0],
    ["unready", 1_000, 0],
    ["unready", 3_000, 2_000],
    ["unready", 4_000, 3_000],
    ["ready", 5_000, 0],
    ["ready", 5_500, 0],
    ["unready", 6_000, 0],
    ["unready", 8_000, 2_000],
    ["another", 9_000, 0],
    ["another", 9_500, 500],
    ["gone", 10_000, 0],
    ["unready", 11_000, 0],
    ["unready", 11_500, 500],
    ["over", 12_000, 0],
    ["over", 12_500, 500],
    ["over and gone", 13_000, 1_000]
  ]
  expect(story.map(([what, at]) => [what, at, look(what, at)])).toEqual(story)
  counted.forget(unready.task.metadata.uid)
  expect(look("over", 14_000)).toBe(0)
})
