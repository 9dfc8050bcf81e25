// Builds the Event that tells people about a task, within the API server's limits for every name of a task and every script of a message.
// Its name is derived from what it says, so that the same is not said twice.
// Created by controller/reconcile/execute.
import type { Notice } from "../../core/reconcile/action.ts"
import { cutName } from "../../core/text/cut-name.ts"
import { fingerprint } from "../../core/text/fingerprint.ts"
import { shortenedInBytes } from "../../core/text/sentence.ts"
import { microTime } from "../../kubernetes/clock.ts"
import { agentTasks } from "../../kubernetes/kinds.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"

/** The most that a note may have, in bytes of UTF-8. */
const longestNote = 1024
/**
 * How many characters of the task's name are kept: an Event's name has at most 253, of which a dot and the fingerprint take up to eight.
 */
const mostOfName = 245
const eventName = ({ metadata: { name } }: AgentTask, suffix: string): string => `${cutName(name, mostOfName)}.${suffix}`

/** `identity` names this controller. */
export const event = (
  task: AgentTask,
  { message, reason, type }: Extract<Notice, { readonly _tag: "Emit" }>,
  identity: string,
  now: string
) => {
  const { name, namespace, resourceVersion, uid } = task.metadata
  return {
    metadata: { name: eventName(task, fingerprint(`${uid} ${reason} ${message}`)), namespace },
    regarding: { apiVersion: agentTasks.apiVersion, kind: agentTasks.kind, name, namespace, uid, resourceVersion },
    reportingController: "scalr.io/agent-job",
    reportingInstance: identity,
    action: "Reconcile",
    eventTime: microTime(Date.parse(now)),
    note: shortenedInBytes(message, longestNote),
    reason,
    type
  }
}
