// A value's origin as lines for a person and as a document for a program.
// Used by config-explain.
import { Equal } from "effect"
import type { Explanation, Said, Source } from "../../core/resolve/provenance.ts"
import { at } from "../../schema/document/layers.ts"
import type { Answer } from "../terminal/answer.ts"
import { fit, table } from "../terminal/table.ts"

const widestValue = 60

const shownValue = (value: unknown): string => value === undefined ? "(not set)" : fit(JSON.stringify(value), widestValue)
const shownPlace = ({ file, place }: Said): string => file === undefined ? "the defaults" : place === undefined ? file : at(file, place)

/** Returns what became of the value that a layer sets. `isLast`: no layer above sets the key. */
const fate = ({ instead, value }: Said, isLast: boolean): string => {
  if (instead !== undefined) return `${value === null ? "takes away" : "replaces"} ${instead}`
  return value === null ? "takes it away" : isLast ? "holds" : "overridden"
}

/** Returns what became of each value in the history. If the top layer takes away a key and the default comes back, the default holds. */
const fates = ({ history, value }: Explanation): ReadonlyArray<string> => {
  const isTakenAway = history[0]?.value === null || history[0]?.instead !== undefined
  const isBack = (said: Said) => isTakenAway && said.file === undefined && Equal.equals(said.value, value)
  return history.map((said, index) => isBack(said) ? "holds" : fate(said, index === 0))
}

const source = ({ key, ...said }: Source): string => said.by === undefined ? key : `${key} (${shownPlace(said.by)})`

const comesTo = ({ effective, key }: Explanation): ReadonlyArray<string> => {
  if (effective === undefined) return []
  const others = effective.from.some((_) => _.key !== key) ? `, from ${effective.from.map(source).join(" over ")}` : ""
  return ["", `In effect: ${effective.value === undefined ? "nothing" : JSON.stringify(effective.value)}${others}.`]
}

/** Returns what a layer sets, for the document: line and column beside the value, and the layer of defaults by that name. */
const saidDocument = ({ file, place, ...said }: Said) => ({ layer: file ?? "defaults", ...place, ...said })

const documentOf = ({ effective, history, ...rest }: Explanation) => ({
  ...rest,
  ...(effective !== undefined &&
    {
      effective: { value: effective.value, from: effective.from.map(({ by, key }) => ({ key, ...(by !== undefined && saidDocument(by)) })) }
    }),
  history: history.map(saidDocument)
})

const heading = ({ description, key }: Explanation): string => description === undefined ? key : `${key}: ${description}`

export const leafAnswer = (explanation: Explanation): Answer => {
  const { history } = explanation
  const states = fates(explanation)
  return {
    document: documentOf(explanation),
    lines: [
      heading(explanation),
      "",
      ...(history.length === 0
        ? ["It is not set, and has no default."]
        : table(
          ["VALUE", "SET BY", "STATE"],
          history.map((said, index) => [shownValue(said.value), shownPlace(said), states[index] ?? ""])
        )),
      ...comesTo(explanation)
    ]
  }
}

/** Returns the answer for a branch of the values. `whole` explains the branch itself, `keys` each key in it that a file sets. */
export const branchAnswer = (whole: Explanation, keys: ReadonlyArray<Explanation>): Answer => {
  const { description, key } = whole
  const rows = keys.flatMap(({ history: [said], key }) => said === undefined ? [] : [[key, shownValue(said.value), shownPlace(said)]])
  return {
    document: {
      ...documentOf({ ...whole, history: [] }),
      ...(key === "" && { key: undefined }),
      history: undefined,
      value: undefined,
      keys: keys.map(documentOf)
    },
    lines: [
      ...(description === undefined ? [] : [heading(whole), ""]),
      ...(rows.length === 0
        ? [`No file sets anything${key === "" ? "" : ` in ${key}`}; the README has the defaults.`]
        : table(["KEY", "VALUE", "SET BY"], rows)),
      ...comesTo(whole)
    ]
  }
}
