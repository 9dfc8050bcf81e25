// What a server has stored, as its file has it. Used by the tests of what requests change.
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"

export const inDatabase = <A>(made: string, use: (database: DatabaseSync) => A): A => {
  const database = new DatabaseSync(join(made, "data", "agent-job.sqlite"))
  try {
    return use(database)
  } finally {
    database.close()
  }
}

/** What no request asks for: which agents have asked, and when the server looked for what is old. */
const unasked = ["agents", "retentionPasses"]

/** All that is stored, but for what no request asks for, and `less`. */
export const contentOf = (made: string, ...less: ReadonlyArray<string>) =>
  inDatabase(
    made,
    (database) =>
      database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all().map(({ name }) => String(name))
        .filter((name) => !unasked.includes(name) && !less.includes(name))
        .map((name) => [name, database.prepare(`SELECT * FROM ${name}`).all().map((row) => JSON.stringify(row)).sort()])
  )
