import { expect, it } from "@effect/vitest"
import { ownVariables, variablesOf, type WorkspaceVariable } from "../../../src/server/workspace/variables.ts"

const variable = (key: string, more: Partial<WorkspaceVariable> = {}): WorkspaceVariable => ({
  id: `var-${key}`,
  workspaceId: "ws-1",
  key,
  value: "of the workspace",
  description: "",
  category: "terraform",
  hcl: false,
  sensitive: false,
  ...more
})
const own = { key: "password", value: "\"of the run\"" }
const ofRun = { name: "password", value: "\"of the run\"", category: "terraform", hcl: true }

it.each([
  { given: "sensitive", workspace: [variable("password", { sensitive: true })], expected: { ...ofRun, sensitive: true } },
  { given: "not sensitive", workspace: [variable("password")], expected: ofRun },
  { given: "not there", workspace: [variable("other", { sensitive: true })], expected: ofRun },
  {
    given: "sensitive, by the environment",
    workspace: [variable("TF_VAR_password", { sensitive: true, category: "env" })],
    expected: { ...ofRun, sensitive: true }
  },
  {
    given: "sensitive, but for other programs",
    workspace: [variable("password", { sensitive: true, category: "env" })],
    expected: ofRun
  }
])(
  "a run's own variable is as sensitive as the workspace's of its name, in whose place it is: $given",
  ({ expected, workspace }) =>
    expect(variablesOf(workspace, [own]).filter(({ category, name }) => name === "password" && category === "terraform")).toEqual([
      expected
    ])
)

it("a run's own variable stays sensitive when the workspace's in whose place it was is gone", () =>
  expect(variablesOf([], ownVariables([variable("password", { sensitive: true })], [own]))).toEqual([{ ...ofRun, sensitive: true }]))

it("a run's own variable leaves what the environment has by its name", () =>
  expect(variablesOf([variable("password", { category: "env" })], [own]).map(({ category }) => category)).toEqual(["env", "terraform"]))
