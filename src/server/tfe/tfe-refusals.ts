// What stock clients may ask of a workspace or a run and this server does not have, each with the sentence that refuses it.
// Invariant: what cannot be met is refused as a whole. A filter that was passed over would choose somebody else's workspace.
// Used by the TFE routes.
import { Effect } from "effect"
import { organization, RunAttributes, tfePath } from "../../schema/api/tfe-api.ts"
import { invalid, type Refused } from "../refused.ts"
import { fixedAttributes } from "./tfe-documents.ts"

export const noTags = () =>
  invalid(
    "The workspaces of this server have no tags, so none is chosen by them; name the one that you mean, as in workspaces { name = \"demo\" }."
  )

export const noProjects = () =>
  invalid("This server has no projects; leave the project out, and name the workspace alone, as in workspaces { name = \"demo\" }.")

/** What the list of workspaces honours, and what only adds to it or orders it. */
const selectsNothingElse = /^(?:search\[name\]|page\[(?:number|size)\]|include|sort|fields\[\w+\])$/u

/** Returns the refusal of a list whose query would select other workspaces than are found by name. */
export const unknownFilter = (parameters: Iterable<string>): Refused | undefined => {
  const parameter = [...parameters].find((name) => !selectsNothingElse.test(name))
  if (parameter === undefined) return undefined
  if (/\b(?:tags|tagged)\b/u.test(parameter)) return noTags()
  if (/\bproject\b/u.test(parameter)) return noProjects()
  return invalid(`Workspaces are found here by search[name] alone, so ${parameter} would find others too; leave it out.`)
}

/** What lists of runs honour, and what only adds to them. Stock clients send no more. */
const choosesNoRuns = /^(?:page\[(?:number|size)\]|include|fields\[\w+\])$/u

/** Returns the refusal of a list of runs whose query would choose some of them, or another order. */
export const unknownRunFilter = (parameters: Iterable<string>): Refused | undefined => {
  const parameter = [...parameters].find((name) => !choosesNoRuns.test(name))
  return parameter === undefined
    ? undefined
    : invalid(`This server chooses no runs by ${parameter}, so its list would have others too; leave it out.`)
}

const asksForNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === false || value === "" || (Array.isArray(value) && value.length === 0)

const notKept = (what: string) => invalid(`This server does not keep ${what} of a workspace, so it would have no effect; leave it out.`)

const kept: ReadonlyArray<string> = ["name", "auto-apply", "terraform-version", "working-directory", "execution-mode", "agent-pool-id"]
const fixed: Readonly<Record<string, unknown>> = fixedAttributes

const unkeptAttribute = ([attribute, value]: readonly [string, unknown]): Refused | undefined => {
  if (kept.includes(attribute) || value === null) return undefined
  if (!Object.hasOwn(fixed, attribute)) return asksForNothing(value) ? undefined : notKept(attribute)
  const only = JSON.stringify(fixed[attribute])
  return fixed[attribute] === value
    ? undefined
    : invalid(`Of each workspace here, ${attribute} is ${only} and stays so; leave it out.`)
}

const unkeptRelationship = ([relationship, { data }]: readonly [string, { readonly data?: unknown }]): Refused | undefined => {
  if (asksForNothing(data)) return undefined
  if (relationship === "tags" || relationship === "tag-bindings") return noTags()
  return relationship === "project" ? noProjects() : notKept(relationship)
}

export interface AskedOfWorkspace {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly relationships?: Readonly<Record<string, { readonly data?: unknown }>>
}

/** Returns the refusal of a workspace, made or changed, that asks for more than the server keeps and does not have already. */
export const unkept = ({ attributes, relationships = {} }: AskedOfWorkspace): Refused | undefined => {
  // Beside a mode this says only that the mode is the workspace's own, which it always is here.
  const repeated = typeof attributes["execution-mode"] === "string" ? "setting-overwrites" : undefined
  return Object.entries(attributes).filter(([name]) => name !== repeated).map(unkeptAttribute).find((refused) => refused !== undefined) ??
    Object.entries(relationships).map(unkeptRelationship).find((refused) => refused !== undefined)
}

/**
 * Returns the id of the agent pool that a workspace is to have; null if it is to have none, and undefined if nothing is asked. `bound` says
 * whether it has one.
 */
export const poolAsked = (
  attributes: AskedOfWorkspace["attributes"],
  bound: boolean
): Effect.Effect<string | null | undefined, Refused> => {
  const { "agent-pool-id": id, "execution-mode": mode } = attributes
  const named = typeof id === "string" && id !== ""
  switch (mode ?? (named ? "agent" : undefined)) {
    case undefined:
      return Effect.undefined
    case "agent":
      if (named) return Effect.succeed(id)
      return bound ? Effect.undefined : Effect.fail(
        invalid(
          `The execution-mode "agent" needs an agent-pool-id; ${tfePath.agentPools(organization)} lists the pools that there are.`
        )
      )
    case "remote":
      return named
        ? Effect.fail(invalid("A workspace with an agent-pool-id has the execution-mode \"agent\"; leave one of them out."))
        : Effect.succeed(null)
    default:
      return Effect.fail(
        invalid("Of each workspace here, execution-mode is \"remote\", or \"agent\" with an agent-pool-id; leave any other out.")
      )
  }
}

export const noPoolsMade = () =>
  invalid(
    "A pool here is the name of its tokens, so none is made, changed or removed through this API; write a line of token and name into the server's pool token file."
  )

export const otherName = (name: string) =>
  invalid(
    `A workspace keeps the name that it was made with, here ${name}; make another workspace with the other name and bring it the state before its first run, or that makes everything once more (docs/state.md, "Take a state elsewhere").`
  )

/** What a run would have to do for an option of the engine, which does it by itself where the state comes from the `http` backend. */
const ofEngine: ReadonlyMap<string, { readonly lack: string; readonly instead: string }> = new Map([
  ["invoke-action-addrs", { lack: "invokes no action by itself", instead: "apply with -invoke" }],
  ["allow-config-generation", { lack: "writes no configuration", instead: "plan with -generate-config-out" }]
])

const unkeptOfRun = ([attribute, value]: readonly [string, unknown]): Refused | undefined => {
  if (Object.hasOwn(RunAttributes.fields, attribute) || asksForNothing(value)) return undefined
  const option = ofEngine.get(attribute)
  return invalid(
    option === undefined
      ? `This server does not heed ${attribute} of a run, so it would have no effect; leave it out.`
      : `A run here ${option.lack}, so none was started; ${option.instead} where the backend is "http", as docs/state.md says.`
  )
}

/** Returns the refusal of a run that asks for more than the server does. */
export const unkeptRun = (attributes: Readonly<Record<string, unknown>>): Refused | undefined =>
  Object.entries(attributes).map(unkeptOfRun).find((refused) => refused !== undefined)

export const noQueuedRun = () =>
  invalid(
    "No upload starts a run here, so no configuration version was made; leave auto-queue-runs out, and start the run when the archive is uploaded."
  )

export const noQueries = () =>
  invalid("This server makes no queries; run terraform query where the backend is \"http\", as docs/state.md says.")

export const unless = (refused: Refused | undefined): Effect.Effect<void, Refused> =>
  refused === undefined ? Effect.void : Effect.fail(refused)
