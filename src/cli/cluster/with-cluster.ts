// Gives a command a screen and the client of the cluster. Both are loaded and made only when a command that needs them runs.
// Used by get, logs, cancel, drain, doctor, migrate and bundle.
import { Effect } from "effect"
import type { ClusterFlags } from "../flags/settings.ts"
import { lazily } from "../terminal/lazily.ts"
import type { ScreenOptions } from "../terminal/screen.ts"
import { withScreen } from "../terminal/with-screen.ts"

/** Does the work that `load` resolves to. Its parts ask for both as services. */
export const withCluster = <A, E, R>(
  given: Pick<ClusterFlags, "context">,
  load: () => Promise<Effect.Effect<A, E, R>>,
  options?: ScreenOptions
) =>
  withScreen(() =>
    lazily(async () => {
      const [{ cluster }, work] = await Promise.all([import("./cluster.ts"), load()])
      return Effect.provide(work, cluster(given))
    }), options)
