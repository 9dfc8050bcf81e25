// A variable of a task: an input variable of its configuration, or one of the engine's environment.
// Used by schema/task/agent-task.ts, the APIs, and whatever gives variables to a run or to its engine.
import { Schema } from "effect"
import { ObjectKey, ObjectName } from "../names.ts"
import { text } from "../text.ts"
import { exactlyOneOf } from "./cel.ts"

/** A variable's value as it was written: a text or an HCL expression. */
export const VariableValue = text(65_536)

const SecretKey = Schema.Struct({
  name: ObjectName.annotate({ description: "The Secret, in the namespace of the task." }),
  key: ObjectKey.annotate({ description: "The key of it that has the value." })
}).annotate({ description: "A key of a Secret." })

const values = {
  value: Schema.optionalKey(
    VariableValue.annotate({ description: "The value itself: a text, or with hcl an expression. At most 65,536 characters." })
  ),
  valueFrom: Schema.optionalKey(
    Schema.Struct({ secretKeyRef: SecretKey }).annotate({ description: "Where the value is, in place of value; for secrets." })
  )
}

/** How many variables a task may have. */
export const mostVariables = 128

export const VariableName = text(253).check(Schema.isPattern(/^[A-Za-z_][-A-Za-z0-9_]*$/u, { expected: "a variable's name" }))

export const VariableCategory = Schema.Literals(["terraform", "env"])

export const Variable = Schema.Struct({
  name: VariableName.annotate({ description: "What the configuration or the environment calls the variable." }),
  ...values,
  sensitive: Schema.optionalKey(
    Schema.Boolean.annotate({
      description:
        "Kept out of every log and message. Whoever may read AgentTasks, as each worker may, reads a value in one, so give a secret by valueFrom."
    })
  ),
  hcl: Schema.optionalKey(Schema.Boolean.annotate({ description: "The value is an HCL expression, not a text." })),
  category: Schema.optionalKey(
    VariableCategory.annotate({
      description: "terraform: an input variable (the default); env: the engine's environment."
    })
  )
}).check(exactlyOneOf(values))
export type Variable = typeof Variable.Type
