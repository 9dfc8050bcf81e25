// Cases of tasks that a worker has claimed.
import type { Seed } from "../../worlds.ts"
import type { Case } from "./case.ts"

/** An apply whose worker has died and whose engine is interrupted, beside a container that does not end. */
export const kept = {
  life: "claimed",
  stage: "apply",
  job: "active",
  pod: "unready",
  worker: "OOMKilled",
  runner: "running",
  kept: true
} satisfies Partial<Seed>

export const claimed: ReadonlyArray<Case> = [
  {
    given: "a deleted task of a pool that runs",
    seed: { life: "claimed", pool: true, deleted: true, job: "active", pod: "Running", worker: "running" },
    situation: "deleted, not cancelled yet",
    actions: ["Cancel"],
    phase: "Running"
  },
  {
    given: "a deleted task without a pool whose worker left a result in its termination message",
    seed: { life: "claimed", deleted: true, job: "complete", pod: "Succeeded", worker: "Completed", lastWords: true },
    situation: "claimed, and the worker left its last words",
    actions: [],
    phase: "Succeeded",
    reason: "Completed"
  },
  {
    given: "a result in the termination message only",
    seed: { life: "claimed", job: "complete", pod: "Succeeded", worker: "Completed", lastWords: true },
    situation: "claimed, and the worker left its last words",
    actions: [],
    phase: "Succeeded",
    reason: "Completed"
  },
  {
    given: "a deleted task without a pool whose Pod is gone",
    seed: { life: "claimed", deleted: true },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "NodeLost"
  },
  {
    given: "a claimed task whose Pod is gone",
    seed: { life: "claimed" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "NodeLost"
  },
  {
    given: "a claimed task whose Pod was evicted",
    seed: { life: "claimed", job: "failed", pod: "Evicted" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Evicted"
  },
  {
    given: "a worker that exits 0 without a result",
    seed: { life: "claimed", job: "complete", pod: "Succeeded", worker: "Completed" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Lost"
  },
  {
    given: "a worker that died, and its runner after it",
    seed: { life: "claimed", stage: "apply", job: "active", pod: "Running", worker: "OOMKilled", runner: "Completed" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "OutOfMemory"
  },
  {
    given: "a worker whose end was written down, and its Pod is gone",
    seed: { life: "ending", stage: "apply" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "OutOfMemory"
  },
  {
    given: "a claimed task on a silent node",
    seed: { life: "claimed", job: "active", pod: "silent", worker: "running" },
    situation: "claimed, and its node does not answer",
    actions: [],
    phase: "Running",
    reason: "NodeUnreachable"
  },
  {
    given: "a claimed task whose newest state is not saved, on a silent node",
    seed: { life: "unsaved", job: "active", pod: "silent", worker: "running" },
    situation: "claimed, and its node does not answer",
    actions: [],
    phase: "Running",
    reason: "NodeUnreachable"
  },
  {
    given: "a claimed task whose newest state is not saved",
    seed: { life: "unsaved", job: "active", pod: "Running", worker: "running" },
    situation: "claimed, and its newest state is not saved",
    actions: [],
    phase: "Running",
    reason: "StateUnsaved"
  },
  {
    given: "a cancel while the newest state is not saved",
    seed: { life: "unsaved", job: "active", pod: "Running", worker: "running", cancel: true },
    situation: "claimed, and its newest state is not saved",
    actions: [],
    phase: "Running",
    reason: "StateUnsaved"
  },
  {
    given: "a worker that died with its newest state unsaved, beside a container that keeps its Pod",
    seed: { ...kept, life: "unsaved", unreadySeconds: 120, worker: "Error" },
    situation: "claimed, and its newest state is not saved",
    actions: [],
    phase: "Running",
    reason: "StateUnsaved"
  },
  {
    given: "a worker that died beside a container that keeps its Pod: why it ended is written down first",
    seed: { ...kept, unreadySeconds: 120 },
    situation: "claimed, and its worker is over, but another container keeps its Pod",
    actions: [],
    phase: "Running",
    reason: "OutOfMemory"
  },
  {
    given: "a worker whose end is written down: its Pod is ended",
    seed: { ...kept, life: "ending", unreadySeconds: 0 },
    situation: "claimed, and its worker is over, but another container keeps its Pod",
    actions: ["DeleteJob"],
    phase: "Running",
    reason: "OutOfMemory"
  },
  {
    given: "a Pod that is being ended, whose runner still ends the engine",
    seed: { ...kept, life: "ending", job: "none", kept: false },
    situation: "claimed, and its worker is over, but another container keeps its Pod",
    actions: [],
    phase: "Running",
    reason: "OutOfMemory"
  },
  {
    given: "a claimed task whose Pod has not been ready for two minutes",
    seed: { life: "claimed", job: "active", pod: "unready", unreadySeconds: 120, worker: "running" },
    situation: "claimed, and its Pod has not been ready for two minutes",
    actions: [],
    phase: "Running",
    reason: "PodNotReady"
  },
  {
    given: "a cancel after the claim",
    seed: { life: "claimed", job: "active", pod: "Running", worker: "running", cancel: true },
    situation: "claimed, and to be cancelled",
    actions: [],
    phase: "Running",
    reason: "Stopping"
  },
  {
    given: "a claimed task that runs",
    seed: { life: "claimed", job: "active", pod: "Running", worker: "running" },
    situation: "claimed",
    actions: [],
    phase: "Running",
    reason: "Claimed"
  },
  {
    given: "a deleted task without a pool that runs",
    seed: { life: "claimed", deleted: true, job: "active", pod: "Running", worker: "running" },
    situation: "claimed",
    actions: [],
    phase: "Running",
    reason: "Claimed"
  },
  {
    given: "a worker that died just now beside a container that may end by itself",
    seed: { ...kept, unreadySeconds: 119 },
    situation: "claimed",
    actions: [],
    phase: "Running",
    reason: "Claimed"
  },
  {
    given: "a worker that died while its runner still ends the engine",
    seed: { life: "claimed", stage: "apply", job: "active", pod: "Running", worker: "OOMKilled", runner: "running" },
    situation: "claimed",
    actions: [],
    phase: "Running",
    reason: "Claimed"
  }
]
