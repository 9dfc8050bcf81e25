// An AgentTask can be decoded exactly when the API server stores it. Otherwise nothing would work on it or say why.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { AgentTask, AgentTaskSpec, WritableStatus } from "../../../src/schema/task/agent-task.ts"
import { structuralSchema } from "../../../src/schema/task/structural.ts"
import { rule } from "../../simulation/cel.ts"

const accepts = (target: string) =>
  Schema.is(AgentTaskSpec)({ workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } }, options: { targets: [target] } })

describe("a text of an AgentTask", () => {
  it.each([
    { given: "512 letters", target: "a".repeat(512), accepted: true },
    { given: "513 letters", target: "a".repeat(513), accepted: false },
    { given: "512 characters of two code units each", target: "😀".repeat(512), accepted: true },
    { given: "513 characters of two code units each", target: "😀".repeat(513), accepted: false }
  ])("of at most 512 characters may have $given: $accepted", ({ accepted, target }) => expect(accepts(target)).toBe(accepted))
})

describe("a phase, a reason and a condition that only a newer version knows", () => {
  const at = "2026-01-01T00:00:00Z"
  const condition = { type: "Ready", status: "False", reason: "Moonstruck", message: "", lastTransitionTime: at }
  const [waning, moonlit] = [{ ...condition, status: "Waning" }, { ...condition, type: "Moonlit", since: at }]
  const status = {
    phase: "Moonlit",
    reason: "Moonstruck",
    conditions: [waning, moonlit],
    queue: { position: 1, reason: "Moonrise" },
    result: { outcome: "failed", reason: "Moonstruck", message: "It was the moon.", finishedAt: at }
  } as const
  const task = {
    metadata: { name: "task", namespace: "tasks", uid: "uid", resourceVersion: "1", creationTimestamp: at },
    spec: { workspace: "demo", stage: "plan", source: { inline: {} } },
    status
  }

  it("are read as they are, so that no task vanishes on the way back to this one", () =>
    expect(Schema.decodeUnknownSync(AgentTask)(task).status).toEqual(status))
  it.each([{ phase: "Moonlit" }, { reason: "Moonstruck" }, { conditions: [waning] }, { conditions: [moonlit] }])(
    "are not in the lists that the API server keeps to: %j",
    (status) => expect(Schema.is(WritableStatus)(status)).toBe(false)
  )
})

describe("an option that only a newer version knows", () =>
  it("is read as it is, so that the task can be refused rather than planned without it", () => {
    const task = (options: object) => ({
      metadata: { name: "task", namespace: "tasks", uid: "uid", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" },
      spec: { workspace: "demo", stage: "plan", source: { inline: {} }, options }
    })
    expect(Schema.decodeUnknownSync(AgentTask)(task({ refresh: false, excludes: ["a.b"] })).spec.options).toEqual({
      refresh: false,
      excludes: ["a.b"]
    })
    expect(Schema.is(AgentTask)(task({ refresh: "no" }))).toBe(false)
  }))

describe("the claim of a plan", () =>
  it("is read also where a runner mounts it, since an earlier CRD took that, and a task that is stored must not vanish", () =>
    expect(
      Schema.is(AgentTaskSpec)({
        workspace: "demo",
        stage: "apply",
        source: { savedPlan: { claimName: "plans", sha256: "a".repeat(64) } },
        jobTemplate: { volumeClaims: [{ claimName: "plans", mountPath: "/more" }] }
      })
    ).toBe(true)))

describe("the rule that a spec is immutable", () => {
  const { "x-kubernetes-validations": rules = [] } = structuralSchema(AgentTaskSpec)
  const holds = rules.filter(({ message }) => message.startsWith("spec is immutable")).map((_) => rule(_.rule))
  const accepted = (oldSelf: object, self: object) => holds.every((_) => _({ oldSelf, self }))
  const keys = Object.keys(AgentTaskSpec.fields)
  const whole = Object.fromEntries(keys.map((key) => [key, "as it was made"]))
  const without = (key: string) => Object.fromEntries(Object.entries(whole).filter(([name]) => name !== key))

  it.each(keys.filter((key) => key !== "cancel"))("lets nobody change, add or take away its %s", (key) => {
    expect(accepted(whole, { ...whole, [key]: "another" })).toBe(false)
    expect(accepted(without(key), whole)).toBe(false)
    expect(accepted(whole, without(key))).toBe(false)
  })
  it("lets a cancel through, and a task that stays as it is", () => {
    expect(holds.length).toBe(1)
    expect(accepted(without("cancel"), whole)).toBe(true)
    expect(accepted(without("cancel"), without("cancel"))).toBe(true)
  })
})
