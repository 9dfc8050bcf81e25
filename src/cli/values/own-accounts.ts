// Refuses identities that would give a task the account of the controller or the server, which the values alone do not name.
// Used by cli/commands/render and cli/values/write-overlay, before anything is printed or written.
import { Effect } from "effect"
import { takenIdentity } from "../../core/manifest/own-objects.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { BadInput } from "../terminal/failure.ts"

export const accountsApart = (config: ResolvedConfig): Effect.Effect<void, BadInput> => {
  const taken = takenIdentity(config)
  return taken === undefined ? Effect.void : Effect.fail(
    new BadInput({
      message:
        `The identity ${taken} (task.identities) is the account of the controller or the server in namespace ${config.namespace}, whose rights no task may have; choose another name for the identity, or give the tasks a namespace of their own (task.namespace).`
    })
  )
}
