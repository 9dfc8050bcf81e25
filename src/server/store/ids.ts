// Ids that say what they name: a prefix and 16 lowercase letters and digits (80 bits), fit for names of Kubernetes objects.
// A run's plan and apply have no rows of their own, and their ids are the run's with another prefix; that of an output is its state's and its name.
// Used by every store of the server.
import { Context, Effect } from "effect"
import { randomBytes } from "node:crypto"
import type { Step } from "../../core/run/run-machine.ts"
import { RunId } from "../../schema/names.ts"

const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"

/** The source of random bytes for ids and tokens: the system's, except in a simulation, which must be repeatable. */
export const RandomBytes = Context.Reference<(size: number) => Uint8Array>("agent-job/server/RandomBytes", {
  defaultValue: () => randomBytes
})

const random = Effect.map(RandomBytes, (bytes) => Array.from(bytes(16), (byte) => alphabet[byte % alphabet.length]).join(""))

export const newId = (prefix: "ws" | "cv" | "sv" | "var" | "res" | "ev" | "req") => Effect.map(random, (id) => `${prefix}-${id}`)

export const newRunId = Effect.map(random, (id) => RunId.make(`run-${id}`))

type StepId = `${Step}-${string}`

export const stepId = (runId: string, step: Step): StepId => `${step}-${runId.slice("run-".length)}`

/** Returns the id of the run that a plan or an apply belongs to. */
export const runOfStep = (id: string): string => `run-${id.slice(id.indexOf("-") + 1)}`

/** Returns the id of an output, which says the version and the output's name, in hex, since an id may hold no slash. */
export const outputId = (versionId: string, name: string): string => `wsout-${versionId}-${Buffer.from(name, "utf8").toString("hex")}`

export const parseOutputId = (id: string): { readonly versionId: string; readonly name: string } | undefined => {
  const [, versionId, hex] = /^wsout-(sv-[a-z0-9]+)-((?:[0-9a-f]{2})+)$/u.exec(id) ?? []
  return versionId === undefined || hex === undefined ? undefined : { versionId, name: Buffer.from(hex, "hex").toString("utf8") }
}
