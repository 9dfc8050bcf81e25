// Who may ask: tokens of people and agents from files, tokens of one stage from the database, and paths that carry their own secret.
// Only the SHA-256 of a token is kept; those from files are compared in constant time. A path's secret is computed from a key, not stored.
// Used by the borders of all the APIs.
import { Context, Effect, Layer, Option } from "effect"
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import { readFile, rename, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import type { HolderOfSome } from "../../core/run/permission.ts"
import { codeOf, errorInWords } from "../../schema/system-error.ts"
import { ServerError, type ServerOptions } from "../settings.ts"
import { syncDirectory } from "../store/blobs.ts"
import { keyIn } from "../store/earlier-data.ts"
import { RandomBytes } from "../store/ids.ts"
import { following, type Known, type KnownTokens, knownTokens, shortestToken } from "./token-files.ts"

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
  /** Returns the names in the file of the pool tokens, in its order; tokens with the same name are of one pool. */
  readonly pools: () => ReadonlyArray<string>
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
        let known: KnownTokens = yield* knownTokens(options)
        yield* Effect.forkScoped(following(options, known, (next) => (known = next)))
        const key = yield* pathKey(keyIn(options.dataDir))
        const secretOf = (subject: string) => createHmac("sha256", key).update(subject).digest("hex")
        return Tokens.of({
          pools: () => [...new Set(known.pool.tokens.map(({ name }) => name))],
          user: (token) =>
            Option.map(oneOf(known.user.tokens, token), ({ name, role, workspaces }) => ({ kind: "user", name, role, workspaces })),
          pool: (token) =>
            Option.map(oneOf(known.pool.tokens, token), ({ hash, name }) => ({ kind: "pool", name, tokenHash: hash.toString("hex") })),
          isOfPool: (tokenHash) => known.pool.tokens.some(({ hash }) => hash.toString("hex") === tokenHash),
          secretOf,
          isSecretOf: (subject, secret) => timingSafeEqual(sha256(secretOf(subject)), sha256(secret))
        })
      })
    )
}

/** Compares with all known tokens, so that the time says nothing about which one was near. A hash may be that of no token at all. */
const oneOf = (all: ReadonlyArray<Known>, token: string): Option.Option<Known> => {
  if (token.length < shortestToken) return Option.none()
  const hash = sha256(token)
  return Option.fromUndefinedOr(all.filter((known) => timingSafeEqual(known.hash, hash))[0])
}

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
