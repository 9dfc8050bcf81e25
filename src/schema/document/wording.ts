// Rewords what a decoder says about a value for people who write YAML: what the value must be, and what was written instead.
// Invariant: no message repeats the value, except a yes or no in place of true or false, so that no secret gets into a message.
// Used by schema/document/explain.ts.

const kinds: Readonly<Record<string, string>> = {
  boolean: "true or false",
  number: "a number",
  string: "a text",
  array: "a list",
  object: "a map of keys",
  null: "null"
}

const kindOf = (given: unknown): string => given === null ? "null" : Array.isArray(given) ? "array" : typeof given

const alternatives = (words: ReadonlyArray<string>): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`

/** Reports whether a text is a boolean in YAML 1.1, as Helm would read it. */
const isYesOrNo = (given: unknown): given is string => typeof given === "string" && /^(?:y|yes|on|n|no|off|true|false)$/iu.test(given)

/** Returns what was written instead of the wanted kinds, and how to correct it if that is plain. */
const instead = (wanted: ReadonlyArray<string>, given: unknown): string => {
  if (wanted.includes("boolean") && isYesOrNo(given)) return `, not the text ${JSON.stringify(given)}`
  const kind = kindOf(given)
  if (wanted.join() === "string" && (kind === "number" || kind === "boolean")) return `, not ${kinds[kind]}; put it in quotes`
  if (wanted.includes("number") && typeof given === "string" && given.trim() !== "" && Number.isFinite(Number(given))) {
    return ", not a text; leave the quotes out"
  }
  return kind in kinds ? `, not ${kinds[kind]}` : ""
}

/** Rewords a message of Effect's Schema about the value `given`. */
export const inWords = (message: string, given: unknown): string => {
  if (message === "Missing key") return "is missing"
  if (!message.startsWith("Expected ")) return message
  if (message === "Expected an integer" && Number.isInteger(given)) return "must be a smaller number"
  const choices = message.slice("Expected ".length).split(" | ")
  const wanted = choices.length > 1 && choices.includes("string") ? choices.filter((_) => _ !== `""`) : choices // a text may be empty
  return `must be ${alternatives(wanted.map((_) => kinds[_] ?? _))}${wanted.some((_) => _ in kinds) ? instead(wanted, given) : ""}`
}
