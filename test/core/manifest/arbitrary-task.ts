// AgentTasks of every shape that the schema allows, made from plain choices, because chance does not meet rules like "exactly one".
// Used by the property tests of this folder.
import { Arbitrary, Schema } from "effect"
import { ObjectName, WorkspaceName } from "../../../src/schema/names.ts"
import { type AgentTask, Stage } from "../../../src/schema/task/agent-task.ts"
import { JobTemplate } from "../../../src/schema/task/job-template.ts"
import { taskOf } from "../configs.ts"

const sources = {
  inline: { inline: { "main.tf": "" } },
  archive: { archive: { url: "https://example.com/a.tar.gz", sha256: "a".repeat(64) } },
  configMap: { configMap: { name: "files" } },
  fluxSource: { fluxSource: { kind: "GitRepository", name: "infra", path: "live" } },
  savedPlan: { savedPlan: { claimName: "plans", sha256: "c".repeat(64) } },
  pool: { pool: { archiveSha256: "b".repeat(64) } }
}

/** By default no text that chance makes is longer than ten characters: this one is cut in a Job's name, or fits into no label. */
const long = Schema.isMinLength(64)

const Choices = Schema.Struct({
  name: Schema.Union([ObjectName, ObjectName.check(long)]),
  workspace: Schema.Union([WorkspaceName, WorkspaceName.check(long)]),
  stage: Stage,
  source: Schema.Literals(["inline", "archive", "configMap", "fluxSource", "savedPlan", "pool"]),
  timeoutSeconds: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 604_800 }))),
  secretVariables: Schema.Array(Schema.Boolean).check(Schema.isMaxLength(4)),
  jobTemplate: Schema.optionalKey(JobTemplate),
  epoch: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
})

export interface Case {
  readonly task: AgentTask
  readonly epoch: number
}

export const caseOf = ({ epoch, name, secretVariables, source, stage, ...spec }: typeof Choices.Type): Case => ({
  epoch,
  task: taskOf({
    ...spec,
    stage: source === "savedPlan" && stage === "plan" ? "apply" : stage,
    ...(source === "fluxSource" && stage === "plan" && { savePlan: { claimName: "plans" } }),
    source: sources[source],
    ...(source === "pool" && { pool: { url: "https://example.com", runId: "run-1", tokenSecret: { name: "token" } } }),
    variables: secretVariables.map((secret, index) => ({
      name: `v${index}`,
      ...(secret ? { valueFrom: { secretKeyRef: { name: "s", key: "k" } } } : { value: "1" })
    }))
  }, { name })
})

export const choices = Arbitrary.schema(Choices)
