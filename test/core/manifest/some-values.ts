// Values files that set several keys at once, made of the rows of the table. Files that contradict themselves are told apart.
// Used by test/core/manifest/every-value.test.ts and every-value.cluster.test.ts.
import type { V1Job, V1PodSpec } from "@kubernetes/client-node"
import { Arbitrary, Result, Schema } from "effect"
import { deployment } from "../../../src/core/manifest/installation/deployment.ts"
import { install, type InstalledObject } from "../../../src/core/manifest/installation/install.ts"
import { job } from "../../../src/core/manifest/job.ts"
import { resolve, type ResolvedConfig } from "../../../src/core/resolve/resolve.ts"
import { merge, type Tree } from "../../../src/schema/document/layers.ts"
import { parseValues } from "../../../src/schema/values/values.ts"
import { taskOf } from "../configs.ts"
import { treeOf } from "./changes.ts"
import { effects } from "./value-effects.ts"

export type Row = (typeof effects)[number]

/** Returns the file that sets the keys of these rows. */
export const fileOf = (rows: ReadonlyArray<Row>): Tree =>
  rows.flatMap(([key, value, , beside = {}]) => [beside, treeOf(key, value)]).reduce(merge, {})

/** Returns the configuration of a file, or nothing for a file that contradicts itself. */
export const configIn = (file: Tree): ResolvedConfig | undefined =>
  Result.match(parseValues(file), {
    onFailure: () => undefined,
    onSuccess: (values) => resolve(values, { name: "agent-job", namespace: "agent-job" })
  })

const Places = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: effects.length - 1 }))).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(16)
)
export const rowsAt = (places: ReadonlyArray<number>): ReadonlyArray<Row> => effects.filter((_, place) => places.includes(place))
export const places = Arbitrary.schema(Places)

const tasks = (["plan", "apply"] as const).map((stage) => taskOf({ stage }, { name: `demo-${stage}` }))

export const render = (
  config: ResolvedConfig
): ReadonlyArray<InstalledObject | V1Job> => [...install(config), ...tasks.map((task) => job(task, config, 1))]

/** Returns the specs of the Pods of the controller and of tasks. */
export const podsOf = (config: ResolvedConfig): ReadonlyArray<V1PodSpec> =>
  [deployment(config), ...tasks.map((task) => job(task, config, 1))].flatMap(({ spec }) => spec?.template.spec ?? [])

/** Returns this many files, always the same ones for one seed. */
export const sample = (count: number, seed: number): ReadonlyArray<Tree> => {
  let state = seed
  const below = (limit: number): number => (state = (state * 48271) % 2147483647) % limit
  return Array.from({ length: count }, () => fileOf(rowsAt(Array.from({ length: 1 + below(16) }, () => below(effects.length)))))
}
