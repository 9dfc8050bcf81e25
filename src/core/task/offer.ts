// Reads each assignment that a pool offers by itself, so that one which only a newer version understands keeps no other waiting.
// Invariant: engine and options are known whole or nothing is run, and only a word of a closed list is quoted: all else may be a secret.
// Used by controller/pool/pool.
import { Data, Option, Predicate, Result } from "effect"
import { Assignment } from "../../schema/api/pool-api.ts"
import { type Mistake, parse } from "../../schema/document/explain.ts"
import { programVersion } from "../../schema/program-version.ts"
import { taskNameOfId } from "./intake.ts"
import { unknownAt } from "./not-understood.ts"

/** An assignment that this version does not understand; the message is for people who wait for its run. */
export class NotUnderstood extends Data.TaggedError("NotUnderstood")<{
  /** None if not even that can be read. */
  readonly id: string | undefined
  readonly message: string
}> {}

export type Offer = Assignment | NotUnderstood

const decode = parse(Assignment)

/** Where a newer version may have one word more. */
const words: ReadonlyArray<string> = ["stage", "engine.name"]

const unknownIn = (offered: unknown, mistake: Mistake): string =>
  mistake.path.length === 0 ? "what is offered" : unknownAt(offered, mistake, words)

/** Returns the id if it is one of a stage, which may be a stage that this version does not know. */
const idOf = (offered: unknown): string | undefined =>
  Predicate.hasProperty(offered, "id") && typeof offered.id === "string" && Option.isSome(taskNameOfId(offered.id))
    ? offered.id
    : undefined

/** Returns the fields that an assignment has here. A newer server may say more beside them that is of no harm to leave out. */
const knownFields = (offered: unknown): unknown =>
  Predicate.isObject(offered)
    ? Object.fromEntries(Object.entries(offered).filter(([key]) => Object.hasOwn(Assignment.fields, key)))
    : offered

export const readOffer = (offered: unknown): Offer =>
  Result.getOrElse(decode(knownFields(offered)), ([mistake = { path: [], message: "" }]) =>
    new NotUnderstood({
      id: idOf(offered),
      message: `The controller, of agent-job ${programVersion}, does not understand ${
        unknownIn(offered, mistake)
      }, so it cannot run the stage; upgrade it to the version of the server.`
    }))
