// Every way a command ends other than well: one sentence that says what happened, where, and what to do next, and an exit code.
// Invariant: a code means the same for every command, so that scripts can rely on it; docs/cli.md has the table.
// Made by the commands and their clients; printed and turned into the process's exit by main.
import { Cause, Data, Option, Runtime } from "effect"
import { CliError } from "effect/cli"
import { claimLostExitCode } from "../core/manifest/places.ts"
import { visible } from "./visible.ts"

export const exitCode = {
  failed: 1,
  usage: 2,
  notThere: 3,
  unreachable: 4,
  tokenRefused: 5,
  cancelled: 6,
  claimLost: claimLostExitCode,
  /** Of a program that wrote to nobody, as a shell has it: 128 and SIGPIPE, which Node does not die of. */
  readerGone: 141
} as const

/** What was typed, or what it points at, cannot be used. */
export class BadInput extends Data.TaggedError("BadInput")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.usage
}

/** No such run, task, workspace or namespace. */
export class NothingThere extends Data.TaggedError("NothingThere")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.notThere
}

/** The server gave no usable answer: nobody listens, the network is down, or something else answers there. */
export class ServerUnreachable extends Data.TaggedError("ServerUnreachable")<{
  readonly url: string
  readonly detail: string
  /** It never heard what it was asked, or did not let it in: nothing was done. */
  readonly unheard?: boolean
}> {
  override readonly [Runtime.errorExitCode] = exitCode.unreachable
  override get message() {
    return `Cannot reach the agent-job server at ${this.url} (${this.detail}); check that it runs and that AGENT_JOB_URL or --url is right.`
  }
}

/** The server was asked for a run, and whether it made one is not known: a request that came through is carried out, heard or not. */
export class MaybeStarted extends Data.TaggedError("MaybeStarted")<
  { readonly url: string; readonly detail: string; readonly workspace: string }
> {
  override readonly [Runtime.errorExitCode] = exitCode.unreachable
  override get message() {
    return `The agent-job server at ${this.url} did not say whether it started the run (${this.detail}); look before you try again: agent-job get runs --workspace ${this.workspace}`
  }
}

/** The server does not take the token: 401, or 403. */
export class TokenRefused extends Data.TaggedError("TokenRefused")<{ readonly url: string; readonly given: boolean }> {
  override readonly [Runtime.errorExitCode] = exitCode.tokenRefused
  override get message() {
    return this.given
      ? `The agent-job server at ${this.url} refuses the token; set AGENT_JOB_TOKEN or --token-file to a user token of that server.`
      : `The agent-job server at ${this.url} wants a token and none was given; set AGENT_JOB_TOKEN or --token-file.`
  }
}

/** The cluster knows who asks, and says no. */
export class NotAllowed extends Data.TaggedError("NotAllowed")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.tokenRefused
}

/** The server understood and said no, in its own words. */
export class ServerRefused extends Data.TaggedError("ServerRefused")<{ readonly status: number; readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.failed
}

/** The run, or the program itself, came to a bad end that is told in one sentence. */
export class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.failed
}

/** Somebody cancelled or discarded the run. */
export class Cancelled extends Data.TaggedError("Cancelled")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.cancelled
}

/** What a long-running command failed with, once it is in the log; nothing more is to be printed. */
export class AlreadyLogged extends Data.TaggedError("AlreadyLogged")<{ readonly code: number }> {
  override readonly [Runtime.errorExitCode] = this.code
}

/** What the errors of other folders mean to a script. */
const codesOfOthers: Readonly<Record<string, number>> = {
  NotFound: exitCode.notThere,
  Unreachable: exitCode.unreachable,
  TooManyRequests: exitCode.unreachable,
  NoCredentials: exitCode.unreachable,
  Unauthorized: exitCode.tokenRefused,
  Forbidden: exitCode.tokenRefused,
  Invalid: exitCode.usage,
  KubeconfigUnusable: exitCode.usage,
  ConfigError: exitCode.usage,
  ProxyUnusable: exitCode.usage,
  OptionsUnusable: exitCode.usage
}

const tagOf = (error: unknown): string => typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : ""

/** The exit code of an error, whoever made it. */
export const exitCodeOf = (error: unknown): number => {
  if (CliError.isCliError(error)) return error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : exitCode.usage
  return codesOfOthers[tagOf(error)] ?? Runtime.getErrorExitCode(error)
}

/** Help and usage errors are printed by the command line itself, and a service's last words are in its log. */
export const isPrinted = (error: unknown): boolean => CliError.isCliError(error) || error instanceof AlreadyLogged

/** An error as one sentence; only the environment's errors do not come as one. */
export const sentenceOf = (error: unknown): string => {
  const said = error instanceof Error ? error.message : String(error)
  return tagOf(error) === "ConfigError"
    ? `The environment cannot be used: ${said.replace(/\s+/gu, " ").replace(/^(?:\w+Error\()+|\)+$/gu, "")}; correct that variable.`
    : said
}

/** What ends a command, for a person. A defect is a mistake of ours, so with AGENT_JOB_DEBUG its trace is shown. */
export const lastSentence = (cause: Cause.Cause<unknown>, debug: boolean): string => {
  const error = Cause.squash(cause)
  if (Option.isSome(Cause.findErrorOption(cause))) return visible(`error: ${sentenceOf(error)}`)
  return visible(
    debug
      ? `error: ${Cause.pretty(cause)}`
      : `error: This should not happen: ${sentenceOf(error)}; please report it, with what AGENT_JOB_DEBUG=1 adds to this.`
  )
}
