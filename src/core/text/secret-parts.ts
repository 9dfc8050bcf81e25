// Finds the secrets inside a secret: the texts of a JSON or HCL document, which programs print without what is around them.
// Invariant: every text and number of a document is found, except short ones and those under a key in `openNothing`, up to `mostParts`.
// Used by worker/stage/variables.ts.
import { Option, Schema } from "effect"
import { shortestPart } from "./secret-forms.ts"

/** The most parts of one value: each is looked for in many spellings, which take memory and time to make. */
export const mostParts = 1000

/**
 * Keys of documents such as GOOGLE_CREDENTIALS or a database's secret whose values say where something is or what it is called. These are
 * in the ids and log lines of every resource: masking them would make a log unreadable, and what was made impossible to import.
 */
const openNothing = new Set([
  "type",
  "kind",
  "engine",
  "name",
  "region",
  "location",
  "zone",
  "host",
  "hostname",
  "user",
  "username",
  "email",
  "clientemail",
  "database",
  "dbname",
  "dbinstanceidentifier",
  "dbclusteridentifier",
  "project",
  "projectid",
  "quotaprojectid",
  "universedomain",
  "accountid",
  "subscriptionid",
  "tenantid"
])

interface Text {
  /** The key that the text is assigned to; empty within a list. */
  readonly key: string
  readonly text: string
}

// Each pattern takes the rest of the text where its own end is missing, so that no place is looked at twice. The word of a heredoc has to end
// its line, as HCL has it: a search for the end of the line would go over the same text for each word.
const blank = String.raw`(?:#|\/\/)[^\n]*|\/\*(?:[^*]|\*(?!\/))*(?:\*\/)?|\s+`
const heredoc = String.raw`<<-?(?<word>[\w-]+)\r?\n(?<body>[^]*?)(?:^[ \t]*\k<word>[ \t]*\r?$|$(?![^]))`
const token = new RegExp(
  [
    blank,
    heredoc,
    String.raw`"(?<literal>(?:[^"\\]+|\\[^])*)"?`,
    String.raw`(?<name>[\p{ID_Start}_][\p{ID_Continue}-]*)`,
    String.raw`(?<number>\d[\d.]*(?:[eE][+-]?\d+)?)`,
    "==",
    "[^]"
  ].join("|"),
  "gmu"
)

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" }
const template = (text: string): string => text.replaceAll("$${", "${").replaceAll("%%{", "%{")
const unquoted = (literal: string): string =>
  template(literal.replace(/\\(?:u([0-9A-Fa-f]{4})|U(0[0-9A-Fa-f]{7})|([^]))/gu, (_, short?: string, long?: string, letter = "") => {
    const code = Number.parseInt(short ?? long ?? "", 16)
    return Number.isNaN(code) ? escapes[letter] ?? letter : code <= 0x10ffff ? String.fromCodePoint(code) : ""
  }))

/**
 * Returns the string literals and the numbers of an HCL expression, as they are written, but no keys. JSON is read in the same way, except
 * for what stands in a literal.
 */
const textsOf = (expression: string, read: (literal: string) => string): ReadonlyArray<Text> => {
  const tokens = [...expression.matchAll(token)].flatMap(({ 0: all, groups = {} }) => {
    const { body, literal, name, number } = groups
    const text = body !== undefined ? template(body) : literal !== undefined ? read(literal) : number
    return text === undefined && name === undefined && /^(?:\s|#|\/\/|\/\*)/u.test(all) ? [] : [{ all, text, name }]
  })
  const assigns = (at: number): boolean => tokens[at]?.all === "=" || tokens[at]?.all === ":"
  return tokens.flatMap(({ text }, at) => {
    if (text === undefined || (assigns(at + 1) && tokens[at - 1]?.all !== "?")) return []
    const before = assigns(at - 1) ? tokens[at - 2] : undefined
    return [{ key: before?.text ?? before?.name ?? "", text }]
  })
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))
const decodeText = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.String))
const unescaped = (literal: string): string =>
  literal.includes("\\") ? Option.getOrElse(decodeText(`"${literal}"`), () => literal) : literal

/** Returns the texts of a JSON object or array, however deep it is; none for any other text. A mark of the byte order, as of a file, may be before it. */
const inJson = (document: string): ReadonlyArray<Text> =>
  /^\s*[{[]/u.test(document) && Option.isSome(decode(document.replace(/^\uFEFF/u, ""))) ? textsOf(document, unescaped) : []

const isPart = ({ key, text }: Text): boolean =>
  text.trim().length >= shortestPart && !openNothing.has(key.replaceAll(/[_-]/gu, "").toLowerCase())

export interface Parts {
  readonly parts: ReadonlyArray<string>
  /** Whether there are more parts than these. */
  readonly isCut: boolean
}

/**
 * Returns the parts of a value. It is read as JSON whatever it is declared as, and also as HCL if it is that. A JSON document inside is
 * read too.
 */
export const secretParts = (value: string, hcl: boolean): Parts => {
  const parts = new Set<string>()
  const documents = [...inJson(value), ...(hcl ? textsOf(value, unquoted) : [])]
  for (const document of documents) { // the list grows meanwhile
    for (const inner of inJson(document.text)) documents.push(inner) // one at a time: there may be more than a call can take as arguments
    if (isPart(document)) parts.add(document.text)
    if (parts.size > mostParts) return { parts: [...parts].slice(0, mostParts), isCut: true }
  }
  return { parts: [...parts], isCut: false }
}
