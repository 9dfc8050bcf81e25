// Finds a variable that was set for one run and that its configuration does not declare: the engine goes on without the value, as it came in a file.
// Used by worker/stage/stage.ts.
import { Option } from "effect"
import { nearest } from "../../schema/document/nearest.ts"
import { shortName } from "../text/sentence.ts"

/** What is compared with a misspelt name: the runner wrote the declared ones, so there may be any number of any length. */
const compared = { names: 1000, characters: 100 }

/** Returns what a person is told of the first name that is not declared. */
export const undeclaredVariable = (names: ReadonlyArray<string>, declared: ReadonlyArray<string>): Option.Option<string> => {
  const known = new Set(declared)
  return Option.map(Option.fromUndefinedOr(names.find((name) => !known.has(name))), (name) => {
    const guess = nearest(name, declared.slice(0, compared.names).filter(({ length }) => length <= compared.characters))
    return `This run sets the variable ${shortName(name)}, which its configuration does not declare; ${
      guess === undefined ? "declare it there, or leave it out." : `did you mean ${shortName(guess)}?`
    }`
  })
}
