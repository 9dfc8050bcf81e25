// Reads the replies of the exec loop from the bytes of a pipe that every process of the runner may write to.
// Invariant: any bytes give a list of replies, a line that is no reply is skipped, and little is kept of a line without an end.
// Used by worker/engine/exec-loop.ts.

export type Reply =
  | { readonly what: "boot" | "taken" | "started" | "memory" | "aborted"; readonly name: string }
  | { readonly what: "exit"; readonly name: string; readonly code: number }

const replyPattern = /^([a-z]{4,7}) ([\w-]{1,64})(?: (\d{1,3}))?$/u
/** How many characters of an unfinished line are kept: more than the longest reply has, so that a line cut here never reads as one. */
const longestLine = 128

/** Reads `bytes`, which continue the line `unfinished`; returns the line that is unfinished then, and the replies. Skips anything else. */
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
