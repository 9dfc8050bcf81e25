// Decodes an object that a newer version may have written, without taking away what the schema does not know of it.
// Only for schemas that change nothing: what is returned is the object itself, checked.
// Used by schema/task/agent-task: a status is written again with what it had, and a key of options or engine that is not known is refused.
import { Effect, Schema, SchemaParser } from "effect"

export const whole = <A, E>(schema: Schema.Codec<A, E>): Schema.Codec<A, E> =>
  Schema.declareConstructor<A, E>()([schema], ([known]) => {
    const check = SchemaParser.decodeUnknownEffect(known)
    return (input, _, options) => Effect.mapEager(check(input, options), () => input as A) // a decoder that is not eager runs in a fiber
  })
