// The answer of a command: lines for a person, a document for a program.
// Used by the commands that take --output table, json or yaml, and by render and run-directory.
import { Effect } from "effect"
import { Flag } from "effect/cli"
import { loading } from "./lazily.ts"
import { visibleInOrder } from "./visible.ts"
import { withScreen } from "./with-screen.ts"

export const outputFlag = Flag.Literals("output", ["table", "json", "yaml"]).pipe(
  Flag.withMetavar("table|json|yaml"),
  Flag.withAlias("o"),
  Flag.withDefault("table"),
  Flag.withDescription("How to print it; table by default.")
)

export type Format = "table" | "json" | "yaml"

/** `lines` are printed for a person, each on one line, `document` as JSON or YAML for a program. */
export interface Answer {
  readonly document: unknown
  readonly lines: ReadonlyArray<string>
  /** What is printed behind it on stderr. */
  readonly note?: string
}

/** Returns what makes the text for a program of a document. */
export const writerOf = async (format: "json" | "yaml"): Promise<(document: unknown) => string> =>
  format === "json" ? (document) => JSON.stringify(document, null, 2) : (await import("./manifest-yaml.ts")).manifestYaml

const textOf = async (format: Format, { document, lines }: Answer): Promise<string> => {
  if (format !== "table") return (await writerOf(format))(document)
  const { onOneLine } = await import("./table.ts")
  return visibleInOrder(lines.map(onOneLine).join("\n"))
}

export const print = (format: Format, answer: Answer) =>
  withScreen(({ line, result }) =>
    loading(() => textOf(format, answer)).pipe(
      Effect.flatMap(result),
      Effect.andThen(answer.note === undefined ? Effect.void : line(answer.note))
    )
  )
