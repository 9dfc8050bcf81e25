// The pools of a server, each with who asks for work in it and what waits there.
// A pool is the name of its tokens in the pool token file; its id is that name in a form that any path and any stock client can carry.
// Used by server/run/pools, the routes that show it, and the CLI.
import { Option, Schema } from "effect"
import { heardSeconds } from "./pool-api.ts"

const prefix = "apool-"

/** Returns the id of a pool: `apool-prod` for prod; a byte that is no ASCII letter, digit or hyphen is `_` and two hex digits. */
export const poolId = (name: string): string =>
  prefix +
  encodeURIComponent(name).replaceAll(/[^A-Za-z0-9%-]/gu, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll(
    "%",
    "_"
  )

const decoded = Option.liftThrowable(decodeURIComponent)

/** Returns the name of the pool with that id; none if no pool can have it. */
export const poolOfId = (id: string): Option.Option<string> =>
  id.startsWith(prefix) ? decoded(id.slice(prefix.length).replaceAll("_", "%")) : Option.none()

const counts = {
  waiting: Schema.Int.annotate({
    description:
      "Stages that no agent has taken yet, also those that wait for a person or their next attempt; of the plans of a workspace that hold nothing, those that are offered."
  }),
  workspaces: Schema.Int.annotate({ description: "How many workspaces have their stages done there." })
}

export const PoolView = Schema.Struct({
  id: Schema.String.annotate({ description: "As the TFE API has it in agent-pool-id." }),
  name: Schema.String.annotate({ description: "What follows the token in the pool token file, or the beginning of the token's SHA-256." }),
  agents: Schema.Int.annotate({
    description: `Agents that asked for work in the last ${heardSeconds} seconds, or said that they have as much as they take.`
  }),
  ...counts,
  isDefault: Schema.optionalKey(Schema.Literal(true).annotate({ description: "Workspaces that are bound to no pool are done there." })),
  withoutToken: Schema.optionalKey(
    Schema.Literal(true).annotate({ description: "No token has this name any more, so nothing is done there." })
  )
}).annotate({ identifier: "PoolView" })
export type PoolView = typeof PoolView.Type

/** `GET /api/agent-job/v1/pools` */
export const PoolList = Schema.Struct({
  pools: Schema.Array(PoolView),
  anyPool: Schema.optionalKey(
    Schema.Struct(counts).annotate({
      description: "Of the workspaces that are bound to no pool, if there is no default: any agent takes them."
    })
  )
}).annotate({ identifier: "PoolList" })
export type PoolList = typeof PoolList.Type

export const poolsPath = "/api/agent-job/v1/pools"
