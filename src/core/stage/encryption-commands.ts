// Which commands of its own a configuration may have an engine run with all that it does: those of its `encryption`, in OpenTofu.
// Invariant: a type counts unless it is literally one that runs nothing, since a quoted label may have escapes; so does what may be no comment.
// Used by worker/backing/root-module.ts.
import { shortName } from "../text/sentence.ts"

/** Key providers and methods that run no command, whatever their settings are. */
const runNothing = ["aes_gcm", "azure_vault", "gcp_kms", "openbao", "pbkdf2", "unencrypted"]
/** Runs the `credential_process` of a file that its settings or the engine's environment name, and nothing without one. */
const ofFile = "aws_kms"
const namesFile = /shared_c/u

/** The engine's environment. */
type Environment = Readonly<Record<string, string>>

const hasFile = (text: string, env: Environment): boolean =>
  namesFile.test(text) || ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"].some((name) => (env[name] ?? "") !== "")

const runsNothing = (type: string, text: string, env: Environment): boolean =>
  runNothing.includes(type) || (type === ofFile && !hasFile(text, env))

/** The beginning of a block: its type and its name, up to the brace or to a comment in between. A sentence with the word has no such form. */
const label = String
  .raw`(?:"(?:[^"\\\n]|\\.)*"|\p{ID_Start}[\p{ID_Continue}-]*(?![\p{ID_Continue}-])|_[\p{ID_Continue}-]*(?![\p{ID_Continue}-]))`
const block = new RegExp(
  String.raw`(?<![\w"-])(key_provider|method)(?![\p{ID_Continue}-])[ \t]*(?:\/\*|(${label})[ \t]*(?:\/\*|${label}[ \t]*(?:\{|\/\*)))`,
  "gu"
)
/** Such a line is a comment, unless it is one of a heredoc, which opens no block either, or ends another comment. */
const isComment = (line: string): boolean => /^[ \t]*(?:#|\/\/)/u.test(line) && !line.includes("*/")
const mayOpen = (line: string): boolean => /key_provider|method/u.test(line) && /\{|\/\*/u.test(line) && !isComment(line)

/** A comment that begins a line. From the beginning of a heredoc on that may be text, so all of it stays, as does what has no end. */
const comment = /(?<![^\n])[ \t]*\/\*(?!\/)[^]*?\*\/|(<<[^]*|(?<![^\n])[ \t]*\/\*[^]*)/gu

const inHcl = (text: string, env: Environment): string | undefined => {
  for (const line of text.replace(comment, "$1").split("\n").filter(mayOpen)) {
    for (const [, kind = "", quoted = ""] of line.matchAll(block)) {
      const type = quoted.replaceAll("\"", "")
      if (!runsNothing(type, text, env)) return `${kind} ${shortName(type)}`.trimEnd()
    }
  }
  return undefined
}

/** JSON has no comments, and of a text's letters only one other form. */
const plain = (json: string): string =>
  json.replace(/\\u([\da-f]{4})/giu, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** The types that run commands are found themselves. */
const inJson = (escaped: string, env: Environment): string | undefined => {
  const text = plain(escaped)
  if (!/"(?:key_provider|method)"\s*:/u.test(text)) return undefined
  return /"external"\s*:/u.test(text) ? "external" : /"aws_kms"\s*:/u.test(text) && hasFile(text, env) ? ofFile : undefined
}

/** Returns what in a file of the root module may run a command, or undefined. */
export const commandIn = (name: string, text: string, env: Environment): string | undefined => {
  if (name.endsWith(".json")) return /"encryption"\s*:/u.test(plain(text)) ? inJson(text, env) : undefined
  return /(?<![\w"-])encryption[ \t]*(?:\{|\/\*)/u.test(text) ? inHcl(text, env) : undefined
}

/** Returns the same for the variable TF_ENCRYPTION, which has the content of the block, in either form. */
export const commandInVariable = (text: string, env: Environment): string | undefined => inJson(text, env) ?? inHcl(text, env)

const mostNamed = 5

/** Returns what the log says of them. */
export const runsCommands = (places: ReadonlyArray<string>): string =>
  `Whenever the engine runs, it may run commands of an encryption, in an apply even before it opens its plan; no plan shows them, so read them before you approve: ${
    places.slice(0, mostNamed).join(", ")
  }${places.length > mostNamed ? ` and ${places.length - mostNamed} more` : ""}`
