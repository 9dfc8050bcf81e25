// What the identities of tasks may not be together, or beside other values.
// Invariant: each is named once, and none is the controller's account by these values, or one of which one before it takes everything.
// Used by schema/values/value-rules.
import type { Rule } from "./contradiction.ts"
import { type Identity, isFor, stages } from "./identities.ts"

type Part = Pick<Identity, "stages" | "workspaces">

/** Reports whether each task that `part` fits is one that `whole` fits. */
const isWithin = (part: Part, whole: Part): boolean =>
  (part.stages.length === 0 ? stages : part.stages).every((stage) => part.workspaces.every((pattern) => isFor(whole, stage, pattern)))

/** Finds identities named twice, of which one before takes everything, or that have the name that the values give the controller's account. */
export const identitiesAreApart: Rule = ({ fullnameOverride, serviceAccount, task: { identities } }) =>
  identities.flatMap((identity, index) => {
    const { name } = identity
    const path = ["task", "identities", index]
    const before = identities.slice(0, index)
    const whole = before.find((_) => isWithin(identity, _))
    return [
      name === (serviceAccount.name || fullnameOverride) &&
      { path: [...path, "name"], issue: `"${name}" is the controller's account, whose rights no task may have; choose another name` },
      before.some((_) => _.name === name) &&
      { path: [...path, "name"], issue: `"${name}" is there already; give that one these workspaces too, or choose another name` },
      whole !== undefined && whole.name !== name &&
      {
        path,
        issue: `no task ever has it, since "${whole.name}" before it takes all of its workspaces and stages; put it before that one`
      }
    ]
  })
