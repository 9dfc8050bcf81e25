// The controller's configuration: its values files, read, decoded with every problem named, and resolved.
// Files that are wrong keep the controller from starting; it never runs with half of them.
// Used by controller/controller.
import { Effect } from "effect"
import { type Release, type ResolvedConfig, resolve } from "../core/resolve.ts"
import { appVersion } from "../schema/values.ts"
import { loadValues, type ValuesInvalid } from "./values-files.ts"

/** `path`: a file, or a directory of layers. */
export const loadConfig = (path: string, release: Omit<Release, "version">): Effect.Effect<ResolvedConfig, ValuesInvalid> =>
  Effect.map(loadValues([path]), (values) => resolve(values, { ...release, version: appVersion }))
