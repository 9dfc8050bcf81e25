// kustomize/samples on a real node, without the server: each ends with the phase, reason and columns that its first line promises.
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { kubectl, podLog, taskOf, untilOver } from "./cluster.ts"
import { agentJob } from "./product.ts"

const samples = ["plan", "apply", "destroy", "failing", "cancelled"] as const
type Sample = typeof samples[number]

const fileOf = (sample: Sample) => fileURLToPath(new URL(`../../kustomize/samples/${sample}.yaml`, import.meta.url))
const nameOf = (sample: Sample) => `sample-${sample}`

/** Deletes the tasks, but not the state's PersistentVolumeClaim: a cluster may have few volumes, some of which serve one claim only. */
const removeTasks = () => kubectl(["delete", "--ignore-not-found", "--timeout=300s", ...samples.map((sample) => `atask/${nameOf(sample)}`)])
beforeAll(removeTasks)
afterAll(removeTasks)

/** Applies a sample with kubectl and waits until it is over. */
const ended = async (sample: Sample) => {
  await kubectl(["apply", "--filename", fileOf(sample)])
  return untilOver(nameOf(sample))
}

/** Returns the row of a task in a table, by column. Columns are where the titles of the header begin. */
const rowOf = (sample: Sample, table: string) => {
  const [header = "", ...rows] = table.trimEnd().split("\n")
  const row = rows.find((line) => line.startsWith(`${nameOf(sample)} `)) ?? ""
  const titles = [...header.matchAll(/\S+(?: \S+)*/gu)]
  return Object.fromEntries(titles.map(({ 0: title, index }, at) => [title, row.slice(index, titles[at + 1]?.index).trim()]))
}
const columnsOf = async (sample: Sample, ...flags: ReadonlyArray<string>) => rowOf(sample, await kubectl(["get", "atasks", ...flags]))

describe.concurrent("a sample", () => {
  it("plan ends as Succeeded and shows what would change", async () => {
    const task = await ended("plan")
    assert.deepInclude(task.status, { phase: "Succeeded", reason: "Completed", message: "tofu plan ended with success." })
    assert.deepStrictEqual(task.status.conditions?.map(({ status, type }) => `${type}=${status}`), [
      "Ready=True",
      "Reconciling=False",
      "Stalled=False"
    ])
    const { AGE, ...columns } = await columnsOf("plan")
    assert.deepStrictEqual(columns, {
      NAME: "sample-plan",
      WORKSPACE: "sample",
      STAGE: "plan",
      PHASE: "Succeeded",
      CHANGES: "+1 ~0 -0",
      REASON: "Completed"
    })
    assert.match(AGE ?? "", /^\d+[smh]/u)
    const wide = await columnsOf("plan", "--output=wide")
    assert.strictEqual(wide["JOB"], "agent-job-sample-plan")
    assert.strictEqual(wide["POD"], task.status.pod?.name)
    assert.strictEqual(wide["NODE"], task.status.pod?.node)
    assert.include(await podLog(task), "Plan: 1 to add, 0 to change, 0 to destroy.")
    assert.include((await agentJob("logs", "sample-plan", "--no-color")).stdout, "Plan: 1 to add, 0 to change, 0 to destroy.")
    const { AGE: _, ...listed } = rowOf("plan", (await agentJob("get", "tasks")).stdout)
    assert.deepStrictEqual(listed, columns)
  })

  it("apply makes resources, and destroy finds its state and removes them", async () => {
    const applied = await ended("apply")
    assert.deepInclude(applied.status, { phase: "Succeeded", reason: "Completed", message: "tofu apply ended with success." })
    assert.include(await podLog(applied), "Apply complete! Resources: 2 added, 0 changed, 0 destroyed.")
    assert.deepInclude(await columnsOf("apply"), { STAGE: "apply", PHASE: "Succeeded", REASON: "Completed" })
    const destroyed = await ended("destroy")
    assert.deepInclude(destroyed.status, { phase: "Succeeded", reason: "Completed" })
    assert.include(await podLog(destroyed), "Apply complete! Resources: 0 added, 0 changed, 2 destroyed.")
    assert.deepInclude(await columnsOf("destroy"), { STAGE: "destroy", PHASE: "Succeeded", REASON: "Completed" })
    assert.strictEqual(destroyed.status.claim?.epoch, (applied.status.claim?.epoch ?? 0) + 1)
  })

  it("failing ends as Failed with the engine's own words", async () => {
    const task = await ended("failing")
    assert.deepInclude(task.status, {
      phase: "Failed",
      reason: "ExitCode",
      message: "tofu plan failed with exit code 1: Invalid value for variable; the log has the details."
    })
    assert.deepInclude(task.status.result, { outcome: "failed", exitCode: 1 })
    assert.deepInclude(await columnsOf("failing"), { PHASE: "Failed", REASON: "ExitCode", CHANGES: "" })
    assert.include(await podLog(task), "The size must be greater than zero.")
  })

  it("cancelled never starts", async () => {
    const task = await ended("cancelled")
    assert.deepInclude(task.status, { phase: "Cancelled", reason: "Cancelled", message: "Cancelled before it started; nothing was run." })
    assert.isUndefined((await taskOf("sample-cancelled")).status.job)
    assert.deepInclude(await columnsOf("cancelled"), { PHASE: "Cancelled", REASON: "Cancelled" })
    const log = await agentJob("logs", "sample-cancelled")
    assert.strictEqual(log.code, 1)
    assert.include(
      log.stderr,
      "error: AgentTask sample-cancelled has no log, since nothing ran for it (Cancelled: Cancelled before it started; nothing was run.)"
    )
  })
})
