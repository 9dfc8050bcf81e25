// The age of a Job counts from the controller's first look at it, whatever another clock says.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { jobAges } from "../../../src/controller/world/job-ages.ts"
import type { Observed, StartSeen } from "../../../src/core/task/observed.ts"
import { Uid } from "../../../src/schema/names.ts"
import { plainSeed, worldOf } from "../../core/worlds.ts"
import { job } from "./numbered-tasks.ts"

const nothing = { job: Option.none(), pod: Option.none(), warning: Option.none() }

/** A pass at the Job's start; returns how long that had been starting. */
const looked = (ages: ReturnType<typeof jobAges>, start: StartSeen, at: number): number => {
  const millis = ages.startingMillis("uid-0", start, at)
  ages.passSaw("uid-0", start, at)
  return millis
}

describe("the ages of Jobs", () => {
  it("knows a Job from the first look at it on, whatever its creation says, and another of its task from the first look at that", () => {
    const ages = jobAges()
    const [first, second] = [job(0).seen, { ...job(0).seen, uid: Uid.make("second") }].map(Option.some)
    const look = (seen: typeof first, at: number) => {
      const known = ages.knownMillis("uid-0", seen ?? Option.none(), at)
      ages.passSaw("uid-0", { ...nothing, job: seen ?? Option.none() }, at)
      return known
    }
    expect([
      look(first, 1_000),
      look(first, 4_000),
      look(second, 5_000),
      look(second, 9_000),
      look(Option.none(), 9_000),
      look(second, 9_500)
    ]).toEqual([0, 3_000, 0, 4_000, 0, 0])
  })

  it("counts the time of a start from the first look that finds no quota in its way, and anew if that is in its way once more", () => {
    const ages = jobAges()
    const seen = Option.some(job(0).seen)
    const { warning: quota } = worldOf({ ...plainSeed, warning: "quota" })
    const look = (warning: typeof quota, at: number) => {
      const start = { ...nothing, job: seen, warning }
      const millis = [ages.knownMillis("uid-0", seen, at), ages.startingMillis("uid-0", start, at)]
      ages.passSaw("uid-0", start, at)
      return millis
    }
    expect([
      look(nothing.warning, 0),
      look(quota, 5_000),
      look(quota, 200_000),
      look(nothing.warning, 250_000),
      look(nothing.warning, 260_000),
      look(quota, 270_000),
      look(nothing.warning, 280_000)
    ])
      .toEqual([[0, 0], [5_000, 0], [200_000, 0], [250_000, 0], [260_000, 10_000], [270_000, 0], [280_000, 0]])
  })

  it("counts no time in which the Job is suspended", () => {
    const ages = jobAges()
    const look = (suspended: boolean, at: number) => {
      const start = { ...nothing, job: Option.some({ ...job(0).seen, suspended }) }
      return looked(ages, start, at)
    }
    expect([look(false, 0), look(true, 5_000), look(true, 4_000_000), look(false, 4_100_000), look(false, 4_110_000)]).toEqual([
      0,
      0,
      0,
      0,
      10_000
    ])
  })

  it("takes a Job that is resumed for a new one, as Kubernetes does", () => {
    const ages = jobAges()
    const known = (suspended: boolean, at: number) => {
      const seen = Option.some({ ...job(0).seen, suspended })
      const millis = ages.knownMillis("uid-0", seen, at)
      ages.passSaw("uid-0", { ...nothing, job: seen }, at)
      return millis
    }
    expect([known(false, 0), known(true, 5_000), known(true, 4_000_000), known(false, 4_060_000), known(false, 4_080_000)]).toEqual([
      0,
      5_000,
      0,
      0,
      20_000
    ])
  })

  it("counts waits for a node by themselves, all together, and the start anew once there is one", () => {
    const ages = jobAges()
    const seen = Option.some(job(0).seen)
    const podOf = (pod: "Pending" | "unschedulable") => worldOf({ ...plainSeed, job: "active", pod }).pod
    const look = (pod: Observed["pod"], at: number) => {
      const start = { ...nothing, job: seen, pod }
      return looked(ages, start, at)
    }
    expect([
      look(Option.none(), 0),
      look(podOf("unschedulable"), 5_000),
      look(podOf("unschedulable"), 605_000),
      look(podOf("Pending"), 606_000),
      look(podOf("Pending"), 616_000),
      look(podOf("unschedulable"), 617_000),
      look(podOf("Pending"), 618_000)
    ]).toEqual([0, 0, 600_000, 0, 10_000, 612_000, 0])
  })

  it("gives a Job that is resumed all its time for a node again", () => {
    const ages = jobAges()
    const { job: seen, pod } = worldOf({ ...plainSeed, job: "active", pod: "unschedulable" })
    const look = (suspended: boolean, at: number) => {
      const start = { ...nothing, job: Option.map(seen, (_) => ({ ..._, suspended })), pod: suspended ? Option.none() : pod }
      return looked(ages, start, at)
    }
    expect([look(false, 0), look(false, 600_000), look(true, 610_000), look(false, 700_000), look(false, 710_000)]).toEqual([
      0,
      600_000,
      0,
      0,
      10_000
    ])
  })

  it("counts a wait for a volume that another node still has as one for a node", () => {
    const ages = jobAges()
    const { job: seen, pod } = worldOf({ ...plainSeed, job: "active", pod: "Pending" })
    const elsewhere = Option.some({ reason: "FailedAttachVolume", message: "Waiting for detach for volume \"pvc-1\"" })
    const look = (warning: Observed["warning"], isSetUp: boolean, at: number) => {
      const start = { job: seen, pod: Option.map(pod, (_) => ({ ..._, isSetUp })), warning }
      return looked(ages, start, at)
    }
    expect([
      look(Option.none(), false, 0),
      look(elsewhere, false, 5_000),
      look(elsewhere, false, 405_000),
      look(elsewhere, true, 406_000),
      look(elsewhere, true, 416_000)
    ]).toEqual([0, 0, 400_000, 0, 10_000])
  })

  it("remembers when the last Pod of a Job was made, and not that of the Job before it", () => {
    const ages = jobAges()
    const [first, second] = [job(0).seen, { ...job(0).seen, uid: Uid.make("second") }].map(Option.some)
    const { pod } = worldOf({ ...plainSeed, job: "active", pod: "Pending" })
    const look = (seen: typeof first, pod: Observed["pod"]) => {
      ages.passSaw("uid-0", { ...nothing, job: seen ?? Option.none(), pod }, 0)
      return Option.isSome(ages.lastPodMadeAt("uid-0", seen ?? Option.none()))
    }
    expect([look(first, Option.none()), look(first, pod), look(first, Option.none()), look(second, Option.none())]).toEqual([
      false,
      true,
      true,
      false
    ])
  })

  it("counts the time that a Job takes to go, whatever it waited for before", () => {
    const ages = jobAges()
    const { warning } = worldOf({ ...plainSeed, warning: "quota" })
    const look = (deleting: boolean, at: number) => {
      const start = { ...nothing, job: Option.some({ ...job(0).seen, deleting }), warning }
      ages.passSaw("uid-0", start, at)
      return ages.startingMillis("uid-0", start, at)
    }
    expect([look(false, 0), look(false, 60_000), look(true, 61_000), look(true, 241_000)]).toEqual([0, 0, 0, 180_000])
  })

  it("counts that time from when a pass was told of it, whatever a cache that is behind says after", () => {
    const ages = jobAges()
    const look = (deleting: boolean, at: number) => {
      const start = { ...nothing, job: Option.some({ ...job(0).seen, deleting }) }
      return looked(ages, start, at)
    }
    expect([look(false, 0), look(false, 200_000), look(true, 200_000), look(false, 205_000), look(true, 205_000), look(true, 380_000)])
      .toEqual([0, 200_000, 0, 5_000, 5_000, 180_000])
  })

  it("keeps the warning that the last look saw, for the same Pod or the lack of one, and for the same Job", () => {
    const ages = jobAges()
    const [first, second] = [job(0).seen, { ...job(0).seen, uid: Uid.make("second") }].map(Option.some)
    const seen = first ?? Option.none()
    const { pod, warning } = worldOf({ ...plainSeed, pod: "Pending", warning: "FailedMount" })
    ages.passSaw("uid-0", { job: seen, pod, warning }, 0)
    expect(ages.lastWarning("uid-0", { job: seen, pod })).toEqual(warning)
    expect(ages.lastWarning("uid-0", { job: seen, pod: Option.map(pod, (_) => ({ ..._, uid: Uid.make("next") })) })).toEqual(Option.none())
    expect(ages.lastWarning("uid-0", { job: seen, pod: Option.none() })).toEqual(Option.none())
    expect(ages.lastWarning("uid-0", { job: second ?? Option.none(), pod })).toEqual(Option.none())
    expect(ages.lastWarning("uid-1", { job: seen, pod })).toEqual(Option.none())
    ages.passSaw("uid-0", { ...nothing, job: seen, pod }, 5_000)
    expect(ages.lastWarning("uid-0", { job: seen, pod })).toEqual(Option.none())
  })
})
