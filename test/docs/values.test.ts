// What docs/values.md says to write for a mirror on the volume that tasks share: the runner finds it there, and cannot write it.
import { expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import { job } from "../../src/core/manifest/job.ts"
import { installationOf } from "../../src/generate/files/installation.ts"
import type { Tree } from "../../src/schema/document/layers.ts"
import { taskOf } from "../core/configs.ts"

const blocks = readFileSync("docs/values.md", "utf8").match(/(?<=\n\n)(?: {4}[^\n]*\n)+/gu) ?? []

it("shows values by which the runner has the mirror on the volume that tasks share, to read alone", () => {
  const config = installationOf(parse(blocks.find((block) => block.includes("providerFilesystemMirrors")) ?? "") as Tree)
  const [mirror] = config.task.mirrors?.filesystem ?? []
  const { containers = [], initContainers = [] } = job(taskOf(), config, 0).spec?.template.spec ?? {}
  const runner = [...containers, ...initContainers].find(({ name }) => name === "runner")
  const mount = runner?.volumeMounts?.filter(({ mountPath }) => mirror?.path.startsWith(`${mountPath}/`)).at(-1)
  expect(mount).toMatchObject({ name: "cache", readOnly: true })
  expect(mirror?.include).not.toEqual([])
})
