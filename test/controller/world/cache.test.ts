// What the controller's cache knows of a task beside the last event of each object: that a Job of it is gone.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { make } from "../../../src/controller/world/cache.ts"
import { Uid } from "../../../src/schema/names.ts"
import { job, key, task } from "./numbered-tasks.ts"

describe("the cache", () => {
  it("knows that a task had a Job, and nothing of a task that is gone", () => {
    const cache = make()
    cache.setTask(key(0), Option.some(task(0)))
    cache.setJob("tasks/job-0", Option.some(job(0)))
    expect(cache.hadJob("uid-0")).toBe(false)
    cache.setJob("tasks/job-0", Option.none())
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

  it("forgets everything of a task that was deleted and made again under its name", () => {
    const cache = make()
    cache.setTask(key(0), Option.some(task(0)))
    for (const found of [Option.some(job(0)), Option.none()]) cache.setJob("tasks/job-0", found)
    cache.setTask(key(0), Option.some({ ...task(0), metadata: { ...task(0).metadata, uid: Uid.make("uid-again") } }))
    expect(cache.hadJob("uid-0")).toBe(false)
    expect(cache.keyOf("uid-0")).toEqual(Option.none())
    expect(cache.keyOf("uid-again")).toEqual(Option.some(key(0)))
  })
})
