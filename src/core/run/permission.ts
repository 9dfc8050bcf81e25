// What a user's token allows: each request needs a role, of which a token has one, and a workspace that the token is for.
// Invariant: what is not marked as needing less is allowed only to a token without a role.
// Used by server/access/authorize and server/access/reach for each route, by the TFE routes for runs, and by the TFE documents, which tell clients beforehand.
import type { RunStatus } from "../../schema/api/run.ts"
import { fits } from "../../schema/workspace-pattern.ts"
import { type Reach, type Role, roles } from "../text/token-lines.ts"

/** Whose token it is, as its line in the token file says. */
export interface Holder {
  readonly name: string
  readonly role: Role
}

/** The same, and for which workspaces it is. */
export interface HolderOfSome extends Holder {
  readonly workspaces: Reach
}

export const allows = (role: Role, needed: Role): boolean => roles.indexOf(role) >= roles.indexOf(needed)

/** Returns what a request needs by its method, unless its route says otherwise. */
export const neededBy = (method: string): Role => method === "GET" ? "read" : "everything"

/** Returns what a new run needs: no plan of `role=plan` is applied unless somebody else approves it. */
export const neededToStart = ({ autoApply, planOnly }: { readonly autoApply: boolean; readonly planOnly: boolean }): Role =>
  autoApply && !planOnly ? "everything" : "plan"

/**
 * Returns what it needs to cancel or discard a run. Whose it is, is told by the name, which a new token may have too. The apply is of whoever
 * approved it, which no `role=plan` may.
 */
export const neededToStop = (
  { startedBy, status }: { readonly startedBy: string | null; readonly status: RunStatus },
  { name }: Holder
): Role => startedBy === name && status !== "confirmed" && status !== "applying" ? "plan" : "everything"

/** Returns the sentence that refuses what was asked; undefined if it is allowed. */
export const notAllowed = ({ name, role }: Holder, needed: Role, asked: string): string | undefined =>
  allows(role, needed)
    ? undefined
    : `The token of ${name} has role=${role}, which does not allow ${asked}; use a token ${
      needed === "plan" ? "with role=plan or without a role" : "without a role"
    }.`

/** Reports whether a token is for the workspace. In it, the token may do what its role allows; of any other it is not even told. */
export const mayTouch = ({ workspaces }: Pick<HolderOfSome, "workspaces">, workspace: string): boolean =>
  workspaces === "all" || fits(workspaces, workspace)

const isForAlone = ({ name, workspaces }: HolderOfSome) => `The token of ${name} is for the workspaces ${String(workspaces)} alone`

/** Returns the sentence that refuses to make the workspace; undefined if it may be made. */
export const notMade = (holder: HolderOfSome, workspace: string): string | undefined =>
  mayTouch(holder, workspace)
    ? undefined
    : `${isForAlone(holder)}, so it makes no other; choose a name that fits, or use a token that is for this one.`

/** Returns the sentence that refuses what is of all workspaces; undefined if it is allowed. */
export const notOfAll = (holder: HolderOfSome, asked: string): string | undefined =>
  holder.workspaces === "all"
    ? undefined
    : `${isForAlone(holder)}, which does not allow ${asked}; ask about one of them, or use a token without workspaces=.`

/**
 * Returns the sentence that refuses to bring what a stage left; undefined if it is allowed. Of a stage that is not known, it may be any
 * workspace's.
 */
export const notBrought = (holder: HolderOfSome, stage: string, workspace: string | undefined): string | undefined =>
  holder.workspaces === "all" || (workspace !== undefined && mayTouch(holder, workspace))
    ? undefined
    : `${
      isForAlone(holder)
    }, and nothing tells that the stage ${stage}, which left this state, is of one of them; use a token without workspaces=.`
