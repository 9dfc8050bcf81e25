// What is rendered for many values at once passes the strict validation of the API server, and so do the Jobs of tasks.
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { choices } from "../../helm-parity/choices.ts"
import { generatedFile } from "../../helm-parity/generated-values.ts"
import { begin, dryRun, end } from "../../kustomize/api-server.ts"
import type { Built } from "../../kustomize/build.ts"
import { configIn, render, sample } from "./some-values.ts"

const seed = Number(process.env.PROPERTY_SEED ?? 1)

beforeAll(begin)
afterAll(end)

it("is taken for 200 files and more", async () => {
  // Half of them have many keys with one value each, half have many values.
  const files = [...sample(130, seed), ...Array.from({ length: 130 }, (_, nth) => generatedFile(choices(seed + nth)))]
  const configs = files.flatMap((file) => configIn(file) ?? [])
  expect(configs.length).toBeGreaterThanOrEqual(200)
  const rendered = configs.flatMap((config) => render(config).filter(({ kind }) => kind !== "CustomResourceDefinition"))
  // Many objects are the same.
  const objects = [...new Set(rendered.map((object) => JSON.stringify(object)))].map((text) => JSON.parse(text) as Built)
  const taken = await dryRun(objects)
  expect(taken).toHaveLength(objects.length)
})

it("is taken for a task with any grace period, however short", async () => {
  const configs = [0, 1, 2, 360].flatMap((terminationGracePeriodSeconds) => configIn({ task: { terminationGracePeriodSeconds } }) ?? [])
  const jobs = configs.flatMap((config) => render(config).filter(({ kind }) => kind === "Job"))
  expect(jobs).toHaveLength(8)
  expect(await dryRun(jobs.map((job) => JSON.parse(JSON.stringify(job)) as Built))).toHaveLength(8)
})
