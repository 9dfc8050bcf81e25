// From the bytes of a stored log to text that is safe to print: the frame is taken off, and of escape sequences only colours stay.
// Invariant: text comes out the same however the bytes are cut into chunks.
// Used by run and logs.

/** First byte of a log that exists (TFE API). */
const begin = 0x02
/** Last byte of a log that nothing follows (TFE API). */
const end = 0x03

export interface LogText {
  /** The text of the next bytes; what may be half a character or half an escape sequence is kept for the next call. */
  readonly push: (bytes: Uint8Array) => string
  /** Whether the last bytes may have been its end: an engine or a provisioner may print that byte too, and then more follows. */
  readonly ended: () => boolean
  /** What was kept, once nothing follows. */
  readonly rest: () => string
}

// A control sequence (ESC [ … letter), a string command (ESC ] … BEL or ESC \ and its kin), a two-character escape, or a lone control
// character.
// oxlint-disable-next-line no-control-regex
const escapes =
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-Z\\-~]|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0080-\u009f]/gu
// oxlint-disable-next-line no-control-regex
const colour = /^\u001b\[[0-9;:]*m$/u
// An escape sequence that may go on in the next chunk.
// oxlint-disable-next-line no-control-regex
const unfinished = /\u001b(?:\[[0-?]*[ -/]*|[\]PX^_][^\u0007\u001b]*\u001b?|[ -/]*)?$/u
const longestEscape = 4096

/**
 * `colours`: whether colour sequences stay. Everything else that could move the cursor or speak to the terminal never does.
 * `skipLines`: lines at the beginning that only stock clients need.
 */
export const logText = (colours: boolean, skipLines = 0): LogText => {
  const decoder = new TextDecoder()
  let over = false
  let kept = ""
  let toSkip = skipLines
  const clean = (text: string) => text.replace(escapes, (sequence) => colours && colour.test(sequence) ? sequence : "")
  return {
    push: (bytes) => {
      over = bytes.at(-1) === end
      let text = kept + decoder.decode(bytes.filter((byte) => byte !== begin && byte !== end), { stream: true })
      while (toSkip > 0 && text.includes("\n")) {
        text = text.slice(text.indexOf("\n") + 1)
        toSkip -= 1
      }
      if (toSkip > 0) {
        kept = text
        return ""
      }
      const open = unfinished.exec(text)
      const cut = open === null || text.length - open.index > longestEscape ? text.length : open.index
      kept = text.slice(cut)
      return clean(text.slice(0, cut))
    },
    ended: () => over,
    rest: () => clean(kept + decoder.decode())
  }
}
