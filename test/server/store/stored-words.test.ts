// An older server refuses a database by the last step that was run on it, and cannot read a row with a word that it does not know, or leaves
// out a key. So a new word, or key of what a run asks for, comes with a step of its own, and stays for as long as rows may have it.
import { expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { JournalEntry } from "../../../src/schema/api/effects.ts"
import { RunStatus } from "../../../src/schema/api/run.ts"
import { Engine, PlanOptions } from "../../../src/schema/task/agent-task.ts"
import { ConfigurationVersion } from "../../../src/server/run/configurations.ts"
import { Run } from "../../../src/server/run/runs.ts"
import { StageRow } from "../../../src/server/run/stages.ts"
import { AuditRow } from "../../../src/server/store/act.ts"
import { layerDatabase } from "../../../src/server/store/database.ts"
import { migrations } from "../../../src/server/store/migrations.ts"
import { RunVariable, WorkspaceVariable } from "../../../src/server/workspace/variables.ts"

/** The columns whose words are from a list, as the rows of each table are read. */
const read = {
  audit: AuditRow.fields,
  configurationVersions: ConfigurationVersion.fields,
  effects: { entry: JournalEntry },
  runCounts: { status: RunStatus },
  runs: Run.fields,
  stages: StageRow.fields,
  variables: WorkspaceVariable.fields
}

/** The columns whose keys say what the stages of a run do: without one of them, a stage would do something else. */
const asked = { "runs.engine": Engine, "runs.options": PlanOptions, "runs.variables": RunVariable }

/** The tables that have no such column. */
const wordless = [
  "agents",
  "evidence",
  "forcedUnlocks",
  "logChunks",
  "logTails",
  "logsToRemove",
  "rescues",
  "retentionPasses",
  "stateVersions",
  "taskTokens",
  "unnamed",
  "workspaces"
]

/** The words of each column, by the last step that a database has in which they may be. */
const landed: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "0038_start": {
    "audit.kind": "link pool task user",
    "configurationVersions.status": "errored pending uploaded",
    "effects.entry": "closed create delete done failed full planned started update",
    "runCounts.status": "applied applying canceled confirmed discarded errored pending planned planned_and_finished planning",
    "runs.engine": "name terraform tofu version",
    "runs.options": "destroy refresh refreshOnly replace targets",
    "runs.status": "applied applying canceled confirmed discarded errored pending planned planned_and_finished planning",
    "runs.variables": "declared key sensitive value",
    "stages.effects": "create delete update",
    "stages.result": "cancelled failed succeeded",
    "stages.stage": "apply destroy plan",
    "variables.category": "env terraform"
  }
}

/** Returns the words of all lists in a JSON schema. */
const listed = (part: unknown): ReadonlyArray<string> =>
  typeof part === "object" && part !== null
    ? Object.entries(part).flatMap(([key, value]) => key === "enum" && Array.isArray(value) ? value.map(String) : listed(value))
    : []

const wordsOf = (column: Schema.Constraint) =>
  listed(Schema.toJsonSchemaDocument(Schema.toType(column), { referencePolicy: () => undefined }).schema)

const linesOf = (words: Readonly<Record<string, ReadonlyArray<string>>>): ReadonlyArray<string> =>
  Object.entries(words).flatMap(([column, all]) => [...new Set(all)].map((word) => `${column}: ${word}`)).sort()

it("has no word that came without a step of the database, nor lost one", () => {
  const words = Object.entries(read).flatMap(([table, fields]) =>
    Object.entries(fields).map(([column, schema]) => [`${table}.${column}`, wordsOf(schema)] as const)
  )
  const keys = Object.entries(asked).map(([column, { fields }]) => [column, Object.keys(fields)] as const)
  const now = [words, keys].flatMap((columns) => linesOf(Object.fromEntries(columns))).sort()
  const then = Object.values(landed).flatMap((step) =>
    linesOf(Object.fromEntries(Object.entries(step).map(([column, all]) => [column, all.split(" ")])))
  )
  expect(
    now.filter((word) => !then.includes(word)),
    "An older server cannot read these words, and would fail at each list with one, or would run a stage without these keys. Add a step to migrations.ts, without statements if it has nothing else to do, so that such a server refuses the database; then name the words in this file, under that step."
  ).toEqual([])
  expect(then.filter((word) => !now.includes(word)), "Rows of an older server have these words; go on reading them.").toEqual([])
})

it.live("knows each step and each table", () =>
  Effect.gen(function*() {
    const steps = (yield* migrations).map(([id, name]) => `${String(id).padStart(4, "0")}_${name}`)
    expect(steps).toEqual(expect.arrayContaining(Object.keys(landed)))
    const sql = yield* SqlClient.SqlClient
    const tables = yield* sql<{ readonly name: string }>`SELECT name FROM sqlite_schema WHERE type = 'table'`
    const ours = tables.map(({ name }) => name).filter((name) => !/^(?:effect_sql|sqlite)_/u.test(name))
    expect(ours.sort()).toEqual([...Object.keys(read), ...wordless].sort())
  }).pipe(Effect.provide(layerDatabase(":memory:"))))
