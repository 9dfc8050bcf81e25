// A Pod whose containers run, and containers that wait or ended. Used by the tests of core/reconcile/pod-end and core/reconcile/start-trouble.
import { Option } from "effect"
import type { ContainerSeen, PodSeen } from "../../../src/core/task/observed.ts"
import { plainSeed, worldOf } from "../worlds.ts"

export const healthy: PodSeen = Option.getOrThrow(worldOf({ ...plainSeed, pod: "Running", worker: "running", runner: "running" }).pod)
export const seen: ContainerSeen = { state: "waiting", reason: "", message: "", exitCode: Option.none(), lastReason: "" }
export const container = (more: Partial<ContainerSeen>): Option.Option<ContainerSeen> => Option.some({ ...seen, ...more })
export const waiting = (reason: string, message = "") => container({ reason, message })
export const ended = (reason: string, code: number) => container({ state: "terminated", reason, exitCode: Option.some(code) })
