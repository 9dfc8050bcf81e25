// The controller's cache when the events of the informers and the answers to its own writes come in a misleading order.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { make } from "../../../src/controller/world/cache.ts"
import { Uid } from "../../../src/schema/names.ts"
import { job, key, task } from "./numbered-tasks.ts"

describe("the cache", () => {
  it("does not take a Job to be there whose deletion it heard before the answer that it was made", () => {
    const cache = make()
    cache.setTask(key(0), Option.some(task(0)))
    cache.setJob("tasks/job-0", Option.some(job(0)))
    cache.setJob("tasks/job-0", Option.none())
    cache.created("uid-0", job(0).seen)
    expect(cache.job("uid-0")).toEqual(Option.none())
  })

  it("knows that a task had a Job, also one that was made and deleted before any watch told of it, and nothing of a task that is gone", () => {
    const cache = make()
    cache.setTask(key(0), Option.some(task(0)))
    cache.created("uid-0", job(0).seen)
    expect(cache.hadJob("uid-0")).toBe(false)
    expect(cache.lookAtJobs()()).toEqual(["uid-0"])
    expect([cache.job("uid-0"), cache.hadJob("uid-0")]).toEqual([Option.none(), true])
    cache.setTask(key(0), Option.none())
    expect(cache.hadJob("uid-0")).toBe(false)
  })

  it("takes no Job to be gone that has only changed", () => {
    const cache = make()
    cache.setTask(key(0), Option.some(task(0)))
    for (const state of ["active", "complete"] as const) {
      cache.setJob("tasks/job-0", Option.some({ ...job(0), seen: { ...job(0).seen, state } }))
    }
    expect(cache.hadJob("uid-0")).toBe(false)
  })

  it("takes a Job that it made to be gone when the API server does not have it, though no watch tells of it; not one that a watch tells of, nor another", () => {
    const cache = make()
    for (const index of [0, 1, 2]) cache.setTask(key(index), Option.some(task(index)))
    for (const index of [0, 1, 2]) cache.created(`uid-${index}`, job(index).seen)
    cache.setJob("tasks/job-1", Option.some(job(1)))
    for (const index of [0, 1]) cache.jobNotFound(`uid-${index}`, job(index).seen.uid)
    cache.jobNotFound("uid-2", "former")
    expect([0, 1, 2].map((index) => [Option.isSome(cache.job(`uid-${index}`)), cache.hadJob(`uid-${index}`)])).toEqual([[false, true], [
      true,
      false
    ], [true, false]])
  })

  it("forgets everything of a task that was deleted and made again under its name", () => {
    const cache = make()
    cache.setTask(key(0), Option.some(task(0)))
    cache.created("uid-0", job(0).seen)
    cache.setTask(key(0), Option.some({ ...task(0), metadata: { ...task(0).metadata, uid: Uid.make("uid-again") } }))
    expect(cache.job("uid-0")).toEqual(Option.none())
    expect(cache.keyOf("uid-0")).toEqual(Option.none())
    expect(cache.keyOf("uid-again")).toEqual(Option.some(key(0)))
  })
})
