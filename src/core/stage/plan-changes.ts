// What a saved plan would change, counted from the engine's JSON (`show -json`), never from its text; and what else the worker asks of that JSON.
// Counts as the engine does: a replacement is one to add and one to destroy, and what is only read does not count.
// Used by worker/stage/stage.ts.
import { Option, Schema } from "effect"
import type { Changes } from "../../schema/task/stage-result.ts"
import { jsonExcess } from "../text/json-limits.ts"

const change = Schema.Struct({ actions: Schema.Array(Schema.String), importing: Schema.optionalKey(Schema.Unknown) })

const PlanJson = Schema.Struct({
  resource_changes: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({
        address: Schema.optionalKey(Schema.String),
        mode: Schema.optionalKey(Schema.String),
        previous_address: Schema.optionalKey(Schema.String),
        change
      })
    )
  ),
  resource_drift: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({ address: Schema.optionalKey(Schema.String), previous_address: Schema.optionalKey(Schema.String), change })
    )
  ),
  output_changes: Schema.optionalKey(Schema.Record(Schema.String, change)),
  applyable: Schema.optionalKey(Schema.Boolean),
  configuration: Schema.optionalKey(
    Schema.Struct({ root_module: Schema.Struct({ variables: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)) }) })
  )
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(PlanJson))

/**
 * Limits on JSON that the runner wrote: 32 MiB of empty objects would take more than a GiB of the worker's memory, and all of its time. A
 * plan of ten thousand resources is within them.
 */
const parsable = { levels: 500, values: 2_000_000 }
const isParsable = (json: string): boolean => jsonExcess(parsable, new TextEncoder().encode(json)) === undefined

/** Something that an apply will make. */
export interface Creation {
  readonly address: string
  /** Whether the state has, or had when it was last stored, something else at that address. */
  readonly replaces: boolean
}

export interface PlannedChanges {
  readonly changes: Changes
  readonly creations: ReadonlyArray<Creation>
  /** Whether there is something to apply, be it only outputs or a refreshed state. */
  readonly hasChanges: boolean
  /** The names of the variables that the configuration declares. */
  readonly declares?: ReadonlyArray<string>
}

interface Planned {
  readonly change: typeof change.Type
  readonly previous_address?: string
}
const isImported = ({ change: { importing } }: Planned): boolean => importing !== undefined && importing !== null
/** Reports whether a thing is imported or has moved, which changes the state alone. OpenTofu says so nowhere else. */
const isTakenOver = (planned: Planned): boolean => planned.previous_address !== undefined || isImported(planned)

const does = ({ actions }: typeof change.Type): boolean => actions.some((action) => action !== "no-op")

/** Returns the JSON of what `show -json` printed. Before it, a wrapper of the engine may print lines, and OpenTofu warns of its own configuration. */
const jsonOf = (printed: string): string => printed.slice(Math.max(0, printed.search(/^\{/mu)))

/**
 * Returns what the plan changes, or none if what `show -json` printed has another form, as from another version of the engine, or is beyond
 * the limits. `refreshOnly`: whether that was asked for; the engine's arguments may say so as well. OpenTofu's JSON does not, but such a plan
 * names no resource that stays as it is, as any other does that has one. Only where nothing is left but what vanished do both look the same.
 */
export const plannedChanges = (printed: string, refreshOnly: boolean): Option.Option<PlannedChanges> => {
  const json = jsonOf(printed)
  return Option.map(isParsable(json) ? decode(json) : Option.none(), (plan) => {
    const managed = (plan.resource_changes ?? []).filter(({ mode }) => mode !== "data" && mode !== "ephemeral")
    const resources = managed.map((_) => _.change)
    const left = new Set(
      [...plan.resource_changes ?? [], ...plan.resource_drift ?? []].flatMap(({ address, change: { actions } }) =>
        actions.includes("delete") || actions.includes("forget") ? [address] : []
      )
    )
    const count = (action: string) => resources.filter(({ actions }) => actions.includes(action)).length
    const [imports, forgets] = [managed.filter(isImported).length, count("forget")]
    const refreshed = refreshOnly || plan.resource_changes === undefined ? plan.resource_drift ?? [] : []
    const { configuration } = plan
    const others = [...Object.values(plan.output_changes ?? {}), ...refreshed.map((_) => _.change)]
    return {
      changes: {
        add: count("create"),
        change: count("update"),
        destroy: count("delete"),
        ...(imports > 0 && { import: imports }),
        ...(forgets > 0 && { forget: forgets })
      },
      creations: managed.flatMap(({ address, change: { actions } }) =>
        address !== undefined && actions.includes("create") ? [{ address, replaces: left.has(address) }] : []
      ),
      hasChanges: plan.applyable ?? ([...managed, ...refreshed].some(isTakenOver) || [...resources, ...others].some(does)),
      ...(configuration !== undefined && { declares: Object.keys(configuration.root_module.variables ?? {}) })
    }
  })
}
