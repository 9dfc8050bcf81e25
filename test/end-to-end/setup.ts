// While the end-to-end tests run, a stage's Pod requests few resources, so that several fit on a small node at once.
// Run by vitest before all of them, and undone afterwards.
import type { TestProject } from "vitest/node"
import { changeValues } from "./values.ts"

const resources = { requests: { cpu: "50m", memory: "64Mi" } }

export default async ({ config }: TestProject): Promise<() => Promise<void>> => {
  Object.assign(process.env, config.env) // so that this uses the cluster of the tests
  return changeValues({ task: { runner: { resources }, worker: { resources } } })
}
