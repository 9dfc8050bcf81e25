// The grammar of a file with tokens: a token or its hash a line, the name of its holder, what it may do and in which workspaces; an empty line, or one with # first, is none.
// Invariant: server and clients read the same Secret alike; no line stops a client, and no word that looks like one of these rights gives a token more than it.
// Used by server/access/token-files for all lines, and by controller/pool/pool and cli/server/connection for the first with a token in clear.
import { Schema } from "effect"
import { WorkspacePattern } from "../../schema/workspace-pattern.ts"

/** What a user's token may do, from the least to all: a later one may do whatever an earlier one may. */
export const roles = ["read", "plan", "everything"] as const
export type Role = (typeof roles)[number]

/** The workspaces that a user's token is for: those that one of the patterns fits, of which there is one at least. */
export type Reach = "all" | ReadonlyArray<string>

export interface TokenLine {
  /** Which line of the file it is, from 1. */
  readonly number: number
  /** The token in clear, or a word that `looksLikeHash`. */
  readonly token: string
  /** The name of its holder; empty if there is none. */
  readonly name: string
  /** `everything` if the line says nothing of it; undefined if what it says is no role. */
  readonly role: Role | undefined
  /** `all` if the line says nothing of it; undefined if what it says can be no workspaces. */
  readonly workspaces: Reach | undefined
}

/** The words of a line that give its token a role. */
const roleWords: ReadonlyMap<string, Role> = new Map([["role=read", "read"], ["role=plan", "plan"]])
export const knownRoles: string = [...roleWords.keys()].join(" or ")

/** So many that a statement of the server's database may have a term for each. */
const mostPatterns = 100
const arePatterns = Schema.is(Schema.Array(WorkspacePattern).check(Schema.isMaxLength(mostPatterns)))

/** Returns the patterns that a word gives its token; undefined if it gives none. */
const patternsIn = (word: string): ReadonlyArray<string> | undefined => {
  const patterns = /^workspaces=(.*)$/u.exec(word)?.[1]?.split(",")
  return arePatterns(patterns) ? patterns : undefined
}

/** Returns a test of whether a word may be meant as one of these, well written or not. Names such as `deploy-role` are none. */
const meant = (one: string) => {
  const form = new RegExp(`(?<![\\p{L}\\p{N}])${one}s?(?:[=:]|(?<!-${one}s?)(?![\\p{L}\\p{N}-]))`, "iu")
  return (word: string): boolean => form.test(word)
}
const looksLikeRole = meant("role")
const looksLikeWorkspaces = meant("workspace")
/** So may be any word with an equals sign or a star that is none about a role: one of these, misspelt, or what is left of it. */
const isOfWorkspaces = (word: string): boolean => looksLikeWorkspaces(word) || (/[=*]/u.test(word) && !looksLikeRole(word))
/** A workspace may be called `role`. */
const isRole = (word: string): boolean => looksLikeRole(word) && patternsIn(word) === undefined

/** Reports whether a word may be meant as a right. Taken for a part of a name, it would leave the token everything. */
const isRight = (word: string): boolean => isRole(word) || isOfWorkspaces(word)

/** Returns what the only one of the words says that are meant so; `otherwise` if none is, and undefined if it says nothing. */
const saidIn = <A>(words: ReadonlyArray<string>, is: (word: string) => boolean, read: (word: string) => A | undefined, otherwise: A) => {
  const [word, ...more] = words.filter(is)
  if (word === undefined) return otherwise
  const areLast = words.slice(words.findIndex(isRight)).every(isRight)
  return areLast && more.length === 0 ? read(word) : undefined
}

export const tokenLines = (text: string): ReadonlyArray<TokenLine> =>
  text.split("\n").map((line, index) => ({ number: index + 1, words: line.trim().split(/\s+/u) }))
    .filter(({ words: [first = ""] }) => first !== "" && !first.startsWith("#"))
    .map(({ number, words: [token = "", ...words] }) => ({
      number,
      token,
      name: words.filter((word) => !isRight(word)).join(" "),
      role: saidIn<Role>(words, isRole, (word) => roleWords.get(word), "everything"),
      workspaces: saidIn<Reach>(words, isOfWorkspaces, patternsIn, "all")
    }))

/** Reports whether a line has its rights first, where its token is to be: who knows them would have the token. */
export const isRightItself = (token: string): boolean => /^(?:role|workspace)s?[=:]/iu.test(token)

/** Reports whether a first word may be meant as a hash, well written or not. Taken for a token, it lets in whoever reads the file. */
export const looksLikeHash = (token: string): boolean => /^\W*sha-?\d+\b/iu.test(token)

/** Returns the SHA-256 of its token, in hex, that a line has in place of the token; undefined if it has none. */
export const hashIn = (token: string): string | undefined => /^sha256:([\da-f]{64})$/iu.exec(token)?.[1]

/** Returns the token that a client of the file uses, or undefined if none is in clear. */
export const firstToken = (text: string): string | undefined => tokenLines(text).find(({ token }) => !looksLikeHash(token))?.token
