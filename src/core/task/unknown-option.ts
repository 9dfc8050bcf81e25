// Finds an option, or a key of the engine, that this version does not know: a stage without it would not be the one that was asked for, so
// nothing is run.
// Used by core/reconcile/situation, worker/backing/pool-backing and worker/stage/preparation.
import { Option } from "effect"
import { programVersion } from "../../schema/program-version.ts"
import { type AgentTaskSpec, Engine, PlanOptions } from "../../schema/task/agent-task.ts"
import { shortName } from "../text/sentence.ts"

const toUpgrade = { controller: "the controller", worker: "the worker's image (agent.image)" }

const known = { options: PlanOptions.fields, engine: Engine.fields }

/** Returns what a person is told of the first key that is not known, by the program that is too old for it. */
export const unknownOption = (
  asked: Pick<AgentTaskSpec, keyof typeof known>,
  program: keyof typeof toUpgrade
): Option.Option<string> =>
  Option.map(
    Option.fromUndefinedOr(
      (["options", "engine"] as const).flatMap((part) =>
        Object.keys(asked[part] ?? {}).flatMap((key) => Object.hasOwn(known[part], key) ? [] : [`${part}.${shortName(key)}`])
      )[0]
    ),
    (key) =>
      `The ${program}, of agent-job ${programVersion}, does not know ${key}, so nothing was run; upgrade ${
        toUpgrade[program]
      }, then run it again.`
  )
