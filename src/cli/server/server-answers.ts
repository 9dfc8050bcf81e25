// What the server answers in the TFE shapes, as far as the command line reads it, and the rows that are made of it.
// Used by server-client and the calls beside it, and by what shows their rows.
import { Schema } from "effect"

const document = <F extends Schema.Struct.Fields>(attributes: F) =>
  Schema.Struct({ data: Schema.Struct({ id: Schema.String, attributes: Schema.Struct(attributes) }) })

export const Identified = document({})
export const Workspace = document({ "working-directory": Schema.String })
export const ConfigurationVersion = document({ "upload-url": Schema.String })
const Output = Schema.Struct({ attributes: Schema.Struct({ name: Schema.String, sensitive: Schema.Boolean, value: Schema.Unknown }) })
export const OutputList = Schema.Struct({ data: Schema.Array(Output) })
export type Output = typeof Output.Type["attributes"]
export const WorkspaceList = Schema.Struct({
  data: Schema.Array(Schema.Struct({
    attributes: Schema.Struct({
      name: Schema.String,
      "created-at": Schema.String,
      "agent-pool-id": Schema.NullOr(Schema.String),
      "in-doubt": Schema.optionalKey(Schema.Boolean)
    }),
    relationships: Schema.Struct({ "current-run": Schema.Struct({ data: Schema.NullOr(Schema.Struct({ id: Schema.String })) }) })
  })),
  meta: Schema.Struct({ pagination: Schema.Struct({ "next-page": Schema.NullOr(Schema.Int) }) })
})
export const VariableList = Schema.Struct({
  data: Schema.Array(Schema.Struct({
    id: Schema.String,
    attributes: Schema.Struct({
      key: Schema.String,
      value: Schema.NullOr(Schema.String),
      category: Schema.String, // terraform, env, or a word of a newer server
      hcl: Schema.Boolean,
      sensitive: Schema.Boolean
    })
  }))
})

export interface WorkspaceRow {
  readonly name: string
  /** The id of the run that holds the workspace, if any. */
  readonly run: string | null
  readonly createdAt: string
  /** The pool that it is bound to, if any. */
  readonly pool?: string
  /** Whether its state waits for a person. */
  readonly inDoubt?: true
}

/** A variable of a workspace. The server gives null as the value of a sensitive one. */
export type WorkspaceVariable = typeof VariableList.Type["data"][number]["attributes"] & { readonly id: string }
