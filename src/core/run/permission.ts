// What the role of a user's token allows: each request needs a role, and a token has one.
// Invariant: what is not marked as needing less is allowed only to a token without a role.
// Used by server/access/authorize for each route, by the TFE routes for runs, and by the TFE documents, which tell clients beforehand.
import type { RunStatus } from "../../schema/api/run.ts"
import { type Role, roles } from "../text/token-lines.ts"

/** Whose token it is, as its line in the token file says. */
export interface Holder {
  readonly name: string
  readonly role: Role
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
