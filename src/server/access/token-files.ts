// The files of the tokens of people and controllers: who holds which, and what they may. A mounted Secret that was changed is read anew.
// Invariant: only whole files count. One that is written where it is may be half there, so while the server runs only a link is followed.
// Used by server/access/tokens.
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readFileSync, realpathSync } from "node:fs"
import { resolve } from "node:path"
import type { HolderOfSome } from "../../core/run/permission.ts"
import { hashIn, isRightItself, knownRoles, looksLikeHash, type TokenLine, tokenLines } from "../../core/text/token-lines.ts"
import { whyUnreadable } from "../../schema/system-error.ts"
import { OptionsUnusable, type ServerOptions } from "../settings.ts"

/** Shorter ones can be guessed. */
export const shortestToken = 16

/** How often the links are looked at. The kubelet itself takes a minute or two to bring them up to date. */
const readEvery = "10 seconds"

/** The holder of a token in a file, and by which hash it is known. */
export interface Known extends HolderOfSome {
  readonly hash: Buffer
}

const unusable = (message: string) => new OptionsUnusable({ message })
const unreadable = (file: string, whose: "user" | "pool") => (cause: unknown) =>
  unusable(`The ${whose} token file ${file} cannot be read (${whyUnreadable(cause)}); create it, one token a line.`)

/** Returns the holder of a token; fails if its line has a role or workspaces that no token of such a file may have. */
const knownOf =
  (file: string, whose: "user" | "pool") => ({ name: said, role, token, workspaces }: TokenLine): Effect.Effect<Known, OptionsUnusable> => {
    const hashed = hashIn(token)
    const hash = hashed === undefined ? createHash("sha256").update(token).digest() : Buffer.from(hashed, "hex")
    const name = said === "" ? hash.toString("hex").slice(0, 8) : said
    if (whose === "pool" && (role !== "everything" || workspaces !== "all")) {
      return unusable(
        `The pool token file ${file} has the word role or workspaces, or a word with = or *, beside the token of ${name}, and only user tokens have such; take it from that line.`
      )
    }
    if (role === undefined) {
      return unusable(
        `The user token file ${file} gives the token of ${name} a role that there is not; let that line end with ${knownRoles}, or with a name without the word role, of one who may do everything.`
      )
    }
    return workspaces === undefined
      ? unusable(
        `The user token file ${file} gives the token of ${name} workspaces that there cannot be, or a name with = or *; let that line end with a word such as workspaces=team-a-*,shared, of at most 100 names and beginnings of names with *, or, for one who may use all, have a name without =, * and the word workspaces.`
      )
      : Effect.succeed({ hash, name, role, workspaces })
  }

const tokensIn = Effect.fnUntraced(function*(file: string, whose: "user" | "pool") {
  const text = yield* Effect.try({ try: () => readFileSync(file, "utf8"), catch: unreadable(file, whose) })
  const lines = tokenLines(text)
  const noHash = lines.find(({ token }) => looksLikeHash(token) && hashIn(token) === undefined)
  if (noHash !== undefined) {
    return yield* unusable(
      `The ${whose} token file ${file} has a malformed hash in line ${noHash.number}; let that line begin with sha256: and the 64 hex digits of the SHA-256 of its token.`
    )
  }
  if (lines.length === 0 || lines.some(({ token }) => token.length < shortestToken)) {
    return yield* unusable(
      `The ${whose} token file ${file} must hold at least one token, each of ${shortestToken} characters or more; write a random one into it.`
    )
  }
  if (lines.some(({ token }) => isRightItself(token))) {
    return yield* unusable(`The ${whose} token file ${file} has a line that begins with a role or workspaces; let it begin with the token.`)
  }
  const known = yield* Effect.forEach(lines, knownOf(file, whose))
  const rights = ({ role, workspaces }: Known) => JSON.stringify([role, workspaces])
  const twice = known.find((one) => known.some((other) => other.hash.equals(one.hash) && rights(other) !== rights(one)))
  if (twice !== undefined) {
    return yield* unusable(
      `The user token file ${file} has the token of ${twice.name} twice, with another role or other workspaces; leave one of these lines.`
    )
  }
  return known
})

type Files = Pick<ServerOptions, "userTokenFile" | "poolTokenFile">

/** The tokens of a file, and where its links led when it was read: nowhere for a pipe or a plain file, which is read once. */
interface Found {
  readonly place: string | undefined
  readonly tokens: ReadonlyArray<Known>
}

export interface KnownTokens {
  readonly user: Found
  readonly pool: Found
}

/** Reads a file, but not again while its links lead to the same place. The kubelet puts a changed Secret elsewhere, whole, then swaps a link. */
const foundIn = Effect.fnUntraced(function*(file: string, whose: "user" | "pool", held: Found | undefined) {
  if (held !== undefined && held.place === undefined) return held
  const target = yield* Effect.try({ try: () => realpathSync(file), catch: unreadable(file, whose) }).pipe(
    Effect.catch((error) => held === undefined ? Effect.succeed(undefined) : error)
  ) // before it is read, so that what is put there meanwhile is read again
  const place = target === resolve(file) ? undefined : target
  return held !== undefined && held.place === place ? held : { place, tokens: yield* tokensIn(file, whose) }
})

/** Reads those of both files that are not `held`. Fails if one of them is unusable, or a token is in both. */
export const knownTokens = Effect.fnUntraced(function*({ poolTokenFile, userTokenFile }: Files, held?: KnownTokens) {
  const known: KnownTokens = {
    user: yield* foundIn(userTokenFile, "user", held?.user),
    pool: yield* foundIn(poolTokenFile, "pool", held?.pool)
  }
  if (known.user.tokens.some(({ hash }) => known.pool.tokens.some((pool) => pool.hash.equals(hash)))) {
    return yield* unusable(
      `A token is in ${userTokenFile} and in ${poolTokenFile}, so who has it would be a person and a controller at once; give each file tokens of its own.`
    )
  }
  return known
})

/**
 * Hands on the tokens of both files when a link leads elsewhere than where they were read first. While one of them is unusable, the former
 * tokens count, which is logged once.
 */
export const following = (files: Files, first: KnownTokens, use: (known: KnownTokens) => void): Effect.Effect<never> =>
  Effect.suspend(() => {
    if (first.user.place === undefined && first.pool.place === undefined) return Effect.never
    let [held, told] = [first, ""]
    const look = Effect.matchEffect(Effect.suspend(() => knownTokens(files, held)), {
      onFailure: ({ message }) => {
        if (message === told) return Effect.void
        told = message
        return Effect.logWarning(`the server goes on with its former tokens: ${message}`)
      },
      onSuccess: (known) => {
        told = ""
        if (known.user === held.user && known.pool === held.pool) return Effect.void
        held = known
        use(known)
        return Effect.logInfo("the server has read its tokens anew", {
          people: known.user.tokens.length,
          controllers: known.pool.tokens.length
        })
      }
    })
    return Effect.forever(Effect.delay(look, readEvery))
  })
