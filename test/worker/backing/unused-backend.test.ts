// When it is told of a backend of the configuration that the stage does not use.
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { RunId, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTaskSpec } from "../../../src/schema/task/agent-task.ts"
import type { Seal } from "../../../src/schema/task/seal.ts"
import { tellUnusedBackend } from "../../../src/worker/backing/unused-backend.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"

const own: AgentTaskSpec = { workspace: WorkspaceName.make("demo"), stage: "plan", source: { inline: { "main.tf": "" } } }
const plan: AgentTaskSpec = { ...own, pool: { url: "https://server", runId: RunId.make("run-a"), tokenSecret: { name: "token" } } }

interface Case {
  readonly where: string
  readonly task: AgentTaskSpec
  readonly state?: Seal["state"]
  readonly lines: number
  readonly result?: object
}

it.effect.each<Case>([
  { where: "a plan of a workspace without a state", task: plan, lines: 1, result: { unusedBackend: "s3" } },
  { where: "no plan of one with a state", task: plan, state: { lineage: "a", serial: 1 }, lines: 0 },
  { where: "no apply", task: { ...plan, stage: "apply" }, lines: 0 },
  { where: "a task that names gcs", task: { ...own, backend: { type: "gcs" } }, lines: 1 },
  { where: "no task that names s3 too", task: { ...own, backend: { type: "s3" } }, lines: 0 },
  { where: "no task that names none", task: own, lines: 0 }
])("the backend s3 of a configuration is told of in $where", ({ lines, result = {}, state = "none", task }) =>
  Effect.gen(function*() {
    const told: Array<string> = []
    const log = Layer.mock(Log, { line: (text) => Effect.sync(() => void told.push(text)), redact: String, redactKey: String })
    const telling = tellUnusedBackend(task, { backend: "s3", commands: [] }, Effect.succeed(state))
    expect([yield* Effect.provide(telling, log), told.length]).toEqual([result, lines])
  }))
