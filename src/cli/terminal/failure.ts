// The errors that a command ends with: each has an exit code, and one sentence that says what happened, where, and what to do next.
// Invariant: a code means the same for every command, so that scripts can rely on it; docs/cli.md has the table.
// Made by the commands and their clients; main prints them and exits with their codes.
import { Cause, type Config, Data, Option, Runtime } from "effect"
import { CliError } from "effect/cli"
import { claimLostExitCode, diskFullExitCode } from "../../core/task/places.ts"
import type { ProxyUnusable } from "../../http/connections.ts"
import type { KubeconfigUnusable, KubernetesError, NoCredentials } from "../../kubernetes/errors.ts"
import type { OptionsUnusable } from "../../server/settings.ts"
import { visibleInOrder } from "./visible.ts"

export const exitCode = {
  failed: 1,
  usage: 2,
  notThere: 3,
  unreachable: 4,
  tokenRefused: 5,
  cancelled: 6,
  /** No failure. OpenTofu's 2 for this is that of bad input here, which nothing may take for a change. */
  hasChanges: 7,
  diskFull: diskFullExitCode,
  claimLost: claimLostExitCode,
  /** 128 + SIGINT, as a shell reports it. */
  interrupted: 130,
  /** The reader of the output has gone. 128 + SIGPIPE, as a shell reports it, because Node itself does not die of SIGPIPE. */
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

/** Why an answer is of no use. `hadNoEffect`: the request surely did nothing, since it did not reach the server whole or was refused. */
export type NoUse = Data.TaggedEnum<{
  /** None came to its end. `throughProxy`: it broke on the way through a proxy, which the detail names. */
  Unanswered: { readonly hadNoEffect: boolean; readonly throughProxy: boolean }
  /** The server has too much to do, and wants to be left alone for so long; 0 if it does not say. */
  Busy: { readonly seconds: number; readonly hadNoEffect: boolean }
  /** It has a status that may be another one soon. */
  Failing: { readonly status: number; readonly hadNoEffect: boolean }
  /** Something else answered in its place, such as a login page or a firewall. */
  Strange: {}
  /** It would be no other if it were asked for again, because the address is wrong or the way too slow for the request. */
  Lasting: {}
}>
export const NoUse = Data.taggedEnum<NoUse>()
/** No answer came to its end, though the request may have arrived. */
export const unanswered = NoUse.Unanswered({ hadNoEffect: false, throughProxy: false })

/** The server gave no usable answer: nobody listens, the network is down, it is busy, or something else answers there. */
export class ServerUnreachable extends Data.TaggedError("ServerUnreachable")<
  {
    readonly url: string
    readonly detail: string
    readonly why: NoUse
    /** What to do next, where the detail tells; by default what helps most often. */
    readonly remedy?: string | undefined
  }
> {
  override readonly [Runtime.errorExitCode] = exitCode.unreachable
  override get message() {
    if (this.why._tag === "Busy") return `The agent-job server at ${this.url} is busy (${this.detail}); try again later.`
    const next = this.why._tag === "Unanswered" && this.why.throughProxy
      ? "check that proxy, or put the host into NO_PROXY"
      : "check that it runs and that AGENT_JOB_URL or --url is right"
    return `No usable answer from the agent-job server at ${this.url} (${this.detail}); ${this.remedy ?? next}.`
  }
}

/** The server was asked for a run and may have made one: it carries out a request that it received, even if its response is lost. */
export class MaybeStarted extends Data.TaggedError("MaybeStarted")<
  { readonly url: string; readonly detail: string; readonly workspace: string }
> {
  override readonly [Runtime.errorExitCode] = exitCode.unreachable
  override get message() {
    return `The agent-job server at ${this.url} did not say whether it started the run (${this.detail}); look before you try again: agent-job get runs --workspace ${this.workspace}`
  }
}

/** The server itself answered 401: it refuses the token, or none was given. */
export class TokenRefused extends Data.TaggedError("TokenRefused")<{ readonly url: string; readonly given: boolean }> {
  override readonly [Runtime.errorExitCode] = exitCode.tokenRefused
  override get message() {
    return this.given
      ? `The agent-job server at ${this.url} refuses the token; set AGENT_JOB_TOKEN or --token-file to a user token of that server.`
      : `The agent-job server at ${this.url} wants a token and none was given; set AGENT_JOB_TOKEN or --token-file.`
  }
}

/** The cluster accepts the login, or the server the token, but does not allow the request. */
export class NotAllowed extends Data.TaggedError("NotAllowed")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.tokenRefused
}

/** The server understood the request and refused it. The message is the server's own if it gave one. */
export class ServerRefused extends Data.TaggedError("ServerRefused")<{ readonly status: number; readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.failed
}

/** How a request to the server may fail. */
export type ServerFailure = ServerUnreachable | TokenRefused | NotAllowed | NothingThere | ServerRefused

/** Reports whether the server may answer if it is asked again. */
export const mayPass = (error: ServerFailure): error is ServerUnreachable =>
  error._tag === "ServerUnreachable" && error.why._tag !== "Lasting"

/** Reports the same of a request that costs too much to be sent again and again to something else that answers. */
export const mayComeThrough = (error: ServerFailure): boolean => mayPass(error) && error.why._tag !== "Strange"

const awayForNow: ReadonlyArray<number> = [502, 503, 504]

/** Reports whether an answer says that the server is busy or away for now. Without such an answer the address may be wrong. */
export const isAwayForNow = ({ why }: ServerUnreachable): boolean =>
  why._tag === "Busy" || (why._tag === "Failing" && awayForNow.includes(why.status))

/** Reports whether the request surely did nothing, so that it may be sent again even if it makes something. */
export const hadNoEffect = ({ why }: ServerUnreachable): boolean => "hadNoEffect" in why && why.hadNoEffect

/** Reports whether a decision on a run was refused as it came too late: somebody else has decided, or the run has ended. */
export const isLate = (error: ServerFailure): boolean => error._tag === "ServerRefused" && error.status === 409

/** The run or the command failed, for the reason in the message. */
export class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.failed
}

/** A log ended before what it is of. */
export class LogBrokenOff extends Data.TaggedError("LogBrokenOff")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.unreachable
}

/** Somebody cancelled or discarded the run. */
export class Cancelled extends Data.TaggedError("Cancelled")<{ readonly message: string }> {
  override readonly [Runtime.errorExitCode] = exitCode.cancelled
}

/** A plan has changes, for a script that asked by --detailed-exitcode. It is no error, and what changes is printed already. */
export class HasChanges extends Data.TaggedError("HasChanges") {
  override readonly [Runtime.errorExitCode] = exitCode.hasChanges
}

/** A long-running command failed and has logged why, so nothing more is printed. */
export class AlreadyLogged extends Data.TaggedError("AlreadyLogged")<{ readonly code: number }> {
  override readonly [Runtime.errorExitCode] = this.code
}

type OfOthers = KubernetesError | NoCredentials | KubeconfigUnusable | Config.ConfigError | ProxyUnusable | OptionsUnusable

/** The exit codes of the errors of other folders, by tag. Another error has a code of its own, or 1. */
const codesOfOthers: Readonly<Record<string, number>> = {
  NotFound: exitCode.notThere,
  Unreachable: exitCode.unreachable,
  TooManyRequests: exitCode.unreachable,
  Malformed: exitCode.unreachable,
  NoCredentials: exitCode.unreachable,
  Unauthorized: exitCode.tokenRefused,
  Forbidden: exitCode.tokenRefused,
  Invalid: exitCode.usage,
  KubeconfigUnusable: exitCode.usage,
  ConfigError: exitCode.usage,
  ProxyUnusable: exitCode.usage,
  OptionsUnusable: exitCode.usage
} satisfies Partial<Record<OfOthers["_tag"], number>>

const tagOf = (error: unknown): string => typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : ""

/** Returns the exit code of an error, also of one from another folder or from the CLI library. */
export const exitCodeOf = (error: unknown): number => {
  if (CliError.isCliError(error)) return error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : exitCode.usage
  return codesOfOthers[tagOf(error)] ?? Runtime.getErrorExitCode(error)
}

/** Reports whether nothing is left to print: the CLI library prints help and usage errors itself, and a service its errors in its log. */
export const isPrinted = (error: unknown): boolean =>
  CliError.isCliError(error) || error instanceof AlreadyLogged || error instanceof HasChanges

/** Returns an error as one sentence. Only errors of environment variables (ConfigError) have to be reworded for that. */
export const sentenceOf = (error: unknown): string => {
  const said = error instanceof Error ? error.message : String(error)
  return tagOf(error) === "ConfigError"
    ? `The environment cannot be used: ${said.replace(/\s+/gu, " ").replace(/^(?:\w+Error\()+|\)+$/gu, "")}; correct that variable.`
    : said
}

/** Returns what to print when a command fails. A defect is a bug of ours, so with `debug` (AGENT_JOB_DEBUG) its stack trace is shown. */
export const lastSentence = (cause: Cause.Cause<unknown>, debug: boolean): string => {
  const error = Cause.squash(cause)
  if (Option.isSome(Cause.findErrorOption(cause))) return visibleInOrder(`error: ${sentenceOf(error)}`)
  return visibleInOrder(
    debug
      ? `error: ${Cause.pretty(cause)}`
      : `error: This should not happen: ${sentenceOf(error)}; please report it, with what AGENT_JOB_DEBUG=1 adds to this.`
  )
}
