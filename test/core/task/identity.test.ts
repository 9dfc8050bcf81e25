// Which account the Pod of a task has.
import { describe, expect, it } from "@effect/vitest"
import { pod } from "../../../src/core/manifest/pod.ts"
import { accountNames, accountOf } from "../../../src/core/task/identity.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { Stage } from "../../../src/schema/task/agent-task.ts"
import { configOf, taskOf } from "../configs.ts"

const stagesOf = Stage.literals
const identity = (name: string, workspaces: Array<string>, ...stages: Array<Stage>) => ({ name, workspaces, stages })

const identities = [
  identity("network-plan", ["network-*"], "plan"),
  identity("network", ["network-*"]),
  identity("shared", ["dns", "Mail_1"], "apply", "destroy"),
  identity("rest", ["*"], "plan")
]

describe("the account of a task", () => {
  it.each<{ workspace: string; stage: Stage; account: string }>([
    { workspace: "network-eu", stage: "plan", account: "network-plan" },
    { workspace: "network-eu", stage: "apply", account: "network" },
    { workspace: "network-eu", stage: "destroy", account: "network" },
    { workspace: "network-", stage: "apply", account: "network" },
    { workspace: "network", stage: "apply", account: "agent-job-task" },
    { workspace: "my-network-eu", stage: "apply", account: "agent-job-task" },
    { workspace: "Network-eu", stage: "apply", account: "agent-job-task" },
    { workspace: "dns", stage: "apply", account: "shared" },
    { workspace: "dns", stage: "destroy", account: "shared" },
    { workspace: "dns", stage: "plan", account: "rest" },
    { workspace: "dns-2", stage: "apply", account: "agent-job-task" },
    { workspace: "Mail_1", stage: "apply", account: "shared" },
    { workspace: "anything", stage: "plan", account: "rest" },
    { workspace: "anything", stage: "apply", account: "agent-job-task" }
  ])(
    "is $account for $stage in $workspace",
    ({ account, stage, workspace }) =>
      expect(accountOf({ workspace: WorkspaceName.make(workspace), stage }, { taskAccountName: "agent-job-task", identities })).toBe(
        account
      )
  )

  it("is that of the tasks without identities", () =>
    expect(stagesOf.map((stage) => accountOf({ workspace: WorkspaceName.make("demo"), stage }, { taskAccountName: "a-task" }))).toEqual(
      stagesOf.map(() => "a-task")
    ))

  it("is the account of its Pod, by the values, in which an identity may be for each stage that there is", () => {
    const config = configOf({
      task: { identities: stagesOf.map((stage) => ({ name: `for-${stage}`, workspaces: ["de*"], stages: [stage] })) }
    })
    expect(stagesOf.map((stage) => pod(taskOf({ stage }), config, 0).spec?.serviceAccountName)).toEqual([
      "for-plan",
      "for-apply",
      "for-destroy"
    ])
    expect(pod(taskOf({ workspace: "other" }), config, 0).spec?.serviceAccountName).toBe("agent-job-task")
  })

  it("is one of all accounts, each of which is named once", () => {
    expect(accountNames({ taskAccountName: "a-task", identities })).toEqual(["a-task", "network-plan", "network", "shared", "rest"])
    expect(accountNames({ taskAccountName: "a-task" })).toEqual(["a-task"])
  })
})
