import { describe, expect, it } from "@effect/vitest"
import type { V1PodSpec } from "@kubernetes/client-node"
import { Effect, Result } from "effect"
import { globSync, readFileSync } from "node:fs"
import { basename } from "node:path"
import { parse, parseAllDocuments } from "yaml"
import { parseTaskFile } from "../../src/schema/task/task-file.ts"
import { parseLayers } from "../../src/schema/values/values.ts"
import { typed } from "../cli/typed.ts"

const documents = (file: string): ReadonlyArray<{ readonly kind?: string }> =>
  parseAllDocuments(readFileSync(file, "utf8")).map((_) => _.toJS() as { readonly kind?: string })
const samples = globSync("kustomize/samples/*.yaml").sort()

describe("the samples", () => {
  it("are these", () => expect(samples.map((_) => basename(_, ".yaml"))).toEqual(["apply", "cancelled", "destroy", "failing", "plan"]))

  it.each(samples)("%s is an AgentTask of the tasks' namespace that needs no server", (file) => {
    const [task] = documents(file).filter(({ kind }) => kind === "AgentTask")
    const { metadata, spec } = Result.getOrThrow(parseTaskFile("elsewhere")(task))
    expect(metadata.namespace).toBe("agent-job-tasks")
    expect(Object.keys(spec.source)).toEqual(["inline"])
    expect(spec.pool).toBeUndefined()
  })

  it("destroy what was applied: the same configuration, workspace and state", () => {
    const spec = (file: string) => {
      const [task] = documents(`kustomize/samples/${file}.yaml`).filter(({ kind }) => kind === "AgentTask")
      const { stage, ...rest } = Result.getOrThrow(parseTaskFile("")(task)).spec
      return { stage, rest }
    }
    expect(spec("destroy").rest).toEqual(spec("apply").rest)
    expect(documents("kustomize/samples/destroy.yaml")[0]).toEqual(documents("kustomize/samples/apply.yaml")[0])
  })
})

describe("the sample nightly-plan", () => {
  interface CronJob {
    readonly spec: { readonly jobTemplate: { readonly spec: { readonly template: { readonly spec: V1PodSpec } } } }
  }

  it.live("runs a command that there is, up to the token that is not here", () =>
    Effect.gen(function*() {
      const { spec } = parse(readFileSync("kustomize/samples/nightly-plan/cron-job.yaml", "utf8")) as CronJob
      const [{ args = [] } = {}] = spec.jobTemplate.spec.template.spec.containers
      expect(args).toContain("--plan-only")
      expect(yield* typed({}, ...args)).toMatchObject({
        code: 2,
        said: expect.stringMatching(/^error: Cannot read the token file \/token\/token;/u)
      })
    }))
})

describe("the sample git-approval", () => {
  it("has values by which the log of a plan can be read for days before it is approved", () => {
    const file = "kustomize/samples/git-approval/values.yaml"
    const [tree = {}] = documents(file)
    const pool = { agent: { tokenExistingSecret: { name: "agent-job-pool-token" } } }
    const layers = [pool, tree].map((tree) => ({ name: file, tree: { ...tree }, place: () => ({ line: 1, column: 1 }) }))
    const { task } = Result.getOrThrow(parseLayers(layers))
    expect(task.job.ttlSecondsAfterFinished).toBeGreaterThanOrEqual(3 * 86_400)
    expect(readFileSync("kustomize/samples/git-approval/README.md", "utf8")).toContain(`| \`${basename(file)}\` |`)
  })
})
