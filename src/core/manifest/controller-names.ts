// The names of the controller's objects that other modules have to know: its Deployment, with role and budget, and the Lease by which it leads.
// Used by builders in core/manifest/installation, by core/doctor and core/migration, in cli/cluster, cli/doctor and controller/lifecycle.
import type { ResolvedConfig } from "../resolve/resolve.ts"

type Named = Pick<ResolvedConfig, "name">

export const controllerName = ({ name }: Named): string => `${name}-controller`

/** Returns the name of the Lease that the leading controller holds. */
export const leaderLeaseName = (of: Named): string => controllerName(of)
