// While the end-to-end tests run, a stage's Pod requests few resources, so that several fit on a small node at once.
// Run by vitest before all of them, and undone afterwards.
import type { TestProject } from "vitest/node"
import { changeValues, smallPods } from "./values.ts"

export default async ({ config }: TestProject): Promise<() => Promise<void>> => {
  Object.assign(process.env, config.env) // so that this uses the cluster of the tests
  return changeValues(smallPods)
}
