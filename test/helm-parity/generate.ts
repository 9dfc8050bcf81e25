// Writes the committed cases from a seed: node test/helm-parity/generate.ts SEED
// Invariant: together the accepted cases give every key of the chart, and show every promise that the chart breaks.
// Run by a person; cases.test.ts reads what it wrote.
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"
import { brokenByChart } from "./broken-promises.ts"
import { chartValues, type Tree } from "./chart-values.ts"
import { choices } from "./choices.ts"
import type { Accepted, Refused } from "./facts.ts"
import { generatedFile, generatedRelease, keys } from "./generated-values.ts"
import { factsOf } from "./model.ts"
import { refusable } from "./refusals.ts"

const count = { accepted: 24, refused: 12 }
const seed = Number(process.argv[2])
if (!Number.isSafeInteger(seed)) {
  throw new Error(
    `The seed must be a whole number, not ${process.argv[2] ?? "nothing"}; give one, as in: node test/helm-parity/generate.ts 7`
  )
}

/** Groups of keys that override each other: each of the first cases has one of these groups. */
const layers: ReadonlyArray<ReadonlyArray<string>> = [
  ["global.extraEnv", "agent.extraEnv", "controller.extraEnv", "task.worker.extraEnv", "task.runner.extraEnv"],
  ["global.podAnnotations", "controller.podAnnotations", "task.podAnnotations"],
  ["global.imageRegistry", "agent.image.repository", "agent.image.tag", "controller.image.tag", "task.worker.image.repository"],
  ["agent.securityContext.runAsUser", "controller.securityContext", "task.worker.securityContext"]
]

const write = (
  folder: string,
  number: number,
  about: string,
  file: Tree,
  facts: { readonly accepted: Accepted } | { readonly refused: Refused }
): void => {
  const words = about.replaceAll(/(?<=[a-z])[A-Z]/gu, "-$&").toLowerCase().replace(/[^a-z0-9]+/gu, "-")
  const path = join(import.meta.dirname, folder, `${String(number + 1).padStart(3, "0")}-${words}`)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, "values.yaml"), stringify(file, { version: "1.1" })) // Helm reads YAML 1.1, where a bare yes is no text
  for (const [kind, fact] of Object.entries(facts)) {
    writeFileSync(join(path, kind === "accepted" ? "expected.json" : "refused.json"), `${JSON.stringify(fact, null, 2)}\n`)
  }
}

for (const folder of ["cases", "refused"]) rmSync(join(import.meta.dirname, folder), { recursive: true, force: true })

for (let number = 0; number < count.accepted; number++) {
  const made = choices(seed + number)
  const must = [...new Set([...keys.filter((_, index) => index % count.accepted === number), ...layers[number] ?? []])]
  const [file, release] = [generatedFile(made, must), generatedRelease(made)]
  const accepted: Accepted = {
    about: must.join(", "),
    ...release,
    expected: factsOf(file, release),
    brokenByChart: brokenByChart(chartValues(file), release.name)
  }
  write("cases", number, must[0] ?? "", file, { accepted })
}

for (let number = 0; number < count.refused; number++) {
  const made = choices(seed + number)
  const { file, ...refused } = refusable(made, number)
  write("refused", number, refused.why, file, { refused: { ...refused, ...generatedRelease(made) } })
}
