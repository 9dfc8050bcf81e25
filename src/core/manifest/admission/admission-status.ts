// What a task's token may write: the claim, what it waits for, and the result, all in the AgentTask that its Pod runs.
// Invariant: a token that names no Pod writes nothing. What the worker writes (core/task/status.ts) passes.
// Used by core/manifest/admission/admission.
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { longestPlainTaskName } from "../../task/job-name.ts"
import { phaseOf, unansweredWords } from "../../task/status.ts"
import { byTask, cel, type Policy } from "./admission-policy.ts"

const ofToken = (field: string): string => `request.userInfo.?extra[?'authentication.kubernetes.io/${field}'][?0].orValue('')`

/** Returns the CEL condition that the request leaves these fields of the status as they were. */
const unchanged = (...fields: ReadonlyArray<string>): string =>
  fields.map((field) => `object.status.?${field} == variables.was.?${field}`).join(" && ")

/**
 * Returns a CEL expression for the name of the task's Job. The name follows from a plain task name; any other Job's name was written into
 * the status by the controller before it made the Job. After the claim the name in the status counts, whatever new values say.
 */
const jobName = ({ policy: { basename } }: ResolvedConfig): string =>
  `has(variables.was.claim) || oldObject.metadata.name.contains('.') || size(oldObject.metadata.name) > ${
    longestPlainTaskName(basename)
  } ? variables.was.?job.?name.orValue('') : ${cel(`${basename}-`)} + oldObject.metadata.name`

/** Returns the CEL condition that a status tells of the wait for an answer, which has the reason of one that runs. */
const isUnanswered = (status: string): string => `${status}.?message.orValue('').contains(${cel(unansweredWords)})`

const phases = Object.entries(phaseOf).map(([outcome, phase]) => `'${outcome}': '${phase}'`)
const phaseOfResult = `{${phases.join(", ")}}[object.status.result.outcome]`

export const statusPolicy = (config: ResolvedConfig): Policy => ({
  name: "task-status",
  rules: [{ apiGroups: ["scalr.io"], apiVersions: ["*"], resources: ["atasks", "atasks/*"], operations: ["*"] }],
  inTaskNamespace: false,
  matchCondition: { name: "by-a-task", expression: byTask(config) },
  variables: {
    was: "oldObject.?status.orValue({})",
    pod: ofToken("pod-name"),
    podUid: ofToken("pod-uid"),
    job: jobName(config),
    claims: "!has(variables.was.claim)",
    waits:
      `object.status.?phase.orValue('') == 'Running' && object.status.?reason.orValue('') in ['Claimed', 'StateUnsaved'] && (object.status.?reason != variables.was.?reason || ${
        isUnanswered("object.status")
      } || ${isUnanswered("variables.was")}) && ${unchanged("phase", "claim", "changes", "finishedAt", "reportedAt")}`,
    over: "variables.was.?phase.orValue('') in ['Succeeded', 'Failed', 'Cancelled']"
  },
  checks: [
    {
      expression: "request.operation == 'UPDATE' && request.subResource == 'status'",
      message: "a task writes the status of its AgentTask and nothing else"
    },
    {
      expression:
        "variables.job != '' && variables.podUid != '' && variables.pod.startsWith(variables.job + '-') && variables.pod.substring(size(variables.job) + 1).matches('^[a-z0-9]{5}$')",
      message: "only a Pod of the task's own Job writes the status of an AgentTask, with the token that the kubelet gave it"
    },
    {
      expression: "object.?status.?claim.?podUid.orValue('') == variables.podUid",
      message: "the claim is of the Pod that writes it, and only the claimant writes on"
    },
    {
      expression: `!variables.claims || (${
        [
          "object.status.phase == 'Running' && object.status.?reason.orValue('') == 'Claimed' && object.status.?job.?name.orValue('') == variables.job",
          "object.status.?pod.?name.orValue('') == variables.pod && object.status.?pod.?uid.orValue('') == variables.podUid",
          "(object.status.?launches.orValue(0) == variables.was.?launches.orValue(1) || (object.status.?launches.orValue(0) == 1 && variables.was.?launches.orValue(1) == 0))", // earlier workers leave a 0 as it is
          `!has(object.status.result) && !has(object.status.finishedAt) && ${unchanged("changes", "reportedAt")}`
        ].join(" && ")
      })`,
      message: "a claim says which Pod of which Job runs the task, and nothing of its end"
    },
    {
      expression: `variables.claims || (!has(variables.was.result) && (has(object.status.result) || variables.waits) && ${
        unchanged("job", "pod", "launches", "configHash", "startedAt")
      })`,
      message: "after its claim a task writes its result, once, and before it only whether its state waits to be saved"
    },
    {
      expression: `variables.claims || !has(object.status.result) || (variables.over ? ${
        unchanged("phase", "reason", "message", "conditions", "finishedAt")
      } : (object.status.phase == ${phaseOfResult} && object.status.?reason == object.status.result.?reason))`,
      message: "the phase is what the result says; a final one stays"
    },
    {
      expression: `${unchanged("source", "latest")} && !has(object.status.queue)`,
      message: "what it runs, and what comes after it, is the controller's to say"
    }
  ]
})
