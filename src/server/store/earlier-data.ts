// What a data directory has of an earlier server, where its database or its key is gone: such a server must not begin anew unnoticed.
// Invariant: the key and the blobs come after the database, so a first start that broke off leaves neither without it.
// Used by server/lifecycle/server, and for the names in a data directory by what makes them.
import { Effect, Schema } from "effect"
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { Sha256 } from "../../schema/names.ts"
import { ServerError } from "../settings.ts"

const name = "agent-job.sqlite"
export const databaseIn = (dataDir: string): string => join(dataDir, name)
const keyName = "path.key"
export const keyIn = (dataDir: string): string => join(dataDir, keyName)
export const blobsIn = (dataDir: string): string => join(dataDir, "blobs")

/** A database that has any table has more than its first page, unless all else is still in its log. */
const firstPageBytes = 4096
const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0
const hasTables = (file: string): boolean => sizeOf(file) > firstPageBytes || (sizeOf(file) > 0 && sizeOf(`${file}-wal`) > 0)

const isDigest = Schema.is(Sha256)
const leftIn = (dataDir: string): string | undefined => {
  if (existsSync(keyIn(dataDir))) return keyName
  const blobs = blobsIn(dataDir)
  return existsSync(blobs) && readdirSync(blobs).some((file) => isDigest(file)) ? "files in blobs/" : undefined
}

/** Fails if something of an earlier server is in the directory, but not its database. */
export const refuseLost = (dataDir: string): Effect.Effect<void, ServerError> =>
  Effect.suspend(() => {
    const left = hasTables(databaseIn(dataDir)) ? undefined : leftIn(dataDir)
    return left === undefined ? Effect.void : Effect.fail(
      new ServerError({
        message:
          `The data directory ${dataDir} has ${left} of an earlier server, but not its database ${name}, or one with nothing in it, so no workspace and no state would be known and runs would make everything again; restore the database from a backup (docs/state.md, "Restore"), or empty the directory to begin anew.`
      })
    )
  })

/**
 * Warns if the key is yet to be made beside a database that has tables: its former one is lost, or somebody removed it. Before it is made,
 * since a start that fails after that would leave nothing to warn of.
 */
export const warnOfLostKey = (dataDir: string): Effect.Effect<void> =>
  Effect.suspend(() =>
    hasTables(databaseIn(dataDir)) && !existsSync(keyIn(dataDir))
      ? Effect.logWarning(
        "path.key is missing beside the database, so a new one is made, and void is what the former one made: links to logs and for uploads, plans with variables that wait for approval, and states that are still on shared volumes; if a copy has the former one, stop the server and put that in its place, see docs/state.md",
        { dataDir }
      )
      : Effect.void
  )

/**
 * Looks whether the database is yet to be made, as on a volume that was lost or exchanged. Returns the warning of that, for when it has been
 * made.
 */
export const warningOfNew = (dataDir: string): Effect.Effect<Effect.Effect<void>> =>
  Effect.sync(() =>
    hasTables(databaseIn(dataDir))
      ? Effect.void
      : Effect.logWarning(
        "the database is new, without any workspace or state; if this server had one before, stop it and restore that, see docs/state.md",
        { dataDir }
      )
  )
