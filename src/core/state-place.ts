// Whether the state of a configuration outlives its Pod, from the engine's own note of which backend it was initialised with.
// Always holds: a state in the Pod's own files is found out before anything is changed.
// Used by worker/own-backing.ts for tasks without a pool.
import { Option, Schema } from "effect"

const Note = Schema.Struct({
  backend: Schema.optionalKey(Schema.Struct({
    type: Schema.String,
    config: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown)))
  }))
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Note))

const remedy = "so it would be deleted with the Pod; give the configuration a backend, or set spec.backend."

const isBelow = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory.replace(/\/+$/u, "")}/`)

/** On a claim that the task mounts, as far as the path's text tells: every other place in the runner goes with the Pod. */
const outlives = (path: unknown, mounts: ReadonlyArray<string>): boolean =>
  typeof path === "string" && !path.split("/").includes("..") && mounts.some((mount) => isBelow(path, mount))

/** Why nothing may be changed; `mounts` are where the task's claims are, and `note` is the content of `terraform.tfstate` in the engine's data directory, which is not there without a backend. */
export const stateTrouble = (note: Option.Option<string>, mounts: ReadonlyArray<string>): Option.Option<string> => {
  const backend = Option.getOrUndefined(Option.flatMap(note, decode))?.backend
  if (backend === undefined) return Option.some(`The configuration has no backend for its state, ${remedy}`)
  if (backend.type === "inmem") return Option.some(`The backend inmem keeps the state in memory, ${remedy}`)
  if (backend.type !== "local" || outlives(backend.config?.["path"], mounts)) return Option.none()
  return Option.some(`The backend local keeps the state in the Pod's own files, ${remedy} A path on a claim of spec.jobTemplate.volumeClaims is such a backend.`)
}
