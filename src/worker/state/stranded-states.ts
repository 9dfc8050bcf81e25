// Unsaved states on the volume that all Pods of tasks share, where they outlive their Pods; the worker of the next stage sends them on.
// Invariant: each is encrypted with its stage's key, since runners may read the volume; it stays until the server has it or a later one.
// Used by worker/state/shared-copy.ts (keeps) and worker/backing/pool-backing.ts (carries).
import { Cause, Clock, Duration, Effect, Option, Random } from "effect"
import { createCipheriv, randomBytes } from "node:crypto"
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { isOneOf } from "../../schema/api/problem.ts"
import { frame, keptStateBytes, keptStateLimitBytes, keptStateLine, type TaskDetails } from "../../schema/api/task-api.ts"
import { errorInWords } from "../../schema/system-error.ts"
import { problemCodeOf, type TaskApiError } from "../network/task-api-error.ts"
import { TaskApi } from "../network/task-api.ts"
import { Settings } from "../settings.ts"
import { volumeTrouble } from "../stage-failed.ts"
import { openFolder, readFile, removeFile, renameFile } from "../volume/folder.ts"
import { asideSuffix, halfDoneForMillis, storeWhole } from "../volume/whole-file.ts"

const suffix = ".state"
/**
 * The suffix added to the name of a state that the server refuses for its size or shape, or because it keeps others instead: the server
 * would refuse it for ever, at the cost of the others.
 */
const refusedSuffix = ".refused"
/** How many states one stage carries for others before it begins; a refused one does not count. */
const carriedAtOnce = 20
/** How many states one stage sends that turn out not to be of this server: each stays, and later stages send it whole again. */
const foreignAtOnce = 5
/** How long one stage carries states for others; a large state that was begun may take longer. */
const carriesFor = Duration.minutes(1)

const folderOf = (cacheDirectory: string) => join(cacheDirectory, "kept-states")
const trouble = volumeTrouble("the volume that tasks share", "make it larger, or remove from it what nobody needs")

export const sealed = (stage: string, key: Uint8Array, bytes: Uint8Array): Uint8Array => {
  const vector = randomBytes(keptStateBytes.vector)
  const cipher = createCipheriv("aes-256-gcm", key, vector).setAAD(keptStateLine(stage))
  const hidden = Buffer.concat([cipher.update(bytes), cipher.final()])
  return frame({ stage, vector, tag: cipher.getAuthTag(), hidden })
}

/** The stage that a kept state belongs to, and the key that encrypts it, both from the server. */
export type KeptAs = Pick<TaskDetails, "id" | "keptStateKey">

/** Writes the state, encrypted, to a file of its own; returns its path. A worker that has carried one removes that one, not a later one. */
export const strand = (cacheDirectory: string, { id, keptStateKey }: KeptAs, bytes: Uint8Array) =>
  Effect.try({
    try: () => {
      const folder = folderOf(cacheDirectory)
      const file = join(folder, `${encodeURIComponent(id)}.${randomBytes(6).toString("hex")}${suffix}`)
      mkdirSync(folder, { recursive: true })
      storeWhole(file, sealed(id, Buffer.from(keptStateKey, "hex"), bytes))
      return file
    },
    catch: trouble
  })

/** Removes a file of `strand`. Best effort: the server recognises an unneeded copy when it comes. */
export const takeBack = (file: string) => Effect.ignore(Effect.try({ try: () => rmSync(file, { force: true }), catch: trouble }))

/**
 * Reports whether the server would refuse the state for ever. A server that says `not-of-this-server` may be another one, or may lack the
 * stage since it was restored from a copy, so the state stays for a server that knows it.
 */
const isFinal = (error: TaskApiError): boolean =>
  error._tag === "Declined" && isOneOf(problemCodeOf(error), "invalid", "not-kept", "too-large")

/** Tells a person of a state that stays on the volume, and why. */
type Tell = (what: string, why: string) => Effect.Effect<void>

/** Takes one file to the server; returns whether it is only there now, or is not of this server, or stays for another reason. */
const carry = Effect.fnUntraced(
  function*(root: number, name: string, tell: Tell) {
    const { takeKeptState } = yield* TaskApi
    const kept = yield* readFile(root, [name], keptStateLimitBytes)
    if (Option.isNone(kept)) return "left" as const
    yield* Effect.tapError(
      takeKeptState(kept.value),
      (error) => isFinal(error) ? renameFile(root, name, `${name}${refusedSuffix}`) : Effect.void
    )
    return yield* removeFile(root, [name]).pipe(
      Effect.as("taken" as const),
      Effect.catch(({ message }) =>
        Effect.as(
          tell(`The server has the kept state ${name}, whose file stays on the volume; remove it by hand, or it is sent again`, message),
          "left" as const
        )
      )
    )
  },
  (effect, _, name, tell) =>
    Effect.catch(
      effect,
      (error) =>
        Effect.as(
          tell(`The server does not have the kept state ${name}, which stays on the volume`, error.message),
          error._tag === "Declined" && isOneOf(problemCodeOf(error), "not-of-this-server") ? "foreign" as const : "left" as const
        )
    )
)

/** Removes files that were never written to their end, such as those of a worker that was killed; one that it cannot remove stays. */
const removeHalfDone = Effect.fnUntraced(function*(folder: string, root: number, names: ReadonlyArray<string>, tell: Tell) {
  const before = (yield* Clock.currentTimeMillis) - halfDoneForMillis
  yield* Effect.forEach(
    names,
    (name) =>
      Effect.try({ try: () => lstatSync(join(folder, name), { throwIfNoEntry: false }), catch: trouble }).pipe(
        Effect.flatMap((found) => found !== undefined && found.mtimeMs < before ? removeFile(root, [name]) : Effect.void),
        Effect.catch(({ message }) => tell(`The half-written state ${name} stays on the volume`, message))
      ),
    { discard: true }
  )
})

const modifiedAt = Option.liftThrowable((file: string) => lstatSync(file).mtimeMs)

/**
 * Returns the states in the order in which they are carried: the newest first, because a state that is not of this server stays for good and
 * so gets old. One state at random precedes them, so that no state is always last.
 */
const inTurn = Effect.fnUntraced(function*(folder: string, names: ReadonlyArray<string>) {
  const aged = names.map((name) => ({ name, at: Option.getOrElse(modifiedAt(join(folder, name)), () => 0) }))
  const [first, ...others] = yield* Random.shuffle(aged)
  return first === undefined ? [] : [first, ...others.toSorted((a, b) => b.at - a.at)].map(({ name }) => name)
})

/**
 * Takes to the server the states that other stages had to leave; returns what a person should read of those that stay. Never fails, and
 * begins no further state when its time is over, so that the stage comes to its own work.
 */
export const carryStrandedStates = Effect.suspend(() => {
  const told: Array<string> = []
  const tell: Tell = (what, why) =>
    Effect.suspend(() => {
      told.push(`${what}: ${why}`)
      return Effect.logWarning(what, why)
    })
  return carryAll(tell).pipe(
    Effect.scoped,
    Effect.catchCause((cause) => tell("The states on the shared volume cannot be taken to the server", errorInWords(Cause.squash(cause)))),
    Effect.as(told)
  )
})

const carryAll = Effect.fnUntraced(function*(tell: Tell) {
  const { cacheDirectory } = yield* Settings
  const folder = Option.map(cacheDirectory, folderOf)
  if (Option.isNone(folder) || !existsSync(folder.value)) return
  const since = yield* Clock.monotonicTimeNanos
  const found = readdirSync(folder.value)
  const names = yield* inTurn(folder.value, found.filter((name) => name.endsWith(suffix)))
  const root = yield* openFolder(folder.value)
  yield* removeHalfDone(folder.value, root, found.filter((name) => name.endsWith(`${suffix}${asideSuffix}`)), tell)
  let taken = 0
  let foreign = 0
  for (const name of names) {
    const spent = Duration.nanos((yield* Clock.monotonicTimeNanos) - since)
    if (taken === carriedAtOnce || foreign === foreignAtOnce || Duration.isGreaterThanOrEqualTo(spent, carriesFor)) return
    const carried = yield* carry(root, name, tell)
    if (carried === "taken") taken++
    if (carried === "foreign") foreign++
  }
})
