// What was approved of a run, and that nothing else is claimed; a part of the invariants, under I1.
// Invariant: each run has an archive of its own, and each attempt at its plan makes a plan of its own.
// Used by test/simulation/invariants, and by the parts that make archives and plans.
import { createHash } from "node:crypto"
import { Sha256 } from "../../src/schema/names.ts"
import { type AgentTask, mutates } from "../../src/schema/task/agent-task.ts"
import type { PoolServer } from "./pool-server.ts"
import { same } from "./same.ts"
import { demand } from "./violation.ts"

/** The digests of a plan and of the archive that it was made of. */
export interface Approved {
  readonly plan: string | null
  readonly archive: string
}

export const digestOf = (text: string): Sha256 => Sha256.make(createHash("sha256").update(text).digest("hex"))
/** Returns the digest of the archive of the run that was started as the `nth`. */
export const archiveOf = (nth: number): Sha256 => digestOf(`the archive of run ${nth}`)
/** Returns the digest of the plan that this stage of the pool makes. */
export const planOf = (stageId: string): Sha256 => digestOf(`the plan of ${stageId}`)

/**
 * Checks a task of the pool that is claimed: it has the archive of its run and, if it applies, the plan that its run came to last, which a
 * person has confirmed unless the run applies by itself.
 */
export const judgeClaim = ({ confirmed, stored }: PoolServer, { metadata: { name }, spec }: AgentTask): void => {
  const run = stored.runs.find(({ id }) => id === spec.pool?.runId)
  if (run === undefined) return
  const claimed = { plan: spec.plan?.sha256 ?? null, archive: spec.source.pool?.archiveSha256 }
  demand(claimed.archive === run.archiveSha256, "I1", () => `${name} was claimed with another archive than its run has`)
  if (!mutates(spec.stage)) return
  const plan = stored.stages.findLast(({ result, runId, stage }) => runId === run.id && stage === "plan" && result?.outcome === "succeeded")
  const planned: Approved = { plan: plan === undefined ? null : planOf(plan.id), archive: run.archiveSha256 }
  demand(same(claimed, planned), "I1", () => `${name} was claimed with another plan than its run came to`)
  demand(
    run.autoApply || same(claimed, confirmed.get(run.id)),
    "I1",
    () => `${name} was claimed with another plan or archive than was confirmed`
  )
}
