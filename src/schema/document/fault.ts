// What is wrong in a file, for a person: each fault is a line with the file, the line and column, and the path of the key.
// Invariant: what is told of one file is bounded: one with very many faults is broken by one cause, or is no such file at all.
// Used wherever files with values or AgentTasks are read.
import { type Mistake, shown } from "./explain.ts"
import { answerable, at, type Layer, type Place } from "./layers.ts"

/** One thing that is wrong in a file. */
export interface Fault {
  readonly file: string
  readonly place?: Place
  /** The path of the key that the fault is about, if it is about one. */
  readonly path?: string
  readonly message: string
}

/** How many faults a person is told at once. A file with more is broken by one cause, or is no such file at all. */
const mostTold = 20
/** How many characters of a path or a message are told. What is longer is quoted from a file that is no text. */
const longestTold = 1000

const cut = (text: string): string => text.length > longestTold ? `${text.slice(0, longestTold).replace(/[\uD800-\uDFFF]$/u, "")}…` : text

/** Returns a fault for a person, as `file:line:column path: what is wrong`. */
export const told = ({ file, message, path, place }: Fault): string =>
  `${place === undefined ? file : at(file, place)} ${path === undefined ? "" : `${cut(path)}: `}${cut(message)}`

/** Returns faults for a person, one each, and how many there are besides them. */
export const allTold = (faults: ReadonlyArray<Fault>): ReadonlyArray<string> => [
  ...faults.slice(0, mostTold).map(told),
  ...(faults.length > mostTold ? [`and ${faults.length - mostTold} more`] : [])
]

/** Returns each mistake as a fault of the layer that is answerable for it, in the order of files and lines. */
export const located = (layers: ReadonlyArray<Layer>, mistakes: ReadonlyArray<Mistake>): ReadonlyArray<Fault> =>
  mistakes.map(({ message, path }) => {
    const { index, name, place } = answerable(layers, path)
    return { index, fault: { file: name, ...(place !== undefined && { place }), path: shown(path), message } }
  }).sort((a, b) => a.index - b.index || before(a.fault, b.fault)).map(({ fault }) => fault)

const before = ({ place: a }: Fault, { place: b }: Fault): number =>
  a === undefined || b === undefined ? 0 : a.line - b.line || a.column - b.column
