// What the exec loop says of its commands, read from the bytes of a pipe that the runner's processes may write to as well.
// Always holds: whatever comes is a list of replies; what is none is skipped, and no line takes more memory than the longest reply.
// Used by worker/exec-loop.ts.

export type Reply =
  | { readonly what: "boot" | "taken" | "started" | "memory" | "aborted"; readonly name: string }
  | { readonly what: "exit"; readonly name: string; readonly code: number }

const replyPattern = /^([a-z]{4,7}) ([\w-]{1,64})(?: (\d{1,3}))?$/u
/** More than the longest reply, so that what is cut off here never reads as one. */
const longestLine = 128

/** The replies in `bytes` after an unfinished line, and the line that they leave unfinished. Anything else is skipped. */
export const readReplies = (unfinished: string, bytes: Uint8Array): readonly [string, ReadonlyArray<Reply>] => {
  const lines = (unfinished + Buffer.from(bytes).toString("latin1")).split("\n")
  return [lines.pop()?.slice(0, longestLine) ?? "", lines.flatMap(readReply)]
}

const readReply = (line: string): ReadonlyArray<Reply> => {
  const [, what, name = "", code] = replyPattern.exec(line) ?? []
  switch (what) {
    case "boot":
    case "taken":
    case "started":
    case "memory":
    case "aborted":
      return [{ what, name }]
    case "exit":
      return Number(code) <= 255 ? [{ what, name, code: Number(code) }] : []
    default:
      return []
  }
}
