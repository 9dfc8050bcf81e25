// Configurations and tasks for the tests of resolve and of the builders.
// Used by test/core/resolve/resolve.test.ts and test/core/manifest.
import { Result, Schema } from "effect"
import { type Release, resolve, type ResolvedConfig } from "../../src/core/resolve/resolve.ts"
import { AgentTask } from "../../src/schema/task/agent-task.ts"
import { parseValues } from "../../src/schema/values/values.ts"

const release: Release = { name: "agent-job", namespace: "agent-job" }

export const configOf = (values: object = {}, of: Partial<Release> = {}): ResolvedConfig =>
  resolve(Result.getOrThrow(parseValues(values)), { ...release, ...of })

const decode = Schema.decodeUnknownSync(AgentTask)

export const taskOf = (spec: object = {}, metadata: object = {}): AgentTask =>
  decode({
    metadata: {
      name: "demo-plan",
      namespace: "agent-job-tasks",
      uid: "0a1b2c3d-0000-4000-8000-000000000001",
      resourceVersion: "1",
      creationTimestamp: "2026-01-31T12:00:00Z",
      ...metadata
    },
    spec: { workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } }, ...spec }
  })

/** Returns a task with every field that adds something to its Pod. */
export const fullTask = (): AgentTask =>
  taskOf({
    stage: "apply",
    source: { pool: { archiveSha256: "0".repeat(64) } },
    pool: { url: "https://example.com", runId: "run-1", tokenSecret: { name: "run-1-apply-token" } },
    plan: { sha256: "1".repeat(64) },
    variables: [
      { name: "region", value: "eu" },
      { name: "password", valueFrom: { secretKeyRef: { name: "database", key: "password" } }, sensitive: true }
    ],
    timeoutSeconds: 600,
    jobTemplate: {
      runner: { image: "example.com/tofu:1", resources: { limits: { memory: "4Gi" } } },
      nodeSelector: { pool: "terraform" },
      annotations: { "example.com/team": "a" },
      labels: { "example.com/cost": "b", "scalr.io/stage": "mine" },
      volumeClaims: [{ claimName: "state", mountPath: "/state" }]
    }
  }, { name: "run-1-apply" })
