// The grammar of a file with tokens: a token a line, and after it the name of its holder; an empty line, or one that begins with #, is none.
// Invariant: server and clients read the same Secret alike, so that a second line, a name or a comment stops nobody.
// Used by server/access/tokens for all lines, and by controller/pool/pool and cli/server/connection for the first.

export interface TokenLine {
  readonly token: string
  /** The name of its holder; empty if there is none. */
  readonly name: string
}

export const tokenLines = (text: string): ReadonlyArray<TokenLine> =>
  text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
    const [token = "", ...name] = line.split(/\s+/u)
    return { token, name: name.join(" ") }
  })

/** Returns the token that a client of the file uses, or undefined if it has none. */
export const firstToken = (text: string): string | undefined => tokenLines(text)[0]?.token
