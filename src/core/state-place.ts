// Whether the state of a configuration outlives its Pod, from the engine's own note of which backend it was initialised with.
// Always holds: a state in the Pod's own files, or of a pool elsewhere than at its server, or locked elsewhere, is found out before anything is changed.
// Used by worker/own-backing.ts and worker/pool-backing.ts.
import { Option, Schema } from "effect"
import { backendFileName } from "./hcl.ts"
import { shortName } from "./sentence.ts"

const Note = Schema.Struct({
  backend: Schema.optionalKey(Schema.Struct({
    type: Schema.String,
    config: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown)))
  }))
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Note))
const backendIn = (note: Option.Option<string>) => Option.getOrUndefined(Option.flatMap(note, decode))?.backend

/** OpenTofu reads it instead of the file of that name that ends in `.tf`. */
const overtaking = backendFileName.replace(/\.tf$/u, ".tofu")
const remedy = "so it would be deleted with the Pod; give the configuration a backend, or set spec.backend."

const isBelow = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory.replace(/\/+$/u, "")}/`)

/** On a claim that the task mounts, as far as the path's text tells: every other place in the runner goes with the Pod. */
const outlives = (path: unknown, mounts: ReadonlyArray<string>): boolean =>
  typeof path === "string" && !path.split("/").includes("..") && mounts.some((mount) => isBelow(path, mount))

const ownWorkspace = "default"

/** Whether the place of the state is another one in each workspace of the backend, so that one has to know the workspace. */
export const placesByWorkspace = (note: Option.Option<string>): boolean => backendIn(note)?.type === "local"

/**
 * Why nothing may be changed; `mounts` are where the task's claims are, and `note` is the content of `terraform.tfstate` in the engine's
 * data directory, which is not there without a backend. `workspace`: the backend's, as the engine says it; needed where `placesByWorkspace`.
 */
export const stateTrouble = (
  note: Option.Option<string>,
  mounts: ReadonlyArray<string>,
  workspace: string = ownWorkspace
): Option.Option<string> => {
  const backend = backendIn(note)
  if (backend === undefined) return Option.some(`The configuration has no backend for its state, ${remedy}`)
  if (backend.type === "inmem") return Option.some(`The backend inmem keeps the state in memory, ${remedy}`)
  const isNamed = workspace !== ownWorkspace // then `path` counts for nothing
  if (backend.type !== "local" || outlives(backend.config?.[isNamed ? "workspace_dir" : "path"], mounts)) return Option.none()
  return Option.some(
    isNamed
      ? `The backend local keeps the state of its workspace ${
        shortName(workspace)
      } in the Pod's own files, whatever its path is, so it would be deleted with the Pod; take TF_WORKSPACE out of the environment of the engine, or set the backend's workspace_dir to a directory on a claim of spec.jobTemplate.volumeClaims.`
      : `The backend local keeps the state in the Pod's own files, ${remedy} A path on a claim of spec.jobTemplate.volumeClaims is such a backend.`
  )
}

/** What the environment of the command says, and the configuration would say over it. */
const addresses = ["address", "lock_address", "unlock_address"]

/**
 * What would go where instead; nothing when state and lock go through the environment of the command, which no configuration can know
 * beforehand.
 */
const elsewhere = (note: Option.Option<string>): string | undefined => {
  const backend = backendIn(note)
  if (backend === undefined) return "The state would go to no backend"
  if (backend.type !== "http") return `The state would go to the backend ${backend.type}`
  const own = addresses.find((key) => (backend.config?.[key] ?? undefined) !== undefined)
  return own === undefined
    ? undefined
    : `The ${own === "address" ? "state" : "lock of the state"} would go to another ${own} of the backend http`
}

/**
 * Why nothing of a pool may be planned or changed: an override file that is read after ours, or takes its place, wins over it, and so does
 * what is said to `init`.
 */
export const poolStateTrouble = (note: Option.Option<string>): Option.Option<string> =>
  Option.map(
    Option.fromUndefinedOr(elsewhere(note)),
    (found) =>
      `${found} instead of the pool's server; take the backend or cloud block out of the override file that wins over ${backendFileName} (its name sorts after that, or is ${overtaking}), and any -backend out of TF_CLI_ARGS_init.`
  )
