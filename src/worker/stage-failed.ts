// The one way in which the parts of the worker say that a stage cannot go on: a reason from the closed list and a sentence.
// Invariant: the message contains no secret; an error of the operating system or of a library is reduced to its cause.
// Used by every part of the worker, turned into the result by worker/stage/stage.ts.
import { Data, Predicate, Runtime } from "effect"
import { diskFullExitCode } from "../core/task/places.ts"
import { codeOf } from "../schema/system-error.ts"
import type { FailureReason } from "../schema/task/reason.ts"

export class StageFailed extends Data.TaggedError("StageFailed")<{
  readonly reason: FailureReason
  readonly message: string
  readonly exitCode?: number
  /** See `Failure`. */
  readonly mayPass?: true
}> {
  override readonly [Runtime.errorExitCode] = this.reason === "DiskFull" ? diskFullExitCode : 1
}

/** Returns the failure for something that a person has written or made and has to correct. */
export const invalid = (message: string) => new StageFailed({ reason: "InvalidConfiguration", message })

/** Returns an object with the exit code, to be spread into another; empty if there is none. */
export const exitCodeOf = ({ exitCode }: { readonly exitCode?: number }) => exitCode === undefined ? {} : { exitCode }

const isFull = (cause: unknown): boolean =>
  codeOf(cause) === "ENOSPC" || codeOf(cause) === "EDQUOT" ||
  (Predicate.hasProperty(cause, "cause") && cause.cause !== undefined && isFull(cause.cause))

const unusable = (what: string, cause: unknown): StageFailed =>
  invalid(`The worker cannot use ${what} (${codeOf(cause) || "unexpected file"}); check the volumes of the Pod and who owns them.`)

const full = (message: string) => new StageFailed({ reason: "DiskFull", message })

/** Returns the failure of a read or write: the disk is full, or the Pod is not as it should be. `what` names the file for a person. */
export const fileTrouble = (what: string) => (cause: unknown): StageFailed =>
  isFull(cause)
    ? full(
      `The disk of the Pod's node was full when the worker wrote ${what}; let tasks request ephemeral-storage, or give their nodes larger disks.`
    )
    : unusable(what, cause)

/** Returns the failure of a read or write on a volume that is not the Pod's own; `remedy` is what helps when that volume is full. */
export const volumeTrouble = (volume: string, remedy: string) => (cause: unknown): StageFailed => {
  if (isFull(cause)) return full(`There was no room on ${volume} for what the worker had to write; ${remedy}.`)
  if (codeOf(cause) === "EROFS") return invalid(`Nothing can be written on ${volume}, which is read-only; have its storage take writes.`)
  return unusable(volume, cause)
}
