// What is said of a task that only a newer version understands: the place, and no value that may be a secret.
import { expect, it } from "@effect/vitest"
import { whyLeftOut } from "../../../src/core/task/left-out.ts"
import { programVersion } from "../../../src/schema/program-version.ts"
import { plainSeed, worldOf } from "../worlds.ts"

const { task } = worldOf(plainSeed)

it.each([
  { given: "a stage", newer: { ...task, spec: { ...task.spec, stage: "refresh" } }, unknown: "\"refresh\" at spec.stage" },
  {
    given: "an engine",
    newer: { ...task, spec: { ...task.spec, engine: { name: "terragrunt" } } },
    unknown: "\"terragrunt\" at spec.engine.name"
  },
  { given: "a source", newer: { ...task, spec: { ...task.spec, source: { inline: 7 } } }, unknown: "spec.source.inline" },
  {
    given: "a kind of variable",
    newer: { ...task, spec: { ...task.spec, variables: [{ name: "a", category: "secret", value: "hunter2" }] } },
    unknown: "spec.variables[0].category"
  }
])("a task of a newer version that has $given is told by the place of that", ({ newer, unknown }) =>
  expect(whyLeftOut(newer)).toBe(
    `The controller, of agent-job ${programVersion}, does not understand ${unknown}, so it does nothing about the task; upgrade it to the version that the CRD is of.`
  ))
