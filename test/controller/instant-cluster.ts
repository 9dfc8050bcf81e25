// An in-memory API server that answers at once, and a client for it: the model that the simulation runs on, without its faults.
// Invariant: it refuses what a real one refuses (test/simulation/api-server.cluster.test.ts), so a test sees what a guard is for.
// Used by the tests beside it.
import { Effect } from "effect"
import { noon } from "../core/worlds.ts"
import { ApiServer } from "../simulation/api-server.ts"
import { clientOf } from "../simulation/client.ts"

export const instantCluster = () => {
  const server = new ApiServer(() => Date.parse(noon))
  const { kubernetes } = clientOf(server, { ask: (_, answer) => Effect.suspend(() => answer("none")) })
  return { server, kubernetes }
}
