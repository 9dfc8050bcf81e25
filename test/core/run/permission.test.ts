import { describe, expect, it } from "@effect/vitest"
import { allows, neededBy, neededToStart, neededToStop, notAllowed } from "../../../src/core/run/permission.ts"

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
