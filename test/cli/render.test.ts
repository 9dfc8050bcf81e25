import { afterAll, describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseAllDocuments } from "yaml"

interface Rendered { readonly kind: string; readonly metadata: { readonly name: string; readonly namespace?: string } }

const directory = mkdtempSync(join(tmpdir(), "render-"))
afterAll(() => rmSync(directory, { recursive: true }))
const file = join(directory, "given.yaml")

/** `file` has what the test gives. */
const render = (args: ReadonlyArray<string>, input = "") => {
  writeFileSync(file, input)
  return spawnSync(process.execPath, ["src/main.ts", "render", ...args], { encoding: "utf8" })
}
const listOf = (text: string) => JSON.parse(text) as { readonly apiVersion: string; readonly kind: string; readonly items: ReadonlyArray<Rendered> }

const task = (source: string) => `apiVersion: scalr.io/v1\nkind: AgentTask\nmetadata: { name: demo }\nspec: { workspace: demo, stage: plan, source: ${source} }\n`

describe("agent-job render", () => {
  it("prints everything an installation consists of, without values or a cluster", () => {
    const { status, stderr, stdout } = render(["-o", "json"])
    expect([status, stderr]).toEqual([0, ""])
    const { apiVersion, items, kind } = listOf(stdout)
    expect([apiVersion, kind]).toEqual(["v1", "List"])
    expect(items.map((_) => _.kind)).toEqual(["CustomResourceDefinition", "ServiceAccount", "ServiceAccount", "Role", "RoleBinding", "Role", "RoleBinding", "Role", "RoleBinding", "ConfigMap", "PodDisruptionBudget", "Deployment"])
  })

  it("prints the same as YAML, an object a document", () => {
    const documents = parseAllDocuments(render([]).stdout).map((_) => _.toJS() as unknown)
    expect(documents).toEqual(listOf(render(["-o", "json"]).stdout).items)
  })

  it("adds the Job of a task, in the tasks' namespace", () => {
    const { stdout } = render(["--task", file, "--name", "blue", "-n", "somewhere", "-o", "json"], task("{ inline: { main.tf: '' } }"))
    expect(listOf(stdout).items.at(-1)).toMatchObject({ kind: "Job", metadata: { name: "blue-demo", namespace: "somewhere" } })
  })

  it.each(["apply", "destroy"])("takes the one AgentTask of a file with other objects, such as the sample %s", (stage) => {
    const { stderr, stdout } = render(["--task", `kustomize/samples/${stage}.yaml`, "-o", "json"])
    expect(stderr).toBe("")
    expect(listOf(stdout).items.at(-1)).toMatchObject({ kind: "Job", metadata: { name: `agent-job-sample-${stage}` } })
  })

  it("lays the values of several files over each other, the last on top", () => {
    const below = join(directory, "below.yaml")
    writeFileSync(below, "agent: { image: { repository: example.com/agent, tag: '1' } }")
    const controller = listOf(render(["--values", below, "--values", file, "-o", "json"], "agent: { image: { tag: '2' } }").stdout).items.at(-1)
    expect(JSON.stringify(controller)).toContain('"image":"example.com/agent:2"')
  })

  it("reads values from standard input", () => {
    const render = (input: string) => spawnSync(process.execPath, ["src/main.ts", "render", "--values", "-"], { encoding: "utf8", input })
    expect(render("agent: { image: { tag: '2' } }").stdout).toContain("image: scalr/agent:2")
    expect(render("agnt: {}").stderr).toContain('/dev/stdin:1:1 agnt: unknown key, did you mean "agent"?')
  })

  it.each([
    { given: "an unknown key", flag: "--values", input: "task: { job: { backofLimit: 1 } }", says: `${file}:1:16 task.job.backofLimit: unknown key, did you mean "backoffLimit"?` },
    { given: "a file that is no YAML", flag: "--values", input: "a: [", says: `${file}:1:5 ` },
    { given: "a task with two sources", flag: "--task", input: task("{ inline: {}, configMap: { name: a } }"), says: "spec.source: exactly one of inline, archive, configMap, fluxSource, savedPlan, pool is required" },
    { given: "a task with an unknown key", flag: "--task", input: task("{ inline: {} }, timeout: 5"), says: `spec.timeout: unknown key, did you mean "timeoutSeconds"?` },
    { given: "two tasks", flag: "--task", input: `${task("{ inline: {} }")}---\n${task("{ inline: {} }")}`, says: `${file} 2 of its 2 documents have kind AgentTask; name a file that has one` },
    { given: "objects without a task", flag: "--task", input: "kind: Pod\n---\nkind: Job\n", says: `${file} none of its 2 documents has kind AgentTask; name a file that has one` },
    { given: "a mistake in the second document", flag: "--task", input: `kind: Pod\n---\n${task("{ inline: {} }, timeout: 5")}`, says: `${file}:6:63 spec.timeout: unknown key` },
    { given: "another kind than a task", flag: "--task", input: "kind: Pod", says: "kind: must be \"AgentTask\"" }
  ])("refuses $given, says what to change, and prints no object", ({ flag, input, says }) => {
    const { status, stderr, stdout } = render([flag, file], input)
    expect([status, stdout]).toEqual([2, ""])
    expect(stderr).toContain(says)
  })

  it.each([
    { given: "a reader that goes away", to: "| true", ends: 0, says: "" },
    { given: "a device that is full", to: "> /dev/full", ends: 1, says: "error: Cannot write what was asked for (ENOSPC: no space left on device, write); make room there, or send it elsewhere.\n" }
  ])("ends with no more than a sentence for $given", ({ ends, says, to }) => {
    const { status, stderr } = spawnSync("bash", ["-c", `set -o pipefail; "${process.execPath}" src/main.ts render ${to}`], { encoding: "utf8" })
    expect([status, stderr]).toEqual([ends, says])
  })

  it("says which file is not there", () => {
    const { status, stderr } = render(["--values", "/no/such/file.yaml"])
    expect(status).toBe(2)
    expect(stderr).toContain("/no/such/file.yaml")
  })
})
