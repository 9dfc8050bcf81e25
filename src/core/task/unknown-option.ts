// Finds an option that this version does not know: a plan without it would not be the plan that was asked for, so nothing is run.
// Used by core/reconcile/situation, worker/backing/pool-backing and worker/stage/preparation.
import { Option } from "effect"
import { programVersion } from "../../schema/program-version.ts"
import { PlanOptions } from "../../schema/task/agent-task.ts"
import { shortName } from "../text/sentence.ts"

const toUpgrade = { controller: "the controller", worker: "the worker's image (agent.image)" }

/** Returns what a person is told of the first option that is not known, by the program that is too old for it. */
export const unknownOption = (options: PlanOptions = {}, program: keyof typeof toUpgrade): Option.Option<string> =>
  Option.map(
    Option.fromUndefinedOr(Object.keys(options).find((key) => !Object.hasOwn(PlanOptions.fields, key))),
    (key) =>
      `The ${program}, of agent-job ${programVersion}, does not know options.${shortName(key)}, so nothing was run; upgrade ${
        toUpgrade[program]
      }, then run it again.`
  )
