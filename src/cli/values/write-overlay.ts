// Writes an overlay for some values, with the command that writes it again in every file.
// Used by cli/commands/overlay.ts and cli/values/migrate-release.ts.
import { Effect } from "effect"
import { missingSecret, overlay } from "../../core/overlay/overlay.ts"
import { shellWord } from "../../core/text/shell-word.ts"
import { appVersion, type Values } from "../../schema/values/values.ts"
import { usualTaskNamespace } from "../flags/settings.ts"
import { contentsOf } from "./base-contents.ts"
import type { Base } from "./base-reference.ts"
import { type Files, overlayFiles } from "./overlay-files.ts"
import { writeFolder } from "./overlay-folder.ts"

export interface Wanted {
  readonly values: Values
  /** Name of the installation. */
  readonly name: string
  readonly namespace: string
  readonly base: Base
  readonly out: string
  readonly withoutCrd?: boolean
  /** Further files to write beside those of the overlay. */
  readonly more?: Files
}

const again = ({ base, namespace, withoutCrd }: Wanted, name: string): string =>
  `agent-job overlay --values values.yaml --name ${name} --namespace ${namespace}${
    base.chosen ? ` --base ${shellWord(base.reference)}` : ""
  }${withoutCrd === true ? " --without-crd" : ""} --out .`

/** Returns a hint about where the tasks are, if get, logs and cancel would look for them elsewhere. */
const whereTasksAre = (namespace: string): ReadonlyArray<string> =>
  namespace === usualTaskNamespace
    ? []
    : [`Its AgentTasks are in namespace ${namespace}; get, logs and cancel find them with --namespace ${namespace}.`]

/** Returns what was written, the namespaces of its objects, and the Secret that is missing because the values carry the token itself. */
export const writeOverlay = Effect.fn("writeOverlay")(function*(wanted: Wanted) {
  const { base, more, name, namespace, out, values, withoutCrd = false } = wanted
  const made = overlay(values, { name, namespace, version: appVersion }, { ...(yield* contentsOf(base, out)), withoutCrd })
  const files = { ...overlayFiles(made, base.reference, again(wanted, made.to.config.name)), ...more }
  yield* writeFolder(out, files)
  const { namespace: ofController, taskNamespace } = made.to.config
  return {
    files: Object.keys(files),
    namespaces: [...new Set([ofController, taskNamespace])],
    secret: missingSecret(made),
    hints: whereTasksAre(taskNamespace)
  }
})
