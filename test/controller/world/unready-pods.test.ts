// How long the Pod of a claim has not been ready counts from the controller's first look at it, whatever another clock says.
import { expect, it } from "@effect/vitest"
import { Option } from "effect"
import { unreadyPods } from "../../../src/controller/world/unready-pods.ts"
import { Uid } from "../../../src/schema/names.ts"
import { plainSeed, type Seed, worldOf } from "../../core/worlds.ts"

const claimed: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "unready", worker: "running" }

it("counts how long the Pod of a claim has not been ready, anew once it was ready, and anew of another Pod", () => {
  const pods = unreadyPods()
  const look = (seen: Parameters<typeof pods.passSaw>[0], at: number) => {
    const millis = pods.unreadyMillis(seen, at)
    pods.passSaw(seen, at)
    return millis
  }
  const unready = worldOf(claimed)
  const other = { ...unready, pod: Option.map(unready.pod, (pod) => ({ ...pod, uid: Uid.make("other-uid") })) }
  expect([
    look(worldOf({ ...claimed, life: "starting" }), 0), // before the claim, none is ready
    look(unready, 1_000),
    look(unready, 4_000),
    look(worldOf({ ...claimed, pod: "Running" }), 5_000),
    look(unready, 6_000),
    look(unready, 8_000),
    look(other, 9_000),
    look(other, 9_500),
    look({ ...unready, pod: Option.none() }, 10_000),
    look(unready, 11_000)
  ]).toEqual([0, 0, 3_000, 0, 0, 2_000, 0, 500, 0, 0])
  pods.forget(unready.task.metadata.uid)
  expect(look(unready, 12_000)).toBe(0)
})
