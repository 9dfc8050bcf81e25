// Text with a limit, counted as the API server counts: a character that JavaScript has as two code units is one.
// What the API server stores must be readable here.
// Used by the schemas of AgentTasks and of the APIs.
import { Schema } from "effect"

export const text = (maxLength: number) =>
  Schema.String.check(Schema.makeFilter<string>((value) => value.length <= maxLength || [...value].length <= maxLength, {
    message: `at most ${maxLength} characters are allowed`,
    toJsonSchema: () => ({ maxLength })
  }))
