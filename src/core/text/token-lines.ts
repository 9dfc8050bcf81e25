// The grammar of a file with tokens: a token a line, the name of its holder, and what the token may do; an empty line, or one with # first, is none.
// Invariant: server and clients read the same Secret alike; no line stops a client, and no word that looks like a role gives a token more than one.
// Used by server/access/tokens for all lines, and by controller/pool/pool and cli/server/connection for the first.

/** What a user's token may do, from the least to all: a later one may do whatever an earlier one may. */
export const roles = ["read", "plan", "everything"] as const
export type Role = (typeof roles)[number]

export interface TokenLine {
  readonly token: string
  /** The name of its holder; empty if there is none. */
  readonly name: string
  /** `everything` if the line says nothing of it; undefined if what it says is no role. */
  readonly role: Role | undefined
}

/** The words of a line that give its token a role. */
const roleWords: ReadonlyMap<string, Role> = new Map([["role=read", "read"], ["role=plan", "plan"]])
export const knownRoles: string = [...roleWords.keys()].join(" or ")

/**
 * Reports whether a word may be meant as a role, well written or not. Taken for a part of a name, it would leave the token everything. Names
 * such as `deploy-role` are none.
 */
const isRole = (word: string): boolean => /(?<![\p{L}\p{N}])roles?(?:[=:]|(?<!-roles?)(?![\p{L}\p{N}-]))/iu.test(word)

const roleIn = (words: ReadonlyArray<string>): Role | undefined => {
  const first = words.findIndex(isRole)
  return first === -1 ? "everything" : first === words.length - 1 ? roleWords.get(words[first] ?? "") : undefined
}

export const tokenLines = (text: string): ReadonlyArray<TokenLine> =>
  text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
    const [token = "", ...words] = line.split(/\s+/u)
    return { token, name: words.filter((word) => !isRole(word)).join(" "), role: roleIn(words) }
  })

/** Returns the token that a client of the file uses, or undefined if it has none. */
export const firstToken = (text: string): string | undefined => tokenLines(text)[0]?.token
