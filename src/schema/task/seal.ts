// The seal of a saved plan: digests of everything that its apply runs with. The plan's package contains the seal, so its SHA-256 covers it.
// It contains the values of variables as keyed digests only.
// Used by core/stage/seal and the worker.
import { Schema } from "effect"
import { Sha256 } from "../names.ts"
import { Engine } from "./agent-task.ts"

/** Lineage and serial of a state: which one it is, without its content. */
export const StateMark = Schema.Struct({ lineage: Schema.String, serial: Schema.Int })
export type StateMark = typeof StateMark.Type

const digests = Schema.Record(Schema.String, Sha256)

export const Seal = Schema.Struct({
  version: Schema.Literal(1),
  backend: Schema.optionalKey(Sha256).annotate({
    description: "Of where the engine keeps the state, HMAC-SHA-256; absent: in a pool, and before init."
  }),
  configuration: Sha256.annotate({ description: "Of the archive." }),
  directory: Schema.String.annotate({ description: "Of the root module in it; empty is the archive's root." }),
  engine: Schema.Struct({ name: Engine.fields.name, version: Schema.String }),
  environment: digests.annotate({ description: "Of the engine's environment variables, by name: HMAC-SHA-256." }),
  lockFile: Schema.NullOr(Sha256).annotate({ description: "Of the providers; null: there is none." }),
  modules: digests.annotate({ description: "Of the modules that init brought, by the name of their directory." }),
  plan: Sha256.annotate({ description: "Of the engine's own file." }),
  state: Schema.Union([StateMark, Schema.Literals(["none", "engine"])]).annotate({
    description: "engine: kept by a backend of the engine, which compares the state itself."
  }),
  variables: digests.annotate({ description: "Of input variables, by name: HMAC-SHA-256." })
})
export type Seal = typeof Seal.Type
