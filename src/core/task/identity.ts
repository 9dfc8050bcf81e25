// Which service account the Pod of a task has: that of the first identity for its workspace and stage, otherwise the one of all other tasks.
// A cloud gives its rights by this account. The values alone choose it, and nothing that a task says beside its workspace and its stage.
// Used by core/manifest/pod, and wherever the accounts of tasks are meant together.
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import { type Identity, isFor } from "../../schema/values/identities.ts"

export interface TaskAccounts {
  /** The account of the tasks that no identity fits. */
  readonly taskAccountName: string
  /** At least one, in the order in which they are tried; absent: all tasks have the one account. */
  readonly identities?: ReadonlyArray<Pick<Identity, "name" | "stages" | "workspaces">>
}

/** Returns the name of the account with which the Pod of a task runs. */
export const accountOf = (
  { stage, workspace }: Pick<AgentTaskSpec, "stage" | "workspace">,
  { identities = [], taskAccountName }: TaskAccounts
): string => identities.find((identity) => isFor(identity, stage, workspace))?.name ?? taskAccountName

/** Returns the names of all accounts that tasks may have, that of tasks without an identity first. */
export const accountNames = ({ identities = [], taskAccountName }: TaskAccounts): ReadonlyArray<string> => [
  taskAccountName,
  ...identities.map(({ name }) => name)
]
