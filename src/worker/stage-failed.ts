// The one way in which the parts of the worker say that a stage cannot go on: a reason of the closed list and a sentence.
// Always holds: the message has no secret in it; what the operating system or a library said is cut down to its cause.
// Used by every part of the worker, turned into the result by worker/stage.ts.
import { Data, Predicate } from "effect"
import type { FailureReason } from "../schema/reason.ts"

export class StageFailed extends Data.TaggedError("StageFailed")<{
  readonly reason: FailureReason
  readonly message: string
  readonly exitCode?: number
}> {}

/** Something that a person has said, or made, has to be corrected. */
export const invalid = (message: string) => new StageFailed({ reason: "InvalidConfiguration", message })

/** The exit code of what ended, as a field, if it has one. */
export const exitCodeOf = ({ exitCode }: { readonly exitCode?: number }) => exitCode === undefined ? {} : { exitCode }

/** The name by which the operating system or zlib knows what went wrong, such as ENOSPC; empty if it is nothing of theirs. */
export const codeOf = (cause: unknown): string => Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : ""

const isFull = (cause: unknown): boolean =>
  codeOf(cause) === "ENOSPC" || codeOf(cause) === "EDQUOT" ||
  (Predicate.hasProperty(cause, "cause") && cause.cause !== undefined && isFull(cause.cause))

const unusable = (what: string, cause: unknown): StageFailed =>
  invalid(`The worker cannot use ${what} (${codeOf(cause) || "unexpected file"}); check the volumes of the Pod and who owns them.`)

const full = (message: string) => new StageFailed({ reason: "DiskFull", message })

/** A file that cannot be written or read: the disk is full, or the Pod is not as it should be. `what` is named as a person would. */
export const fileTrouble = (what: string) => (cause: unknown): StageFailed =>
  isFull(cause)
    ? full(`The Pod's volume was full when the worker wrote ${what}; raise persistence.emptyDir.sizeLimit.`)
    : unusable(what, cause)

/** A file on a volume that is not the Pod's own that cannot be written or read; `remedy` is what helps when the volume is full. */
export const volumeTrouble = (volume: string, remedy: string) => (cause: unknown): StageFailed =>
  isFull(cause) ? full(`There was no room on ${volume} for what the worker had to write; ${remedy}.`) : unusable(volume, cause)
