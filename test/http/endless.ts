// A body without end.
// Used by the tests of who reads bodies up to a limit.
import type { ServerResponse } from "node:http"

/** Sends blanks for as long as somebody reads them. */
export const endlessly = (response: ServerResponse): void => {
  const blanks = Buffer.alloc(65_536, " ")
  const more = (): void => {
    while (!response.destroyed && response.write(blanks));
    if (!response.destroyed) response.once("drain", more)
  }
  more()
}
