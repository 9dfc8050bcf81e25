// Seals of plans: the text of a seal, and in which parts two seals differ, in words for a person.
// Law: two seals have the same text exactly when no part differs, and every part that differs is named.
// Used by worker/stage/seal before a plan is kept, and before it is applied; worker/backing/saved-plan keeps it with the plan.
import { Option } from "effect"
import type { Seal } from "../../schema/task/seal.ts"
import { canonical } from "../text/canonical.ts"

/** Returns the text of a seal, which is always the same for the same seal. */
export const sealText = (seal: Seal): string => canonical(seal)

/** The most names that are listed for one part. */
const mostNames = 8

const changedNames = (sealed: Seal["variables"], now: Seal["variables"]): ReadonlyArray<string> => {
  const [before, after] = [new Map(Object.entries(sealed)), new Map(Object.entries(now))]
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name)).sort()
}

/** The words for a part that is another one now; none if it is the same. */
type Words = Option.Option<string>

const others = (what: string, sealed: Seal["variables"], now: Seal["variables"]): Words => {
  const names = changedNames(sealed, now)
  const more = names.length - mostNames
  return names.length === 0
    ? Option.none()
    : Option.some(`other ${what} (${names.slice(0, mostNames).join(", ")}${more > 0 ? ` and ${more} more` : ""})`)
}

const another = (what: string, sealed: string | null, now: string | null): Words =>
  sealed === now ? Option.none() : Option.some(`another ${what}`)
const shown = (what: string, sealed: string, now: string): Words =>
  Option.map(another(what, sealed, now), (words) => `${words} (${sealed}, now ${now})`)

const placed = (directory: string): string => directory === "" ? "the archive's root" : directory
const engineWords = ({ name, version }: Seal["engine"]): string => `${name} ${version}`
const stateWords = (state: Seal["state"]): string =>
  state === "none" ? "none" : state === "engine" ? "kept by the engine's backend" : `serial ${state.serial}`

const anotherState = (sealed: Seal["state"], now: Seal["state"]): Words =>
  typeof sealed === "object" && typeof now === "object" && sealed.lineage !== now.lineage
    ? Option.some("a state of another lineage")
    : shown("state", stateWords(sealed), stateWords(now))

const parts: { readonly [_ in Exclude<keyof Seal, "version">]-?: (sealed: Seal, now: Seal) => Words } = {
  backend: (sealed, now) => another("backend of the state", sealed.backend ?? null, now.backend ?? null),
  configuration: (sealed, now) => another("configuration archive", sealed.configuration, now.configuration),
  directory: (sealed, now) => shown("working directory", placed(sealed.directory), placed(now.directory)),
  engine: (sealed, now) => shown("engine", engineWords(sealed.engine), engineWords(now.engine)),
  lockFile: (sealed, now) => another("provider lock file", sealed.lockFile, now.lockFile),
  modules: (sealed, now) => others("modules", sealed.modules, now.modules),
  plan: (sealed, now) => another("plan file", sealed.plan, now.plan),
  state: (sealed, now) => anotherState(sealed.state, now.state),
  variables: (sealed, now) => others("variables", sealed.variables, now.variables),
  environment: (sealed, now) => others("environment variables", sealed.environment, now.environment)
}

/** Returns, in words, what is not as it was when the plan was made. Empty if all is the same. */
export const differences = (sealed: Seal, now: Seal): ReadonlyArray<string> =>
  Object.values(parts).flatMap((wordsOf) => Option.toArray(wordsOf(sealed, now)))

const listed = (words: ReadonlyArray<string>): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`

/** Returns the message that says why the plan is not applied. */
export const brokenSeal = (different: ReadonlyArray<string>): string =>
  `The saved plan was made with ${listed(different)} than this apply would get; plan again.`
