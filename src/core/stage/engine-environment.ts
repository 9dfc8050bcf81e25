// Which variables of the engine the runner has by itself: from its image, or from the values and what these name.
// Invariant: each `TF_…` is among them whose value has a part in where the engine keeps its state, or in what it plans and applies.
// Used by worker/engine/engine.ts.

/** Not among them is what says nothing of what is run: logs, tokens for registries, which are renewed, and how registries are asked and kept. */
const ofEngine = /^TF_(?!LOG|TOKEN_|REGISTRY_|PROVIDER_DOWNLOAD_RETRY$|PLUGIN_CACHE_|APPEND_USER_AGENT$)/u

/** Returns those in `environ`, as the kernel tells a process's environment, that the worker does not set itself (`ours`). */
export const engineVariables = (environ: string, ours: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    environ.split("\0").flatMap((entry) => {
      const at = entry.indexOf("=")
      const name = entry.slice(0, Math.max(0, at))
      return ofEngine.test(name) && !Object.hasOwn(ours, name) ? [[name, entry.slice(at + 1)] as const] : []
    })
  )
