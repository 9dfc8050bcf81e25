// How long it takes to print an installation: the bundled program compared with `helm template` of a chart with the same objects.
// The chart asks as little of Helm as possible: its templates are finished text, except for the release's namespace.
// Used by main.ts.
import { Result } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { job } from "../../src/core/manifest/job.ts"
import { resolve } from "../../src/core/resolve/resolve.ts"
import { parseTaskFile } from "../../src/schema/task/task-file.ts"
import { defaultValues } from "../../src/schema/values/values.ts"
import { imageEnvironment } from "./controller-process.ts"
import type { Figure } from "./figure.ts"
import { installation } from "./scene.ts"

const times = 20
const warm = 2000

const output = (program: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string | undefined>> = process.env) =>
  execFileSync(program, args, { env, encoding: "utf8", maxBuffer: 2 ** 24 })

const milliseconds = (work: () => unknown): number => {
  const began = performance.now()
  work()
  return performance.now() - began
}

const writeChart = (folder: string, objects: string): void => {
  mkdirSync(join(folder, "templates"), { recursive: true })
  writeFileSync(join(folder, "Chart.yaml"), "apiVersion: v2\nname: agent-job\nversion: 1.0.0\n")
  writeFileSync(join(folder, "values.yaml"), JSON.stringify(defaultValues))
  writeFileSync(
    join(folder, "templates/all.yaml"),
    objects.replaceAll(`namespace: ${installation.namespace}\n`, "namespace: {{ .Release.Namespace }}\n")
  )
}

const task = Result.getOrThrow(
  parseTaskFile("tasks")({
    apiVersion: "scalr.io/v1",
    kind: "AgentTask",
    metadata: { name: "demo-plan" },
    spec: { workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } } }
  })
)

/** Measures how long it takes to print the Job of one task in a process that has done so before. */
const warmJob = (): Figure => {
  const config = resolve(defaultValues, installation)
  const once = () => JSON.stringify(job(task, config, 0))
  for (let index = 0; index < warm; index++) once()
  return {
    what: "the Job of a task, rendered warm",
    unit: "ms",
    budget: 0.2,
    values: Array.from({ length: warm }, () => milliseconds(once))
  }
}

export const renderFigures = (directory: string, say: (what: string) => void): ReadonlyArray<Figure> => {
  say(`render and helm template, ${times} times in turn`)
  const env = { ...process.env, ...imageEnvironment(directory) }
  const render = () => output(process.execPath, [join(directory, "main.cjs"), "render"], env)
  const chart = join(directory, "chart")
  writeChart(chart, render()) // this call of the program also fills its compile cache, as the build of the image does
  const helm = () => output("helm", ["template", installation.name, chart, "--namespace", installation.namespace])
  helm()
  const pairs = Array.from({ length: times }, () => [milliseconds(render), milliseconds(helm)] as const)
  const floor = { what: "helm template", values: pairs.map(([, its]) => its) }
  return [
    { what: "agent-job render, cold", unit: "ms", values: pairs.map(([ours]) => ours), floor, ratioBudget: 1 },
    warmJob()
  ]
}
