// The text of a file that a person wrote. One that is not UTF-8 has none: its letters would be replaced, and so mean something else.
// Used by controller/configuration/values-files and cli/run/archive.
import { Option, Result } from "effect"

const decoder = new TextDecoder("utf-8", { fatal: true })

/** Returns the text of the bytes without the mark of UTF-8; none if they are not UTF-8, or have a NUL, as UTF-16 has. */
export const utf8Text = (bytes: Uint8Array): Option.Option<string> =>
  Option.filter(Result.getSuccess(Result.try(() => decoder.decode(bytes))), (text) => !text.includes("\0"))

/** What to do about a file without such a text. */
export const saveAsUtf8 = "save it as UTF-8, which PowerShell 5 does only when told to"
