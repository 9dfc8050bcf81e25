// Which commands of its own a configuration may have an engine run with all that it does: those of its `encryption`, in OpenTofu.
// Invariant: a type counts unless it is literally one that runs nothing, since a quoted label may have escapes. A comment may count too.
// Used by worker/backing/encryption-commands.ts.
import { shortName } from "../text/sentence.ts"

/** Key providers and methods that run no command, whatever their settings are. */
const runNothing = ["aes_gcm", "azure_vault", "gcp_kms", "openbao", "pbkdf2", "unencrypted"]
/** Runs the `credential_process` of a file that `shared_config_files` or `shared_credentials_files` names, and nothing without one. */
const ofFile = "aws_kms"
const namesFile = /shared_c/u

const runsNothing = (type: string, text: string): boolean => runNothing.includes(type) || (type === ofFile && !namesFile.test(text))

/** The beginning of a block, with its type, unless a comment comes first. Its brace is looked for apart, so that a line is read once. */
const block = /(?<![\w"-])(key_provider|method)(?:[ \t]*(?:\/\*|"([^"\n]{0,64}))|[ \t]+([\p{L}_][\w-]{0,63}))/gu
const mayOpen = (line: string): boolean => /key_provider|method/u.test(line) && /\{|\/\*/u.test(line)

const inHcl = (text: string): string | undefined => {
  for (const line of text.split("\n").filter(mayOpen)) {
    for (const [, kind = "", quoted, type = quoted ?? ""] of line.matchAll(block)) {
      if (!runsNothing(type, text)) return `${kind} ${shortName(type)}`.trimEnd()
    }
  }
  return undefined
}

/** JSON has no comments, and of a text's letters only one other form, so that the types that run commands are found themselves. */
const inJson = (escaped: string): string | undefined => {
  const text = escaped.replace(/\\u([\da-f]{4})/giu, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  if (!/"(?:key_provider|method)"\s*:/u.test(text)) return undefined
  return /"external"\s*:/u.test(text) ? "external" : /"aws_kms"\s*:/u.test(text) && namesFile.test(text) ? ofFile : undefined
}

/** Returns what in a file of the root module may run a command, or undefined. */
export const commandIn = (name: string, text: string): string | undefined => {
  if (name.endsWith(".json")) return inJson(text)
  return /(?<![\w"-])encryption[ \t]*(?:\{|\/\*)/u.test(text) ? inHcl(text) : undefined
}

/** Returns the same for the variable TF_ENCRYPTION, which has the content of the block, in either form. */
export const commandInVariable = (text: string): string | undefined => inJson(text) ?? inHcl(text)

const mostNamed = 5

/** Returns what the log says of them. */
export const runsCommands = (places: ReadonlyArray<string>): string =>
  `This may run commands of its own whenever the engine runs, in an apply also before that opens its plan, and no plan shows them: ${
    places.slice(0, mostNamed).join(", ")
  }${places.length > mostNamed ? ` and ${places.length - mostNamed} more` : ""}`
