// Sorts the variables of a stage: input variables, the engine's environment, and the values that no log may show.
// Invariant: a value from a Secret is a secret, whether it is marked as sensitive or not.
// Used by worker/stage/stage.ts and worker/stage/preparation.ts.
import { Effect, Redacted } from "effect"
import type { InputValue } from "../../core/stage/added-files.ts"
import { shortestSecret } from "../../core/text/secret-forms.ts"
import { mostParts, secretParts } from "../../core/text/secret-parts.ts"
import type { StageVariable } from "../../schema/api/task-api.ts"
import type { Variable } from "../../schema/task/variable.ts"
import { referencedValue } from "../settings.ts"
import { invalid, type StageFailed } from "../stage-failed.ts"

export interface Variables {
  readonly inputs: ReadonlyArray<InputValue>
  readonly env: Readonly<Record<string, string>>
  readonly secrets: ReadonlyArray<string>
  /** The texts inside of secrets that are documents. */
  readonly parts: ReadonlyArray<string>
  /** The names of those that the configuration has to declare. */
  readonly declared: ReadonlyArray<string>
  /** Sentences for the beginning of the log, about what it cannot hide of the secrets. */
  readonly shown: ReadonlyArray<string>
}

interface Valued {
  readonly variable: Variable
  readonly value: string
  readonly secret: boolean
}

/** Returns the values of `spec.variables`; the kubelet has resolved references, by the variable's index in the list. */
const ofSpec = (variables: ReadonlyArray<Variable>): Effect.Effect<ReadonlyArray<Valued>, StageFailed> =>
  Effect.forEach(variables, (variable, index) =>
    variable.value !== undefined
      ? Effect.succeed({ variable, value: variable.value, secret: variable.sensitive === true })
      : referencedValue(index).pipe(
        Effect.mapBoth({
          onFailure: () => invalid(`The Pod has no value for the variable ${variable.name}; check the Secret it refers to.`),
          onSuccess: (value) => ({ variable, value: Redacted.value(value), secret: true })
        })
      ))

const ofPool = (variables: ReadonlyArray<Variable>): ReadonlyArray<Valued> =>
  variables.map((variable) => ({ variable, value: variable.value ?? "", secret: variable.sensitive === true }))

/** Returns all variables of a stage; a variable of the task itself wins over one of the pool. */
export const variablesOf = Effect.fnUntraced(
  function*(spec: ReadonlyArray<Variable>, pool: ReadonlyArray<StageVariable>): Effect.fn.Return<Variables, StageFailed> {
    const all = [...ofPool(pool), ...(yield* ofSpec(spec))]
    const forEngine = all.filter(({ variable }) => variable.category !== "env")
    const blank = forEngine.find(({ value, variable }) => variable.hcl === true && value.trim() === "")
    if (blank !== undefined) {
      const { variable: { name } } = blank
      return yield* invalid(`The value of the variable ${name} is empty, and so no HCL expression; "" is that of an empty text.`)
    }
    const secrets = all.filter(({ secret }) => secret).map((valued) => ({
      ...valued,
      inside: secretParts(valued.value, valued.variable.hcl === true)
    }))
    return {
      inputs: forEngine.map(({ value, variable }) => ({ name: variable.name, value, hcl: variable.hcl === true })),
      env: Object.fromEntries(
        all.filter(({ variable }) => variable.category === "env").map(({ value, variable }) => [variable.name, value])
      ),
      secrets: secrets.map(({ value }) => value),
      parts: secrets.flatMap(({ inside }) => inside.parts),
      declared: pool.filter(({ declared }) => declared === true).map(({ name }) => name),
      shown: secrets.flatMap(({ inside, value, variable: { name } }) => [
        ...(value.length < shortestSecret && value !== "" ? [`The value of ${name} is too short to be kept out of this log.`] : []),
        ...(inside.isCut
          ? [
            `The value of ${name} contains more than ${mostParts} texts; only the first ${mostParts} are also kept out of this log one by one, the others only together with what surrounds them.`
          ]
          : [])
      ])
    }
  }
)
