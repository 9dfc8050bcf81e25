// The names and digests that cross borders, most of them with a brand that only decoding or `make` can give.
// Every pattern has the `u` flag, so that it reaches the CRD and the JSON Schemas too.
// Used in every part of the program but http and queue.
import { Schema } from "effect"

/** What an AgentTask is called in the Kubernetes API. */
export const agentTaskResource = {
  group: "scalr.io",
  version: "v1",
  apiVersion: "scalr.io/v1",
  kind: "AgentTask",
  plural: "atasks"
} as const

/** Returns the URL that identifies one of our schemas: the name of its file in `schemas`, below a prefix that never changes. */
export const schemaId = (name: string): string => `https://scalr.io/agent-job/schemas/${name}.schema.json`

/** Annotation of a task's Job: the hash of the configuration that the Job was built from, as in the task's status. */
export const configHashAnnotation = "scalr.io/config-hash"

/** The workspace, as a label of a task's Job and Pods where it can be one, and as an annotation of the workspace's Lease. */
export const workspaceKey = "scalr.io/workspace"

/**
 * A Kubernetes object name as an AgentTask may have it, at most 253 characters. No object has a name with an empty part, such as `a..b`, but
 * the API server must go on taking the tasks that it took.
 */
export const ObjectName = Schema.String.check(
  Schema.isPattern(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/u, { expected: "a lowercase DNS name" }),
  Schema.isMaxLength(253)
)

/** A Kubernetes object name: DNS-1123 subdomain, at most 253 characters. */
export const Subdomain = Schema.String.check(
  Schema.isPattern(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u, { expected: "a lowercase DNS name" }),
  Schema.isMaxLength(253)
)

/** The most characters of the full name of an installation, which the names of its objects begin with. */
export const installationNameLimit = 40

/** The name of an installation that a person gives. */
export const InstallationName = Subdomain.check(
  Schema.isMaxLength(installationNameLimit, {
    expected:
      `at most ${installationNameLimit} characters, since no name of its objects has more of it; for an installation that has a longer one, give the first ${installationNameLimit}`
  })
)

/** A key of a Secret or ConfigMap, at most 253 characters. */
export const ObjectKey = Schema.String.check(
  Schema.isPattern(/^[-._a-zA-Z0-9]+$/u, { expected: "letters, digits, '-', '_' or '.'" }),
  Schema.isMaxLength(253)
)

/**
 * The name of a workspace, in which runs exclude each other: letters, digits, `-` and `_`, at most 90 characters, as the TFE API names
 * workspaces.
 */
export const WorkspaceName = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][-_A-Za-z0-9]*$/u, { expected: "letters, digits, '-' or '_', beginning with a letter or digit" }),
  Schema.isMaxLength(90)
).pipe(Schema.brand("WorkspaceName"))
export type WorkspaceName = typeof WorkspaceName.Type

/** The identity that the API server gave an object; it is never given twice. */
export const Uid = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(64)).pipe(Schema.brand("Uid"))
export type Uid = typeof Uid.Type

/** The engines, in the order in which they are looked for where a task names none. */
export const engineNames = ["tofu", "terraform"] as const
export type EngineName = (typeof engineNames)[number]

/** A run of the pool, `run-` and lowercase letters or digits, so that it may be part of an object's name. */
export const RunId = Schema.String.check(
  Schema.isPattern(/^run-[a-z0-9]+$/u, { expected: "run- followed by lowercase letters or digits" }),
  Schema.isMaxLength(40)
).pipe(Schema.brand("RunId"))
export type RunId = typeof RunId.Type

/** SHA-256 in lowercase hex, 64 characters. */
export const Sha256 = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{64}$/u, { expected: "a SHA-256 digest in lowercase hex" }),
  Schema.isMaxLength(64)
).pipe(Schema.brand("Sha256"))
export type Sha256 = typeof Sha256.Type

/** An instant in RFC 3339, UTC, ending in `Z`. */
export const Timestamp = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/u, { expected: "a time like 2026-01-31T12:00:00Z" }),
  Schema.isMaxLength(40)
)
