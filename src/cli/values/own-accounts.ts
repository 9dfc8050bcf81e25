// Refuses identities that would give a task the account of the controller or the server, which the values alone do not name.
// Used by cli/commands/render and cli/values/write-overlay, before anything is printed or written.
import { Effect } from "effect"
import { takenIdentities } from "../../core/manifest/own-objects.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { line } from "../../schema/document/explain.ts"
import { BadInput } from "../terminal/failure.ts"

export const accountsApart = (config: ResolvedConfig): Effect.Effect<void, BadInput> => {
  const [taken] = takenIdentities(config)
  return taken === undefined ? Effect.void : Effect.fail(new BadInput({ message: `The values cannot be used: ${line(taken)}.` }))
}
