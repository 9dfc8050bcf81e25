// Ids that say what they name: a prefix and 16 lowercase letters and digits (80 bits), fit for names of Kubernetes objects.
// A run's plan and apply have no rows of their own: their ids are the run's with another prefix.
// Used by every store of the server.
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { RunId } from "../schema/names.ts"

const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"

const random = () => Array.from(randomBytes(16), (byte) => alphabet[byte % alphabet.length]).join("")

export const newId = (prefix: "ws" | "cv" | "sv" | "var" | "res" | "ev" | "req") => Effect.sync(() => `${prefix}-${random()}`)

export const newRunId = Effect.sync(() => RunId.make(`run-${random()}`))

type StepId = `${"plan" | "apply"}-${string}`

export const stepId = (runId: string, step: "plan" | "apply"): StepId => `${step}-${runId.slice("run-".length)}`

/** The run of a plan or an apply. */
export const runOfStep = (id: string): string => `run-${id.slice(id.indexOf("-") + 1)}`
