// One Lease a workspace, held by the task whose apply or destroy may change it, and by no other.
// It is never free by time: only because its holder is over, or nothing of its holder is left.
// Read by controller/observe, written by controller/execute.
import { Option } from "effect"
import type { Uid } from "../schema/names.ts"
import { fingerprint } from "./fingerprint.ts"
import { Holder } from "./observed.ts"

/** `agent-job-` and the workspace in what a name allows; two workspaces that read alike differ in the end. */
export const leaseName = (workspace: string): string =>
  `agent-job-${workspace.toLowerCase().replace(/[^a-z0-9]+/gu, "-").slice(0, 40)}-${fingerprint(workspace)}`

export interface LeaseSeen {
  readonly holder: string
  readonly transitions: number
  readonly resourceVersion: string
}

/** What is known of the task that holds the Lease: `gone` is the absence of the task and of all its Pods. */
export type Fate = { readonly fate: "over" | "gone" } | { readonly fate: "alive"; readonly name: string }

/** Who holds it, from the point of view of the task `self`. */
export const holderOf = (lease: Option.Option<LeaseSeen>, self: Uid, fateOf: (uid: string) => Fate): Holder =>
  Option.match(lease, {
    onNone: () => Holder.Free(),
    onSome: ({ holder, resourceVersion, transitions }) => {
      if (holder === self) return Holder.Mine({ epoch: transitions })
      const fate = holder === "" ? { fate: "gone" as const } : fateOf(holder)
      return fate.fate === "alive" ? Holder.Taken({ by: fate.name }) : Holder.Over({ resourceVersion, epoch: transitions })
    }
  })
