// Which finished tasks may go: the oldest of each workspace, and only those that a pool knows the end of.
import { describe, expect, it } from "@effect/vitest"
import { expired } from "../../src/core/history.ts"
import type { AgentTask } from "../../src/schema/agent-task.ts"
import { Sha256, Uid, WorkspaceName } from "../../src/schema/names.ts"
import { plainSeed, type Seed, worldOf } from "./worlds.ts"

const at = (minute: number): string => `2026-01-01T12:0${minute}:00Z`

/** Over, and made in that minute. */
const task = (uid: string, minute: number, workspace: string, seed: Partial<Seed> = {}): AgentTask => {
  const { task } = worldOf({ ...plainSeed, life: "succeeded", pool: true, reported: true, ...seed })
  return {
    ...task,
    metadata: { ...task.metadata, uid: Uid.make(uid), creationTimestamp: at(minute) },
    spec: { ...task.spec, workspace: WorkspaceName.make(workspace) }
  }
}

describe("expired", () => {
  it("names the oldest beyond the limit", () => expect([...expired([task("old", 1, "a"), task("new", 3, "a"), task("middle", 2, "a")], 2)]).toEqual(["old"]))
  it.each([{ says: "an hour ago", finishedAt: "2026-01-01T11:00:00Z" }, { says: "in an hour", finishedAt: "2026-01-01T13:00:00Z" }])("asks no node's clock, by which one ended $says", ({ finishedAt }) => {
    const skewed = (uid: string, minute: number) => ({ ...task(uid, minute, "a"), status: { ...task(uid, minute, "a").status, finishedAt, reportedAt: finishedAt } })
    expect([...expired([skewed("older", 0), task("old", 1, "a"), skewed("just", 3), task("new", 2, "a")], 2)]).toEqual(["old", "older"])
  })
  const attempt = (name: string, minute: number) => {
    const { metadata, ...rest } = task(name, minute, "a", { pool: false })
    return { ...rest, metadata: { ...metadata, name, ownerReferences: [{ kind: "AgentTask", uid: Uid.make("followed"), controller: true }] } }
  }
  it("names attempts at a new revision, which nobody would make again", () => {
    expect([...expired([attempt("old", 1), attempt("new", 2), task("followed", 0, "a", { pool: false })], 1)]).toEqual(["old"])
  })
  it("leaves the newest attempt and its apply, of which the task speaks that they were made for", () => {
    const { status, ...followed } = task("followed", 0, "a", { pool: false })
    const latest = { attempt: 3, name: "third", apply: "apply", sha256: Sha256.make("a".repeat(64)) }
    expect([...expired([attempt("second", 1), attempt("third", 2), attempt("apply", 3), { ...followed, status: { ...status, latest } }], 0)]).toEqual(["second"])
  })
  it.each([
    { given: "that Git keeps, since it would run again", seed: { pool: false } },
    { given: "whose end the pool does not know", seed: { reported: false } },
    { given: "that runs", seed: { life: "claimed" } }
  ] as const)("never names one $given", ({ seed }) => expect([...expired([task("one", 1, "a", seed)], 0)]).toEqual([]))
})
