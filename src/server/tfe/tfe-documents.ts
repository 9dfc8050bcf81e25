// Our records in the shapes of the TFE v2 JSON:API: pure functions, one for each type, with no more than its clients read.
// Every shape has the relationships and permissions without which stock clients crash.
// Used by the TFE routes.
import { allows, type Holder, neededToStop } from "../../core/run/permission.ts"
import { isFinal, type Step, wishes } from "../../core/run/run-machine.ts"
import type { Role } from "../../core/text/token-lines.ts"
import { poolId, type PoolView } from "../../schema/api/pools.ts"
import { organization } from "../../schema/api/tfe-api.ts"
import type { ConfigurationVersion } from "../run/configurations.ts"
import type { Run, WholeRun } from "../run/runs.ts"
import { type StageRow, stepOf, stepStatus } from "../run/stages.ts"
import { outputId, stepId } from "../store/ids.ts"
import type { StateOutputs } from "../workspace/state-body.ts"
import type { StateVersion } from "../workspace/state-versions.ts"
import { isSensitive, type WorkspaceVariable } from "../workspace/variables.ts"
import type { Workspace } from "../workspace/workspaces.ts"

const relation = (type: string, id: string | null) => ({ data: id === null ? null : { type, id } })

export const entitlements = {
  id: organization,
  type: "entitlement-sets",
  attributes: {
    operations: true,
    "state-storage": true,
    "cost-estimation": false,
    sentinel: false,
    "private-module-registry": false,
    teams: false,
    "vcs-integrations": false
  }
}

/** What is so of every workspace, and cannot be changed. */
export const fixedAttributes = {
  operations: true,
  "allow-destroy-plan": true,
  "structured-run-output-enabled": false
} as const

/**
 * `role` is that of whoever asks. `holder` is the workspace's current run. A holder that is still pending does not count as a lock: clients
 * would call that a manual one.
 * `in-doubt` is ours, not in the TFE API; it is there only if it is known that the workspace waits for a rescue of its state.
 */
export const workspaceDocument = (workspace: Workspace, role: Role, holder: Run | undefined, inDoubt = false) => {
  const everything = allows(role, "everything")
  const pool = workspace.pool === null ? null : poolId(workspace.pool)
  return {
    id: workspace.id,
    type: "workspaces",
    attributes: {
      name: workspace.name,
      "auto-apply": workspace.autoApply,
      "terraform-version": workspace.terraformVersion,
      "working-directory": workspace.workingDirectory,
      locked: holder !== undefined && holder.status !== "pending",
      "created-at": workspace.createdAt,
      "execution-mode": pool === null ? "remote" : "agent",
      "agent-pool-id": pool,
      ...fixedAttributes,
      "tag-names": [],
      "vcs-repo": null,
      ...(inDoubt && { "in-doubt": true }),
      permissions: {
        "can-update": everything,
        "can-destroy": false,
        "can-queue-run": allows(role, "plan"),
        "can-queue-apply": everything,
        "can-queue-destroy": everything,
        "can-read-settings": true,
        "can-read-variable": true,
        "can-update-variable": everything,
        "can-lock": everything,
        "can-unlock": everything,
        "can-force-unlock": everything,
        "can-force-delete": false
      }
    },
    relationships: {
      organization: relation("organizations", organization),
      "agent-pool": relation("agent-pools", pool),
      "current-run": relation("runs", workspace.currentRunId)
    }
  }
}

export const agentPoolDocument = ({ agents, id, name }: PoolView) => ({
  id,
  type: "agent-pools",
  attributes: { name, "agent-count": agents, "organization-scoped": true },
  relationships: { organization: relation("organizations", organization) }
})

export const configurationVersionDocument = (version: ConfigurationVersion, uploadUrl?: string) => ({
  id: version.id,
  type: "configuration-versions",
  attributes: {
    status: version.status,
    speculative: version.speculative,
    "auto-queue-runs": false,
    source: "tfe-api",
    "error-message": version.status === "errored" ? "The upload was not a gzipped tar archive." : null,
    ...(uploadUrl !== undefined && { "upload-url": uploadUrl })
  }
})

const timestampsOf = ({ timestamps }: Run) =>
  Object.fromEntries(Object.entries(timestamps).map(([status, at]) => [`${status.replaceAll("_", "-")}-at`, at]))

/** A run as lists show it to a user. `position` is how many runs are before this one; clients print it as what they wait for. */
export const listedRunDocument = (run: Run, user: Holder, position: number) => {
  const may = wishes(run)
  const everything = allows(user.role, "everything")
  const stop = allows(user.role, neededToStop(run, user))
  return {
    id: run.id,
    type: "runs",
    attributes: {
      status: run.status,
      message: run.message,
      source: "tfe-api",
      "has-changes": run.hasChanges === true,
      "is-destroy": run.destroy,
      "plan-only": run.planOnly,
      "save-plan": run.saved,
      "auto-apply": run.autoApply,
      "allow-empty-apply": run.allowEmptyApply,
      "position-in-queue": position,
      "created-at": run.createdAt,
      "status-timestamps": timestampsOf(run),
      actions: {
        "is-cancelable": may.cancel,
        "is-confirmable": may.confirm,
        "is-discardable": may.discard,
        "is-force-cancelable": may.forceCancel
      },
      permissions: {
        "can-apply": everything,
        "can-cancel": stop,
        "can-discard": stop,
        "can-force-cancel": everything,
        "can-force-execute": false
      }
    },
    relationships: {
      workspace: relation("workspaces", run.workspaceId),
      plan: relation("plans", stepId(run.id, "plan")),
      apply: relation("applies", stepId(run.id, "apply")),
      "configuration-version": relation("configuration-versions", run.configurationVersionId)
    }
  }
}

export const runDocument = (run: WholeRun, user: Holder, position: number, ofWorkspace: ReadonlyArray<WorkspaceVariable>) => {
  const { attributes, ...listed } = listedRunDocument(run, user, position)
  return {
    ...listed,
    attributes: {
      ...attributes,
      refresh: run.options.refresh ?? true,
      "refresh-only": run.options.refreshOnly ?? false,
      "target-addrs": run.options.targets ?? [],
      "replace-addrs": run.options.replace ?? [],
      variables: run.variables.map((own) => ({ key: own.key, value: isSensitive(ofWorkspace, own) ? null : own.value }))
    }
  }
}

/**
 * How long an ended step is shown as running, if it was just now that it ended. A stock client that got nothing from its log asks whether
 * it is over, and then reads no more: of a step that ended in between, it would not show the end.
 */
const shownRunningMillis = 1000

const shownStatus = (stage: StageRow, now: number) => {
  const since = stage.endedAt === null ? Infinity : now - Date.parse(stage.endedAt)
  return since >= 0 && since < shownRunningMillis ? "running" : stepStatus(stage) // a clock that went back holds nobody up
}

/**
 * Returns the document of a plan or an apply as it is `now`, in milliseconds. `stages` must be read before `run`, so that a step never ends
 * before the run has moved on.
 */
export const stepDocument = (run: Run, stages: ReadonlyArray<StageRow>, step: Step, logUrl: string, now: number) => {
  const stage = stages.findLast((candidate) => stepOf(candidate.stage) === step)
  const never = run.status === "canceled" ? "canceled" : "unreachable"
  const changes = stage?.result?.changes ?? (step === "plan" ? run.changes : null)
  return {
    id: stepId(run.id, step),
    type: step === "plan" ? "plans" : "applies",
    attributes: {
      status: stage !== undefined ? shownStatus(stage, now) : isFinal(run.status) ? never : "pending",
      "log-read-url": logUrl,
      ...(step === "plan" && { "has-changes": run.hasChanges === true }),
      "resource-additions": changes?.add ?? 0,
      "resource-changes": changes?.change ?? 0,
      "resource-destructions": changes?.destroy ?? 0,
      "resource-imports": changes?.import ?? 0
    }
  }
}

export const variableDocument = (variable: WorkspaceVariable) => ({
  id: variable.id,
  type: "vars",
  attributes: {
    key: variable.key,
    value: variable.sensitive ? null : variable.value,
    description: variable.description,
    category: variable.category,
    hcl: variable.hcl,
    sensitive: variable.sensitive
  },
  relationships: { configurable: relation("workspaces", variable.workspaceId) }
})

export const stateVersionDocument = (version: StateVersion, base: string) => ({
  id: version.id,
  type: "state-versions",
  attributes: {
    serial: version.serial,
    lineage: version.lineage,
    size: version.sizeBytes,
    status: "finalized",
    "created-at": version.createdAt,
    "hosted-state-download-url": `${base}/api/v2/state-versions/${version.id}/download`
  },
  relationships: { run: relation("runs", version.runId) }
})

type Output = typeof StateOutputs.Type[string]

/** Returns an output as lists show it: a sensitive value is given only to a request for that one output. */
export const asListed = (output: Output): Output => output.sensitive === true ? { ...output, value: null } : output

export const outputDocument = (version: StateVersion, name: string, output: Output) => ({
  id: outputId(version.id, name),
  type: "state-version-outputs",
  attributes: {
    name,
    value: output.value,
    sensitive: output.sensitive === true,
    type: typeof output.type === "string" ? output.type : Array.isArray(output.type) ? String(output.type[0]) : "string",
    "detailed-type": output.type ?? "dynamic"
  }
})
