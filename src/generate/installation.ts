// The installation that kustomize/base describes: the defaults with one thing decided, and what other values would make of it.
// Invariant: a layer here means what the same layer means in the controller's ConfigMap.
// Used by the generators beside it.
import { Result } from "effect"
import { type ResolvedConfig, resolve } from "../core/resolve.ts"
import { merge, type Tree } from "../schema/layers.ts"
import { appVersion, parseValues } from "../schema/values.ts"

export const release = { name: "agent-job", namespace: "agent-job", version: appVersion }

/** Tasks have a namespace of their own: whoever may write AgentTasks there must not reach the controller's Secrets. */
const baseLayer: Tree = { task: { namespace: "agent-job-tasks" } }

export const installationOf = (layer: Tree): ResolvedConfig => resolve(Result.getOrThrow(parseValues(merge(baseLayer, layer))), release)
