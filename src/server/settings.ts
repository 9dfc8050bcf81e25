// The options of `agent-job server`, and the errors of a server that cannot start.
// Used by every part of the server and by the CLI's server command.
import { Context, Data } from "effect"
import type { Keep } from "../schema/api/keep.ts"

/** The files of a certificate and its private key, both in PEM. */
export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface ServerOptions {
  /** 0 takes a free port. */
  readonly port: number
  /** The address of this machine to listen at; absent: every one. */
  readonly address?: string
  /** The server's certificate; absent: it speaks plain HTTP. */
  readonly tls?: TlsFiles
  /** Holds the database, the blobs and the key of the secret paths; made when it is missing. */
  readonly dataDir: string
  /** How clients reach the server; absent: what each request says in its Host header. */
  readonly publicUrl?: string
  /**
   * A file with one token a line, or its hash, each followed by the name of its holder, if wanted. Empty lines and lines that begin with #
   * are skipped.
   */
  readonly userTokenFile: string
  readonly poolTokenFile: string
  /** The pool of the workspaces that are bound to none; absent: any agent takes their stages. */
  readonly defaultPool?: string
  readonly keep?: Keep
}

/** The options that more than the start of the server needs. */
export class Settings extends Context.Service<
  Settings,
  Pick<ServerOptions, "dataDir" | "publicUrl" | "defaultPool"> & { readonly keep: Keep }
>()("agent-job/server/Settings") {}

/** The server's options cannot be used; `message` says what to do. */
export class OptionsUnusable extends Data.TaggedError("OptionsUnusable")<{ readonly message: string }> {}

/** The server cannot start; `message` says what to do. */
export class ServerError extends Data.TaggedError("ServerError")<{ readonly message: string }> {}
