// Whether a configuration's state outlives its Pod, from the engine's own note of the backend that it was initialised with.
// Invariant: a state in the Pod's own files, or a pool's state or lock that is not at its server, is found before anything changes.
// Used by worker/backing/own-backing.ts and worker/backing/pool-backing.ts.
import { Option, Schema } from "effect"
import type { JobTemplate } from "../../schema/task/job-template.ts"
import { backendFileName } from "../stage/added-files.ts"
import { canonical } from "../text/canonical.ts"
import { jsonExcess } from "../text/json-limits.ts"
import { shortName } from "../text/sentence.ts"

const Note = Schema.Struct({
  backend: Schema.optionalKey(Schema.Struct({
    type: Schema.String,
    config: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown)))
  }))
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Note))
/** More than any backend has. What is nested deeper, `canonical` could not write. */
const limits = { levels: 64, values: 10_000 }
const isReadable = (note: string): boolean => jsonExcess(limits, new TextEncoder().encode(note)) === undefined
const backendIn = (note: Option.Option<string>) => Option.getOrUndefined(Option.flatMap(Option.filter(note, isReadable), decode))?.backend

/** The file that OpenTofu reads instead of our `.tf` file of that name. */
const shadowingFileName = backendFileName.replace(/\.tf$/u, ".tofu")
const remedy = "so it would be deleted with the Pod; give the configuration a backend, or set spec.backend."

const isBelow = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory.replace(/\/+$/u, "")}/`)

/**
 * Reports whether the path is on a volume claim that the task mounts, as far as its text tells. Every other place in the runner goes with
 * the Pod.
 */
const outlives = (path: unknown, mounts: ReadonlyArray<string>): boolean =>
  typeof path === "string" && !path.split("/").includes("..") && mounts.some((mount) => isBelow(path, mount))

type VolumeClaim = NonNullable<JobTemplate["volumeClaims"]>[number]

const ownWorkspace = "default"

/** Reports whether each workspace of the backend has its state in another place, so that the workspace has to be known. */
export const placesByWorkspace = (note: Option.Option<string>): boolean => backendIn(note)?.type === "local"

/**
 * Returns why nothing may be changed, or none if the state outlives the Pod. `note` is the content of `terraform.tfstate` in the engine's
 * data directory, a file that is not there without a backend. `mounts` are where the task's volume claims are. `workspace` is the
 * backend's, as the engine says it, and needed where `placesByWorkspace` holds.
 */
export const stateTrouble = (
  note: Option.Option<string>,
  mounts: ReadonlyArray<string>,
  workspace: string = ownWorkspace
): Option.Option<string> => {
  const backend = backendIn(note)
  if (backend === undefined) return Option.some(`The configuration has no backend for its state, ${remedy}`)
  if (backend.type === "inmem") return Option.some(`The backend inmem keeps the state in memory, ${remedy}`)
  const isNamed = workspace !== ownWorkspace // then `path` is not used
  if (backend.type !== "local" || outlives(backend.config?.[isNamed ? "workspace_dir" : "path"], mounts)) return Option.none()
  return Option.some(
    isNamed
      ? `The backend local keeps the state of its workspace ${
        shortName(workspace)
      } in the Pod's own files, whatever its path is, so it would be deleted with the Pod; take TF_WORKSPACE out of the environment of the engine, or set the backend's workspace_dir to a directory on a claim of spec.jobTemplate.volumeClaims.`
      : `The backend local keeps the state in the Pod's own files, ${remedy} A path on a claim of spec.jobTemplate.volumeClaims is such a backend.`
  )
}

/** The settings of the backend local that say where states are. */
const localPlaces = ["path", "workspace_dir"]

/**
 * Returns in one text where the state is: the backend of the note, its settings and, if they are paths in the runner, the volume claims
 * that these are on. The text may have secrets. An engine keeps the same settings in a saved plan, whose apply uses those and no others.
 */
export const statePlace = (note: Option.Option<string>, claims: ReadonlyArray<VolumeClaim>): Option.Option<string> =>
  Option.map(Option.fromUndefinedOr(backendIn(note)), ({ config, type }) => {
    const paths = type === "local" ? localPlaces.map((key) => config?.[key]) : []
    return canonical({ type, config, claims: claims.filter(({ mountPath }) => paths.some((path) => outlives(path, [mountPath]))) })
  })

/** The settings that the environment of the command gives, and that the configuration would override. */
const addresses = ["address", "lock_address", "unlock_address"]
const methods = ["update_method", "lock_method", "unlock_method"]
const method = "POST" // all that the worker's gateway takes, besides the look at the state, for which there is no setting

const insteadOf = "instead of the pool's server"

/**
 * Returns what would go where instead of to the server, or undefined if state and lock go through the environment of the command, which no
 * configuration can know beforehand.
 */
const elsewhere = (note: Option.Option<string>): string | undefined => {
  const backend = backendIn(note)
  if (backend === undefined) return `The state would go to no backend ${insteadOf}`
  const { config, type } = backend
  if (type !== "http") return `The state would go to the backend ${shortName(type)} ${insteadOf}`
  const what = (key: string) => key.includes("lock") ? "lock of the state" : "state"
  const address = addresses.find((key) => (config?.[key] ?? undefined) !== undefined)
  if (address !== undefined) return `The ${what(address)} would go to another ${address} of the backend http ${insteadOf}`
  const other = methods.find((key) => (config?.[key] ?? method) !== method)
  return other && `The ${what(other)} would go to the pool's server by another ${other} of the backend http than ${method}`
}

/**
 * Returns why nothing of a pool may be planned or changed, or none. An override file that is read after ours, or takes its place, wins over
 * it, and so do arguments of `init`.
 */
export const poolStateTrouble = (note: Option.Option<string>): Option.Option<string> =>
  Option.map(
    Option.fromUndefinedOr(elsewhere(note)),
    (found) =>
      `${found}; take the backend or cloud block out of the override file that wins over ${backendFileName} (its name sorts after that, or is ${shadowingFileName}), and any -backend and -backend-config out of TF_CLI_ARGS_init.`
  )
