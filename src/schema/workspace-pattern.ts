// Patterns of workspaces: a whole name, or the beginning of names followed by `*`.
// Used by schema/values/identities and core/text/token-lines, which mean the same workspaces by the same words, and by core/run/permission.
import { Schema } from "effect"

export const WorkspacePattern = Schema.String.check(
  Schema.isPattern(/^([A-Za-z0-9][-_A-Za-z0-9]*)?\*$|^[A-Za-z0-9][-_A-Za-z0-9]*$/u, {
    expected: "a workspace's name, or the beginning of names and *"
  }),
  Schema.isMaxLength(90)
)

/** Reports whether a pattern fits a workspace, or all workspaces that another pattern fits. */
export const fits = (patterns: ReadonlyArray<string>, workspace: string): boolean =>
  patterns.some((pattern) => pattern.endsWith("*") ? workspace.startsWith(pattern.slice(0, -1)) : workspace === pattern)
