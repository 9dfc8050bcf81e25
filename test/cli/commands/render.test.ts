import { afterAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseAllDocuments } from "yaml"
import { agentJob, main, start } from "../program.ts"
import { ran } from "../typed.ts"

interface Rendered {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

const directory = mkdtempSync(join(tmpdir(), "render-"))
afterAll(() => rmSync(directory, { recursive: true }))
const file = join(directory, "given.yaml")

/** Runs `agent-job render` after writing `input` to `file`. */
const render = (args: ReadonlyArray<string>, input = "") => {
  writeFileSync(file, input)
  return ran({}, "render", ...args)
}
const listOf = (text: string) =>
  JSON.parse(text) as { readonly apiVersion: string; readonly kind: string; readonly items: ReadonlyArray<Rendered> }

const task = (source: string) =>
  `apiVersion: scalr.io/v1\nkind: AgentTask\nmetadata: { name: demo }\nspec: { workspace: demo, stage: plan, source: ${source} }\n`

describe("agent-job render", () => {
  it.live("takes the name of any release, as the chart does, and gives its objects what they have room for", () =>
    Effect.gen(function*() {
      const { code, out } = yield* render(["--name", "q".repeat(63), "-o", "json"])
      expect(code).toBe(0)
      const deployment = listOf(out).items.find(({ kind }) => kind === "Deployment")
      expect(deployment?.metadata.name).toBe(`${"q".repeat(40)}-controller`)
    }))

  it.live("prints everything an installation consists of, without values or a cluster", () =>
    Effect.gen(function*() {
      const { code, error, out } = yield* render(["-o", "json"])
      expect([code, error]).toEqual([0, ""])
      const { apiVersion, items, kind } = listOf(out)
      expect([apiVersion, kind]).toEqual(["v1", "List"])
      expect(items.map((_) => _.kind)).toEqual([
        "CustomResourceDefinition",
        "ServiceAccount",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "Role",
        "RoleBinding",
        "Role",
        "RoleBinding",
        "ConfigMap",
        "PodDisruptionBudget",
        "Deployment"
      ])
    }))

  it.live("prints the same as YAML, an object a document", () =>
    Effect.gen(function*() {
      const documents = parseAllDocuments((yield* render([])).out).map((_) => _.toJS() as unknown)
      expect(documents).toEqual(listOf((yield* render(["-o", "json"])).out).items)
    }))

  it.live("adds the Job of a task, in the tasks' namespace", () =>
    Effect.gen(function*() {
      const { out } = yield* render(
        ["--task", file, "--name", "blue", "-n", "somewhere", "-o", "json"],
        task("{ inline: { main.tf: '' } }")
      )
      expect(listOf(out).items.at(-1)).toMatchObject({ kind: "Job", metadata: { name: "blue-demo", namespace: "somewhere" } })
    }))

  it.live.each(["apply", "destroy"])(
    "takes the one AgentTask of a file with other objects, in the namespace that it names, such as the sample %s",
    (stage) =>
      Effect.gen(function*() {
        const { error, out } = yield* render(["--task", `kustomize/samples/${stage}.yaml`, "-o", "json"])
        expect(error).toBe("")
        expect(listOf(out).items.at(-1)).toMatchObject({
          kind: "Job",
          metadata: { name: `agent-job-sample-${stage}`, namespace: "agent-job-tasks" }
        })
      })
  )

  it.live("lays the values of several files over each other, the last on top", () =>
    Effect.gen(function*() {
      const below = join(directory, "below.yaml")
      writeFileSync(below, "agent: { image: { repository: example.com/agent, tag: '1' } }")
      const controller = listOf((yield* render(["--values", below, "--values", file, "-o", "json"], "agent: { image: { tag: '2' } }")).out)
        .items.at(-1)
      expect(JSON.stringify(controller)).toContain("\"image\":\"example.com/agent:2\"")
    }))

  it.live("reads values from standard input", () =>
    Effect.gen(function*() {
      const piped = Effect.fnUntraced(function*(input: string) {
        const { child, ended } = yield* agentJob(["render", "--values", "-"])
        child.stdin?.end(input)
        return yield* ended
      })
      expect((yield* piped("agent: { image: { tag: '2' } }")).out).toContain("image: scalr/agent:2")
      expect((yield* piped("agnt: {}")).error).toContain("/dev/stdin:1:1 agnt: unknown key, did you mean \"agent\"?")
      for (const none of ["null", "{}\n"]) expect(yield* piped(none)).toMatchObject({ code: 0, error: "" })
      for (const left of ["", " \n"]) { // by a command that failed before the pipe
        expect(yield* piped(left)).toMatchObject({
          code: 2,
          out: "",
          error: expect.stringContaining("/dev/stdin is empty, or was read before; see what is piped into this command")
        })
      }
    }))

  it.live.each([
    {
      given: "an unknown key",
      flag: "--values",
      input: "task: { job: { backofLimit: 1 } }",
      says: `${file}:1:16 task.job.backofLimit: unknown key, did you mean "backoffLimit"?`
    },
    { given: "a file that is no YAML", flag: "--values", input: "a: [", says: `${file}:1:5 ` },
    {
      given: "a task with two sources",
      flag: "--task",
      input: task("{ inline: {}, configMap: { name: a } }"),
      says: "spec.source: exactly one of inline, archive, configMap, fluxSource, savedPlan, pool is required"
    },
    {
      given: "a task with an unknown key",
      flag: "--task",
      input: task("{ inline: {} }, timeout: 5"),
      says: `spec.timeout: unknown key, did you mean "timeoutSeconds"?`
    },
    {
      given: "a task with a key that the values do not allow",
      flag: "--task",
      input: task("{ inline: {} }, jobTemplate: { labels: { sidecar.istio.io/inject: 'true' } }"),
      says:
        `${file} spec.jobTemplate.labels has the key sidecar.istio.io/inject, which is not among the allowed keys (task.allowedKeys); add it there and, with component admission, write its policies anew, or make the task without it`
    },
    {
      given: "two tasks",
      flag: "--task",
      input: `${task("{ inline: {} }")}---\n${task("{ inline: {} }")}`,
      says: `${file} 2 of its 2 documents have kind AgentTask; name a file that has one`
    },
    {
      given: "objects without a task",
      flag: "--task",
      input: "kind: Pod\n---\nkind: Job\n",
      says: `${file} none of its 2 documents has kind AgentTask; name a file that has one`
    },
    {
      given: "a mistake in the second document",
      flag: "--task",
      input: `kind: Pod\n---\n${task("{ inline: {} }, timeout: 5")}`,
      says: `${file}:6:63 spec.timeout: unknown key`
    },
    { given: "another kind than a task", flag: "--task", input: "kind: Pod", says: "kind: must be \"AgentTask\"" }
  ])("refuses $given, says what to change, and prints no object", ({ flag, input, says }) =>
    Effect.gen(function*() {
      const { code, error, out } = yield* render([flag, file], input)
      expect([code, out]).toEqual([2, ""])
      expect(error).toContain(says)
    }))

  it.live.each([
    { given: "a reader that goes away", to: "| true", ends: 141, says: "" },
    {
      given: "a device that is full",
      to: "> /dev/full",
      ends: 1,
      says: "error: Cannot write what was asked for (no space left on device); make room there, or send it elsewhere.\n"
    }
  ])("ends with no more than a sentence for $given", ({ ends, says, to }) =>
    Effect.gen(function*() {
      const { ended } = yield* start("bash", ["-c", `set -o pipefail; "${process.execPath}" "${main}" render ${to}`])
      expect(yield* ended).toMatchObject({ code: ends, error: says })
    }))

  it.live("does not take a part for the whole where a file has no room for all of it", () =>
    Effect.gen(function*() {
      const { ended } = yield* start("bash", [
        "-c",
        `unset NODE_COMPILE_CACHE; ulimit -f 4; exec "${process.execPath}" --disable-warning=ExperimentalWarning "${main}" render > ${file}`
      ])
      expect(yield* ended).toMatchObject({
        code: 1,
        error: "error: Cannot write what was asked for (file too large); make room there, or send it elsewhere.\n"
      })
    }))

  it.live("says which file is not there", () =>
    Effect.gen(function*() {
      const { code, error } = yield* render(["--values", "/no/such/file.yaml"])
      expect(code).toBe(2)
      expect(error).toContain("/no/such/file.yaml")
    }))
})
