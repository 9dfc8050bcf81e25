// Which backend a configuration names, where another place keeps its state: its old state may be there, and be missing here.
// Invariant: of two errors the scan makes the harmless one; to name a backend that is none costs one approval by a person.
// Used by worker/backing/root-module.ts; its words by worker/backing/unused-backend.ts and by cli/run.
import { statesPath } from "../../schema/api/state.ts"

/** A comment that may go over many lines. None begins inside of another, so that a glob in a text begins none that ends far below. */
const comment = String.raw`/\*(?:(?!/\*)[^])*?\*/`
const gap = String.raw`(?:[ \t]|${comment})`

const inHcl = {
  terraform: new RegExp(String.raw`^[ \t]*terraform${gap}*\{`, "mu"),
  // The next block, and not a brace: where that stands says nothing in a file that is not formatted.
  end: /^[ \t]*(?:action|check|data|ephemeral|import|locals|module|moved|output|provider|removed|resource|variable)[ \t]*["{]/mu,
  block: new RegExp(String.raw`^[ \t]*(?:backend${gap}+"?([\w-]{1,64})"?|cloud)${gap}*\{([^{}]*)`, "gmu")
}
const inJson = { terraform: /"terraform"\s*:/u, end: /(?!)/u, block: /"(?:backend"\s*:[\s[{]*"([\w-]{1,64})|cloud)"\s*:[\s[{]*([^{}]*)/gu }

const commentAtBeginning = new RegExp(String.raw`^[ \t]*${comment}`, "gmu")

/** The addresses of such a block, its locks' and commented ones too; one that is no plain text is there as an empty one. */
const addressesIn = (content: string) => [...content.matchAll(/address"?\s*[=:]\s*(?:"([^"]*)")?/gu)].map(([, url = ""]) => url)

/**
 * Reports whether such a block keeps no state anywhere else: it is the engine's own default, or each address in it is of the workspace itself
 * by the API for people of such a server, whose host may be called otherwise there.
 */
const isOwn = (type: string, content: string, workspace: string | undefined): boolean => {
  if (type === "local") return content.trim() === ""
  const addresses = type === "http" && workspace !== undefined ? addressesIn(content) : []
  return addresses.length > 0 && addresses.every((url) => url.endsWith(`${statesPath}${workspace}`))
}

/**
 * Returns the type of the backend that a file names, "cloud" for such a block, or undefined if it names none that could keep a state.
 * `workspace` is the one of the pool's server that keeps the state instead, undefined without a pool.
 */
export const backendIn = (name: string, text: string, workspace: string | undefined): string | undefined => {
  const { block, end, terraform } = name.endsWith(".json") ? inJson : inHcl
  const blocks = text.replace(commentAtBeginning, "").split(terraform).slice(1).flatMap((
    rest
  ) => [...(rest.split(end)[0] ?? "").matchAll(block)])
  const foreign = blocks.find(([, type = "cloud", content = ""]) => !isOwn(type, content, workspace))
  return foreign === undefined ? undefined : foreign[1] ?? "cloud"
}

/** Where the docs tell how a state is brought. */
const howTo = "docs/state.md, \"Bring an existing state\""

const shown = (type: string): string => type === "cloud" ? "cloud block" : `backend ${type}`

/** Returns what a plan tells of a backend that its pool's server replaces in a workspace that has no state yet. */
export const nothingHereYet = (type: string, workspace: string, server: string): string =>
  `The ${
    shown(type)
  } of the configuration is not used: the server at ${server} keeps the state of workspace ${workspace}, and has none yet. If the ${
    shown(type)
  } has one, bring it before you apply anything, or all of it is made a second time (${howTo}).`

/** Returns what a stage without a pool tells of a backend that `spec.backend` replaces. */
export const replacedBySpec = (type: string, other: string): string =>
  `The ${
    shown(type)
  } of the configuration is not used, since spec.backend says ${other}. A state that only the former has is not known to this stage, which would make all of it a second time.`

/** Returns why a run that was to apply by itself waits for a person. */
export const waitsForPerson = (type: string, workspace: string): string =>
  `its configuration has a ${
    shown(type)
  }, which is not used, and workspace ${workspace} has no state yet; discard it and bring that state, or approve it if there is none to bring (${howTo})`
