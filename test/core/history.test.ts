// Which finished tasks may go: the oldest of each workspace, and only those that a pool knows the end of.
import { describe, expect, it } from "@effect/vitest"
import { expired } from "../../src/core/history.ts"
import type { AgentTask } from "../../src/schema/agent-task.ts"
import { Sha256, Uid, WorkspaceName } from "../../src/schema/names.ts"
import { plainSeed, type Seed, worldOf } from "./worlds.ts"

const task = (uid: string, minute: number, workspace: string, seed: Partial<Seed> = {}): AgentTask => {
  const { task } = worldOf({ ...plainSeed, life: "succeeded", pool: true, reported: true, ...seed })
  return {
    ...task,
    metadata: { ...task.metadata, uid: Uid.make(uid), creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { ...task.spec, workspace: WorkspaceName.make(workspace) },
    status: { ...task.status, finishedAt: `2026-01-01T00:0${minute}:00Z` }
  }
}

describe("expired", () => {
  it("names the oldest beyond the limit", () => expect([...expired([task("old", 1, "a"), task("new", 3, "a"), task("middle", 2, "a")], 2)]).toEqual(["old"]))
  it("keeps one that just ended on a node whose clock is an hour behind", () => {
    const { metadata, ...rest } = task("just", 0, "a")
    const just = { ...rest, metadata: { ...metadata, creationTimestamp: "2026-01-01T01:00:00Z" } }
    expect([...expired([task("old", 1, "a"), just, task("new", 3, "a")], 2)]).toEqual(["old"])
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
