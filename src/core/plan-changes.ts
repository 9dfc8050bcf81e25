// What a saved plan would change, counted from the engine's JSON (`show -json`), never from its text.
// Counts as the engine does: a replacement is one to add and one to destroy, data sources are none.
// Used by worker/stage.ts.
import { Option, Schema } from "effect"
import type { Changes } from "../schema/stage-result.ts"

const change = Schema.Struct({ actions: Schema.Array(Schema.String) })

const PlanJson = Schema.Struct({
  resource_changes: Schema.optionalKey(Schema.Array(Schema.Struct({ mode: Schema.optionalKey(Schema.String), change }))),
  resource_drift: Schema.optionalKey(Schema.Array(Schema.Struct({ change }))),
  output_changes: Schema.optionalKey(Schema.Record(Schema.String, change)),
  applyable: Schema.optionalKey(Schema.Boolean)
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(PlanJson))

export interface PlannedChanges {
  readonly changes: Changes
  /** There is something to apply, outputs and a refreshed state included. */
  readonly hasChanges: boolean
}

const does = ({ actions }: typeof change.Type): boolean => actions.some((action) => action !== "no-op" && action !== "read")

/** Nothing when the text is not such a JSON, as for a version of the engine that has another one. */
export const plannedChanges = (json: string, refreshOnly: boolean): Option.Option<PlannedChanges> =>
  Option.map(decode(json), (plan) => {
    const resources = (plan.resource_changes ?? []).filter(({ mode }) => mode !== "data").map((_) => _.change)
    const count = (action: string) => resources.filter(({ actions }) => actions.includes(action)).length
    const others = [...Object.values(plan.output_changes ?? {}), ...(refreshOnly ? plan.resource_drift ?? [] : []).map((_) => _.change)]
    return {
      changes: { add: count("create"), change: count("update"), destroy: count("delete") },
      hasChanges: plan.applyable ?? [...resources, ...others].some(does)
    }
  })
