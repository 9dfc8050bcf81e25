// What is said of a task that is not understood, since it is of a newer version or an older CRD has dropped a part: the place, and no value that
// may be a secret.
import { expect, it } from "@effect/vitest"
import { whyNotUnderstood } from "../../../src/core/task/not-understood.ts"
import { programVersion } from "../../../src/schema/program-version.ts"
import { plainSeed, worldOf } from "../worlds.ts"

const { task: decoded } = worldOf(plainSeed)
/** The task as the API server returns it. */
const task = {
  ...decoded,
  apiVersion: "scalr.io/v1",
  kind: "AgentTask",
  metadata: { ...decoded.metadata, creationTimestamp: "2026-01-01T00:00:00Z", managedFields: [] },
  status: { ...decoded.status, ofNewerVersion: true }
}

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
  },
  { given: "a source that an older CRD dropped", newer: { ...task, spec: { ...task.spec, source: {} } }, unknown: "spec.source" },
  {
    given: "a claim that an older CRD dropped",
    newer: { ...task, spec: { ...task.spec, source: { fluxSource: { kind: "Bucket", name: "b", onChange: "planAndApply" } } } },
    unknown: "spec"
  }
])("a task that has $given is told by the place of that", ({ newer, unknown }) =>
  expect(whyNotUnderstood(newer)).toBe(
    `The controller, of agent-job ${programVersion}, does not understand ${unknown}, so it does nothing about the task; upgrade the controller to the version of the CRD, or apply the newer CRD if that is the older of the two.`
  ))
