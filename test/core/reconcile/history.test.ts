// Which finished tasks may be deleted: the oldest of each workspace, and only attempts and tasks whose end their pool knows.
import { describe, expect, it } from "@effect/vitest"
import { historyOf } from "../../../src/core/reconcile/history.ts"
import { Sha256, Uid, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTask, Stage } from "../../../src/schema/task/agent-task.ts"
import { plainSeed, type Seed, worldOf } from "../worlds.ts"

const at = (minute: number): string => `2026-01-01T12:0${minute}:00Z`

/** Returns a task that is over and was made in that minute. */
const task = (uid: string, minute: number, workspace: string, seed: Partial<Seed> = {}): AgentTask => {
  const { task } = worldOf({ ...plainSeed, life: "succeeded", pool: true, reported: true, ...seed })
  return {
    ...task,
    metadata: { ...task.metadata, uid: Uid.make(uid), creationTimestamp: at(minute) },
    spec: { ...task.spec, workspace: WorkspaceName.make(workspace) }
  }
}

/** Returns the uids of the tasks of one workspace that are past this limit. */
const expired = (tasks: ReadonlyArray<AgentTask>, limit: number) => historyOf(tasks).slice(limit).map(({ metadata }) => metadata.uid)

describe("what may go", () => {
  it("names the oldest beyond the limit, in whatever order they come", () => {
    const [old, middle, young] = [task("old", 1, "a"), task("middle", 2, "a"), task("new", 3, "a")]
    for (const tasks of [[old, young, middle], [middle, old, young]]) expect(expired(tasks, 1)).toEqual(["middle", "old"])
  })
  it.each([{ says: "an hour ago", finishedAt: "2026-01-01T11:00:00Z" }, { says: "in an hour", finishedAt: "2026-01-01T13:00:00Z" }])(
    "asks no node's clock, by which one ended $says",
    ({ finishedAt }) => {
      const skewed = (uid: string, minute: number) => ({
        ...task(uid, minute, "a"),
        status: { ...task(uid, minute, "a").status, finishedAt, reportedAt: finishedAt }
      })
      expect([...expired([skewed("older", 0), task("old", 1, "a"), skewed("just", 3), task("new", 2, "a")], 2)]).toEqual(["old", "older"])
    }
  )
  const attempt = (name: string, minute: number, number = 1, stage: Stage = "plan", owner = "followed") => {
    const { metadata, spec, status } = task(name, minute, "a", { pool: false, reported: false }) // no pool asks for it
    return {
      metadata: { ...metadata, name, ownerReferences: [{ kind: "AgentTask", uid: Uid.make(owner), controller: true }] },
      spec: { ...spec, attempt: number, stage },
      status
    }
  }
  const followed = (latest: AgentTask["status"]["latest"]) => {
    const { metadata, spec, status } = task("followed", 0, "a", { pool: false })
    return { metadata: { ...metadata, name: "followed" }, spec, status: { ...status, ...(latest !== undefined && { latest }) } }
  }
  const third = { attempt: 3, name: "followed-3", apply: "followed-3-apply", sha256: Sha256.make("a".repeat(64)) }
  it("names attempts at a new revision, which nobody would make again, and what applied them", () => {
    const tasks = [
      followed(third),
      attempt("followed-apply", 1, 1, "apply"),
      attempt("followed-2", 2, 2),
      attempt("followed-2-apply", 3, 2, "apply")
    ]
    expect([...expired(tasks, 1)]).toEqual(["followed-2", "followed-apply"])
  })
  it("leaves the newest attempt and its apply, of which the task speaks that they were made for", () => {
    expect([
      ...expired([attempt("followed-2", 1, 2), attempt("followed-3", 2, 3), attempt("followed-3-apply", 3, 3, "apply"), followed(third)], 0)
    ]).toEqual(["followed-2"])
  })
  it("leaves an attempt that runs, though there is a newer one", () => {
    const runs = { ...attempt("followed-2", 1, 2), status: task("running", 1, "a", { life: "claimed" }).status }
    expect([...expired([runs, attempt("followed-3", 2, 3), followed(third)], 0)]).toEqual([])
  })
  it.each([
    { given: "by a task that is not there", forged: attempt("followed-2", 2, 2, "plan", "nobody"), latest: third },
    { given: "by a task that has made none", forged: attempt("followed-2", 2, 2), latest: undefined },
    {
      given: "as what applied its first plan, by a task that has applied none",
      forged: attempt("followed-apply", 2, 1, "apply"),
      latest: undefined
    },
    { given: "as a later attempt than there was", forged: attempt("followed-4", 2, 4), latest: third },
    { given: "under a name of its own", forged: attempt("other", 2, 2), latest: third },
    { given: "as what applied an attempt, under a name of its own", forged: attempt("other", 2, 2, "apply"), latest: third }
  ])(
    "lets one that says it was made $given take no place from a record of the pool",
    ({ forged, latest }) => expect([...expired([task("record", 1, "a"), forged, followed(latest)], 1)]).toEqual([])
  )
  it.each(
    [
      { given: "that Git keeps, since it would run again", seed: { pool: false } },
      { given: "whose end the pool does not know", seed: { reported: false } },
      { given: "that runs", seed: { life: "claimed" } }
    ] as const
  )("never names one $given", ({ seed }) => expect([...expired([task("one", 1, "a", seed)], 0)]).toEqual([]))
})
