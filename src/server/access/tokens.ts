// Who may ask: tokens of people and agents from files, tokens of one stage from the database, and paths that carry their own secret.
// Only the SHA-256 of a token is kept; those from files are compared in constant time. A path's secret is computed from a key, not stored.
// Used by the borders of all the APIs.
import { Context, Effect, Layer, Option } from "effect"
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import { readFile, rename, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import type { HolderOfSome } from "../../core/run/permission.ts"
import { isRightItself, knownRoles, type TokenLine, tokenLines } from "../../core/text/token-lines.ts"
import { codeOf, errorInWords, whyUnreadable } from "../../schema/system-error.ts"
import { OptionsUnusable, ServerError, type ServerOptions } from "../settings.ts"
import { syncDirectory } from "../store/blobs.ts"
import { keyIn } from "../store/earlier-data.ts"
import { RandomBytes } from "../store/ids.ts"

const sha256 = (text: string) => createHash("sha256").update(text).digest()

/** How a token is stored: SHA-256 in hex. */
export const tokenHash = (token: string): string => sha256(token).toString("hex")

/**
 * Returns what makes the token of an offer: 256 bits of a key that is in memory alone, and for as long as the server runs the same for the
 * same offer, so that a stage that no cluster can keep has one token however often it is offered. The prefix lets secret scanners know it.
 */
export const makeTaskTokens = Effect.map(RandomBytes, (bytes) => {
  const key = bytes(32)
  return (offer: ReadonlyArray<string>) => `ajt_${createHmac("sha256", key).update(JSON.stringify(offer)).digest("base64url")}`
})

/**
 * Returns the token of an Authorization header: a bearer token, or the password of basic authentication, which is all that a stock `http`
 * backend can send.
 */
export const tokenOf = (authorization: string | undefined): Option.Option<string> => {
  const [scheme, value] = authorization?.trim().split(/ +/u, 2) ?? []
  if (value === undefined) return Option.none()
  if (scheme?.toLowerCase() === "bearer") return Option.some(value)
  if (scheme?.toLowerCase() !== "basic") return Option.none()
  const decoded = Buffer.from(value, "base64").toString("utf8")
  return Option.some(decoded.slice(decoded.indexOf(":") + 1))
}

/** The holder of a user token: its name in the token file, or else the first 8 hex digits of the token's SHA-256, and what it may do where. */
export interface User extends HolderOfSome {
  readonly kind: "user"
}

/** A pool's name is found as a user's; that of a task is its stage's id, and that of a link the id of what it opens. */
interface OfKind<Kind> {
  readonly kind: Kind
  readonly name: string
}

/** With the hash of the token, by which an offer is known to be of one that was taken away since. */
interface PoolHolder extends OfKind<"pool"> {
  readonly tokenHash: string
}

/** Who asks, as the token or the link shows; it never has the secret itself. */
export type Caller = User | PoolHolder | OfKind<"task"> | OfKind<"link">

export class Tokens extends Context.Service<Tokens, {
  /** Returns the holder of a token in the file of the user tokens. */
  readonly user: (token: string) => Option.Option<User>
  /** Returns the holder of a token in the file of the pool tokens. */
  readonly pool: (token: string) => Option.Option<PoolHolder>
  /** Reports whether a token in that file has the hash. */
  readonly isOfPool: (hash: string) => boolean
  /** The names in the file of the pool tokens, in its order; tokens with the same name are of one pool. */
  readonly pools: ReadonlyArray<string>
  /**
   * Returns 64 hex digits, always the same for a subject: the last part of a path that needs no token, or a key (of a run's seals, of a
   * stage's kept states).
   */
  readonly secretOf: (subject: string) => string
  readonly isSecretOf: (subject: string, secret: string) => boolean
}>()("agent-job/server/Tokens") {
  static readonly layer = (options: ServerOptions) =>
    Layer.effect(
      Tokens,
      Effect.gen(function*() {
        const known = { user: yield* tokensIn(options.userTokenFile, "user"), pool: yield* tokensIn(options.poolTokenFile, "pool") }
        if (known.user.some(({ hash }) => known.pool.some((pool) => pool.hash.equals(hash)))) {
          return yield* unusable(
            `A token is in ${options.userTokenFile} and in ${options.poolTokenFile}, so who has it would be a person and a controller at once; give each file tokens of its own.`
          )
        }
        const key = yield* pathKey(keyIn(options.dataDir))
        const secretOf = (subject: string) => createHmac("sha256", key).update(subject).digest("hex")
        return Tokens.of({
          pools: [...new Set(known.pool.map(({ name }) => name))],
          user: (token) => Option.map(oneOf(known.user, token), ({ name, role, workspaces }) => ({ kind: "user", name, role, workspaces })),
          pool: (token) =>
            Option.map(oneOf(known.pool, token), ({ hash, name }) => ({ kind: "pool", name, tokenHash: hash.toString("hex") })),
          isOfPool: (tokenHash) => known.pool.some(({ hash }) => hash.toString("hex") === tokenHash),
          secretOf,
          isSecretOf: (subject, secret) => timingSafeEqual(sha256(secretOf(subject)), sha256(secret))
        })
      })
    )
}

/** Compares with all known tokens, so that the time says nothing about which one was near. */
const oneOf = (all: ReadonlyArray<Known>, token: string): Option.Option<Known> => {
  const hash = sha256(token)
  return Option.fromUndefinedOr(all.filter((known) => timingSafeEqual(known.hash, hash))[0])
}

interface Known extends HolderOfSome {
  readonly hash: Buffer
}

const unusable = (message: string) => new OptionsUnusable({ message })

/** Returns the holder of a token; fails if its line has a role or workspaces that no token of such a file may have. */
const knownOf =
  (file: string, whose: "user" | "pool") => ({ name: said, role, token, workspaces }: TokenLine): Effect.Effect<Known, OptionsUnusable> => {
    const hash = sha256(token)
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
  const text = yield* Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (cause) => unusable(`The ${whose} token file ${file} cannot be read (${whyUnreadable(cause)}); create it, one token a line.`)
  })
  const lines = tokenLines(text)
  if (lines.length === 0 || lines.some(({ token }) => token.length < 16)) {
    return yield* unusable(
      `The ${whose} token file ${file} must hold at least one token, each of 16 characters or more; write a random one into it.`
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

const keyBytes = 32

/** Makes the key. It gets its name when it is whole and on disk, so that a start that is cut short leaves nothing that looks like a key. */
const newKey = async (file: string) => {
  const key = randomBytes(keyBytes)
  await writeFile(`${file}.new`, key, { mode: 0o600, flush: true })
  await rename(`${file}.new`, file)
  syncDirectory(dirname(file))
  return key
}

/** Reads the key, which is made once. Its holder can read logs and upload archives, so it is as secret as the database. */
const pathKey = Effect.fnUntraced(function*(file: string) {
  const key = yield* Effect.tryPromise({
    try: () =>
      readFile(file).catch((cause: unknown) => {
        if (codeOf(cause) === "ENOENT") return newKey(file)
        throw cause
      }),
    catch: (cause) =>
      new ServerError({
        message: `The key ${file} can neither be read nor made (${errorInWords(cause)}); check the data directory's permissions.`
      })
  })
  if (key.byteLength === keyBytes) return key
  return yield* new ServerError({
    message:
      `The key ${file} has ${key.byteLength} bytes and not ${keyBytes}, so what is made with it can be guessed; restore it from a backup, or remove it and a new one is made: `
      + "then links to logs and uploads, approvals of plans that wait, and states that stages have kept on shared volumes are void."
  })
})
