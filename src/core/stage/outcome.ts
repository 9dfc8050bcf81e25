// What the end of a command, or of a whole stage, means: a reason and one sentence, from the exit code and the end of the log.
// Invariant: a stage succeeds only when its last command ended with 0 and every state the engine wrote is confirmed.
// Used by core/stage/engine-events, and in worker/engine, worker/stage and worker/task.
import { Option, Schema } from "effect"
import type { FailureReason } from "../../schema/task/reason.ts"
import { shortened } from "../text/sentence.ts"
import type { StageCommand } from "./stage-commands.ts"

/** Why a stage has to stop before its end. */
export type StopCause = "Cancelled" | "DeadlineExceeded" | "Evicted" | "OutOfMemory"

/** How a command ended, as far as it matters here. */
export type CommandEnd =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "ProgramMissing" }
  | { readonly _tag: "NotStarted"; readonly code: number }
  | { readonly _tag: "Aborted" }
  /** The command did not even end when it was killed, within the grace period. */
  | { readonly _tag: "Unending" }

export interface Failure {
  readonly reason: FailureReason
  readonly message: string
  readonly exitCode?: number
  /** Whether nothing was changed, and the same may succeed when it is run again. */
  readonly mayPass?: true
}

const escapeSequence = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/gu

/** Returns the text without colours and other control characters, except for newlines. */
export const plainText = (text: string): string => text.replace(escapeSequence, "").replace(/[^\P{C}\n]/gu, "")

const decodeError = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      diagnostic: Schema.Struct({ severity: Schema.Literal("error"), summary: Schema.String, detail: Schema.String })
    })
  )
)

/** Returns a log whose errors are told as to a person, also those that `-json` in the engine's arguments makes lines of JSON. */
const forPeople = (log: string): string =>
  log.split("\n").map((line) =>
    Option.match(line.startsWith("{") ? decodeError(line) : Option.none(), {
      onNone: () => line,
      onSome: ({ diagnostic: { detail, summary } }) => `Error: ${summary}\n\n${detail}`
    })
  ).join("\n")

const longestSummary = 300

// The runner chooses what the log says, so no pattern here looks at any place of it twice.

/** Returns the lines of a log without colours, and without the bars that the engine draws beside an error. */
export const plainLines = (log: string): ReadonlyArray<string> =>
  plainText(log).split("\n").map((line) => line.replace(/^[\s│╷|]+/u, "").trimEnd())

/** Returns the lines as one, since the engine wraps them. */
const joined = (log: string): string => plainLines(log).filter((line) => line !== "").join(" ")

/** Returns the summaries of the errors in the end of a log. Those of an engine that a provisioner ran follow the outer engine's own. */
const errorsIn = (log: string): ReadonlyArray<string> =>
  plainLines(log).filter((line) => line.startsWith("Error: ") && !line.startsWith(preamble))
/** What Terraform prints as an error of its own, at the latest since 1.11, before those of a configuration that `init` cannot read. */
const preamble = "Error: Terraform encountered problems during initialisation"
const summaryOf = (line: string): string => shortened(line.slice("Error: ".length).trim().replace(/(?<![.:])[.:]+$/u, ""), longestSummary)

/** Returns the engine's own summary of its first error, from the end of its log. */
export const errorSummary = (log: string): Option.Option<string> => Option.map(Option.fromUndefinedOr(errorsIn(log)[0]), summaryOf)

/** Returns the summary of the only error. An engine that refuses to begin prints one, and so has changed nothing. */
const onlyError = (log: string): Option.Option<string> => {
  const [first, ...others] = errorsIn(log)
  return first === undefined || others.length > 0 ? Option.none() : Option.some(summaryOf(first))
}

// Sentences of the engine. `init` prints each as the summary of an error or in its first lines, and none of them on success.
const providerTrouble = [
  /Failed to query available provider packages/u,
  /Failed to install provider/u,
  /Failed to resolve provider packages/u,
  /provider registry \S+ does not have a provider named/u,
  /Could not retrieve the list of available versions for provider/u,
  /no available releases match the given constraints/u,
  /Error while installing/u
]
/** What a server or the network did that may soon be over, as the engines, git and their libraries put it. */
const passingTrouble =
  /429 Too Many Requests|50[0234] (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway Timeout)|(?:returned error:|response code:?) (?:429|50[0234])|giving up after (?:[2-9]|\d{2,}) attempt|[Cc]onnection (?:refused|reset|timed out)|Couldn't connect to server|server misbehaving|(?:i\/o|handshake) timeout|Client\.Timeout exceeded|context deadline exceeded|": EOF|Temporary failure in name resolution/u
/** What lasts until a person changes it, though it is told in such words: no credentials, no trust, or an address that is wrong or unset. */
const lastingTrouble = /169\.254\.169\.254|ec2imds|credential|x509:|no such host|localhost|127\.0\.0\.1:(?:80|5432)|\[::1\]/iu
/** What is wrong with the lock file, which is right as long as a provider is only missing, and what to do with it. */
const lockTrouble = [
  {
    pattern: /checksums previously recorded in the dependency lock file/u,
    says: (engine: string) =>
      `has no checksum of the package that it found; if that package is the right one, run ${engine} providers lock -platform=OS_ARCH for the runner's platform, and commit the file`
  },
  {
    pattern: /must use \S+ init -upgrade/u,
    says: (engine: string) => `has a version that the configuration does not allow; run ${engine} init -upgrade, and commit the file`
  }
]
/** Only to take over a local state does `init` ask for a lock, which the backend of a pool lets no `init` take. */
const localState =
  /ask approval for state migration|asking for state migration action|Error acquiring the state lock Error message: Unexpected HTTP response code 405/u
const otherWorkspace = /workspaces not supported/u
const diskTrouble = /no space left on device|disk quota exceeded/iu

/** Returns the end of the log from the error on that says what is at this place. */
const errorAt = (log: string, at: number): string => log.slice(Math.max(0, log.lastIndexOf("Error: ", at)))
const because = (log: string): string => Option.match(errorSummary(log), { onNone: () => "", onSome: (summary) => `: ${summary}` })

/** Returns the provider that an error names, such as hashicorp/aws. */
const providerIn = (text: string): string => {
  const name = /(?:provider|installing) ([a-z0-9.-]+(?:\/[A-Za-z0-9_-]+){1,2})/u.exec(text.slice(text.indexOf("Error: ")))?.[1]
  return name === undefined ? "a provider" : `the provider ${name}`
}

/** What is said, by backend `pg` above all, where `Lock Info` is the lock that the command wanted for itself. */
const ownLock = /pq: |Workspace is already locked|locked for workspace creation|failed to read body/iu
/**
 * Returns what it means that a command could not get the lock, if the error names the one that is there: before `Lock Info`, which in
 * the backend `http` of Terraform before 1.15 is the lock that the command wanted for itself.
 */
const lockedOut = (name: string, log: string): string | undefined => {
  if (!Option.contains(onlyError(log), "Error acquiring the state lock")) return undefined
  const text = joined(log)
  const id = ownLock.test(text) ? undefined : /(?:already locked: ID=|Lock Info: ID: +)([\w-]+)/u.exec(text)?.[1]
  return id === undefined
    ? undefined
    : `${name} changed nothing, since somebody else, or a stage that died, has the lock ${id} on the state; the log says more of it, and if its holder is certainly gone, open it (docs/state.md, "Open a lock").`
}

/** What both engines say of a saved plan that was made from an earlier state, or from another one. */
const staleness = /^Saved plan (?:is stale|does not match the given state)/u
const isStale = (log: string): boolean => Option.exists(onlyError(log), (summary) => staleness.test(summary))

/** What OpenTofu says where it has no descriptor for its events. */
const withoutEvents = (name: string, log: string): string | undefined =>
  Option.contains(onlyError(log), "Invalid argument") && joined(log).includes("specified by -json-into for writing")
    ? `${name} changed nothing, since a wrapper of it in the runner image closed the descriptor 7 that it tells its events on; have the wrapper exec it, or leave descriptors open (in Python, close_fds=False).`
    : undefined

/**
 * Returns what a failed `init` means: a server that did not answer, a provider that cannot be installed, or a wrong configuration,
 * environment or lock file.
 */
const initFailure = (engine: string, log: string): Omit<Failure, "exitCode"> => {
  const text = joined(log)
  const invalid = (what: string) => ({ reason: "InvalidConfiguration", message: `${engine} init ${what}` }) as const
  if (localState.test(text)) {
    return invalid(
      "found a local state in the configuration, terraform.tfstate or terraform.tfstate.d, which a run does not take over: what it lists would be made again. Take it out; bring it to a workspace of a server with agent-job state push WORKSPACE FILE, or import what it lists with import blocks."
    )
  }
  if (otherWorkspace.test(text)) {
    return invalid("failed: the backend has no other workspace than default; take TF_WORKSPACE out of the environment of the engine.")
  }
  const locked = lockTrouble.find(({ pattern }) => pattern.test(text))
  if (locked !== undefined) return invalid(`cannot install ${providerIn(text)}: .terraform.lock.hcl ${locked.says(engine)}.`)
  const isProvider = providerTrouble.some((pattern) => pattern.test(text))
  const said = text.slice(Math.max(0, text.indexOf("Error: ")))
  const passing = passingTrouble.exec(said)?.[0]
  if (passing !== undefined && !lastingTrouble.test(said)) {
    const later = `(${passing}); nothing was changed, so try again later`
    return isProvider
      ? {
        reason: "ProviderMissing",
        message: `${engine} init could not download ${
          providerIn(text)
        } ${later}, put the provider in the runner's mirror, or let the Pod reach its registry.`,
        mayPass: true
      }
      : { reason: "ExitCode", message: `${engine} init failed${because(log)} ${later}, and look at the log if it stays so.`, mayPass: true }
  }
  return isProvider
    ? {
      reason: "ProviderMissing",
      message: `${engine} init cannot install ${providerIn(text)}; put it in the runner's mirror, or let the Pod reach its registry.`
    }
    : invalid(`failed${because(log)}; correct the configuration, the log has the details.`)
}

/** What it means that the engine cannot tell what its own plan changes, whose text is in the log: most often a defect of it or of a provider. */
const untold = (engine: string, said: string): string =>
  `${engine} plan succeeded, but ${engine} show cannot say what it changes (${said}), so it cannot be applied; the log has the details, and another version of the engine or of a provider may help.`

/** The exit code of a command that SIGKILL ended: if not the worker's, most likely that of the kernel, when memory runs out. */
const killedExitCode = 128 + 9

const outOfMemory = (what: string, next: string): Failure => ({
  reason: "OutOfMemory",
  message: `${what}, most likely because it used more memory than its limit; raise task.runner.resources.limits.memory.${next}`
})

/** Returns why a command that ended is a failure, or none if it is not. `printed` is the end of what it printed, without secrets. */
export const commandFailure = (
  engine: string,
  { args, mutates, subcommand }: StageCommand,
  end: CommandEnd,
  printed: string
): Option.Option<Failure> => {
  const name = `${engine} ${subcommand}`
  const next = mutates ? " Look at the state before the next run." : ""
  switch (end._tag) {
    case "Exited": {
      if (end.code === 0) return Option.none()
      const log = forPeople(printed)
      const full = diskTrouble.exec(log)
      if (full !== null) {
        return Option.some({
          reason: "DiskFull",
          message: `${name} ran out of disk space${
            because(errorAt(log, full.index))
          }; if it was the Pod's volume, let tasks request ephemeral-storage, or give their nodes larger disks.${next}`,
          exitCode: end.code
        })
      }
      if (end.code === killedExitCode) return Option.some({ ...outOfMemory(`${name} was killed`, next), exitCode: end.code })
      if (subcommand === "init") return Option.some({ ...initFailure(engine, log), exitCode: end.code })
      if (isStale(log)) {
        return Option.some({
          reason: "DigestMismatch",
          message: `${name} refused the saved plan, because the state is no longer the one that it was made from; plan again.`,
          exitCode: end.code
        })
      }
      const said = `exit code ${end.code}${because(log)}`
      return Option.some({
        reason: "ExitCode",
        message: subcommand === "show"
          ? untold(engine, said)
          : lockedOut(name, log) ?? withoutEvents(name, log) ?? `${name} failed with ${said}; the log has the details.`,
        exitCode: end.code
      })
    }
    case "ProgramMissing":
      // The program was found before: a shell says the same of a program whose interpreter or loader is missing.
      return Option.some({
        reason: "EngineMissing",
        message:
          `The runner image has ${engine} in its PATH, but cannot start it, most likely because its interpreter or loader is missing; use an image in which it runs.`
      })
    case "NotStarted":
      return Option.some({
        reason: "InvalidConfiguration",
        message: `The runner could not start ${engine} ${
          args[0] ?? subcommand
        } (exit code ${end.code} of its shell); check that the data volume has room and that its user may enter it, and the log.`
      })
    case "Aborted":
      return Option.some({ // its end kills the engine, which nobody sees
        ...outOfMemory(`The runner's container was ended during ${name}`, next),
        ...(mutates && { exitCode: killedExitCode })
      })
    case "Unending":
      return Option.some({
        reason: "Lost",
        message: `${name} did not end even when it was killed.${next || " Nothing was changed."}`
      })
  }
}

const stopped: Readonly<Record<StopCause, string>> = {
  Cancelled: "The stage was cancelled",
  DeadlineExceeded: "The stage ran longer than timeoutSeconds",
  Evicted: "The Pod had to leave its node",
  OutOfMemory: "The runner came to 80 % of its memory limit"
}
/** What a person can do to prevent the same stop, where there is something. */
const remedy: Readonly<Partial<Record<StopCause, string>>> = {
  OutOfMemory: " To go further, raise task.runner.resources.limits.memory.",
  // The kubelet tells the Pod by SIGTERM alone, so that the worker does not know of a limit.
  Evicted: " If the Pod's events name a limit of its disk, raise that one, most often persistence.emptyDir.sizeLimit."
}

/** Reports whether the engine says that it had a second interrupt, at which both engines end at once and do not write what they were making. */
export const gaveUp = (log: string): boolean => log.includes("Two interrupts received")

/** The command that a stop interrupted. `killed`: by the worker, since it did not end when it was asked to, so it may not have saved its state. */
export interface Interrupted {
  readonly name: string
  readonly mutates: boolean
  readonly killed: boolean
}

/** What a stop meant for the stage: which command it interrupted, if one ran, and how that ended, if its exit code says it. */
interface Stopped {
  readonly cause: StopCause
  readonly during: Option.Option<Interrupted>
  readonly exitCode?: number
}

const stopEffect = ({ during, exitCode }: Stopped, inOrder: boolean): string =>
  Option.match(during, {
    onNone: () => "; nothing was changed.",
    onSome: ({ killed, mutates, name }) => {
      if (!mutates) return ` during ${name}; nothing was changed.`
      if (!killed && inOrder) return ` during ${name}, which was interrupted; what it had made is in the state.`
      const code = exitCode === undefined ? "" : ` (exit code ${exitCode})`
      const how = killed
        ? "did not end in time and was killed"
        : exitCode === killedExitCode
        ? "was interrupted and then killed, most likely because it used more memory than its limit"
        : `was interrupted and did not end in order${code}`
      return ` during ${name}, which ${how}. Look at the state before the next run.`
    }
  })

/** Returns the message of a stage that was stopped; `inOrder` says whether an engine that ends so has all that it made in its state. */
export const stopMessage = (stop: Stopped, inOrder: boolean): string =>
  stopped[stop.cause] + stopEffect(stop, inOrder) + (remedy[stop.cause] ?? "")
