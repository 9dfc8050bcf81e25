// Refuses to write an overlay over its own values.yaml while that has secrets, which the overlay would leave out.
// Invariant: no command destroys what may be the only copy of a secret.
// Used by cli/commands/overlay.ts.
import { Effect } from "effect"
import { realpath } from "node:fs/promises"
import { join } from "node:path"
import { withoutSecrets } from "../../core/migration/inline-secrets.ts"
import { shown } from "../../schema/document/explain.ts"
import type { Layer } from "../../schema/document/layers.ts"
import { BadInput } from "../terminal/failure.ts"

/** Returns the path without symbolic links, or nothing if no file has it, as that of a pipe. */
const whole = (path: string): Effect.Effect<string | undefined> => Effect.promise(() => realpath(path).catch(() => undefined))

/** Fails if one of the values files is the one in `folder` that is about to be replaced, and a secret is in it in the clear. */
export const keepOnlyCopies = Effect.fn("keepOnlyCopies")(function*(layers: ReadonlyArray<Layer>, folder: string) {
  const directory = yield* whole(folder)
  if (directory === undefined) return
  for (const { name, tree } of layers) {
    const secrets = withoutSecrets(tree, "", "").secrets.flatMap(({ data }) => Object.values(data))
    if (secrets.length > 0 && (yield* whole(name)) === join(directory, "values.yaml")) {
      return yield* new BadInput({
        message: `${name} has secrets that it would not have any more once it is written anew (${
          secrets.map(shown).join(", ")
        }), and it may be their only copy; take them out of it first, into a values file elsewhere, and name that one with a second --values.`
      })
    }
  }
})
