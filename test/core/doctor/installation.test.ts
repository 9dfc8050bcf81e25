// What the findings of an installation's objects mean, case by case; each has a line for a person.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { checkNames } from "../../../src/core/doctor/check.ts"
import { accountsOfTasks, admission, definition, podSecurity, rights, workerImage } from "../../../src/core/doctor/installation.ts"
import { configOf } from "../configs.ts"

describe("what is installed", () => {
  const restricted = { "pod-security.kubernetes.io/enforce": "restricted" }
  const sound = { account: "tasks/a", lacking: [], excess: [] }
  const ofTasks = (found: object) => rights(checkNames.rightsOfTasks, [sound, { ...sound, account: "tasks/b", ...found }])

  it.each([
    { given: "no definition", check: definition(Option.none()), is: "failed" },
    {
      given: "a definition that lacks something",
      check: definition(Option.some({ isLeaving: false, lacks: ["status.a: is not there"], otherRules: [] })),
      is: "failed"
    },
    {
      given: "a definition with a rule of its own",
      check: definition(Option.some({ isLeaving: false, lacks: [], otherRules: ["status.a: once"] })),
      is: "warning"
    },
    {
      given: "a definition that lacks nothing",
      check: definition(Option.some({ isLeaving: false, lacks: [], otherRules: [] })),
      is: "ok"
    },
    {
      given: "a definition that is being deleted",
      check: definition(Option.some({ isLeaving: true, lacks: [], otherRules: [] })),
      is: "failed"
    },
    { given: "no policies, and none asked for", check: admission(configOf(), { missing: [], weaker: [] }), is: "warning" },
    {
      given: "a policy that is missing",
      check: admission(configOf({ admissionPolicies: { enabled: true } }), { missing: ["ValidatingAdmissionPolicy a"], weaker: [] }),
      is: "failed"
    },
    {
      given: "a policy that says something else",
      check: admission(configOf({ admissionPolicies: { enabled: true } }), { missing: [], weaker: ["ValidatingAdmissionPolicy a"] }),
      is: "failed"
    },
    { given: "a right that is missing", check: ofTasks({ lacking: ["get jobs"] }), is: "failed" },
    { given: "a right too many", check: ofTasks({ excess: ["get secrets"] }), is: "failed" },
    { given: "no right too many and none that is missing", check: ofTasks({}), is: "ok" },
    { given: "an account of tasks that is missing", check: accountsOfTasks(configOf(), ["network-plan"]), is: "failed" },
    { given: "all accounts of tasks", check: accountsOfTasks(configOf(), []), is: "ok" },
    {
      given: "an identity that is called as the controller's account, which no values can know",
      check: accountsOfTasks(configOf({ task: { identities: [{ name: "blue", workspaces: ["*"] }] } }, { name: "blue" }), []),
      is: "failed"
    },
    {
      given: "such a name in another namespace",
      check: accountsOfTasks(
        configOf({ task: { namespace: "tasks", identities: [{ name: "blue", workspaces: ["*"] }] } }, { name: "blue" }),
        []
      ),
      is: "ok"
    },
    { given: "no namespace", check: podSecurity("tasks", Option.none()), is: "failed" },
    { given: "a namespace without a level", check: podSecurity("tasks", Option.some({ isLeaving: false, labels: {} })), is: "warning" },
    { given: "a restricted namespace", check: podSecurity("tasks", Option.some({ isLeaving: false, labels: restricted })), is: "ok" },
    {
      given: "a restricted namespace that is being deleted",
      check: podSecurity("tasks", Option.some({ isLeaving: true, labels: restricted })),
      is: "failed"
    }
  ])("with $given is $is", ({ check, is }) => {
    expect(check.outcome).toBe(is)
    expect(check.message).not.toBe("")
  })
})

describe("what accounts of tasks may do", () => {
  const one = { account: "tasks/a", lacking: ["get jobs"], excess: [] }
  const other = { ...one, account: "tasks/b" }
  it.each([
    { given: "lack a right", found: [one, other], says: "tasks/a may not get jobs; tasks/b may not get jobs; apply the roles again" },
    {
      given: "have one too many, before all else",
      found: [one, { ...other, excess: ["get secrets"] }],
      says: "tasks/b may get secrets, which nothing here grants; find the role that does, and take it away"
    }
  ])("is told of each of those that $given", ({ found, says }) => expect(rights(checkNames.rightsOfTasks, found).message).toBe(says))
})

describe("the worker's image", () => {
  const own = "registry.example.com:5000/agent-job"
  const digest = `sha256:${"0".repeat(64)}`

  const other = `sha256:${"1".repeat(64)}`

  it.each([
    { given: "that of the controller", controller: `${own}:0.2.0`, is: "ok" },
    { given: "from another registry than that of the controller", controller: "mirror.example.com/agent-job:0.2.0", is: "ok" },
    { given: "of the tag that the controller has beside a digest", controller: `${own}:0.2.0@${digest}`, is: "ok" },
    { given: "of another tag than that of the controller", controller: `${own}:0.1.0`, is: "warning" },
    { given: "while the controller has a digest alone", controller: `${own}@${digest}`, is: "unknown" },
    { given: "while the controller has no tag", controller: own, is: "unknown" },
    { given: "of another digest beside the same tag", tag: `main@${other}`, controller: `${own}:main@${digest}`, is: "warning" },
    { given: "of the digest that the controller has alone", tag: `0.2.0@${digest}`, controller: `${own}@${digest}`, is: "ok" },
    { given: "of the digest that the controller has beside another tag", tag: `a@${digest}`, controller: `${own}:b@${digest}`, is: "ok" }
  ])("$given is $is", ({ controller, is, tag = "0.2.0" }) => {
    const config = configOf({ agent: { image: { repository: own, tag } } })
    expect(workerImage(config, Option.some(controller)).outcome).toBe(is)
  })

  it("is unknown without the controller's Deployment", () => expect(workerImage(configOf(), Option.none()).outcome).toBe("unknown"))
})
