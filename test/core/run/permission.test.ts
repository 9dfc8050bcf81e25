import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  allows,
  mayTouch,
  neededBy,
  neededToStart,
  neededToStop,
  notAllowed,
  notBrought,
  notMade,
  notOfAll
} from "../../../src/core/run/permission.ts"
import { accountOf } from "../../../src/core/task/identity.ts"
import { roles, tokenLines } from "../../../src/core/text/token-lines.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { WorkspacePattern } from "../../../src/schema/workspace-pattern.ts"

const yes = undefined
const says = (role: string, instead: string) =>
  `The token of CI has role=${role}, which does not allow to turn the key; use a token ${instead}.`
const withoutRole = "without a role"
const withPlan = "with role=plan or without a role"

describe("what a role allows", () => {
  it.each(
    [
      { role: "read", needed: "read", said: yes },
      { role: "read", needed: "plan", said: says("read", withPlan) },
      { role: "read", needed: "everything", said: says("read", withoutRole) },
      { role: "plan", needed: "read", said: yes },
      { role: "plan", needed: "plan", said: yes },
      { role: "plan", needed: "everything", said: says("plan", withoutRole) },
      { role: "everything", needed: "read", said: yes },
      { role: "everything", needed: "plan", said: yes },
      { role: "everything", needed: "everything", said: yes }
    ] as const
  )("$role where $needed is needed: $said", ({ needed, role, said }) => {
    expect(notAllowed({ name: "CI", role }, needed, "to turn the key")).toBe(said)
    expect(allows(role, needed)).toBe(said === yes)
  })
})

describe("what is needed", () => {
  it.each([
    { method: "GET", needed: "read" },
    { method: "POST", needed: "everything" },
    { method: "PUT", needed: "everything" },
    { method: "PATCH", needed: "everything" },
    { method: "DELETE", needed: "everything" },
    { method: "*", needed: "everything" }
  ])("for $method, unless its route says otherwise: $needed", ({ method, needed }) => expect(neededBy(method)).toBe(needed))

  it.each([
    { autoApply: false, planOnly: false, needed: "plan" },
    { autoApply: false, planOnly: true, needed: "plan" },
    { autoApply: true, planOnly: true, needed: "plan" },
    { autoApply: true, planOnly: false, needed: "everything" }
  ])(
    "to start a run with auto-apply $autoApply that is only planned $planOnly: $needed",
    ({ needed, ...run }) => expect(neededToStart(run)).toBe(needed)
  )

  it.each(
    [
      { startedBy: "CI", status: "pending", needed: "plan" },
      { startedBy: "CI", status: "planning", needed: "plan" },
      { startedBy: "CI", status: "planned", needed: "plan" },
      { startedBy: "CI", status: "confirmed", needed: "everything" },
      { startedBy: "CI", status: "applying", needed: "everything" },
      { startedBy: "CI", status: "applied", needed: "plan" },
      { startedBy: "Ada", status: "planned", needed: "everything" },
      { startedBy: null, status: "planned", needed: "everything" }
    ] as const
  )(
    "to stop a run that $startedBy started and that is $status: $needed",
    ({ needed, ...run }) => expect(neededToStop(run, { name: "CI", role: "plan" })).toBe(needed)
  )
})

describe("the workspaces of a token", () => {
  it.each(
    [
      { workspaces: "all", workspace: "demo", may: true },
      { workspaces: ["demo"], workspace: "demo", may: true },
      { workspaces: ["demo"], workspace: "demo-2", may: false },
      { workspaces: ["demo"], workspace: "Demo", may: false },
      { workspaces: ["team-a-*"], workspace: "team-a-x", may: true },
      { workspaces: ["team-a-*"], workspace: "team-a-", may: true },
      { workspaces: ["team-a-*"], workspace: "team-a", may: false },
      { workspaces: ["team-a-*"], workspace: "my-team-a-x", may: false },
      { workspaces: ["team-a-*", "shared"], workspace: "shared", may: true },
      { workspaces: ["team_a*"], workspace: "team-a", may: false },
      { workspaces: ["*"], workspace: "demo", may: true },
      { workspaces: [], workspace: "demo", may: false }
    ] as const
  )("$workspaces, asked about $workspace: $may", ({ may, workspace, workspaces }) => {
    const holder = { name: "CI", role: "plan", workspaces } as const
    expect(mayTouch(holder, workspace)).toBe(may)
    expect([notMade(holder, workspace), notBrought(holder, "run-a.apply.1", workspace)].map((said) => said === undefined)).toEqual([
      may,
      may
    ])
  })

  const near = Schema.Literals(["a", "ab", "a-b", "a_b", "A", "b"])
  const patterns = Schema.NonEmptyArray(Schema.Union([near, Schema.Literals(["*", "a*", "a-*", "a_*", "ab*"]), WorkspacePattern]))
  it.prop(
    "give it what its role allows inside, where an identity with the same patterns is theirs, and nothing outside",
    [Schema.Literals(roles), Schema.Literals(roles), patterns, Schema.Union([near, WorkspaceName])],
    ([role, needed, workspaces, name]) => {
      const words = role === "everything" ? "" : `role=${role}`
      const [line] = tokenLines(`token CI ${words} workspaces=${workspaces.join(",")}`)
      if (line?.role === undefined || line.workspaces === undefined) return expect.fail("the line is right")
      const holder = { ...line, role: line.role, workspaces: line.workspaces }
      const identities = [{ name: "ours", workspaces: [...workspaces], stages: [] }]
      const account = accountOf({ workspace: WorkspaceName.make(name), stage: "plan" }, { taskAccountName: "others", identities })
      const may = mayTouch(holder, name) && notAllowed(holder, needed, "it") === undefined
      expect(may).toBe(account === "ours" && allows(role, needed))
    }
  )

  it("are said where something else is refused", () => {
    const holder = { name: "CI", role: "plan", workspaces: ["team-a-*", "shared"] } as const
    const alone = "The token of CI is for the workspaces team-a-*,shared alone"
    expect(notMade(holder, "demo")).toBe(`${alone}, so it makes no other; choose a name that fits, or use a token that is for this one.`)
    expect(notOfAll(holder, "GET /all")).toBe(
      `${alone}, which does not allow GET /all; ask about one of them, or use a token without workspaces=.`
    )
    expect(notBrought(holder, "run-a.apply.1", undefined)).toBe(
      `${alone}, and nothing tells that the stage run-a.apply.1, which left this state, is of one of them; use a token without workspaces=.`
    )
    expect(notOfAll({ ...holder, workspaces: "all" }, "GET /all")).toBeUndefined()
    expect(notBrought({ ...holder, workspaces: "all" }, "run-a.apply.1", undefined)).toBeUndefined()
  })
})
