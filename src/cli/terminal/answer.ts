// The answer of a command: lines for a person, a document for a program.
// Used by the commands that take --output table, json or yaml, and by run-directory.
import { Effect } from "effect"
import { Flag } from "effect/cli"
import { lazily } from "./lazily.ts"
import { visibleInOrder } from "./visible.ts"

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

export const print = (format: Format, { document, lines, note }: Answer) =>
  lazily(async () => {
    const [{ Screen }, { onOneLine }] = await Promise.all([import("./screen.ts"), import("./table.ts")])
    const text = format === "table" ? visibleInOrder(lines.map(onOneLine).join("\n")) : (await writerOf(format))(document)
    return Effect.flatMap(
      Screen,
      ({ line, result }) => Effect.andThen(result(text), note === undefined ? Effect.void : line(note))
    ).pipe(Effect.provide(Screen.layer({ colours: false, forProgram: true })))
  })
