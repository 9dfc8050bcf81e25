// How long the Pod of a claim has not been ready, or a task been over, counts from the controller's first look, whatever another clock says.
import { expect, it } from "@effect/vitest"
import { Option } from "effect"
import { seenSince, unreadyPod, whetherOver } from "../../../src/controller/world/seen-since.ts"
import type { Observed } from "../../../src/core/task/observed.ts"
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

type Story = ReadonlyArray<readonly [what: keyof typeof looks, at: number, millis: number]>

/** Looks at the task as the story does. Returns the story with what was counted. */
const counting = ({ millis, passSaw }: ReturnType<typeof seenSince<Observed>>, story: Story): Story =>
  story.map(([what, at]) => {
    const counted = millis(looks[what], at)
    passSaw(looks[what], at)
    return [what, at, counted]
  })

it("counts how long the Pod of a claim has not been ready, anew once it was ready, and of another Pod", () => {
  const story: Story = [
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
    ["unready", 11_500, 500]
  ]
  expect(counting(seenSince(unreadyPod), story)).toEqual(story)
})

it("counts how long a task has been over, whatever becomes of its Pod, until it is forgotten", () => {
  const since = seenSince<Observed>(whetherOver)
  const story: Story = [["unready", 1_000, 0], ["over", 2_000, 0], ["over", 2_500, 500], ["over and gone", 3_000, 1_000]]
  expect(counting(since, story)).toEqual(story)
  since.forget(unready.task.metadata.uid)
  expect(counting(since, [["over", 4_000, 0]])).toEqual([["over", 4_000, 0]])
})
